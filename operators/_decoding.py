"""Build operators from incremental decoders."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from reactivex import Observable, abc

from rxagents.core.errors import ConfigurationError, ProviderError

T = TypeVar("T")


class Decoder(Protocol[T]):
    """An incremental decoder, such as those of `rxagents.parsing`."""

    @property
    def error(self) -> ProviderError | None: ...

    def feed(self, data: bytes, /) -> list[T]: ...

    def flush(self) -> list[T]: ...


def decoding(
    name: str, make: Callable[[], Decoder[T]], *, flush: bool
) -> Callable[[Observable[bytes]], Observable[T]]:
    """Return the operator `name`; `make` returns a new decoder for each subscription."""

    def operator(source: Observable[bytes]) -> Observable[T]:
        def subscribe(
            observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            decoder = make()

            def emit(items: list[T]) -> bool:
                for item in items:
                    observer.on_next(item)
                if decoder.error is not None:
                    observer.on_error(decoder.error)
                return decoder.error is None

            def on_next(data: bytes) -> None:
                if isinstance(data, (bytes, bytearray, memoryview)):
                    emit(decoder.feed(bytes(data)))
                else:
                    observer.on_error(
                        ConfigurationError(
                            f"{name} decodes bytes, but the source emitted "
                            f"{type(data).__name__}. Emit bytes, for example with str.encode()."
                        )
                    )

            def on_completed() -> None:
                if not flush or emit(decoder.flush()):
                    observer.on_completed()

            return source.subscribe(on_next, observer.on_error, on_completed, scheduler=scheduler)

        return Observable(subscribe)

    return operator
