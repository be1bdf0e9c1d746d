"""Test cassettes: what they record of real HTTP, what they hide, and what they replay."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from child import SECONDS
from matrix import only_full
from observing import Seen
from wires import KEY, SpokenWire, each_wire

import rxagents
from rxagents import (
    ConfigurationError,
    FunctionAgent,
    OpenAI,
    RateLimitError,
    StreamChunk,
    Timeouts,
    ToolCall,
    TruncatedStreamError,
)
from rxagents.runtime.last_value import last_value
from rxagents.testing import (
    Cassette,
    CassetteMissError,
    Ending,
    NoReply,
    RawReply,
    Reply,
    ScriptedServer,
    StatusReply,
    run_in_virtual_time,
)
from rxagents.transport import Interceptor

SLOW = Reply("Hello there, Ada", delay=2, interval=1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.jsonl"


@rxagents.tool
def weather(city: str) -> str:
    """Return the weather."""
    return f"{city}: rain"


def model(url: str, cassette: Interceptor, **options: Any) -> OpenAI:
    return OpenAI("m", api_key=KEY, base_url=url, session=cassette, **options)


async def chunks_of(llm: Any, prompt: str = "Hi") -> list[StreamChunk]:
    chunks: list[StreamChunk] = []
    await last_value(llm.chat_stream(prompt), chunks.append)
    return [msgspec.structs.replace(chunk, timestamp=0.0) for chunk in chunks]


async def record(path: Path, *replies: Any, prompts: tuple[str, ...] = ("Hi",)) -> str:
    """Record an answer for each prompt, and return the URL of the server."""
    async with ScriptedServer(*replies) as server:
        async with model(server.url, Cassette(path, "record")) as llm:
            for prompt in prompts:
                await chunks_of(llm, prompt)
        return server.url


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@each_wire
async def test_replay_equals_recorded_run(wire: SpokenWire, path: Path) -> None:
    call = ToolCall("call_1", "weather", '{"city": "Oslo"}')
    async with ScriptedServer(
        Reply("I look.", reasoning="Hm", tool_calls=[call]), "Take a coat. é"
    ) as server:
        url = wire.url_of(server)
        async with wire.model(url, session=Cassette(path, "record")) as llm:
            first = await FunctionAgent(llm, tools=[weather]).run("Oslo?")
        count = len(server.requests)
    replaying = Cassette(path)
    async with wire.model(url, session=replaying) as llm:
        second = await FunctionAgent(llm, tools=[weather]).run("Oslo?")
    assert count == 2
    assert second.output == first.output == "Take a coat. é"
    assert second.usage == first.usage
    assert replaying.unplayed == []
    assert KEY not in path.read_text()


async def test_chunks_and_metadata_are_the_same(path: Path) -> None:
    async with ScriptedServer(RawReply(_pieces(), headers={"x-request-id": "r1"})) as server:
        async with model(server.url, Cassette(path, "record")) as llm:
            recorded = await chunks_of(llm)
    replayed = await chunks_of(model(server.url, Cassette(path)))
    assert replayed == recorded
    assert replayed[0].metadata["request_id"] == "r1"


def _pieces() -> list[bytes]:
    """Return an answer in pieces, one of which ends in the middle of a character."""
    body = (
        'data: {"choices":[{"index":0,"delta":{"content":"é"}}]}\n\n'
        'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
    ).encode()
    inside = body.index("é".encode()) + 1
    return [body[:inside], body[inside:]]


async def test_bytes_keep_their_pieces_and_times(path: Path) -> None:
    url = await record(path, SLOW)
    data = [line for line in lines(path) if line.get("item", {}).get("type") == "data"]
    assert [round(line["at"]) for line in data][:3] == [2, 3, 4]
    start = asyncio.get_running_loop().time()
    times: list[float] = []

    def note(_: object) -> None:
        times.append(asyncio.get_running_loop().time() - start)

    llm = model(url, Cassette(path, timing="recorded"))
    await last_value(llm.chat_stream("Hi"), note)
    assert [round(time, 1) for time in times[:3]] == [3, 4, 5]  # the event at 2 has no text


async def test_instant_replay_takes_no_time(path: Path) -> None:
    url = await record(path, SLOW)
    start = asyncio.get_running_loop().time()
    await chunks_of(model(url, Cassette(path)))
    assert asyncio.get_running_loop().time() == start


async def test_cut_piece_is_kept_as_base64(path: Path) -> None:
    half = 'data: {"a": "é"}'.encode()[:-3]
    with pytest.raises(TruncatedStreamError):
        await record(path, RawReply([half], ending=Ending.FIN))
    assert any("base64" in line.get("item", {}) for line in lines(path))


async def test_same_request_gets_answers_in_order(path: Path) -> None:
    url = await record(path, "one", "two", prompts=("Hi", "Hi"))
    llm = model(url, Cassette(path))
    assert [(await llm.chat("Hi")).content for _ in range(2)] == ["one", "two"]
    with pytest.raises(CassetteMissError, match="has this request 2 times, and it was sent once"):
        await llm.chat("Hi")


async def test_concurrent_requests_keep_request_order(path: Path) -> None:
    """The first request is answered last; its answer is still the first one of the file."""
    async with ScriptedServer(Reply("slow", delay=5), "fast") as server:
        llm = model(server.url, Cassette(path, "record"))
        first = asyncio.ensure_future(llm.chat("Hi"))
        await server.received()
        second = await llm.chat("Hi")
        assert [(await first).content, second.content] == ["slow", "fast"]
        await llm.aclose()
    replayed = model(server.url, Cassette(path))
    answers = await asyncio.gather(*(replayed.chat("Hi") for _ in range(2)))
    assert [answer.content for answer in answers] == ["slow", "fast"]


async def test_key_and_headers_do_not_matter(path: Path) -> None:
    url = await record(path, "Hello")
    other = OpenAI(
        "m", api_key="another-key-1", base_url=url, headers={"x-team": "b"}, session=Cassette(path)
    )
    assert (await other.chat("Hi")).content == "Hello"


async def test_retries_are_recorded_and_replayed(path: Path) -> None:
    busy = StatusReply(429, {"error": {"message": "Slow down."}}, {"retry-after": "7"})
    url = await record(path, busy, busy, "Hello")
    start = asyncio.get_running_loop().time()
    assert (await model(url, Cassette(path)).chat("Hi")).content == "Hello"
    assert asyncio.get_running_loop().time() - start == pytest.approx(14)
    with pytest.raises(RateLimitError, match="Slow down") as failed:
        await model(url, Cassette(path), max_retries=0).chat("Hi")
    assert (failed.value.status, failed.value.retry_after) == (429, 7.0)


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (NoReply(), rxagents.TransportError),
        (Reply("one two", cut_after=2, ending=Ending.FIN), TruncatedStreamError),
        (RawReply([b"<html>"], "text/html"), rxagents.ResponseError),
        (StatusReply(307, headers={"location": "/b"}), rxagents.RedirectError),
    ],
    ids=["no response", "cut", "no stream", "redirect"],
)
async def test_failures_are_replayed(path: Path, reply: Any, kind: type[Exception]) -> None:
    async with ScriptedServer(reply) as server:
        async with model(server.url, Cassette(path, "record"), max_retries=0) as llm:
            with pytest.raises(kind) as recorded:
                await llm.chat("Hi")
    with pytest.raises(kind) as replayed:
        await model(server.url, Cassette(path), max_retries=0).chat("Hi")
    assert type(replayed.value) is type(recorded.value)
    assert str(replayed.value) == str(recorded.value)


async def test_timeout_is_replayed_with_recorded_times(path: Path) -> None:
    options: dict[str, Any] = {"timeout": Timeouts(idle=30), "max_retries": 0}
    async with ScriptedServer(Reply("one two", cut_after=2, ending=Ending.STALL)) as server:
        async with model(server.url, Cassette(path, "record"), **options) as llm:
            with pytest.raises(rxagents.IdleTimeoutError):
                await llm.chat("Hi")
    with pytest.raises(rxagents.IdleTimeoutError):
        await model(server.url, Cassette(path, timing="recorded"), **options).chat("Hi")
    with pytest.raises(TruncatedStreamError, match="disposed when it was recorded"):
        await model(server.url, Cassette(path), **options).chat("Hi")


async def test_disposed_stream_is_recorded(path: Path) -> None:
    async with ScriptedServer(SLOW) as server:
        async with model(server.url, Cassette(path, "record")) as llm:
            seen = Seen(llm.chat_stream("Hi"))
            await seen.saw(StreamChunk, 2)
            seen.subscription.dispose()
            await asyncio.sleep(1)
    assert lines(path)[-1]["stopped"] == "disposed"
    replayed = Seen(model(server.url, Cassette(path)).chat_stream("Hi"))
    await replayed.saw(StreamChunk, 2)
    assert [chunk.delta for chunk in replayed.items] == [chunk.delta for chunk in seen.items]
    replayed.subscription.dispose()


async def test_request_disposed_before_answer_is_recorded(path: Path) -> None:
    async with ScriptedServer(NoReply(Ending.STALL), "Hello") as server:
        async with model(server.url, Cassette(path, "record")) as llm:
            subscription = llm.chat_stream("Hi").subscribe()
            await server.received()
            subscription.dispose()
            await llm.chat("Hi")
    llm = model(server.url, Cassette(path, timing="recorded"))
    lost = Seen(llm.chat_stream("Hi"))
    await asyncio.sleep(1)
    assert (await llm.chat("Hi")).content == "Hello"
    assert lost.notes == []
    lost.subscription.dispose()


async def test_request_on_lost_connection_is_not_recorded(path: Path) -> None:
    """The server never saw it, and a replay has no connection that could be lost."""
    server = ScriptedServer(lambda request: NoReply() if request.reused else "Hello")
    async with server, model(server.url, Cassette(path, "record")) as llm:
        for prompt in ("Hi", "Ho"):
            await chunks_of(llm, prompt)
    assert len(server.requests) == 3
    assert len(Cassette(path).requests) == 2


async def test_list_of_models_is_recorded(path: Path) -> None:
    async with ScriptedServer("Hello") as server:
        async with model(server.url, Cassette(path, "record")) as llm:
            names = await llm.list_models()
    assert await model(server.url, Cassette(path)).list_models() == names
    assert lines(path)[0]["item"]["method"] == "GET"


async def test_once_records_and_then_replays(path: Path) -> None:
    async with ScriptedServer("Hello") as server:
        for _ in range(3):
            async with model(server.url, Cassette(path, "once")) as llm:
                assert (await llm.chat("Hi")).content == "Hello"
        assert len(server.requests) == 1
        async with model(server.url, Cassette(path, "once")) as llm:
            with pytest.raises(CassetteMissError):
                await llm.chat("Something else")


async def test_recording_replaces_old_file(path: Path) -> None:
    await record(path, "old", prompts=("Hi", "Ho"))
    url = await record(path, "new")
    assert len(Cassette(path).requests) == 1
    assert (await model(url, Cassette(path)).chat("Hi")).content == "new"


async def test_miss_shows_difference_to_nearest_request(path: Path) -> None:
    url = await record(path, "Hello", prompts=("Hi there, I am Ada", "Something else"))
    with pytest.raises(CassetteMissError) as missed:
        await model(url, Cassette(path), temperature=0.5).chat("Hi there, I am Bob")
    message = str(missed.value)
    assert "The nearest of its 2 requests differs in:\n--- request 1 of the cassette" in message
    assert '\n-      "content": "Hi there, I am Ada",\n' in message
    assert '\n+      "content": "Hi there, I am Bob",\n' in message
    assert '\n+  "temperature": 0.5\n' in message
    assert "Something else" not in message
    assert "mode='record'" in message


async def test_miss_is_sent_once_and_fails_agent(path: Path) -> None:
    url = await record(path, "Hello")
    seen = Seen(FunctionAgent(model(url, Cassette(path))).run_stream("Other"))
    await seen.over.wait()
    assert isinstance(seen.error, CassetteMissError)


async def test_ids_made_at_random_do_not_matter(path: Path) -> None:
    """A host sends no ids, so that each run makes others, and sends them back."""
    call = 'data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"name":'
    call += '"weather","arguments":"{\\"city\\": \\"Oslo\\"}"}}]},"finish_reason":"tool_calls"}]}'
    async with ScriptedServer(RawReply([call.encode() + b"\n\ndata: [DONE]\n\n"]), "Ok") as server:
        async with model(server.url, Cassette(path, "record")) as llm:
            await FunctionAgent(llm, tools=[weather]).run("Oslo?")
    replayed = await FunctionAgent(model(server.url, Cassette(path)), tools=[weather]).run("Oslo?")
    assert replayed.output == "Ok"


async def test_secrets_are_hidden_everywhere(path: Path) -> None:
    other, query = "team-secret-0123", "query-secret-4567"
    echo = f'{{"error": {{"message": "Bad: {KEY}, {other}, {query}"}}}}'
    pieces = [echo[:40].encode(), echo[40:50].encode(), echo[50:].encode()]
    reply = RawReply(
        pieces,
        "application/json",
        {"x-request-id": f"id-{KEY}", "set-cookie": "a=b", "x-account": other},
        status=400,
        write_size=None,
    )
    async with ScriptedServer(reply) as server:
        llm = OpenAI(
            "m",
            api_key=KEY,
            base_url=f"{server.url}?sig={query}&api-version=2024-10-21",
            headers={"x-team": other},
            session=Cassette(path, "record"),
        )
        with pytest.raises(rxagents.BadRequestError):
            await llm.chat(f"Say {KEY}")
        await llm.aclose()
    text = path.read_text()
    assert not [
        secret for secret in (KEY, other, query, "set-cookie", "x-account") if secret in text
    ]
    assert "?sig=***&api-version=2024-10-21" in text
    assert "Say ***" in text
    with pytest.raises(rxagents.BadRequestError, match=r"Bad: \*+, \*+, \*+"):
        await llm_like(llm, path).chat(f"Say {KEY}")


def llm_like(llm: OpenAI, path: Path) -> OpenAI:
    return OpenAI(
        "m", api_key=KEY, base_url=str(llm.base_url), headers={"x-team": "team-secret-0123"},
        session=Cassette(path),
    )  # fmt: skip


async def test_short_key_garbles_no_answer(path: Path) -> None:
    async with ScriptedServer("Any key would do: local") as server:
        cassette = Cassette(path, "record")
        async with OpenAI("m", api_key="local", base_url=server.url, session=cassette) as llm:
            await llm.chat("Hi")
    assert (await model(server.url, Cassette(path)).chat("Hi")).content.endswith(" local")


async def test_secret_cut_by_reads_is_masked(path: Path) -> None:
    event = f'data: {{"choices":[{{"index":0,"delta":{{"content":"{KEY}"}}}}]}}\n\n'.encode()
    middle = event.index(KEY.encode()) + 5
    done = b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
    url = await record(path, RawReply([event[:middle], event[middle:], done], interval=1))
    assert KEY[:8] not in path.read_text()
    assert KEY[8:] not in path.read_text()
    assert (await model(url, Cassette(path)).chat("Hi")).content == "*" * len(KEY)


_RECORDER = """
import asyncio, sys
from rxagents import OpenAI
from rxagents.testing import Cassette, ScriptedServer
async def main():
    async with ScriptedServer("Hello there") as server:
        cassette = Cassette(sys.argv[1], "record")
        llm = OpenAI("m", api_key="any", base_url=server.url, session=cassette)
        for number in range(100_000):
            await llm.chat(f"Number {number}")
            print(number, flush=True)
