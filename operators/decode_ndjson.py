"""Decode newline-delimited JSON from bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reactivex import Observable

from rxagents.core.checks import checked_count
from rxagents.core.limits import DEFAULT_LIMITS
from rxagents.operators._decoding import decoding
from rxagents.parsing.ndjson import NDJSONDecoder
from rxagents.runtime.factories import operator_factory


@operator_factory
def decode_ndjson(
    max_line_bytes: int = DEFAULT_LIMITS.event_bytes,
    max_json_depth: int = DEFAULT_LIMITS.json_depth,
) -> Callable[[Observable[bytes]], Observable[Any]]:
    r"""Decode newline-delimited JSON, wherever the network cut the bytes.

    Lines end in LF or CRLF, blank lines are skipped, and the last line may lack its line end.

    .. marble::
        --({"a":)--( 1}\n2)------|
        [ decode_ndjson() ]
        -----------({"a": 1})----(2|)

    Emits when: bytes complete a line; synchronously, once for each line in them.
    Backpressures when: downstream does.
    Completes when: the source completes, after its last line.

    Args:
        max_line_bytes: The longest line that is accepted, in bytes.
        max_json_depth: How deeply the objects and arrays of one line may be nested.

    Returns:
        An operator from bytes to the JSON values of the lines.

    Raises:
        ConfigurationError: On the call, if a limit is not a whole number of 1 or more.
        StreamDecodeError: In the stream, if a line is not JSON.
        LimitExceededError: In the stream, if a line is longer or nested more deeply than its limit.
        ConfigurationError: In the stream, if the source emits anything but bytes.

    Example:
        >>> import reactivex as rx
        >>> from rxagents import operators as ops
        >>> rx.of(b'{"a": ', b"1}").pipe(ops.decode_ndjson()).subscribe(print)
        {'a': 1}
        <...>
    """
    checked_count("max_line_bytes", max_line_bytes)
    checked_count("max_json_depth", max_json_depth)
    return decoding(
        "decode_ndjson", lambda: NDJSONDecoder(max_line_bytes, max_json_depth), flush=True
    )
