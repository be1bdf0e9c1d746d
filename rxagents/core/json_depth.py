"""How deeply JSON is nested, told before it is decoded.

A decoder recurses at every level. On the main thread Python's own limit stops it in time, but
the stack of a small thread (128 KiB with musl) is used up at some 400 levels, and the process
with it.
"""

from __future__ import annotations

import re
from itertools import accumulate

_TEXT = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STEP = [(byte in b"[{") - (byte in b"]}") for byte in range(256)]


def is_deeper(data: bytes, depth: int) -> bool:
    """Whether a value in `data`, which need not be valid, is nested more than `depth` levels.

    Linear in the input; where there are few brackets, as nearly always, they are only counted.
    """
    if data.count(b"[") + data.count(b"{") <= depth:
        return False
    brackets = _TEXT.sub(b"", data).translate(None, _NO_BRACKETS)
    return max(accumulate(map(_STEP.__getitem__, brackets)), default=0) > depth


def is_any_line_deeper(lines: bytes, depth: int) -> bool:
    """Whether a value on one of the lines, cut by LF, is nested more than `depth` levels."""
    if lines.count(b"[") + lines.count(b"{") <= depth:
        return False
    half = len(lines) // 2  # to count brackets is cheap, to look at each line is not
    middle = max(lines.find(b"\n", half), lines.rfind(b"\n", 0, half))
    if middle < 0:
        return is_deeper(lines, depth)
    first, second = lines[:middle], lines[middle + 1 :]
    return is_any_line_deeper(first, depth) or is_any_line_deeper(second, depth)
