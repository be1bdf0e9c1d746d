"""`rxagents batch`: files in and out, what is kept when it ends, and what goes on."""

from __future__ import annotations

import asyncio
import csv
import io
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet
import pytest
import reactivex as rx
from child import started
from full_disk import FULL_DISK, needs_full_disk
from matrix import only_full, size
from rich.console import Console

from rxagents import EventLog, StorageError, run_many
from rxagents.cli.batch.progress import BatchProgress
from rxagents.cli.batch.results import Result, Results
from rxagents.cli.batch.rows import Row, Rows
from rxagents.cli.batch.run import Batch
from rxagents.core.errors import ConfigurationError

AGENT = "batch_agents:make"
TORN = "JSON is malformed: invalid character (byte 3)"


def questions(count: int) -> list[dict[str, Any]]:
    return [{"key": f"k{n}", "prompt": f"Question {n}"} for n in range(count)]


def write(path: Path, rows: list[Any]) -> Path:
    """Write rows in the format of the file's name."""
    if path.suffix == ".csv":
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    elif path.suffix == ".parquet":
        pa.parquet.write_table(pa.Table.from_pylist(rows), path)
    else:
        path.write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))
    return path


def read(path: Path) -> list[dict[str, Any]]:
    """Read rows in the format of the file's name."""
    if path.suffix == ".csv":
        with path.open(newline="") as file:
            return list(csv.DictReader(file))
    if path.suffix == ".parquet":
        return list(pa.parquet.read_table(path).to_pylist())
    return [msgspec.json.decode(line) for line in path.read_bytes().splitlines()]


async def run_batch(rows: Path, to: Path, log: EventLog | None = None, **options: Any) -> str:
    """Run a batch in this process; return what it shows."""
    shown = io.StringIO()
    retry = options.get("retry_failed", False)
    with Results(to, retry_failed=retry) as results:
        found = Rows(rows)
        before = results.done
        progress = BatchProgress(
            Console(file=shown), len(found.keys()), len(before), sum(before.values())
        )
        await Batch(AGENT, found, results, progress, log, **options).run(16, None)
    return shown.getvalue() + progress.summary()


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
@pytest.mark.parametrize("source", ["jsonl", "csv", "parquet"])
async def test_formats_in_and_out(tmp_path: Path, source: str, ending: str) -> None:
    rows, to = write(tmp_path / f"in.{source}", questions(10)), tmp_path / f"out.{ending}"
    assert "10 of 10 rows" in await run_batch(rows, to)
    found = {row["key"]: row for row in read(to)}
    assert list(found) != []
    assert set(found) == {f"k{n}" for n in range(10)}
    assert found["k3"]["output"] == "Answer 3"
    assert int(found["k3"]["total_tokens"]) == 15
    assert found["k3"]["error"] in {None, ""}
    assert found["k7"]["output"] in {None, ""}
    assert "down" in found["k7"]["error"]
    assert found["k7"]["error_kind"] == "ServerError"


async def test_rows_with_results_are_not_run_again(tmp_path: Path) -> None:
    rows, to = write(tmp_path / "in.jsonl", questions(3)), tmp_path / "out.jsonl"
    write(to, [Result("k1", "from before")])
    assert "3 of 3 rows" in await run_batch(rows, to)
    assert [row["output"] for row in read(to) if row["key"] == "k1"] == ["from before"]
    before = to.read_bytes()
    await run_batch(rows, to)
    assert to.read_bytes() == before


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
async def test_failed_rows_are_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    rows, to = write(tmp_path / "in.jsonl", questions(10)), tmp_path / f"out.{ending}"
    assert "1 failed" in await run_batch(rows, to)
    monkeypatch.setenv("BATCH_FAILS", "8")
    assert "1 failed" in await run_batch(rows, to)
    assert "0 failed" in await run_batch(rows, to, retry_failed=True)
    found = read(to)
    assert sorted(row["key"] for row in found) == sorted(f"k{n}" for n in range(10))
    assert {row["output"] for row in found} == {f"Answer {n}" for n in range(10)}


