"""Test that `every_fault` passes what keeps the rules, and finds faults planted in operators."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import reactivex as rx
from matrix import only_full
from operator_cases import CASES, ENCODERS
from reactivex import Observable, abc
from reactivex import operators as rx_ops
from reactivex.disposable import CompositeDisposable, Disposable
from wires import KEY, SpokenWire, any_wire

import rxagents
from rxagents import (
    ConfigurationError,
    FunctionAgent,
    OpenAI,
    StreamChunk,
    Timeouts,
    ToolCall,
)
from rxagents import operators as ops
from rxagents.runtime.bridge import detached
from rxagents.testing import (
    BrokenRulesError,
    Cassette,
    FaultKind,
    RawReply,
    Reply,
    Rule,
    ScriptedServer,
    every_fault,
    run_in_virtual_time,
)

Operator = Callable[[Observable[Any]], Observable[Any]]
any_ops: Any = rx_ops  # the types of lambdas in a pipe cannot be inferred
TEXT = "Take a coat."


@rxagents.tool
def weather(city: str) -> str:
    """Return the weather."""
    return f"{city}: rain"


def record(path: Path, *replies: Any, wire: SpokenWire | None = None, agent: bool = False) -> str:
    """Record a run, and return the URL of its server."""

    async def run() -> str:
        async with ScriptedServer(*replies) as server:
            url = server.url if wire is None else wire.url_of(server)
            async with model(url, Cassette(path, "record"), wire) as llm:
                await (FunctionAgent(llm, tools=[weather]).run("Hi") if agent else llm.chat("Hi"))
            return url

    return run_in_virtual_time(run())


def model(url: str, session: Any, wire: SpokenWire | None = None, **options: Any) -> Any:
    if wire is not None:
        return wire.model(url, session=session, **options)
    return OpenAI("m", api_key=KEY, base_url=url, session=session, **options)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Return the cassette of an answer, and the URL of its server."""
    path = tmp_path_factory.mktemp("cassettes") / "run.jsonl"
    return path, record(path, Reply(TEXT, interval=1))


@pytest.fixture
def play(recorded: tuple[Path, str]) -> Callable[..., Any]:
    """Return a function that plays every fault of a pipe of operators."""
    path, url = recorded

    def play(*operators: Operator, **options: Any) -> Any:
        return every_fault(
            Cassette(path),
            lambda session: model(url, session).chat_stream("Hi").pipe(*operators),
            **options,
        )

    return play


def test_operators_of_flow_keep_the_rules(play: Callable[..., Any]) -> None:
    switch, log = rxagents.KillSwitch(), rxagents.EventLog()
    log_key = count(1)
    play(ops.stop_with(switch), ops.cached(log, lambda: f"answer-{next(log_key)}"))
    play(ops.pause_when(rx.never()), ops.heartbeat(100_000, str))
    assert switch.running == 0


def test_pausing_keeps_the_rules(play: Callable[..., Any]) -> None:
    paused: Any = rx.concat(rx.of(True), rx.timer(7), rx.of(False))
    play(ops.pause_when(paused))


