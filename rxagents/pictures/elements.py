"""Write the elements of SVG, and the style of the pictures."""

from __future__ import annotations

import re
from html import escape

ROOT = "rxagents-run"
"""The class of the picture; every rule of the style begins with it, since a page that shows the
picture inline shares its style."""

_LIGHT = {
    "ground": "#ffffff",
    "ink": "#1f2328",
    "muted": "#59636e",
    "grid": "#d9dee3",
    "band": "#f3f5f7",
    "tokens": "#0969da",
    "thoughts": "#8250df",
    "tool": "#1a7f37",
    "failed": "#cf222e",
    "waiting": "#9a6700",
}
_DARK = {
    "ground": "#0d1117",
    "ink": "#e6edf3",
    "muted": "#9198a1",
    "grid": "#30363d",
    "band": "#171c23",
    "tokens": "#58a6ff",
    "thoughts": "#bc8cff",
    "tool": "#3fb950",
    "failed": "#ff7b72",
    "waiting": "#d29922",
}
"""Text and shapes have a contrast of at least 4.5 to 1 with the ground, in both schemes."""

_FONT = 'ui-sans-serif,system-ui,"Segoe UI",Helvetica,Arial,sans-serif'

_UNPRINTABLE = re.compile(r"[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML allows nowhere, not even as a reference."""


def _colours(palette: dict[str, str]) -> str:
    return "".join(
        f".{ROOT} .f-{name}{{fill:{colour}}}.{ROOT} .s-{name}{{stroke:{colour}}}"
        for name, colour in palette.items()
    )


STYLE = (
    f".{ROOT} text{{font-family:{_FONT};font-size:12px}}"
    f".{ROOT} .small{{font-size:11px}}.{ROOT} .title{{font-size:14px;font-weight:600}}"
    f".{ROOT} .line{{fill:none;stroke-width:1}}.{ROOT} .thick{{stroke-width:2}}"
    f".{ROOT} .dash{{stroke-dasharray:4 3}}.{ROOT} .soft{{fill-opacity:.22}}"
    f".{ROOT} .area{{fill-opacity:.75}}.{ROOT} .void{{opacity:.35}}"
    + _colours(_LIGHT)
    + f"@media (prefers-color-scheme:dark){{{_colours(_DARK)}}}"
)


def escaped(text: str) -> str:
    """Return a text for an element or an attribute."""
    return escape(_UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text))


def number(value: float) -> str:
    """Return a coordinate, rounded to a tenth of a pixel."""
    return f"{value:.1f}".removesuffix(".0")


def text(x: float, y: float, words: str, style: str = "f-ink", anchor: str = "") -> str:
    """Return a text; `y` is its base line, `anchor` is `"middle"` or `"end"`."""
    place = f' text-anchor="{anchor}"' if anchor else ""
    return f'<text class="{style}" x="{number(x)}" y="{number(y)}"{place}>{escaped(words)}</text>'


def rect(
    x: float,
    y: float,
    width: float,
    height: float,
    style: str,
    *,
    radius: float = 0,
    hint: str = "",
) -> str:
    """Return a rectangle; `hint` is shown where the pointer rests on it."""
    corner = f' rx="{number(radius)}"' if radius else ""
    start = (
        f'<rect class="{style}" x="{number(x)}" y="{number(y)}" width="{number(width)}" '
        f'height="{number(height)}"{corner}'
    )
    return f"{start}><title>{escaped(hint)}</title></rect>" if hint else f"{start}/>"


def path(commands: str, style: str) -> str:
    """Return a path."""
    return f'<path class="{style}" d="{commands}"/>'


def circle(x: float, y: float, radius: float, style: str, hint: str = "") -> str:
    """Return a circle; `hint` is shown where the pointer rests on it."""
    start = f'<circle class="{style}" cx="{number(x)}" cy="{number(y)}" r="{number(radius)}"'
    return f"{start}><title>{escaped(hint)}</title></circle>" if hint else f"{start}/>"


_NARROW = frozenset(" .,:;'!|ijlftI()[]-")
_WIDE = frozenset("mwMW@%…")


def width_of(words: str, size: float = 12) -> float:
    """Return about how wide a text is in pixels, in the usual fonts without serifs."""
    return size * sum(map(_em, words))


def _em(letter: str) -> float:
    if letter in _NARROW:
        return 0.36
    if letter in _WIDE:
        return 0.92
    if ord(letter) > 0x2E7F:  # Chinese, Japanese, Korean and emoji
        return 1.05
    return 0.68 if letter.isupper() else 0.6


def cut(words: str, width: float, size: float = 12) -> str:
    """Return a text that is about `width` wide at most."""
    if width_of(words, size) <= width:
        return words
    while words and width_of(words + "…", size) > width:
        words = words[:-1]
    return words + "…"