async def test_ended_run_of_the_log_gets_its_result(tmp_path: Path) -> None:
    rows, log = write(tmp_path / "in.jsonl", questions(8)), EventLog()
    await run_batch(rows, tmp_path / "lost.jsonl", log)
    await run_batch(rows, tmp_path / "out.jsonl", log)
    found = {row["key"]: row for row in read(tmp_path / "out.jsonl")}
    lost = {row["key"]: row for row in read(tmp_path / "lost.jsonl")}
    assert found.keys() == lost.keys()
    assert {key: row["output"] for key, row in found.items()} == {
        key: row["output"] for key, row in lost.items()
    }
    assert found["k7"]["error_kind"] == "ServerError"
    assert found["k1"]["total_tokens"] == 15


async def test_batch_waits_for_leases_of_killed_one(tmp_path: Path) -> None:
    rows, to, log = write(tmp_path / "in.jsonl", questions(3)), tmp_path / "out.jsonl", EventLog()
    killed = run_many(lambda: lambda _: rx.never(), {"b:k1": ""}, concurrency=1, log=log)
    subscription = killed.subscribe()
    await asyncio.sleep(1)
    asyncio.get_running_loop().call_later(3, subscription.dispose)
    shown = await run_batch(rows, to, log, prefix="b:")
    assert "Note: waiting up to 15 s" in shown
    assert sorted(row["output"] for row in read(to)) == ["Answer 0", "Answer 1", "Answer 2"]


async def test_batches_share_a_log(tmp_path: Path) -> None:
    log = EventLog()
    one = write(tmp_path / "one.jsonl", ["Question 1"])
    two = write(tmp_path / "two.jsonl", ["Question 2"])
    for rows in (one, two):
        await run_batch(rows, rows.with_suffix(".out.jsonl"), log, prefix=f"{rows.name}:")
    assert [(row["key"], row["output"]) for row in read(tmp_path / "two.out.jsonl")] == [
        ("0", "Answer 2")
    ]


@pytest.mark.parametrize("torn", [b'{"key":"k9","out', b"{", b'{"key":"k9","output":"x"}'])
def test_torn_line_is_cut_off(tmp_path: Path, torn: bytes) -> None:
    to = write(tmp_path / "out.jsonl", [Result("k1", "a"), Result("k2", None, "no", "E")])
    to.write_bytes(to.read_bytes() + torn)
    with Results(to) as results:
        assert results.done == {"k1": False, "k2": True}
        results.add(Result("k9", "whole"))
        results.add(Result("k9", "twice"))
    assert [row["output"] for row in read(to)] == ["a", None, "whole"]


def test_file_with_torn_line_only_is_emptied(tmp_path: Path) -> None:
    to = tmp_path / "out.jsonl"
    to.write_bytes(b'{"key":"' + b"x" * 200_000)
    with Results(to) as results:
        assert results.done == {}
    assert to.read_bytes() == b""


@pytest.mark.parametrize("end", ["", "\n"], ids=["no newline", "newline"])
@pytest.mark.parametrize("before", ["", '{"name":1}\n'], ids=["one line", "two lines"])
def test_file_of_something_else_is_kept(tmp_path: Path, before: str, end: str) -> None:
    to = tmp_path / "out.jsonl"
    to.write_text(text := f'{before}{{"name":"mine"}}{end}')
    with pytest.raises(StorageError, match=r"Line 1 of .* is no result of a batch"):
        Results(to)
    assert to.read_text() == text


def test_output_without_its_journal_is_kept(tmp_path: Path) -> None:
    to = tmp_path / "out.csv"
    to.write_text("mine,too\n")
    with pytest.raises(ConfigurationError, match=r"out.csv exists, and out.csv.journal"):
        Results(to)
    assert to.read_text() == "mine,too\n"


@needs_full_disk
def test_output_that_cannot_be_written_leaves_journal(tmp_path: Path) -> None:
    to = tmp_path / "out.csv"
    (tmp_path / ".out.csv.unfinished").symlink_to(FULL_DISK)
    with pytest.raises(OSError, match="No space left"), Results(to) as results:
        results.add(Result("k1", "kept"))
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv.journal"]
    with Results(to) as results:
        assert results.done == {"k1": False}
    assert read(to)[0]["output"] == "kept"


