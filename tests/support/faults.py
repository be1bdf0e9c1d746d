"""The faults of networks and hostile servers, each with the outcome it must have."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

from faulty_server import Act, Cue
from wires import KEY, SpokenWire

import rxagents
from rxagents import Limits

PAUSE, FIN, RESET, STALL, REPEAT = Cue.PAUSE, Cue.FIN, Cue.RESET, Cue.STALL, Cue.REPEAT


@dataclass
class Fault:
    """A fault, and what must come of it.

    Attributes:
        name: What happens.
        acts: What the server does, a request each; the last repeats.
        error: What the stream ends with; `None` for completion.
        text: The text that is delivered before the end.
        requests: How many requests the server gets, with one retry allowed.
        arguments: More arguments of the model.
        ours_alone: Whether it takes our own session: aiohttp's drops what had arrived.
    """

    name: str
    acts: Sequence[Act]
    error: type[Exception] | None = None
    text: str = ""
    requests: int = 1
    arguments: dict[str, Any] = field(default_factory=dict)
    ours_alone: bool = False


def faults(wire: SpokenWire, elsewhere: str) -> Iterator[Fault]:
    """Return every fault as `wire` has it; `elsewhere` is where redirects point to."""
    answer = _Answers(wire)
    yield from _before_an_answer(answer)
    yield from _statuses(answer)
    yield from _redirects(elsewhere)
    yield from _no_streams(answer)
    yield from _cuts(answer)
    yield from _ends(answer)
    yield from _bad_events(answer)
    yield from _errors_in_the_stream(answer)
    yield from _encodings(answer)
    yield from _limits(answer)
    yield from _connections(answer)


class _Answers:
    """The bytes of answers."""

    def __init__(self, wire: SpokenWire) -> None:
        self.wire = wire
        self.kind = b"content-type: " + wire.content_type
        self.head = head(200, self.kind, b"transfer-encoding: chunked")
        self.one = chunk(wire.text("one"))
        self.two = chunk(wire.text(" two"))
        self.body = (
            wire.start() + wire.text("one") + wire.text(" two") + wire.finish() + wire.done()
        )
        self.good: Act = [self.head + chunk(self.body) + LAST]

    def begun(self, *rest: bytes | Cue) -> list[Act]:
        """Return an answer whose headers and first word come, and then the rest."""
        return [[self.head, PAUSE, self.one, PAUSE, *rest]]

    def encoded(self, coding: bytes, body: bytes) -> Act:
        return [self._coded_head(coding) + chunk(body) + LAST]

    def encoded_begun(self, coding: bytes, *pieces: bytes | Cue) -> Act:
        steps: list[bytes | Cue] = [self._coded_head(coding)]
        for piece in pieces:
            steps += [PAUSE, chunk(piece) if isinstance(piece, bytes) else piece]
        return steps

    def _coded_head(self, coding: bytes) -> bytes:
        return head(200, self.kind, b"transfer-encoding: chunked", b"content-encoding: " + coding)


LAST = b"0\r\n\r\n"


def head(status: int, *headers: bytes) -> bytes:
    return b"\r\n".join([b"HTTP/1.1 %d Said" % status, *headers, b"", b""])


def chunk(data: bytes) -> bytes:
    """Return a chunk of a chunked body; an empty one would end it, and is none."""
    return data and b"%x\r\n%s\r\n" % (len(data), data)


def whole(status: int, body: bytes, *headers: bytes) -> Act:
    return [head(status, b"content-length: %d" % len(body), *headers) + body]


def refusal(status: int, *headers: bytes) -> Act:
    body = b'{"error": {"message": "Not with %s."}}' % KEY.encode()
    return whole(status, body, b"content-type: application/json", *headers)


def _before_an_answer(answer: _Answers) -> Iterator[Fault]:
    lost, slow = rxagents.TransportError, rxagents.FirstEventTimeoutError
    no_http = rxagents.ProtocolError
    yield Fault("closed before the response", [[FIN]], lost, requests=2)
    yield Fault("reset before the response", [[RESET]], lost, requests=2)
    yield Fault("no response", [[STALL]], slow, requests=2)
    yield Fault("closed in the status line", [[b"HTTP/1.", PAUSE, FIN]], lost, requests=2)
    yield Fault("closed in the headers", [[answer.head[:30], PAUSE, FIN]], lost, requests=2)
    yield Fault("reset in the headers", [[answer.head[:30], PAUSE, RESET]], lost, requests=2)
    yield Fault("silent in the headers", [[answer.head[:30], STALL]], slow, requests=2)
    yield Fault("endless headers", [[answer.head[:30], b"1" * 999, REPEAT]], no_http)
    yield Fault("closed, then success", [[FIN], answer.good], None, "one two", 2)
    yield Fault("reset, then success", [[RESET], answer.good], None, "one two", 2)
    yield Fault("silent, then success", [[STALL], answer.good], None, "one two", 2)
    for name, banner in {
        "a mail server": b"220 mail ready\r\n",
        "a shell": b"SSH-2.0-OpenSSH_9.6\r\n",
        "binary": bytes(range(256)),
        "TLS": b"\x15\x03\x01\x00\x02\x02\x46",
        "HTTP 0.9": b"<html>hello</html>\r\n\r\n",
        "an invalid version": b"HTTP/9.9 200 OK\r\n\r\n",
        "an invalid status": b"HTTP/1.1 abc OK\r\n\r\n",
        "a header of 100 KB": b"HTTP/1.1 200 OK\r\nx: " + b"a" * 100_000 + b"\r\n\r\n",
        "10,000 headers": b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 10_000 + b"\r\n",
        "two lengths": head(200, b"content-length: 3", b"content-length: 4") + b"abc",
        "a negative length": head(200, b"content-length: -3") + b"abc",
        "an invalid length": head(200, b"content-length: x") + b"abc",
        "a NUL in a header": head(200, b"x: a\0b") + b"abc",
    }.items():
        yield Fault(f"not valid HTTP: {name}", [[banner, STALL]], no_http)
    early = b"HTTP/1.1 100 Continue\r\n\r\n" * 3
    yield Fault("100 Continue first", [[early, PAUSE, *answer.good]], None, "one two")


def _statuses(answer: _Answers) -> Iterator[Fault]:
    for status, kind in {
        400: rxagents.BadRequestError,
        401: rxagents.AuthenticationError,
        402: rxagents.StatusError,
        403: rxagents.AuthenticationError,
        404: rxagents.NotFoundError,
        413: rxagents.PayloadTooLargeError,
        422: rxagents.BadRequestError,
        204: rxagents.ResponseError,
    }.items():
        yield Fault(f"status {status}", [refusal(status) if status != 204 else [head(204)]], kind)
    for status, kind in {
        408: rxagents.StreamTimeoutError,
        409: rxagents.ConflictError,
        429: rxagents.RateLimitError,
        500: rxagents.ServerError,
        502: rxagents.ServerError,
        503: rxagents.OverloadedError,
        529: rxagents.OverloadedError,
    }.items():
        yield Fault(f"status {status}", [refusal(status)], kind, requests=2)
        yield Fault(
            f"status {status}, then success", [refusal(status), answer.good], None, "one two", 2
        )
    busy, failed = rxagents.RateLimitError, rxagents.ServerError
    date = formatdate(usegmt=True).encode()
    for header, expected, requests in [
        (b"x-should-retry: false", failed, 1),
        (b"retry-after-ms: 3", None, 2),
        (b"retry-after: 0.003", None, 2),
        (b"retry-after: " + date, None, 2),
        (b"retry-after: soon", None, 2),
        (b"retry-after: -5", None, 2),
        (b"retry-after: 61", failed, 1),
    ]:
        text = "" if expected else "one two"
        acts = [refusal(500, header), answer.good]
        asked = "retry-after: a date" if date in header else header.decode()
        yield Fault(f"status 500 with {asked}", acts, expected, text, requests)
    wanted = [refusal(400, b"x-should-retry: true"), answer.good]
    yield Fault("status 400 with x-should-retry", wanted, None, "one two", 2)
    open_head = head(500, b"transfer-encoding: chunked")
    body = chunk(b"It broke. " * 100)
    yield Fault("endless error body", [[open_head, body, REPEAT]], failed, requests=2)
    yield Fault("error body cut by a close", [[open_head + body, PAUSE, FIN]], failed, requests=2)
    yield Fault("error body cut by a reset", [[open_head + body, PAUSE, RESET]], failed, requests=2)
    yield Fault(
        "error body with a bad chunk size",
        [[open_head, PAUSE, b"zzz\r\n", STALL]],
        failed,
        requests=2,
    )
    yield Fault("error without a body", [whole(429, b"")], busy, requests=2)
    yield Fault("HTML error page", [whole(502, b"<h1>Bad gateway</h1>" * 999)], failed, requests=2)
    packed = gzip.compress(b'{"error": {"message": "No key."}}')
    named = whole(401, packed, b"content-encoding: gzip")
    yield Fault("compressed error body", [named], rxagents.AuthenticationError)
    bomb = gzip.compress(b"[" * 20_000_000)
    yield Fault(
        "error body that unpacks to 20 MB",
        [whole(400, bomb, b"content-encoding: gzip")],
        rxagents.BadRequestError,
    )


def _redirects(elsewhere: str) -> Iterator[Fault]:
    where = b"location: " + elsewhere.encode()
    for status in (301, 302, 303, 307, 308):
        yield Fault(f"redirect {status}", [whole(status, b"", where)], rxagents.RedirectError)
    lost = whole(307, b"", b"location: http://[")
    yield Fault("redirect to an invalid URL", [lost], rxagents.RedirectError)


def _no_streams(answer: _Answers) -> Iterator[Fault]:
    none = rxagents.ResponseError
    html, json = b"content-type: text/html", b"content-type: application/json"
    page = b"<!doctype html><h1>Log in</h1>"
    said = b'{"error": {"message": "Not today."}}'
    yield Fault("HTML page", [whole(200, page, html)], none)
    yield Fault("HTML page sent as events", [whole(200, page, answer.kind)], none)
    yield Fault("error with status 200", [whole(200, said, json)], rxagents.ProviderError)
    yield Fault("plain text", [whole(200, b"Service is starting.")], none)
    yield Fault("whole JSON document", [whole(200, b'{"object": "list"}\n', json)], none)
    long = b'{"models": [' + b'"m", ' * 20_000 + b'"m"]}'
    yield Fault("JSON document of 100 KB", [whole(200, long, json)], none)
    waiting: Act = [head(200, html, b"transfer-encoding: chunked") + chunk(page), STALL]
    slow = rxagents.FirstEventTimeoutError
    yield Fault("HTML page, held open", [waiting], slow, requests=2)
    nothing = rxagents.TruncatedStreamError
    yield Fault("empty body", [whole(200, b"", answer.kind)], nothing, requests=2)
    yield Fault("empty chunked body", [[answer.head + LAST]], nothing, requests=2)
    blank = answer.head + chunk(b"\n\n\n\n") + LAST
    yield Fault("only blank lines", [[blank]], nothing, requests=2)
    if answer.wire.comment:
        comment = chunk(answer.wire.comment)
        only = answer.head + comment * 9 + LAST
        yield Fault("only comments", [[only]], nothing, requests=2)
        yield Fault("endless comments", [[answer.head, comment, REPEAT]], slow, requests=2)


def _cuts(answer: _Answers) -> Iterator[Fault]:
    wire, cut = answer.wire, rxagents.TruncatedStreamError
    event = wire.text("é two")
    inside = event.index("é".encode()) + 1 if "é".encode() in event else len(event) // 2
    half = b"%x\r\n" % len(event) + event[:inside]
    long = head(200, answer.kind, b"content-length: 9999")
    yield Fault("closed after text", answer.begun(FIN), cut, "one")
    yield Fault("reset after text", answer.begun(RESET), cut, "one")
    yield Fault("closed in an event", answer.begun(half, PAUSE, FIN), cut, "one")
    yield Fault("reset in an event", answer.begun(half, PAUSE, RESET), cut, "one")
    yield Fault("ended in an event", answer.begun(chunk(event[:inside]) + LAST), cut, "one")
    yield Fault(
        "shorter than its content-length", [[long + wire.text("one"), PAUSE, FIN]], cut, "one"
    )
    yield Fault("ended without an end marker", answer.begun(LAST), cut, "one")
    yield from _cuts_in_the_first_event(answer)
    yield Fault("closed after the headers", [[answer.head, PAUSE, FIN]], cut, requests=2)
    yield Fault("reset after the headers", [[answer.head, PAUSE, RESET]], cut, requests=2)
    started: Act = [answer.head + chunk(wire.start()), PAUSE, RESET]
    yield Fault("reset before the text", [started], cut, requests=2)
    yield Fault("reset before the text, then success", [started, answer.good], None, "one two", 2)
    idle = rxagents.IdleTimeoutError
    yield Fault(
        "silent after the headers",
        [[answer.head, STALL]],
        rxagents.FirstEventTimeoutError,
        requests=2,
    )
    yield Fault("silent after text", answer.begun(STALL), idle, "one")
    yield Fault("silent in an event", answer.begun(half, STALL), idle, "one")
    if wire.comment:
        yield Fault(
            "endless comments after text", answer.begun(chunk(wire.comment), REPEAT), idle, "one"
        )
    until_close = head(200, answer.kind, b"connection: close") + wire.text("one")
    yield Fault("no length, closed", [[until_close, PAUSE, FIN]], cut, "one")
    yield Fault("no length, reset", [[until_close, PAUSE, RESET]], cut, "one")


def _cuts_in_the_first_event(answer: _Answers) -> Iterator[Fault]:
    cut, slow = rxagents.TruncatedStreamError, rxagents.FirstEventTimeoutError
    event = answer.wire.text("x")
    until_close = head(200, answer.kind, b"connection: close")
    for size in (1, 5, 20, len(event) - 4):
        half, where = event[:size], f"after {size} bytes"
        begun = answer.head + b"%x\r\n" % len(event) + half
        ended = answer.head + chunk(half) + LAST
        yield Fault(f"closed {where}", [[begun, PAUSE, FIN]], cut, requests=2)
        yield Fault(f"reset {where}", [[begun, PAUSE, RESET]], cut, requests=2)
        yield Fault(f"ended {where}", [[ended]], cut, requests=2)
        yield Fault(f"no length, closed {where}", [[until_close + half, PAUSE, FIN]], cut, "", 2)
        yield Fault(f"no length, reset {where}", [[until_close + half, PAUSE, RESET]], cut, "", 2)
        yield Fault(f"ended {where}, then success", [[ended], answer.good], None, "one two", 2)
    for name, begun in {"in": event[:20], "before the end of": event.rstrip()}.items():
        silent: Act = [answer.head + chunk(begun), STALL]
        yield Fault(f"silent {name} the first event", [silent], slow, requests=2)


def _ends(answer: _Answers) -> Iterator[Fault]:
    wire = answer.wire
    finish, done = chunk(wire.finish()), chunk(wire.done())
    for name, rest in {
        "closed after the finish": (finish, PAUSE, FIN),
        "reset after the finish": (finish, PAUSE, RESET),
        "silent after the finish": (finish, STALL),
        "ended after the finish": (finish + LAST,),
        "held open after the end": (finish + done, STALL),
        "bad encoding after the end": (finish + done + b"zzz\r\n", STALL),
        "closed before the end of the body": (finish + done, PAUSE, FIN),
        "the last event without its blank line": (chunk(wire.finish().rstrip()) + LAST,),
    }.items():
        yield Fault(name, answer.begun(*rest), None, "one")
    if wire.ends_itself:
        yield Fault(
            "text after the end", answer.begun(finish + done + answer.two + LAST), None, "one"
        )
    old = b"HTTP/1.0 200 OK\r\n" + answer.kind + b"\r\n\r\n" + answer.body
    yield Fault("HTTP 1.0", [[old, PAUSE, FIN]], None, "one two")
    drip: list[bytes | Cue] = [answer.head]
    for byte in answer.body:
        drip += [chunk(bytes([byte]))]
    yield Fault("byte by byte", [[*drip, LAST]], None, "one two")
    crlf = chunk(answer.body.replace(b"\n", b"\r\n"))
    yield Fault("CRLF line ends", [[answer.head + crlf + LAST]], None, "one two")
    if wire.is_sse:
        marked = chunk(b"\xef\xbb\xbf" + answer.body)
        yield Fault("byte order mark", [[answer.head + marked + LAST]], None, "one two")


def _bad_events(answer: _Answers) -> Iterator[Fault]:
    wire, bad = answer.wire, rxagents.StreamDecodeError
    for name, payload in {
        "not JSON": b"{oops}",
        "half of an object": b'{"a": 1',
        "a list": b"[1, 2]",
        "a number": b"17",
        "NaN": b"NaN",
        "a NUL": b"\0",
        "two objects": b"{} {}",
        "a number of 5,000 digits": b"9" * 5_000,
    }.items():
        rest = chunk(wire.raw(payload)) + answer.two + LAST
        yield Fault(f"invalid event: {name}", answer.begun(rest), bad, "one")
    text = chunk(wire.text("MARK").replace(b"MARK", b"\xff\xfe"))
    yield Fault("text that is not UTF-8", answer.begun(text + answer.two + LAST), bad, "one")
    first = [[answer.head + chunk(wire.raw(b"{oops}")) + LAST]]
    instead = bad if wire.is_sse else rxagents.ResponseError
    yield Fault("first event is not JSON", first, instead)


def _errors_in_the_stream(answer: _Answers) -> Iterator[Fault]:
    wire = answer.wire
    for name, kind, requests in [
        ("overloaded", rxagents.OverloadedError, 2),
        ("rate_limit", rxagents.RateLimitError, 2),
        ("server", rxagents.ServerError, 1),
        ("invalid", rxagents.BadRequestError, 1),
    ]:
        if not wire.has_error_kinds:
            kind, requests = rxagents.ServerError, 1
        failed = chunk(wire.error(name)) + LAST
        first = [answer.head + failed]
        yield Fault(f"error as first event: {name}", [first], kind, requests=requests)
        begun = [answer.head + chunk(wire.start()) + failed]
        yield Fault(f"error before text: {name}", [begun], kind, requests=requests)
        yield Fault(f"error after text: {name}", answer.begun(failed), kind, "one")
    if wire.has_error_kinds:
        busy = [answer.head + chunk(wire.error("overloaded")) + LAST]
        yield Fault("overloaded, then success", [busy, answer.good], None, "one two", 2)
    if wire.is_sse:
        plain = b'{\n  "error": {\n    "code": 503,\n    "message": "No."\n  }\n}\n'
        for name, error in {
            "plain JSON": plain,
            "an event named error": b"event: error\ndata: " + plain.replace(b"\n", b"") + b"\n\n",
        }.items():
            failed, kind = chunk(error) + LAST, rxagents.OverloadedError
            yield Fault(f"error after text: {name}", answer.begun(failed), kind, "one")
            begun = [answer.head + chunk(wire.start()) + failed]
            yield Fault(f"{name}, then success", [begun, answer.good], None, "one two", 2)


def _encodings(answer: _Answers) -> Iterator[Fault]:
    wire, body = answer.wire, answer.body
    broken, cut = rxagents.ProtocolError, rxagents.TruncatedStreamError
    yield Fault("bad chunk size", answer.begun(b"zzz\r\n", STALL), broken, "one")
    yield Fault(
        "bad chunk size beside text",
        answer.begun(answer.two + b"zzz\r\n", STALL),
        broken,
        "one two",
    )
    at_once = answer.head + answer.one + b"zzz\r\n"
    yield Fault("bad chunk size beside headers", [[at_once, STALL]], broken, "one", ours_alone=True)
    yield Fault("negative chunk size", answer.begun(b"-5\r\nabc", STALL), broken, "one")
    yield Fault("huge chunk size", answer.begun(b"f" * 40 + b"\r\n", STALL), broken, "one")
    unclosed = answer.two[:-2] + b"zz"
    yield Fault("chunk without its end", answer.begun(unclosed, STALL), broken, "one two")
    bare = answer.begun(answer.two[:-2] + b"\n" + LAST)
    yield Fault("bare LF after a chunk", bare, broken, "one two", ours_alone=True)
    endless = answer.begun(b"5;", b"a" * 999, REPEAT)
    yield Fault("endless chunk extension", endless, broken, "one", ours_alone=True)
    endless = answer.begun(b"0\r\n", b"a: b\r\n", REPEAT)
    yield Fault("endless trailers", endless, broken, "one", ours_alone=True)
    begin, end = body[:20], body[20:]
    odd = b'%x;a;b="c"\r\n%b\r\n%x\r\n%b\r\n0\r\nd: e\r\n\r\n' % (20, begin, len(end), end)
    yield Fault("chunk extensions and trailers", [[answer.head + odd]], None, "one two")
    # In Python's development mode aiohttp's own parser refuses it.
    odd = b"%x \r\n%b\r\n0\r\n\r\n" % (len(body), body)
    spaces = [[answer.head + odd]]
    yield Fault("white space after a chunk size", spaces, None, "one two", ours_alone=True)
    for coding, packed in {
        b"gzip": gzip.compress(body),
        b"x-gzip": gzip.compress(body),
        b"deflate": zlib.compress(body),
        b"Deflate": zlib.compress(body)[2:-4],
        b"identity": body,
    }.items():
        acts = [answer.encoded(coding, packed)]
        yield Fault(f"compressed with {coding.decode()}", acts, None, "one two")
    packed = gzip.compress(body)
    two = gzip.compress(body[:99]) + gzip.compress(body[99:])
    dripped = answer.encoded_begun(b"gzip", *(packed[i : i + 1] for i in range(9)), packed[9:])
    yield Fault("compressed, byte by byte", [[*dripped, LAST]], None, "one two")
    yield Fault("two gzip members", [answer.encoded(b"gzip", two)], None, "one two")
    compressor = zlib.compressobj(wbits=31)
    begun = compressor.compress(wire.text("one")) + compressor.flush(zlib.Z_SYNC_FLUSH)
    more = compressor.compress(wire.text(" two")) + compressor.flush(zlib.Z_SYNC_FLUSH)
    for name, rest, kind, text in [
        ("compressed, closed", (FIN,), cut, "one two"),
        ("compressed, silent", (STALL,), rxagents.IdleTimeoutError, "one two"),
        (
            "compressed, invalid gzip after text",
            (b"\xff" * 99, STALL),
            rxagents.StreamDecodeError,
            "one two",
        ),
    ]:
        yield Fault(name, [answer.encoded_begun(b"gzip", begun, more, *rest)], kind, text)
    ended = [*answer.encoded_begun(b"gzip", begun, more), LAST]
    yield Fault("compressed, ended early", [ended], cut, "one two")
    bad = rxagents.StreamDecodeError
    yield Fault("content-encoding of a plain body", [answer.encoded(b"gzip", body)], bad)
    yield Fault("content-encoding not accepted", [answer.encoded(b"br", b"\x0b\x02")], bad)
    until_close = head(200, answer.kind, b"connection: close", b"content-encoding: gzip")
    yield Fault("compressed, no length", [[until_close + packed, PAUSE, FIN]], None, "one two")


def _limits(answer: _Answers) -> Iterator[Fault]:
    wire, over = answer.wire, rxagents.LimitExceededError
    small = {"limits": Limits(event_bytes=1000)}
    long = chunk(wire.text("x" * 1000))
    yield Fault("event over its limit", answer.begun(long, STALL), over, "one", 1, small)
    line = b"%x\r\n" % 2**30 + b"x" * 1000
    yield Fault("endless line", answer.begun(line, REPEAT), over, "one", 1, small)
    short = {"limits": Limits(stream_bytes=len(wire.text("one")))}
    rest = answer.two + LAST
    yield Fault("stream over its limit", answer.begun(rest), over, "one", 1, short)
    deep = wire.raw(b'{"a":' * 500 + b"1" + b"}" * 500)
    yield Fault("JSON nested too deeply", answer.begun(chunk(deep) + LAST), over, "one")


def _connections(answer: _Answers) -> Iterator[Fault]:
    cookie = head(500, b"content-length: 0", b"set-cookie: a=b; path=/")
    yield Fault("cookie", [[cookie], answer.good], None, "one two", 2)
