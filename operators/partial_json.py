"""A JSON answer while it comes."""

from __future__ import annotations

from collections.abc import Callable

from reactivex import Observable

from rxagents.operators._partial import snapshots
from rxagents.parsing.json_snapshots import PartialJson


def partial_json() -> Callable[[Observable[str]], Observable[PartialJson]]:
    """Emit the JSON value so far, whenever it may have changed.

    A snapshot's `value` is decoded when it is read, and `complete` tells the last one. Half a
    text counts, without a half escape at its end; half a number, literal or key does not.

    The answer is the first object or array in the text. What stands around it is skipped: words
    before the first `{` or `[`, the fence of a code block, all that follows the end. A number or
    text alone is no answer: nothing would tell it from the words around it.

    .. marble::
        --({"a":)--([1, 2)--------(, 3]})------------|
        [ partial_json() ]
        --({})-----({"a": [1]})---({"a": [1, 2, 3]})-|

    Emits when: the value may have changed, once a piece at most, and when it is complete.
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
        >>> pieces.pipe(ops.partial_json()).subscribe(
        ...     lambda answer: print(answer.value, answer.complete)
        ... )
        {'name': 'Ad'} False
        {'name': 'Ada'} False
        {'name': 'Ada', 'born': 1815} True
        <...>
    """
    return snapshots("partial_json")