def test_deleted_journal_is_an_error(tmp_path: Path) -> None:
    to = tmp_path / "out.jsonl"
    with pytest.raises(StorageError, match=r"out.jsonl was deleted"), Results(to) as results:
        to.unlink()
        results.add(Result("k1", "lost"))


def test_result_with_lone_surrogate_is_written(tmp_path: Path) -> None:
    to = tmp_path / "out.jsonl"
    with Results(to) as results:
        results.add(Result("k1", "a \ud800"))
    assert read(to)[0]["output"] == "a ?"


def test_second_batch_of_an_output_is_refused(tmp_path: Path) -> None:
    to = tmp_path / "out.jsonl"
    with Results(to), pytest.raises(ConfigurationError, match="Another batch writes"):
        Results(to, retry_failed=True)
    with Results(to, retry_failed=True), pytest.raises(ConfigurationError, match="Another batch"):
        Results(to)


def test_rows_have_keys_and_problems(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_bytes(
        b'\xef\xbb\xbf"Hi."\r\n\n{"prompt": ["x"], "key": 50}\n{"text": "a"}\n7\n{"a\n'
        b'{"prompt": null}\n"\xff"\n'
    )
    no_prompt = "has no 'prompt', but text. Name the column of the prompts with --column."
    assert list(Rows(path)) == [
        Row("0", "Hi."),
        Row("50", ["x"]),
        Row("2", None, f"Row 2 of {path} {no_prompt}"),
        Row("3", None, f"Row 3 of {path} is 7, and no text or object."),
        Row("4", None, f"Line 6 of {path} is no JSON: {TORN}."),
        Row("5", None, f"Row 5 of {path} has no value for 'prompt'."),
        Row("6", None, f"Line 8 of {path} is no JSON: Invalid UTF-8 encoded string."),
    ]
    assert Rows(path).keys() == {"0", "50", "2", "3", "4", "5", "6"}
    assert list(Rows(path, "text", "text"))[2] == Row("a", "a")


def test_key_of_two_rows_is_refused(tmp_path: Path) -> None:
    rows = write(tmp_path / "in.jsonl", [*questions(2), *questions(1)])
    with pytest.raises(ConfigurationError, match=r"Row 2 of .* has the key 'k0' of an earlier row"):
        Rows(rows).keys()


def test_csv_lines_have_quotes_newlines_and_faults(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_bytes(
        b'\xef\xbb\xbfprompt,key\r\n"a ""b""\nc",k\r\n\r\nd,1,more\r\ncaf\xe9,2\r\n,3\r\n'
    )
    assert list(Rows(path)) == [
        Row("k", 'a "b"\nc'),
        Row("1", "d"),
        Row("2", None, f"Line 6 of {path} is not UTF-8. Save the file as UTF-8."),
        Row("3", ""),
    ]


def test_long_key_is_a_problem_of_its_row(tmp_path: Path) -> None:
    rows = write(tmp_path / "in.jsonl", [{"prompt": "a", "key": "k" * 500}])
    [row] = Rows(rows)
    assert (row.key, row.prompt) == ("0", None)
    assert "at most 480 characters, not 500" in str(row.problem)


def test_damaged_parquet_is_named(tmp_path: Path) -> None:
    rows = write(tmp_path / "in.parquet", questions(100))
    data = bytearray(rows.read_bytes())
    data[10:60] = bytes(50)
    rows.write_bytes(data)
    with pytest.raises(ConfigurationError, match=r"in.parquet is damaged"):
        Rows(rows).keys()


async def test_bad_row_is_a_failed_result(tmp_path: Path) -> None:
    rows = write(tmp_path / "in.jsonl", [*questions(1), {"key": "bad"}])
    assert "1 failed" in await run_batch(rows, tmp_path / "out.jsonl")
    found = {row["key"]: row for row in read(tmp_path / "out.jsonl")}
    assert found["k0"]["output"] == "Answer 0"
    assert found["bad"]["error_kind"] == "ConfigurationError"


async def test_full_disk_ends_the_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def add(results: Results, result: Result) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Results, "add", add)
    with pytest.raises(OSError, match="No space left"):
        await run_batch(write(tmp_path / "in.jsonl", questions(50)), tmp_path / "out.jsonl")


@needs_full_disk
def test_full_disk_leaves_whole_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    to = tmp_path / "out.jsonl"
    with Results(to) as results:
        results.add(Result("k1", "whole"))
        write_some, room = os.write, [20]

        def write_until_full(file: int, data: bytes) -> int:
            if not room:
                return write_some(full.fileno(), data)
            return write_some(file, data[: room.pop()])

        with FULL_DISK.open("wb", buffering=0) as full:
            monkeypatch.setattr("rxagents.cli.batch.results.os.write", write_until_full)
            with pytest.raises(OSError, match=r"No space left on device: '.*out\.jsonl'"):
                results.add(Result("k2", "lost"))
        monkeypatch.undo()
        results.add(Result("k3", "after"))
    assert [row["key"] for row in read(to)] == ["k1", "k3"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--to", "out.txt"], "out.txt must end in .jsonl, .csv or .parquet"),
        (["--to", "in.jsonl"], "--to must be another file"),
        (["--to", "out.jsonl", "--engine", "x"], "--engine must be loop, processes"),
        (["--to", "out.jsonl", "--engine", "processes:0"], "--engine must be loop, processes"),
        (["--to", "out.jsonl", "--column", "text"], "Row 0 of in.jsonl has no 'text', but key"),
        (["--to", "out.jsonl", "--agent", "batch_agents:no"], "batch_agents:no cannot be loaded"),
        (["--to", "out.jsonl", "--actors", "3"], "--actors needs --engine ray, not 'loop'"),
        (["--to", "device.jsonl"], "--to must be a file on a disk, and device.jsonl is none"),
        (["-", "--to", "out.jsonl"], "- is no file on a disk"),
    ],
    ids=[
        "ending",
        "same file",
        "engine",
        "no process",
        "column",
        "agent",
        "actors",
        "device",
        "stdin",
    ],
)
def test_wrong_use_is_refused(
    run_here: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "in.jsonl", questions(2))
    (tmp_path / "device.jsonl").symlink_to(os.devnull)
    file = [] if options[0] == "-" else ["in.jsonl"]
    done = run_here("batch", *file, "--agent", AGENT, *options)
    assert done.status == 2
    assert message in done.err
    assert not (tmp_path / "out.jsonl").exists()


