"""`rxagents batch`: files in and out, what is kept when it ends, and what goes on."""

from __future__ import annotations

import csv
import io
import signal
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet
import pytest
from child import started
from matrix import only_full, size
from rich.console import Console

from rxagents import EventLog, StorageError
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
        progress = BatchProgress(
            Console(file=shown), found.count(), len(results.done), results.failed
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
        assert (results.done, results.failed) == ({"k1", "k2"}, 1)
        results.add(Result("k9", "whole"))
        results.add(Result("k9", "twice"))
    assert [row["output"] for row in read(to)] == ["a", None, "whole"]


def test_file_without_a_whole_line_is_emptied(tmp_path: Path) -> None:
    to = tmp_path / "out.jsonl"
    to.write_bytes(b"x" * 200_000)
    with Results(to) as results:
        assert results.done == set()
    assert to.read_bytes() == b""


def test_file_of_something_else_is_refused(tmp_path: Path) -> None:
    to = write(tmp_path / "out.jsonl", [{"name": "mine"}])
    with pytest.raises(StorageError, match=r"Line 1 of .* is no result of a batch"):
        Results(to)
    assert read(to) == [{"name": "mine"}]


def test_second_batch_of_an_output_is_refused(tmp_path: Path) -> None:
    to = tmp_path / "out.jsonl"
    with Results(to), pytest.raises(ConfigurationError, match="Another batch writes"):
        Results(to, retry_failed=True)
    with Results(to, retry_failed=True), pytest.raises(ConfigurationError, match="Another batch"):
        Results(to)


def test_rows_have_keys_and_problems(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text('"Hi."\n\n{"prompt": ["x"], "key": 5}\n{"text": "a"}\n7\n{"a\n')
    assert list(Rows(path)) == [
        Row("0", "Hi."),
        Row("5", ["x"]),
        Row("2", None, f"Row 2 of {path} has no 'prompt', but text. Name it with --column."),
        Row("3", None, f"Row 3 of {path} is 7, and no text or object."),
        Row("4", None, f"Row 4 of {path} is no JSON: {TORN}."),
    ]
    assert Rows(path).count() == 5
    assert list(Rows(path, "text", "text"))[2] == Row("a", "a")


def test_key_of_two_rows_is_refused(tmp_path: Path) -> None:
    rows = write(tmp_path / "in.jsonl", [*questions(2), *questions(1)])
    with pytest.raises(ConfigurationError, match=r"Row 2 of .* has the key 'k0' of an earlier row"):
        list(Rows(rows))


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


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--to", "out.txt"], "out.txt must end in .jsonl, .csv or .parquet"),
        (["--to", "in.jsonl"], "--to must be another file"),
        (["--to", "out.jsonl", "--engine", "x"], "--engine must be loop, processes"),
        (["--to", "out.jsonl", "--engine", "processes:0"], "--engine must be loop, processes"),
        (["--to", "out.jsonl", "--column", "text"], "Row 0 of in.jsonl has no 'text', but key"),
        (["--to", "out.jsonl", "--agent", "batch_agents:no"], "batch_agents:no cannot be loaded"),
    ],
    ids=["ending", "same file", "engine", "no process", "column", "agent"],
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
    done = run_here("batch", "in.jsonl", "--agent", AGENT, *options)
    assert done.status == 2
    assert message in done.err
    assert not (tmp_path / "out.jsonl").exists()


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


@only_full
@pytest.mark.real_time
def test_batch_on_processes(tmp_path: Path, support: Path) -> None:
    rows, to = write(tmp_path / "in.jsonl", questions(50)), tmp_path / "out.jsonl"
    with started(command(rows, to, "--engine", "processes:2"), cwd=support) as process:
        assert process.wait() == 1
    assert {row["output"] for row in read(to)} >= {"Answer 1", "Answer 49"}
    assert len(read(to)) == 50
