"""The lowest layer: the types that all other layers share. No I/O, no asyncio."""