@pytest.mark.parametrize(
    ("agent", "message"),
    [
        ("batch_agents:fail", "batch_agents:fail raised OSError: no model here."),
        ("batch_agents:make_none", "batch_agents:make_none returned no agent but NoneType."),
    ],
)
def test_factory_that_fails_ends_the_batch(
    run_here: Any, tmp_path: Path, agent: str, message: str
) -> None:
    rows, to = write(tmp_path / "in.jsonl", questions(2)), tmp_path / "out.jsonl"
    done = run_here("batch", str(rows), "--agent", agent, "--to", str(to))
    assert (done.status, done.err) == (2, f"Error: {message}\n")
    assert read(to) == []


def test_results_of_other_rows_are_named(run_here: Any, tmp_path: Path) -> None:
    rows, to = write(tmp_path / "in.jsonl", questions(2)), tmp_path / "out.jsonl"
    write(to, [Result("k1", "of another agent"), Result("k7", None, "no", "E")])
    done = run_here("batch", str(rows), "--agent", AGENT, "--to", str(to))
    assert done.status == 0
    assert f"Note: 1 of 2 rows have a result in {to} already." in done.err
    assert f"Note: {to} also has 1 results of rows that are not in the input." in done.err
    assert "2 of 2 rows" in done.err
    assert "failed." not in done.err


