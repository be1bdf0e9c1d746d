"""One attempt: a POST out, bytes back. All of aiohttp is in this package.

What it refuses: redirects are not followed, cookies not kept, TLS is always verified.
"""

from rxagents.transport.exchange import Exchange
from rxagents.transport.transport import StaleConnectionError, Transport

__all__ = ["Exchange", "StaleConnectionError", "Transport"]
