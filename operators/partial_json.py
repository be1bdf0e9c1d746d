"""Read a JSON answer while it is being written."""

from __future__ import annotations

from collections.abc import Callable

from reactivex import Observable

from rxagents.operators._snapshots import snapshots
from rxagents.parsing.json_snapshots import PartialJson
from rxagents.runtime.factories import operator_factory


@operator_factory
def partial_json() -> Callable[[Observable[str]], Observable[PartialJson]]:
    """Emit the JSON value so far, whenever it may have changed.

    A snapshot's `value` is decoded when it is read; the last snapshot has `complete=True`. An
    unfinished string counts, without an unfinished escape at its end; an unfinished number,
    literal or key does not.

    The answer is the first object or array in the text. The text around it is skipped: words
    before the first `{` or `[`, the fence of a code block, everything after the end. A bare
    number or string is not accepted, since nothing separates it from the words around it.

    .. marble::
        --({"a":)--([1, 2)--------(, 3]})------------|
        [ partial_json() ]
        --({})-----({"a": [1]})---({"a": [1, 2, 3]})-|

    Emits when: the value may have changed, at most once a piece, and when it is complete.
    Backpressures when: downstream does.
    Completes when: the source completes, if the value is complete.

    Args:
        None. Put `text()` before it.

    Returns:
        An operator from pieces of text to `PartialJson` snapshots.

    Raises:
        OutputError: In the stream, after all snapshots: the text is not valid JSON, has none, or
            ends before the value is complete.
        LimitExceededError: In the stream, if the value is nested more than
            `Limits.json_depth` levels deep.
        ConfigurationError: In the stream, if the source emits anything but text. The source's
            errors pass.

    Example:
        >>> import reactivex as rx
        >>> from rxagents import operators as ops
        >>> pieces = rx.of('Here: {"name": "Ad', 'a", "born": 18', "15}")
        >>> answers = pieces.pipe(ops.partial_json())
        >>> answers.subscribe(lambda answer: print(answer.value, answer.complete))
        {'name': 'Ad'} False
        {'name': 'Ada'} False
        {'name': 'Ada', 'born': 1815} True
        <...>
    """
    return snapshots("partial_json")