def test_failed_rows_are_explained(run_here: Any, tmp_path: Path) -> None:
    rows, to = write(tmp_path / "in.jsonl", questions(8)), tmp_path / "out.jsonl"
    done = run_here("batch", str(rows), "--agent", AGENT, "--to", str(to))
    assert done.status == 1
    assert "8 of 8 rows" in done.err
    assert f"Note: the column error of {to} says why rows have failed. To run" in done.err


def command(rows: Path, to: Path, *options: str) -> list[str]:
    main = [sys.executable, "-m", "rxagents", "batch", str(rows), "--agent", AGENT, "--to", str(to)]
    return [*main, *options]


@pytest.fixture
def support(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the agents, which a started program has as its working directory."""
    monkeypatch.setenv("BATCH_DELAY", "0.01")
    return Path(__file__).parents[1] / "support"


@pytest.mark.real_time
def test_killed_batch_has_each_key_once(tmp_path: Path, support: Path) -> None:
    count, kills = size(2_000, quick=200), size(3, quick=1)
    rows, to = write(tmp_path / "in.jsonl", questions(count)), tmp_path / "out.jsonl"
    lengths = []
    for kill in range(kills):
        with started(command(rows, to), cwd=support) as process:
            enough = count * (kill + 1) // (kills + 2)
            while process.poll() is None and lines(to) < enough:
                time.sleep(0.01)
            process.kill()
        lengths.append(lines(to))
    assert lengths == sorted(lengths)
    assert lengths[-1] < count
    with started(command(rows, to), cwd=support) as process:
        assert process.wait() == 1
    found = read(to)
    assert len(found) == count
    assert {row["key"] for row in found} == {f"k{n}" for n in range(count)}
    assert sum(row["error"] is not None for row in found) == count // 100


@pytest.mark.real_time
async def test_narrow_terminal_shows_counts(
    at_terminal: Any, tmp_path: Path, support: Path
) -> None:
    rows, to = write(tmp_path / "in.jsonl", questions(50)), tmp_path / "out.jsonl"
    async with at_terminal(*command(rows, to)[3:], cwd=support, COLUMNS="40") as terminal:
        await terminal.until("50 of 50 rows")
        assert await terminal.process.wait() == 1
        assert "━" not in terminal.screen


def lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


@pytest.mark.real_time
async def test_interrupted_batch_keeps_what_is_done(
    at_terminal: Any, tmp_path: Path, support: Path
) -> None:
    rows, to = write(tmp_path / "in.jsonl", questions(500)), tmp_path / "out.csv"
    options = command(rows, to, "--concurrency", "2")[3:]
    async with at_terminal(*options, cwd=support) as terminal:
        await terminal.until("/500")
        await terminal.until("tokens · ")
        terminal.process.send_signal(signal.SIGINT)
        await terminal.until("Stopped: run the same command again for the other ")
        assert await terminal.process.wait() == 130
    assert 0 < len(read(to)) < 500
    assert len(read(to)) == lines(tmp_path / "out.csv.journal")


@pytest.mark.real_time
async def test_killed_batch_leaves_a_cursor(
    at_terminal: Any, tmp_path: Path, support: Path
) -> None:
    rows, to = write(tmp_path / "in.jsonl", questions(5)), tmp_path / "out.jsonl"
    options = command(rows, to, "--agent", "batch_agents:make_hanging")[3:]
    async with at_terminal(*options, cwd=support) as terminal:
        await terminal.until("hangs")
        terminal.process.send_signal(signal.SIGINT)
        await terminal.until_cursor()
        terminal.process.send_signal(signal.SIGINT)
        assert await terminal.process.wait() == -signal.SIGINT


@only_full
@pytest.mark.real_time
def test_batch_on_processes(tmp_path: Path, support: Path) -> None:
    rows, to = write(tmp_path / "in.jsonl", questions(50)), tmp_path / "out.jsonl"
    with started(command(rows, to, "--engine", "processes:2"), cwd=support) as process:
        assert process.wait() == 1
    assert {row["output"] for row in read(to)} >= {"Answer 1", "Answer 49"}
    assert len(read(to)) == 50
