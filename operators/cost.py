"""Report what the requests of a stream use and cost."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from reactivex import Observable, abc
from reactivex.disposable import SingleAssignmentDisposable

from rxagents.core.checks import checked_function
from rxagents.runtime.factories import operator_factory
from rxagents.runtime.metering.metering import Metering, current_metering, under
from rxagents.runtime.reporting import report_harmless
from rxagents.runtime.spending.cost import Cost
from rxagents.runtime.spending.ledger import Ledger
from rxagents.runtime.spending.prices import Prices, checked_prices, require_prices
from rxagents.runtime.timed_scope import TimedScope, timed

T = TypeVar("T")


@operator_factory
def cost(
    report: Callable[[Cost], object], *, prices: Prices | None = None
) -> Callable[[Observable[T]], Observable[T]]:
    """Report the tokens and the price of all requests that a stream makes, while it runs.

    It counts requests, not items: each attempt of a model, and so also those that retries, races
    and sub-agents make above it. What fails, loses or is stopped in the middle is estimated, and
    kept apart in the `Cost`. It counts as well what a subscriber starts in a callback of the
    stream.

    .. marble::
        --1--2--3--|
        [ cost(report) ]
        --1--2--3--|

    Emits when: the source emits.
    Backpressures when: downstream does.
    Completes when: the source completes.

    Args:
        report: Called with the sum so far each time that a request has ended. The request of a
            stream that is disposed ends a moment later. What it raises goes to the loop's
            exception handler, as with `tap_safely`.
        prices: Your own prices, by model; see `Budget`. They come before those of genai-prices.

    Returns:
        An operator that leaves the items as they are. It subscribes to the source in the loop's
        next iteration.

    Raises:
        ConfigurationError: On the call, if an argument is not usable, or there are no `prices` and
            genai-prices is not installed. The source's errors pass.

    Example:
        >>> import rxagents
        >>> from rxagents import operators as ops
        >>> from rxagents.testing import Reply, ScriptedLLM
        >>> llm = ScriptedLLM(Reply("Hello", usage=rxagents.Usage(1000, 10)))
        >>> prices = {"scripted": rxagents.Price(input=2, output=8)}
        >>> counted = ops.cost(lambda cost: print(cost.usd, "USD"), prices=prices)
        >>> rxagents.run(llm.chat_stream("Hi").pipe(counted, ops.text()))
        0.00208 USD
        'Hello'
    """
    checked_function("report", report)
    known = checked_prices(prices)
    if not known:
        require_prices()

    def on_change(cost: Cost) -> None:
        try:
            report(cost)
        except BaseException as error:
            report_harmless(error, "The report function of cost raised")

    def cost_(source: Observable[T]) -> Observable[T]:
        def subscribe(observer: abc.ObserverBase[T], scope: TimedScope) -> None:
            ledger = Ledger(known, on_change)
            outer = current_metering()
            metering = Metering(
                outer.limiters, (*outer.ledgers, ledger), outer.context, outer.probes
            )
            subscription = SingleAssignmentDisposable()
            scope.hold(subscription)

            def begin() -> None:
                with under(metering):
                    # The scope would look at each item; the source ends its subscriptions itself.
                    subscription.disposable = source.subscribe(
                        observer.on_next,
                        observer.on_error,
                        observer.on_completed,
                        scheduler=scope.scheduler,
                    )

            if scope.loop is None:
                begin()  # in virtual time
            else:
                # In a callback of its own, so that all that reactivex schedules runs in the block.
                scope.timer(begin).start(0)

        return timed(subscribe)

    return cost_
