"""Images and files as base64 text and as `data:` URLs."""

from __future__ import annotations

import base64


def to_base64(data: bytes) -> str:
    """Return `data` as base64 text."""
    return base64.b64encode(data).decode()


def to_data_url(media_type: str, data: bytes) -> str:
    """Return `data` as a `data:` URL."""
    return f"data:{media_type};base64,{to_base64(data)}"


def is_data_url(url: str) -> bool:
    """Return whether `url` holds the data itself."""
    return url.startswith("data:")


def split_data_url(url: str) -> tuple[str, str]:
    """Return a `data:` URL's media type and its base64 text, which is empty if it has none."""
    media_type, _, data = url.removeprefix("data:").partition(";base64,")
    return media_type, data
