"""Send one request over HTTP, and read the bytes of its response.

All use of aiohttp is in this package. Redirects are not followed, cookies are not kept, and TLS is
always verified.
"""

from rxagents.transport.http_response import HttpResponse
from rxagents.transport.interception import HttpRequest, Interceptor, StreamedResponse
from rxagents.transport.transport import StaleConnectionError, Transport

__all__ = [
    "HttpRequest",
    "HttpResponse",
    "Interceptor",
    "StaleConnectionError",
    "StreamedResponse",
    "Transport",
]
