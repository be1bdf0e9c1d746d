"""Read pieces of text as one JSON answer."""

from __future__ import annotations

from collections.abc import Callable

from reactivex import Observable, abc

from rxagents.operators._items import not_a_text
from rxagents.parsing.json_snapshots import PartialJson
from rxagents.parsing.partial_json import PartialJsonParser


def snapshots(name: str) -> Callable[[Observable[str]], Observable[PartialJson]]:
    """Return the operator `name`, which parses pieces of text as one JSON answer."""

    def operator(source: Observable[str]) -> Observable[PartialJson]:
        def subscribe(
            observer: abc.ObserverBase[PartialJson], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            parser = PartialJsonParser()

            def on_next(piece: str) -> None:
                if not isinstance(piece, str):
                    observer.on_error(not_a_text(name, piece))
                    return
                for snapshot in parser.feed(piece):
                    observer.on_next(snapshot)
                if parser.error is not None:
                    observer.on_error(parser.error)

            def on_completed() -> None:
                parser.flush()
                if parser.error is not None:
                    observer.on_error(parser.error)
                else:
                    observer.on_completed()

            return source.subscribe(on_next, observer.on_error, on_completed, scheduler=scheduler)

        return Observable(subscribe)

    return operator