@any_wire
def test_every_wire_keeps_the_rules(wire: SpokenWire, tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    url = record(path, Reply("Take it.", reasoning="Hm", interval=1), wire=wire)
    faults = every_fault(
        Cassette(path), lambda session: model(url, session, wire).chat_stream("Hi")
    )
    assert {fault.kind for fault in faults} == set(FaultKind)
    assert len(faults) > 15


def test_stream_without_text_keeps_the_rules(tmp_path: Path) -> None:
    """As OpenRouter sends it: a chunk without content first, and the finish reason twice.

    A retry repeats the first chunk, and the stream is complete at the first finish reason.
    """
    call = '[{"index":0,"id":"c","function":{"name":"weather","arguments":"{}"}}]'
    finish = '"delta":{},"finish_reason":"tool_calls"}]'
    events = [
        '{"model":"m","choices":[{"delta":{"content":"","reasoning_details":[{"data":"x"}]}}]}',
        f'{{"choices":[{{"delta":{{"tool_calls":{call}}}}}]}}',
        f'{{"choices":[{{{finish}}}',
        f'{{"choices":[{{{finish},"usage":{{"prompt_tokens":1}}}}',
        "[DONE]",
    ]
    path = tmp_path / "run.jsonl"
    url = record(path, RawReply([f"data: {event}\n\n".encode() for event in events]))
    every_fault(Cassette(path), lambda session: model(url, session).chat_stream("Hi"))


def test_agent_with_tool_keeps_the_rules(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    call = ToolCall("call_1", "weather", '{"city": "Oslo"}')
    url = record(path, Reply(tool_calls=[call], interval=1), "Take it.", agent=True)
    faults = every_fault(
        Cassette(path),
        lambda session: FunctionAgent(model(url, session), tools=[weather]).run_stream("Hi"),
    )
    assert {fault.request for fault in faults} == {0, 1, 2}


@pytest.mark.parametrize(
    "operators",
    [
        [ops.text()],
        [ops.text(), ops.split_sentences()],
        [ops.coalesce(1.5)],
        [ops.text(), ops.timeout_idle(5), ops.tap_safely(lambda _: None)],
        [ops.share_bounded()],
        [any_ops.map(lambda chunk: chunk.delta), any_ops.filter(bool)],
    ],
    ids=["text", "sentences", "coalesce", "time and tap", "share", "reactivex"],
)
def test_operators_keep_the_rules(play: Callable[..., Any], operators: list[Operator]) -> None:
    play(*operators)


_ENDLESS = {"fallback_to", "hedge"}
"""Their cases go on with a stream that never ends."""

_OTHER_ITEMS = {"decode_sse", "decode_ndjson", "encode_agui", "encode_vercel", "of_type",
                "run_tools", "converse"}  # fmt: skip
"""Their sources emit something else than chunks or texts."""


@only_full
@pytest.mark.parametrize("name", sorted(CASES.keys() - _OTHER_ITEMS - _ENDLESS - ENCODERS))
def test_every_operator_keeps_the_rules(
    play: Callable[..., Any], name: str, tmp_path: Path
) -> None:
    case = CASES[name]
    text = [] if isinstance(case.items[0], StreamChunk) else [ops.text()]
    options: dict[str, Any] = (
        {"text": None} if name == "best_of" else {}
    )  # it emits whole answers only
    play(*text, case.make(tmp_path), **options)


def _wrapped(
    on_error: Callable[[abc.ObserverBase[Any], Exception], None] | None = None,
    dispose: Callable[[abc.DisposableBase], abc.DisposableBase] = lambda subscription: subscription,
) -> Operator:
    """Return an operator that passes everything on, except for what it is given."""

    def operator(source: Observable[Any]) -> Observable[Any]:
        def subscribe(
            observer: abc.ObserverBase[Any], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            return dispose(
                source.subscribe(
                    observer.on_next,
                    (lambda error: on_error(observer, error)) if on_error else observer.on_error,
                    observer.on_completed,
                    scheduler=scheduler,
                )
            )

        return Observable(subscribe)

    return operator


def _late() -> Operator:
    """Emit each item a moment late, also after `dispose`: the timers are not cancelled."""

    def operator(source: Observable[Any]) -> Observable[Any]:
        def subscribe(
            observer: abc.ObserverBase[Any], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            later: Any = partial(asyncio.get_running_loop().call_later, 0.5)
            return source.subscribe(
                lambda item: later(observer.on_next, item),
                lambda error: later(observer.on_error, error),
                lambda: later(observer.on_completed),
                scheduler=scheduler,
            )

        return Observable(subscribe)

    return operator


def _swallowing() -> Operator:
    return _wrapped(on_error=lambda observer, _: observer.on_completed())


def _holding() -> Operator:
    """Hold the newest item back until the next one, and forget it where the source fails."""

    def operator(source: Observable[Any]) -> Observable[Any]:
        def subscribe(
            observer: abc.ObserverBase[Any], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            held: list[Any] = []

            def on_next(item: Any) -> None:
                held.append(item)
                if len(held) > 1:
                    observer.on_next(held.pop(0))

            def on_completed() -> None:
                for item in held:
                    observer.on_next(item)
                observer.on_completed()

            return source.subscribe(on_next, observer.on_error, on_completed, scheduler=scheduler)

        return Observable(subscribe)

    return operator


def _dropping() -> Operator:
    """Lose every third item."""

    def operator(source: Observable[Any]) -> Observable[Any]:
        return source.pipe(any_ops.filter_indexed(lambda _, index: index % 3 != 2))

    return operator


def _repeating() -> Operator:
    """Start again after a failure, without a reset."""
    operator: Operator = any_ops.retry(2)
    return operator


def _swapping() -> Operator:
    """Emit every two items in the wrong order."""

    def operator(source: Observable[Any]) -> Observable[Any]:
        return source.pipe(any_ops.buffer_with_count(2), any_ops.flat_map(reversed))

    return operator


def _forgetting() -> Operator:
    """Do not dispose the source."""
    return _wrapped(dispose=lambda _: Disposable())


def _leaking() -> Operator:
    """Leave a task behind."""

    def operator(source: Observable[Any]) -> Observable[Any]:
        def subscribe(
            observer: abc.ObserverBase[Any], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            task = asyncio.get_running_loop().create_task(asyncio.sleep(500))
            held = source.subscribe(observer, scheduler=scheduler)
            return CompositeDisposable(held, Disposable(lambda: task))  # type: ignore[arg-type]  # it forgets to cancel

        return Observable(subscribe)

    return operator


def _untyped() -> Operator:
    return _wrapped(on_error=lambda observer, error: observer.on_error(Exception(str(error))))


def _greedy() -> Operator:
    """Read the source as fast as it can, whatever the reader does."""

    def operator(source: Observable[Any]) -> Observable[Any]:
        def subscribe(
            observer: abc.ObserverBase[Any], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            with detached():
                return source.subscribe(observer)

        return Observable(subscribe)

    return operator


def _endless() -> Operator:
    return _wrapped(on_error=lambda *_: None)


def _talkative() -> Operator:
    """Emit inside `subscribe`."""

    def operator(source: Observable[Any]) -> Observable[Any]:
        def subscribe(
            observer: abc.ObserverBase[Any], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            observer.on_next("")
            return source.subscribe(observer, scheduler=scheduler)

        return Observable(subscribe)

    return operator


@pytest.mark.parametrize(
    ("operator", "rule", "kinds"),
    [
        (_late(), Rule.SILENCE, {FaultKind.DISPOSE}),
        (_swallowing(), Rule.FAILURE, {FaultKind.CUT, FaultKind.STALL, FaultKind.ERROR}),
        (_holding(), Rule.TEXT, {FaultKind.CUT, FaultKind.STALL, FaultKind.ERROR}),
        (_dropping(), Rule.TEXT, {None}),
        (_repeating(), Rule.FAILURE, {FaultKind.CUT, FaultKind.STALL, FaultKind.ERROR}),
        (_swapping(), Rule.TEXT, {None}),
        (_forgetting(), Rule.CLEAN_UP, {FaultKind.DISPOSE}),
        (_leaking(), Rule.CLEAN_UP, {None}),
        (_untyped(), Rule.TYPED_ERROR, {FaultKind.CUT, FaultKind.STALL, FaultKind.ERROR}),
        (_endless(), Rule.END, {FaultKind.CUT, FaultKind.STALL, FaultKind.ERROR}),
        (_talkative(), Rule.GRAMMAR, {None}),
    ],
    ids=[
        "emits after dispose",
        "completes after an error",
        "loses the last item",
        "loses items",
        "repeats items",
        "reorders items",
        "forgets to dispose",
        "leaves a task",
        "untyped error",
        "never ends",
        "emits inside subscribe",
    ],
)
def test_planted_fault_is_found(
    play: Callable[..., Any], operator: Operator, rule: Rule, kinds: set[FaultKind | None]
) -> None:
    with pytest.raises(BrokenRulesError) as found:
        play(operator)
    assert rule in {each.rule for each in found.value.broken}
    of_rule = [each for each in found.value.broken if each.rule is rule]
    assert {each.fault.kind if each.fault else None for each in of_rule} == kinds
    assert str(of_rule[0]) in str(found.value)


def test_report_names_fault_event_and_rule(play: Callable[..., Any]) -> None:
    with pytest.raises(BrokenRulesError, match="runs broke a rule of every stream:\n") as found:
        play(ops.text(), _swallowing())
    line = (
        "  cut after event 3 of request 1: failures fail: it completed, but after 6 characters the "
        "text should go on with ' coat.', and goes on with ''"
    )
    assert line in str(found.value).splitlines()


def test_greedy_pipe_is_found(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    url = record(path, Reply("word " * 12, interval=1))

    def pipe(session: Any) -> Observable[Any]:
        stream: Observable[Any] = model(url, session).chat_stream("Hi")
        return stream.pipe(_greedy())

    with pytest.raises(BrokenRulesError) as found:
        every_fault(Cassette(path), pipe, read_ahead=4)
    assert {(each.rule, each.fault.kind) for each in found.value.broken if each.fault} == {
        (Rule.DEMAND, FaultKind.SLOW_READER)
    }


def test_items_that_reactivex_delays_are_lost_at_error(play: Callable[..., Any]) -> None:
    """`delay` passes an error at once, before the items that it still holds."""
    with pytest.raises(BrokenRulesError) as found:
        play(ops.text(), any_ops.delay(2))
    assert {each.rule for each in found.value.broken} == {Rule.TEXT}


def test_recovery_is_allowed_when_declared(play: Callable[..., Any]) -> None:
    recovering = ops.fallback_to(rx.timer(1).pipe(any_ops.map(lambda _: "Sorry.")))
    with pytest.raises(BrokenRulesError, match="failures fail"):
        play(ops.text(), any_ops.catch(lambda *_: rx.timer(1).pipe(any_ops.map(str))))
    play(ops.text(), recovering, recovers=True)
    play(ops.text(), any_ops.catch(lambda *_: rx.timer(1).pipe(any_ops.map(str))), recovers=True)


def test_errors_of_other_types_are_allowed_when_declared(play: Callable[..., Any]) -> None:
    play(_untyped(), errors=Exception)


def test_changed_text_is_allowed_when_declared(play: Callable[..., Any]) -> None:
    shorter = [ops.text(), any_ops.map(str.strip)]
    with pytest.raises(BrokenRulesError, match="pass text=None if the pipe changes the text"):
        play(*shorter)
    play(*shorter, text=None)
    play(ops.collect())


def test_stall_without_timeout_never_ends(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    url = record(path, "Hello")
    patient = Timeouts(first=None, idle=None)
    with pytest.raises(BrokenRulesError, match="did not end within a day of virtual time"):
        every_fault(
            Cassette(path), lambda session: model(url, session, timeout=patient).chat_stream("Hi")
        )


def test_original_cassette_stays_unplayed(recorded: tuple[Path, str]) -> None:
    path, url = recorded
    cassette = Cassette(path)
    every_fault(cassette, lambda session: model(url, session).chat_stream("Hi"))
    assert len(cassette.unplayed) == 1


async def test_running_loop_is_explained(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").touch()
    with pytest.raises(ConfigurationError, match="Call every_fault in a plain test"):
        every_fault(Cassette(tmp_path / "empty.jsonl"), lambda _: rx.empty())


def test_invalid_arguments_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="takes a Cassette, not str"):
        every_fault("run.jsonl", lambda _: rx.empty())  # type: ignore[arg-type]  # that is the point
    (tmp_path / "empty.jsonl").touch()
    with pytest.raises(ConfigurationError, match="must return an Observable, not list"):
        every_fault(Cassette(tmp_path / "empty.jsonl"), lambda _: [])  # type: ignore[arg-type, return-value]  # that is the point
    with pytest.raises(ConfigurationError, match="records: replay it with mode='replay'"):
        every_fault(Cassette(tmp_path / "new.jsonl", "record"), lambda _: rx.empty())
