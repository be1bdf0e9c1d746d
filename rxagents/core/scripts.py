r"""The scripts whose languages put no blanks between words, as classes of regular expressions.

Finding words in them takes a dictionary, which would be larger than this package. So the unit is
the character, or a pair of neighbouring characters. The classes go between `[` and `]`.
"""

from __future__ import annotations

from typing import Final
from unicodedata import category

_SOUTH_EAST_ASIAN = (
    (0x0E01, 0x0E3A),  # Thai
    (0x0E40, 0x0E4E),
    (0x0E50, 0x0E59),
    (0x0E81, 0x0EDF),  # Lao
    (0x1000, 0x1049),  # Burmese
    (0x1050, 0x109F),
    (0x1780, 0x17D3),  # Khmer
    (0x17DC, 0x17DD),
)
_EAST_ASIAN = (
    (0x3005, 0x3007),  # the iteration mark, the closing mark and zero of Chinese
    (0x3041, 0x309F),  # Hiragana
    (0x30A1, 0x30FA),  # Katakana
    (0x30FC, 0x30FF),
    (0x31F0, 0x31FF),  # Katakana for Ainu
    (0x3400, 0x4DBF),  # Han
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0xFF66, 0xFF9F),  # halfwidth Katakana
    (0x20000, 0x3FFFF),  # Han
)

UNSPACED: Final = "".join(
    f"{chr(first)}-{chr(last)}" for first, last in _SOUTH_EAST_ASIAN + _EAST_ASIAN
)
"""Letters and marks of Chinese, Japanese, Thai, Lao, Khmer and Burmese."""

HANGUL: Final = "\uac00-\ud7a3"
"""The syllables of Korean, which has blanks between words."""

THAI: Final = "\u0e01-\u0e4e"
"""Letters and marks of Thai, which has no mark for the end of a sentence."""

MARKS: Final = (
    # Letters by their category, though a reader sees them as a part of the letter before: Thai and
    # Lao AM, and the halfwidth voicing marks. Then the voicing marks of Hiragana and Katakana.
    "\u0e33\u0eb3\uff9e\uff9f\u3099\u309a"
    + "".join(
        chr(code)
        for first, last in _SOUTH_EAST_ASIAN
        for code in range(first, last + 1)
        if category(chr(code)).startswith("M")
    )
)
"""The marks in `UNSPACED`: they belong to the letter before them."""

STACKERS: Final = "\u1039\u17d2"
"""The marks of Burmese and Khmer that put the next letter under the one before."""
