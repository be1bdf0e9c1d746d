"""Replay a long answer in bursts, from a process of its own on the second core.

    python -m benchmarks.replay_server

prints its base URLs, without and with TLS, and the file of its certificate. The URL of a client is
`{base}/{chunks}x{burst}`: a request on any provider's path below it gets that many chunks of text,
then finish reason and usage, in that provider's wire format, `burst` events a write. The writes
are so far apart that a client which keeps up finds one of them at each read; each event is one
chunk of the HTTP body, as providers send it. With `xfull` after the burst the writes come at full
speed, each as one chunk of the body, as from a proxy that buffers. `xsame` leaves out of chat
completions what only OpenAI itself sends, so that its events differ in nothing but the text, as
those of vLLM or DeepSeek. `xreact` adds the label `Answer:` before the text.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import random
import re
import ssl
import string
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from msgspec import Struct

from benchmarks.paced_server import pin
from rxagents import Usage
from rxagents.testing import Reply
from rxagents.testing.wires import wire_of

_WORDS = ("The", " quick", " brown", " fox", " jumps", " over", " the", " lazy", " dog", ".\n")
_SECONDS_A_WRITE = 150e-6
_SECONDS_AN_EVENT = 5e-6
"""A client that needs less than this for an event, and `_SECONDS_A_WRITE` for a read, keeps up."""

_HEAD = "HTTP/1.1 200 OK\r\ncontent-type: {}\r\ntransfer-encoding: chunked\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class ReplayServer(Struct):
    """A server that runs.

    Attributes:
        url: Its base URL.
        tls_url: Its base URL with TLS.
        certificate: The file of the certificate to trust.
    """

    url: str
    tls_url: str
    certificate: str


@functools.lru_cache(maxsize=16)
def body(path: str) -> tuple[bytes, ...]:
    """Return the writes of an answer at `path`."""
    wire = wire_of(path)
    chunks, burst, *options = path.split("/")[1].split("x")
    size, words = int(burst), [_WORDS[number % len(_WORDS)] for number in range(int(chunks))]
    if "react" in options:
        words.insert(0, "Answer:")
    usage = Usage(input_tokens=9, output_tokens=len(words), total_tokens=len(words) + 9)
    framed = wire.events(Reply(tuple(words), usage=usage), "replay", "chatcmpl-replay-0123456789")
    framed.append(wire.end)
    framed = list(filter(None, framed))
    if "same" not in options:
        framed = [_as_provider_writes(event, at) for at, event in enumerate(framed)]
    writes = (framed[at : at + size] for at in range(0, len(framed), size))
    if "full" in options:
        writes = ([b"".join(write)] for write in writes)
    return (*(b"".join(map(_http_chunk, write)) for write in writes), b"0\r\n\r\n")


def _as_provider_writes(event: bytes, number: int) -> bytes:
    """Add to an event of text what the vendor's own servers send, and what differs in each event.

    OpenAI's have letters that fill up the text to 16, Anthropic's up to a dozen spaces, Gemini's
    the usage so far, Ollama's the time.
    """
    if event.startswith(b'data: {"id":') and b'"finish_reason":' in event:
        return _as_openai_writes(event, number)
    if event.startswith(b"event: content_block_delta"):
        return event.replace(b'"}}\n\n', b'"}' + b" " * (number * 7 % 13) + b"}\n\n")
    if b'"parts":' in event and b'"usageMetadata":' not in event:
        return event.replace(b'"modelVersion":', _GEMINI_USAGE % (number, number + 9), 1)
    return event.replace(b'"2026-01-01T00:00:00Z"', b'"2026-01-01T00:00:00.%06dZ"' % number)


def _as_openai_writes(event: bytes, number: int) -> bytes:
    text = event.partition(b'"content":"')[2].partition(b'"}')[0]
    start = number * 16 % (len(_LETTERS) - 16)
    letters = _LETTERS[start : start + 16 - len(text) % 16]
    event = event.replace(b'"choices":', b'%b"choices":' % _OPENAI_NAMES, 1)
    event = event.replace(b'"finish_reason":', b'"logprobs":null,"finish_reason":', 1)
    return event[:-3] + b',"usage":null,"obfuscation":"%b"}\n\n' % letters


_OPENAI_NAMES = b'"service_tier":"default","system_fingerprint":"fp_44709d6fcb",'
_LETTERS = "".join(random.Random(1).choices(string.ascii_letters + string.digits, k=9999)).encode()

_GEMINI_USAGE = (
    b'"usageMetadata":{"promptTokenCount":9,"candidatesTokenCount":%d,"totalTokenCount":%d,'
    b'"promptTokensDetails":[{"modality":"TEXT","tokenCount":9}]},"modelVersion":'
)


def _http_chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer the requests of one connection."""
    with suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = _LENGTH.search(head)
            await reader.readexactly(int(length[1]) if length else 0)
            path = head.split(b" ", 2)[1].decode().partition("?")[0]
            writer.write(_HEAD.format(wire_of(path).content_type).encode())
            burst = path.split("/")[1].split("x")
            pause = _SECONDS_A_WRITE + int(burst[1]) * _SECONDS_AN_EVENT
            for data in body(path):
                writer.write(data)
                await writer.drain()
                due = time.perf_counter() + pause
                # A timer of the loop is too coarse.
                while "full" not in burst and time.perf_counter() < due:  # noqa: ASYNC110 - a pace
                    await asyncio.sleep(0)
    writer.close()


def _tls_context(folder: Path) -> ssl.SSLContext:
    import trustme

    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "authority.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


async def _serve() -> None:
    with tempfile.TemporaryDirectory() as folder:
        context = _tls_context(Path(folder))
        plain = await asyncio.start_server(_answer, "127.0.0.1", 0)
        secure = await asyncio.start_server(_answer, "127.0.0.1", 0, ssl=context)
        ports = [server.sockets[0].getsockname()[1] for server in (plain, secure)]
        print(f"http://127.0.0.1:{ports[0]}", f"https://127.0.0.1:{ports[1]}", folder, flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


@contextmanager
def replay_server() -> Iterator[ReplayServer]:
    """Run the server; it stops when its standard input closes."""
    command = [sys.executable, "-m", "benchmarks.replay_server"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        url, tls_url, folder = process.stdout.readline().split()
        try:
            yield ReplayServer(url, tls_url, f"{folder}/authority.pem")
        finally:
            process.stdin.close()


if __name__ == "__main__":
    pin(1)
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # clients leave: a warning for each write
    asyncio.run(_serve())
