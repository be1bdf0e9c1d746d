"""One attempt: a POST out, bytes back. All of aiohttp is in this package.

What it refuses: redirects are not followed, cookies not kept, TLS is always verified.
"""

from rxagents.transport.http_response import HttpResponse
from rxagents.transport.transport import StaleConnectionError, Transport

__all__ = ["HttpResponse", "StaleConnectionError", "Transport"]
