"""Connect producers and consumers that come and go.

Theory of operation:

An item goes from any producer to all consumers. `_arrived` holds what is not delivered yet, and one
loop (`_deliver`) empties it, so that all consumers see one order, also where a consumer publishes.

Demand. `gate` is closed while nobody should publish: a consumer's buffer is full, or, with `BLOCK`,
there is no consumer. Each producer has a bridge of its own whose gate follows it. With one gate for
all, closing the bridge of a producer that leaves would open the gate of the others.

A consumer is a subscription like any other: what its subscriber raises ends that consumer alone,
and no producer sees it. The end of a producer ends nothing else.

All of it happens on the thread of one loop. Nothing is emitted inside `subscribe`: what waits for
the first consumer is delivered in the next turn of the loop.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Generic, Self, TypeVar

from reactivex import Observable, abc
from reactivex.disposable import Disposable, SerialDisposable

from rxagents.core.checks import checked_count, checked_function
from rxagents.core.errors import BackpressureError, ConfigurationError
from rxagents.runtime.bridge import Bridge, Gate
from rxagents.runtime.hub_consumer import HubConsumer
from rxagents.runtime.loop import run_on_loop, running_loop
from rxagents.runtime.overflow import Overflow, checked_overflow
from rxagents.runtime.reporting import report_harmless, report_unhandled
from rxagents.runtime.timed_scope import TimedScope, timed

T = TypeVar("T")

_MOST_WAITING = 16_384
"""Items of producers that ignore their gate, while there is no consumer."""


class Hub(Generic[T]):
    """Passes the items of any number of producers to any number of consumers.

    Producers and consumers come and go while it works: agents that report to one screen, pages that
    look at one process. A consumer gets the items from its subscription on, in the same order as
    all others. The end of a producer, and its error, end only that producer.

    Args:
        capacity: How many items may wait for each consumer that is slower than its producers.
        overflow: What happens then. With `BLOCK` the slowest consumer sets the pace, and producers
            wait while there is no consumer. With the other policies, items that come while there
            is no consumer are dropped; with `ERROR` a consumer that is too slow fails.

    Raises:
        ConfigurationError: An argument has the wrong type or value.

    Example:
        >>> import asyncio, reactivex as rx, rxagents
        >>> async def main():
        ...     async with rxagents.Hub() as hub:
        ...         async with rxagents.to_aiter(hub.stream()) as items:
        ...             hub.publish(rx.of("a", "b"))
        ...             await hub.send("c")
        ...             print([await anext(items) for _ in range(3)])
        >>> asyncio.run(main())
        ['a', 'b', 'c']
    """

    def __init__(self, capacity: int = 64, overflow: Overflow = Overflow.BLOCK) -> None:
        self._capacity = checked_count("capacity", capacity)
        self._overflow = checked_overflow(overflow)
        self._waits_for_consumers = overflow is Overflow.BLOCK
        self._consumers: dict[HubConsumer[T], None] = {}
        self._order: tuple[HubConsumer[T], ...] = ()
        self._producers: dict[Bridge, abc.DisposableBase] = {}
        self._arrived: deque[T] = deque()
        self._is_delivering = self._is_closed = False
        self._error: Exception | None = None
        self._gate = Gate()
        self._set_gate()

    @property
    def consumers(self) -> int:
        """How many consumers there are."""
        return len(self._consumers)

    @property
    def producers(self) -> int:
        """How many streams are published now."""
        return len(self._producers)

    def stream(self) -> Observable[T]:
        """Return the items from the subscription on; each subscription is a consumer.

        It completes or fails when the hub is closed.
        """

        def subscribe(observer: abc.ObserverBase[T], scope: TimedScope) -> None:
            consumer = HubConsumer[T](scope, self._capacity, self._overflow, self._set_gate)
            feed = Observable[T](consumer.attach)
            scope.subscribe(feed, observer.on_next, observer.on_error, observer.on_completed)
            if self._is_closed:
                scope.timer(partial(consumer.end, self._error)).start(0)
                return
            loop = scope.loop or running_loop()
            scope.hold(Disposable(partial(run_on_loop, loop, self._leave, consumer)))
            self._consumers[consumer] = None
            self._order = tuple(self._consumers)
            loop.call_soon(self._deliver)

        return timed(subscribe)

    def publish(
        self, stream: Observable[T], *, on_error: Callable[[Exception], object] | None = None
    ) -> abc.DisposableBase:
        """Subscribe to a stream, and pass its items on until its end.

        Args:
            stream: The stream. It is slowed down with the consumers, to the socket.
            on_error: Called with the error that the stream fails with; by default the loop's
                exception handler gets it.

        Returns:
            What stops it. Any thread may dispose it.

        Raises:
            ConfigurationError: An argument has the wrong type, the hub is closed, or no event loop
                is running.
        """
        if not isinstance(stream, Observable):
            raise ConfigurationError(f"publish takes an Observable, not {type(stream).__name__}.")
        report = _report if on_error is None else checked_function("on_error", on_error)
        self._check_open()
        loop = running_loop()
        subscription = SerialDisposable()

        def leave() -> None:
            subscription.dispose()
            self._producers.pop(bridge, None)
            bridge.close()

        def fail(error: Exception) -> None:
            leave()
            report(error)

        def on_broken(error: Exception) -> None:
            leave()
            report_unhandled(error, loop, None)

        def put(item: T) -> None:
            self._arrived.append(item)
            if len(self._arrived) > _MOST_WAITING and not self._is_delivering:
                self._arrived.pop()
                fail(_too_fast())
                return
            self._deliver()

        bridge = Bridge(loop, on_broken)
        if self._gate.closed:
            bridge.gate.close()
        self._producers[bridge] = subscription
        with bridge.entered():
            subscription.disposable = stream.subscribe(put, fail, leave, scheduler=bridge.scheduler)
        return Disposable(partial(run_on_loop, loop, leave))

    async def send(self, item: T) -> None:
        """Pass one item on; wait first while the consumers have enough.

        Raises:
            ConfigurationError: The hub is closed.
        """
        await self._gate.opened()
        self._check_open()
        self._arrived.append(item)
        self._deliver()

    def close(self, error: Exception | None = None) -> None:
        """Stop the producers, and end the consumers after the items that wait for them.

        Args:
            error: What the consumers fail with; by default they complete.
        """
        if self._is_closed:
            return
        self._is_closed, self._error = True, error
        for bridge, subscription in tuple(self._producers.items()):
            subscription.dispose()
            bridge.close()
        for consumer in self._order:
            consumer.end(error)
        self._gate.open()

    async def aclose(self) -> None:
        """Close the hub, and wait until the tasks of its producers are over."""
        self.close()
        for bridge in tuple(self._producers):
            await bridge.aclose()
        self._producers.clear()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def _check_open(self) -> None:
        if self._is_closed:
            raise ConfigurationError("The hub is closed. Make another one.")

    def _leave(self, consumer: HubConsumer[T]) -> None:
        if consumer in self._consumers:
            del self._consumers[consumer]
            self._order = tuple(self._consumers)
            self._set_gate()

    def _deliver(self) -> None:
        """Deliver what has arrived, unless it waits for a consumer."""
        if self._is_delivering:
            return
        self._is_delivering = True
        arrived = self._arrived
        try:
            while arrived and (self._order or not self._waits_for_consumers):
                item = arrived.popleft()
                for consumer in self._order:
                    consumer.put(item)
        finally:
            self._is_delivering = False
        self._set_gate()

    def _set_gate(self) -> None:
        """Close the gates if a consumer has no room or none is there, else open them."""
        is_full = any(consumer.gate.closed for consumer in self._order)
        lacks_consumers = self._waits_for_consumers and not self._order
        is_closed = not self._is_closed and (is_full or lacks_consumers)
        if is_closed == self._gate.closed:
            return
        gates = (self._gate, *(bridge.gate for bridge in self._producers))
        for gate in gates:
            if gate is not self._gate and self._gate.closed != is_closed:
                return  # what went on at an opened gate has closed all of them again
            if is_closed:
                gate.close()
            else:
                gate.open()


def _report(error: Exception) -> None:
    report_harmless(error, "A stream that a Hub publishes has failed; pass publish an on_error")


def _too_fast() -> BackpressureError:
    return BackpressureError(
        f"More than {_MOST_WAITING} items wait for the first consumer of a Hub, and the producer "
        "did not stop. Subscribe to hub.stream() first, or choose another overflow than BLOCK."
    )
