"""The ground floor: what every stream, provider and agent speaks in. No I/O, no asyncio."""
