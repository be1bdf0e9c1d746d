"""Pause a stream while another stream says so."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from reactivex import Observable, abc

from rxagents.core.errors import BackpressureError, ConfigurationError
from rxagents.operators._bridges import OwnBridge
from rxagents.runtime.factories import Callbacks, operator_factory
from rxagents.runtime.timed_scope import TimedScope, timed

# Theory of operation
#
# The source gets a bridge of its own, since its gate is closed for either of two reasons: the
# stream is paused, or the subscriber has enough. The stream of bools gets another bridge, whose
# gate is always open: behind the gate that it controls, it could never open that gate again.
#
# A source may emit while its gate is closed: the rest of a network read, or for ever if an operator
# on the way lost the bridge. `_held` keeps these items, up to a hard limit. `_is_closed` says that
# items go there: while paused, and afterwards until all of them are emitted, so that none overtakes
# another. While it is not set, an item costs one look at it and one at the subscriber's gate.

T = TypeVar("T")

_MOST_HELD = 16_384
"""Items; as many as a reader with `BLOCK` takes from a source that ignores its gate."""


@operator_factory
def pause_when(paused: Observable[bool]) -> Callable[[Observable[T]], Observable[T]]:
    """Pause the stream while the latest value of another stream is true.

    While paused, nothing is emitted and nothing more is read, down to the socket: the provider
    waits, as it does for a slow reader. Items that were already read are emitted when the stream
    goes on. It is not paused before the first value, and no longer after the end of `paused`.

    .. marble::
        --1--2--3---------4--|
        [ pause_when(paused) ]
        --1-------(2)(3)--4--|
        time: 1 s per character
        legend: paused = true from 4 s to 10 s

    Emits when: the source emits and the stream is not paused; when it goes on, the items held.
    Backpressures when: it is paused, or downstream does.
    Completes when: the source has completed and no item is held.

    Args:
        paused: Emits whether the stream is paused, on the loop's thread. Each subscription
            subscribes to it, too.

    Returns:
        An operator that leaves the items as they are.

    Raises:
        ConfigurationError: On the call, if `paused` is not an Observable.
        BackpressureError: In the stream, if more than 16,384 items come while it is paused: the
            source does not stop at the gate. The errors of `paused` pass at once, those of the
            source after the items held.

    Example:
        >>> import reactivex as rx, rxagents
        >>> from rxagents import operators as ops
        >>> paused = rx.concat(rx.of(True), rx.timer(0.01), rx.of(False))
        >>> rxagents.run(rx.of(1, 2).pipe(ops.pause_when(paused)), print)
        1
        2
        2
    """
    if not isinstance(paused, Observable):
        raise ConfigurationError(
            f"paused must be an Observable of bools, not {type(paused).__name__}."
        )

    def pause_when_(source: Observable[T]) -> Observable[T]:
        def subscribe(observer: abc.ObserverBase[T], scope: TimedScope) -> None:
            signals, bridge = OwnBridge(scope), OwnBridge(scope)
            valve = _Valve(observer, scope, bridge)
            signals.subscribe(paused, Callbacks(valve.pause, valve.fail, valve.resume))
            bridge.subscribe(source, Callbacks(valve.on_next, valve.end, valve.end))

        return timed(subscribe)

    return pause_when_


class _Valve(Generic[T]):
    """Emits the items of one subscription, or holds them."""

    __slots__ = ("_ending", "_gate", "_has_ended", "_held", "_is_closed", "_is_emitting",
                 "_is_paused", "_is_waiting", "_observer", "_scope", "_upstream")  # fmt: skip

    def __init__(self, observer: abc.ObserverBase[T], scope: TimedScope, bridge: OwnBridge) -> None:
        self._observer = observer
        self._scope = scope
        self._gate = scope.gate
        self._upstream = bridge.gate
        self._held: deque[T] = deque()
        self._is_paused = self._is_closed = self._is_emitting = self._is_waiting = False
        self._has_ended = False
        self._ending: Exception | None = None

    def on_next(self, item: T) -> None:
        if not self._is_closed:
            self._observer.on_next(item)
            if self._gate.closed:
                self._stop_source()
            return
        self._held.append(item)
        if len(self._held) > _MOST_HELD:
            self.fail(
                BackpressureError(
                    f"More than {_MOST_HELD} items came while pause_when held the stream, and the "
                    "source did not stop: an operator between them does not pass the demand on. "
                    "Put pause_when directly after the source, or pause for a shorter time."
                )
            )

    def end(self, error: Exception | None = None) -> None:
        """Deliver the source's end after the items held."""
        self._has_ended, self._ending = True, error
        if not self._held and not self._is_emitting:
            self._deliver_end()

    def fail(self, error: Exception) -> None:
        """Fail the stream at once."""
        self._scope.dispose()
        self._observer.on_error(error)

    def pause(self, is_paused: bool) -> None:
        """Pause the stream, or go on."""
        self._is_paused = bool(is_paused)
        if self._is_paused:
            self._is_closed = True
            self._upstream.close()
        else:
            self._go_on()

    def resume(self) -> None:
        """Go on after the end of the stream of bools."""
        self.pause(False)

    def _go_on(self) -> None:
        """Emit the items held while there is demand, and then let the source emit."""
        if self._is_emitting:
            return  # what is below goes on, in the call that this one is inside of
        held, gate = self._held, self._gate
        self._is_emitting = True
        while held and not self._is_paused and not gate.closed:
            self._observer.on_next(held.popleft())
        self._is_emitting = False
        if self._is_paused:
            return
        self._is_closed = bool(held)
        if gate.closed:
            self._stop_source()
        elif self._has_ended:
            self._deliver_end()
        else:
            self._upstream.open()

    def _deliver_end(self) -> None:
        if self._ending is None:
            self._observer.on_completed()
        else:
            self._observer.on_error(self._ending)

    def _stop_source(self) -> None:
        """Stop the source until the subscriber wants more."""
        self._upstream.close()
        if not self._is_waiting:
            self._is_waiting = True
            self._gate.when_open(self._on_open)

    def _on_open(self) -> None:
        self._is_waiting = False
        if not self._is_paused:
            self._scope.run(self._go_on)
