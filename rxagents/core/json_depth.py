"""Measures how deeply JSON is nested, before it is decoded.

A decoder recurses at every level. On the main thread Python's recursion limit stops it in time. On
a thread with a small stack (128 KiB with musl) some 400 levels overflow the stack and crash the
process.
"""

from __future__ import annotations

import re
from itertools import accumulate

_TEXT = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STEP = [(byte in b"[{") - (byte in b"]}") for byte in range(256)]


def is_deeper(data: bytes, depth: int) -> bool:
    """Return whether a value in `data` is nested more than `depth` levels.

    `data` need not be valid JSON. The time is linear in its length. Most input has at most `depth`
    brackets, and counting them is enough.
    """
    if data.count(b"[") + data.count(b"{") <= depth:
        return False
    brackets = _TEXT.sub(b"", data).translate(None, _NO_BRACKETS)
    return max(accumulate(map(_STEP.__getitem__, brackets)), default=0) > depth


def is_any_line_deeper(lines: bytes, depth: int) -> bool:
    """Return whether a value on one of the lines is nested more than `depth` levels."""
    if lines.count(b"[") + lines.count(b"{") <= depth:
        return False
    half = len(lines) // 2  # counting the brackets of half the lines is cheaper than one by one
    middle = max(lines.find(b"\n", half), lines.rfind(b"\n", 0, half))
    if middle < 0:
        return is_deeper(lines, depth)
    first, second = lines[:middle], lines[middle + 1 :]
    return is_any_line_deeper(first, depth) or is_any_line_deeper(second, depth)
