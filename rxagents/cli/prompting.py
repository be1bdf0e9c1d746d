"""Make the user's message of words, stdin, text files and attachments."""

from __future__ import annotations

import mimetypes
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from rxagents.core.content_parts import image_type
from rxagents.core.errors import ConfigurationError
from rxagents.core.messages import FilePart, ImagePart

STDIN = "-"

_END_KEY = "Ctrl-Z and Enter" if sys.platform == "win32" else "Ctrl-D"

_SILENCE = 3.0
"""Seconds after which a user who waits is told that the program reads stdin."""


def read_prompt(words: Sequence[str], *, stdin_is_taken: bool = False) -> str:
    """Return stdin and the words of the prompt, with an empty line between them.

    Stdin is read if it is no terminal, or if the first word is `-`.

    Args:
        words: The words of the prompt.
        stdin_is_taken: Whether an attachment or a text file is read from stdin.
    """
    asked = list(words[:1]) == [STDIN]
    given = " ".join(words[asked:])
    at_terminal = sys.stdin is not None and sys.stdin.isatty()
    piped = ""
    if asked or not (at_terminal or stdin_is_taken):
        if asked and at_terminal:
            click.echo(f"Type the prompt, then Enter and {_END_KEY}:", err=True)
        piped = _read_stdin().decode("utf-8", "replace")
    return "\n\n".join(part for part in (piped.strip("\r\n"), given) if part.strip())


def read_text(path: str) -> str:
    """Return a text file between two lines that name it; `-` is stdin.

    Raises:
        ConfigurationError: The file cannot be read, or is no text in UTF-8.
    """
    data = _read(path, "--file")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f"--file {path}: the file is no text in UTF-8. Pass an image or a document with "
            "--attach."
        ) from error
    name = "stdin" if path == STDIN else path
    return f'<file name="{name}">\n{text.rstrip()}\n</file>'


def read_attachment(path: str) -> ImagePart | FilePart:
    """Return an image or a file as a part of a message; `-` is stdin, and a URL is an image.

    Raises:
        ConfigurationError: The file cannot be read, or is a text.
    """
    if path.startswith(("http://", "https://", "data:")):
        return ImagePart(url=path)
    data = _read(path, "--attach")
    if not data:
        raise ConfigurationError(f"--attach {path}: the file is empty.")
    media_type = _media_type(path, data)
    if media_type.startswith("image/"):
        return ImagePart(data=data, media_type=media_type)
    if media_type.startswith("text/") or not media_type:
        raise ConfigurationError(
            f"--attach {path}: the type of the file is {media_type or 'not known'}. Pass a text "
            "with --file; --attach takes images and documents such as PDF."
        )
    return FilePart(data, "" if path == STDIN else Path(path).name, media_type)


def _media_type(path: str, data: bytes) -> str:
    pdf = "application/pdf" if data.startswith(b"%PDF-") else ""
    return image_type(data) or pdf or mimetypes.guess_type(path)[0] or ""


def _read(path: str, option: str) -> bytes:
    if path == STDIN:
        return _read_stdin()
    try:
        return Path(path).expanduser().read_bytes()
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigurationError(f"{option} {path}: {reason}.") from error


def _read_stdin() -> bytes:
    if sys.stdin is None:
        return b""
    with _hint_after(_SILENCE, f"Reading stdin. End it with {_END_KEY}, or pass </dev/null."):
        return sys.stdin.buffer.read()


@contextmanager
def _hint_after(seconds: float, hint: str) -> Iterator[None]:
    """Write a hint to stderr if the block takes longer, and somebody sits at the terminal.

    A pipe that nobody closes, as a scheduler or an editor may leave it, would look like a hang.
    """
    timer = threading.Timer(seconds, lambda: click.echo(hint, err=True))
    timer.daemon = True
    if sys.stderr is not None and sys.stderr.isatty() and not sys.stdin.isatty():
        timer.start()
    try:
        yield
    finally:
        timer.cancel()
