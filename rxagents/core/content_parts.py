"""Define the parts of a message that a person or a tool can give: text, images and files."""

from __future__ import annotations

import re
from collections.abc import Iterable
from mimetypes import guess_type
from os import PathLike, fspath
from pathlib import Path
from typing import Any, TypeAlias

from msgspec import Struct, field

from rxagents.core.errors import ConfigurationError


class BasePart(Struct, frozen=True, tag_field="type"):
    """The base class of a message's parts.

    `provider_data` maps the name of a wire to the data that this wire sends back with the part,
    such as a thinking signature; all other code treats it as opaque.
    """


class TextPart(BasePart, frozen=True, tag="text"):
    """Plain text."""

    text: str
    provider_data: dict[str, Any] = field(default_factory=dict)


class ImagePart(BasePart, frozen=True, tag="image"):
    """An image: a URL, or bytes with their media type.

    Attributes:
        url: The address from which the provider fetches the image; may be a `data:` URL.
        data: The bytes of the image.
        media_type: Such as `"image/png"`; required with `data`.
        detail: `"low"`, `"high"` or `"auto"`, if the provider supports it; empty for its default.
    """

    url: str = ""
    data: bytes = b""
    media_type: str = ""
    detail: str = ""
    provider_data: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if bool(self.url) == bool(self.data):
            raise ConfigurationError("An image needs either url or data, and not both.")
        if self.data and not self.media_type:
            raise ConfigurationError('Image data needs its media_type, such as "image/png".')
        if self.url and not (isinstance(self.url, str) and _URL.match(self.url)):
            raise ConfigurationError(
                f"{self.url!r:.100} is no URL of an image: it must start with https:// or data:. "
                "For a file on this machine use ImagePart.from_file(path), for bytes "
                "ImagePart(data=…, media_type=…)."
            )

    @classmethod
    def from_file(
        cls, path: str | PathLike[str], *, media_type: str = "", detail: str = ""
    ) -> ImagePart:
        """Read an image from a file on this machine.

        Args:
            path: The file.
            media_type: Such as `"image/png"`; by default that of the data, or else of the name.
            detail: See the attribute.

        Raises:
            ConfigurationError: The file is empty, or it is not known to be an image.
            OSError: The file cannot be read.
        """
        data = _content_of(path)
        kind = media_type or image_type(data) or guess_type(path)[0] or ""
        if not media_type and not kind.startswith("image/"):
            raise ConfigurationError(
                f"{fspath(path)!r} is not known to be an image: pass its media_type, such as "
                '"image/png", or use FilePart.from_file.'
            )
        return cls(data=data, media_type=kind, detail=detail)


class FilePart(BasePart, frozen=True, tag="file"):
    """A file: bytes with a name and a media type, or the id of an uploaded file."""

    data: bytes = b""
    filename: str = ""
    media_type: str = "application/pdf"
    file_id: str = ""
    provider_data: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if bool(self.file_id) == bool(self.data):
            raise ConfigurationError("A file needs either data or file_id, and not both.")

    @classmethod
    def from_file(
        cls, path: str | PathLike[str], *, media_type: str = "", filename: str = ""
    ) -> FilePart:
        """Read a file of this machine.

        Args:
            path: The file.
            media_type: Such as `"application/pdf"`; by default that of the name.
            filename: The name that the provider gets; by default that of `path`.

        Raises:
            ConfigurationError: The file is empty, or its name says no media type.
            OSError: The file cannot be read.
        """
        data = _content_of(path)
        kind = media_type or guess_type(path)[0]
        if not kind:
            raise ConfigurationError(
                f"The name {fspath(path)!r} says no media type: pass media_type, such as "
                '"text/plain".'
            )
        return cls(data, filename or Path(path).name, kind)


_URL = re.compile(r"data:|(?!file:)[A-Za-z][A-Za-z0-9+.-]+://")
"""The start of a URL that a provider may fetch; `C:` is a drive of Windows."""

_IMAGE_TYPES = (
    (re.compile(rb"\x89PNG"), "image/png"),
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg"),
    (re.compile(rb"GIF8"), "image/gif"),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), "image/webp"),
)
"""The first bytes of the images that all providers take: a name may be wrong, or say nothing."""


def _content_of(path: str | PathLike[str]) -> bytes:
    data = Path(path).read_bytes()
    if not data:
        raise ConfigurationError(f"The file {fspath(path)!r} is empty.")
    return data


def image_type(data: bytes) -> str:
    """Return the media type that the first bytes of an image say; empty if they say none."""
    return next((kind for start, kind in _IMAGE_TYPES if start.match(data)), "")


ContentPart: TypeAlias = TextPart | ImagePart | FilePart
"""A part that the result of a tool may have."""


def checked_parts(items: Iterable[str | ContentPart]) -> tuple[ContentPart, ...]:
    """Return the parts of a tool's result; a `str` becomes a `TextPart`.

    Raises:
        ConfigurationError: An item is something else.
    """
    parts = tuple(TextPart(item) if isinstance(item, str) else item for item in items)
    for part in parts:
        if not isinstance(part, (TextPart, ImagePart, FilePart)):
            raise ConfigurationError(
                f"The result of a tool cannot contain a {type(part).__name__}: use TextPart, "
                "ImagePart, FilePart."
            )
    return parts


def content_text(parts: Iterable[ContentPart]) -> str:
    """Return parts as one text, with a short description of each image and file."""
    return "\n".join(
        part.text if isinstance(part, TextPart) else _described(part) for part in parts
    )


def _described(part: ImagePart | FilePart) -> str:
    """Return what a text says in place of an image or a file."""
    match part:
        case ImagePart(url=url) if url.startswith("data:"):
            header, _, data = url.removeprefix("data:").partition(",")
            size = len(data.rstrip("=")) * 3 // 4 if header.endswith(";base64") else len(data)
            return f"[{header.partition(';')[0] or 'image'}, {size:,} bytes]"
        case ImagePart(url=url) if url:
            return f"[image, {url}]"
        case FilePart(file_id=file_id) if file_id:
            return f"[file, {file_id}]"
        case FilePart(filename=name) if name:
            return f"[{name}, {part.media_type}, {len(part.data):,} bytes]"
    return f"[{part.media_type}, {len(part.data):,} bytes]"
