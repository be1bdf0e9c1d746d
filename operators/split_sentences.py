"""Split text into sentences."""

from __future__ import annotations

from collections.abc import Callable

from reactivex import Observable, abc

from rxagents.operators._items import not_a_text
from rxagents.runtime.factories import operator_factory


@operator_factory
def split_sentences() -> Callable[[Observable[str]], Observable[str]]:
    """Emit text sentence by sentence, for speech and display; no character is lost.

    A sentence ends at `.`, `!`, `?` or `…` with white space after it, at `。` and similar marks
    without, each with its closing quotes and brackets, and at a blank line. Thai has no such
    marks: its sentences and clauses end at white space between two Thai words. A sentence keeps
    the white space that follows it. A full stop does not end a sentence after a common
    abbreviation (`Dr.`, `e.g.`, `No. 5`), an initial (`J. Smith`, `U.S.`) or the number of a list
    item (`1. First`), even where a sentence does end there.

    .. marble::
        --(Hi!)--( How)---( are you?)--( Fine.)----------|
        [ split_sentences() ]
        ---------(Hi! )----------------(How are you? )---(Fine.|)

    Emits when: the next sentence begins; the last sentence when the source completes or fails.
    Backpressures when: downstream does; at most one sentence is kept.
    Completes when: the source completes.

    Args:
        None. Put `text()` before it.

    Returns:
        An operator from pieces of text to sentences; joined, they are the same text.

    Raises:
        ConfigurationError: In the stream, if the source emits anything but text. The source's
            errors pass, after the text that has come.

    Example:
        >>> import reactivex as rx
        >>> from rxagents import operators as ops
        >>> pieces = rx.of("Dr. No", " said: Hi! And", " left.")
        >>> pieces.pipe(ops.split_sentences()).subscribe(lambda sentence: print(repr(sentence)))
        'Dr. No said: Hi! '
        'And left.'
        <...>
    """
    from rxagents.parsing.sentences import SentenceSplitter  # 1 ms, which few programs need

    def split_sentences_(source: Observable[str]) -> Observable[str]:
        def subscribe(
            observer: abc.ObserverBase[str], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            splitter = SentenceSplitter()

            def on_next(piece: str) -> None:
                if isinstance(piece, str):
                    for sentence in splitter.feed(piece):
                        observer.on_next(sentence)
                else:
                    observer.on_error(not_a_text("split_sentences", piece))

            def flush() -> None:
                for sentence in splitter.flush():
                    observer.on_next(sentence)

            def on_error(error: Exception) -> None:
                flush()
                observer.on_error(error)

            def on_completed() -> None:
                flush()
                observer.on_completed()

            return source.subscribe(on_next, on_error, on_completed, scheduler=scheduler)

        return Observable(subscribe)

    return split_sentences_
