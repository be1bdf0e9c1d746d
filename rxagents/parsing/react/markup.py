"""Remove code fences and backticks around a text."""

from __future__ import annotations

import re

_BACKTICKS = re.compile(r"`{3,}+")
_CLOSING_LINE = re.compile(r"^[ \t]*+`{3,}+[ \t]*+$", re.MULTILINE)
_LANGUAGE = re.compile(r"[\w+-]*+[ \t]*+\n|json\s++(?=[\[{])", re.IGNORECASE)


def without_stray_fence(text: str) -> str:
    """Remove a last line that only closes a code fence which `text` does not open.

    A model that writes its whole step in a fence closes it after the last section.
    """
    text = text.strip()
    before, _, line = text.rpartition("\n")
    is_fence = len(line) >= 3 and not line.strip("` \t") and "```" in line
    if is_fence and len(_BACKTICKS.findall(before)) % 2 == 0:
        return before.rstrip()
    return text


def without_backticks(text: str) -> str:
    """Remove backticks or a code fence around the whole of `text`, and the fence's language."""
    text = text.strip()
    inner = text.strip("`")
    count = len(text) - len(text.lstrip("`"))
    is_wrapped = count > 0 and inner != "" and text == text[:count] + inner + text[:count]
    if not is_wrapped or "`" * count in inner:
        return text
    language = _LANGUAGE.match(inner) if count >= 3 else None
    return inner[language.end() if language else 0 :].strip()


def in_fence(opening: str, text: str) -> str:
    """Return the content of a code block, without the fence.

    Text after the closing fence is dropped, unless it has a fence of its own: then all is text.

    Args:
        opening: The line of the opening fence.
        text: The text after this line.
    """
    text = text.strip()
    close = _CLOSING_LINE.search(text)
    if close is None:
        return text.removesuffix("```")
    after = without_stray_fence(text[close.end() :])
    return f"{opening}\n{text}" if _BACKTICKS.search(after) else text[: close.start()]
