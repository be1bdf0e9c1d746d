"""Convert the results of tools between the content blocks of MCP and this library's parts."""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Any

from rxagents.core.content_parts import ContentPart, FilePart, ImagePart, TextPart, content_text
from rxagents.runtime.tool_execution.text import result_text

if TYPE_CHECKING:
    import mcp_types


def result_of(result: mcp_types.CallToolResult) -> Any:
    """Return what a tool returns for a result of MCP: a text, a JSON value, or a list of parts.

    Structured content is used where no text says the same: a server that sends it should send its
    JSON as text too.

    Raises:
        ValueError: An image or a file is not encoded as Base64.
    """
    parts = [_part_of(block) for block in result.content]
    has_text = any(isinstance(part, TextPart) for part in parts)
    if result.structured_content is not None and not has_text:
        if not parts:
            return result.structured_content
        parts.append(TextPart(result_text(result.structured_content)))
    if all(isinstance(part, TextPart) for part in parts):
        return content_text(parts)
    return parts


def _part_of(block: Any) -> ContentPart:
    match block.type:
        case "text":
            return TextPart(block.text)
        case "image":
            return ImagePart(data=_data(block.data), media_type=block.mime_type)
        case "audio":
            return FilePart(_data(block.data), media_type=block.mime_type)
        case "resource_link":
            about = f": {block.description}" if block.description else ""
            return TextPart(f"[{block.title or block.name}, {block.uri}]{about}")
    resource = block.resource
    if hasattr(resource, "text"):
        return TextPart(resource.text)
    kind = resource.mime_type or "application/octet-stream"
    data = _data(resource.blob)
    if kind.startswith("image/"):
        return ImagePart(data=data, media_type=kind)
    return FilePart(data, resource.uri.rpartition("/")[2], kind)


def _data(text: str) -> bytes:
    data = b64decode(text, validate=True)
    if not data:
        raise ValueError("an image or a file is empty")
    return data


def blocks_of(text: str, parts: tuple[ContentPart, ...]) -> list[mcp_types.ContentBlock]:
    """Return the content blocks of a result: its parts, or its text if it has no parts."""
    return [_block_of(part) for part in parts or (TextPart(text),)]


def _block_of(part: ContentPart) -> mcp_types.ContentBlock:
    import mcp_types

    match part:
        case TextPart():
            return mcp_types.TextContent(text=part.text)
        case ImagePart(data=data) if data:
            return mcp_types.ImageContent(data=_base64(data), mime_type=part.media_type)
        case ImagePart(url=url) if url.startswith("data:") and ";base64," in url:
            kind, _, encoded = url.removeprefix("data:").partition(";base64,")
            return mcp_types.ImageContent(data=encoded, mime_type=kind)
        case ImagePart():
            return mcp_types.ResourceLink(name="image", uri=part.url)
        case FilePart(data=data) if data and part.media_type.startswith("audio/"):
            return mcp_types.AudioContent(data=_base64(data), mime_type=part.media_type)
        case FilePart(data=data) if data:
            resource = mcp_types.BlobResourceContents(
                uri=f"file:///{part.filename or 'file'}",
                blob=_base64(data),
                mime_type=part.media_type,
            )
            return mcp_types.EmbeddedResource(resource=resource)
    return mcp_types.TextContent(text=content_text([part]))


def _base64(data: bytes) -> str:
    return b64encode(data).decode()