asyncio.run(main())
"""


@only_full
def test_killed_recording_leaves_whole_exchanges(path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", _RECORDER, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    for _ in range(20):
        process.stdout.readline()
    os.kill(process.pid, signal.SIGKILL)
    written = len(process.communicate(timeout=SECONDS)[0].splitlines()) + 20
    assert len(Cassette(path).requests) >= written


async def test_unwritable_file_is_reported(
    path: Path, loop_errors: list[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    await record(path, "Hello")
    assert [str(error) for error in loop_errors] == ["disk full"]
    loop_errors.clear()
    assert list(path.parent.iterdir()) == []


async def test_file_is_replaced_at_once(
    path: Path, loop_errors: list[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whenever the process is killed, the file holds whole exchanges."""
    written: list[tuple[str, str]] = []
    replace = Path.replace

    def look(new: Path, target: Path) -> Path:
        before = target.read_text() if target.exists() else ""
        replaced = replace(new, target)
        written.append((before, target.read_text()))
        return replaced

    monkeypatch.setattr(Path, "replace", look)
    await record(path, "Hello", prompts=("Hi", "Ho"))
    assert [before for before, _ in written] == ["", written[0][1]]
    assert len(Cassette(path).requests) == 2
    assert loop_errors == []


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"at":0}', "Line 1 .* neither an item nor an end"),
        ('{"at":0,"item":{"type":"data","text":"a"}}', "Line 1 .* a request must stand"),
        ('{"at":0,"item":{"type":"request","method":"GET","url":"u"}}', "has no end"),
        ("not json", "Line 1 .* cannot be read"),
    ],
)
def test_file_that_is_no_cassette_is_refused(path: Path, text: str, why: str) -> None:
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=why):
        Cassette(path)


