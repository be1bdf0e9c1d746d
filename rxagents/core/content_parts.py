"""Define the parts of a message that a person or a tool can give: text, images and files."""

from __future__ import annotations

from collections.abc import Iterable
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
