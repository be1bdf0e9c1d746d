"""Render a scripted reply in the format of each provider, one module a wire.

Each module has `events(reply, model, stream_id)`, which returns the framed events without the end
marker; `error_body(status, message)`; and the constants `CONTENT_TYPE`, `END` (the end marker) and
`COMMENT` (bytes that a client must ignore).
"""