def test_invalid_arguments_are_refused(path: Path) -> None:
    with pytest.raises(ConfigurationError, match="mode must be one of 'replay', 'record', 'once'"):
        Cassette(path, "rewind")  # type: ignore[arg-type]  # that is the point
    with pytest.raises(ConfigurationError, match="timing must be one of"):
        Cassette(path, "once", timing="slow")  # type: ignore[arg-type]  # that is the point
    with pytest.raises(ConfigurationError, match="Record it with mode='record'"):
        Cassette(path)
    with pytest.raises(ConfigurationError, match="path must be"):
        Cassette(7)  # type: ignore[arg-type]  # that is the point
    with pytest.raises(ConfigurationError, match="folder of the cassette"):
        Cassette(path / "deeper.jsonl", "record")
    with pytest.raises(ConfigurationError, match=r"or a rxagents.testing.Cassette, not str"):
        model("http://localhost", "run.jsonl")  # type: ignore[arg-type]  # that is the point


async def test_unplayed_requests_are_listed(path: Path) -> None:
    url = await record(path, "a", prompts=("Hi", "Hi", "Ho"))
    cassette = Cassette(path)
    await model(url, cassette).chat("Hi")
    assert [request.body["messages"][0]["content"] for request in cassette.unplayed] == ["Hi", "Ho"]
    assert repr(cassette) == f"Cassette({str(path)!r}, 'replay')"


def test_one_cassette_serves_several_loops(path: Path) -> None:
    url = run_in_virtual_time(record(path, "a", "b", prompts=("Hi", "Hi")))
    cassette = Cassette(path)
    answers = [run_in_virtual_time(model(url, cassette).chat("Hi")).content for _ in range(2)]
    assert answers == ["a", "b"]
