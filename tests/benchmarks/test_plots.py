"""Test what the plots of a report show."""

from __future__ import annotations

import html
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from benchmarking import report_of

from benchmarks.report import Report
from benchmarks.throughput import BURSTS

_COST = ("rxagents", "us a chunk")


def drawable_report() -> Report:
    report = report_of({"hand-written loop": [1.0], "rxagents": [2.0], "openai": [90.0]})
    for streams, lag in (("100", 5.0), ("1,000", 5_000.0)):
        report.add("live", f"{streams} streams", "openai", "lag p99, ms", lag)
        report.add("live", f"{streams} streams", "rxagents", "lag p99, ms", 4.0)
        report.add("live", f"{streams} streams", "rxagents", "KiB a stream", 23.0)
    report.references |= {"wires": "rxagents", "tokens": "rxagents"}
    for contender, value in (("rxagents", 2.0), ("vendor's library", 24.0)):
        report.add("wires", f"Anthropic, {BURSTS}", contender, "us a chunk", value)
    for contender, value in (("rxagents", 2.0), ("pydantic-ai", 190.0)):
        report.add("tokens", BURSTS, contender, "us a chunk", value)
    for work, value in (("plain", 4.0), ("TLS", 5.0)):
        report.add("tls", work, "rxagents", "us a chunk", value)
        report.add("length", "2,000 chunks" if work == "TLS" else "20,000 chunks", *_COST, value)
    for policy, seconds in (("block", 2.0), ("error", 0.5)):
        report.add("slow", "1,000", policy, "% of the text", 97.0)
        report.add("slow", "1,000", policy, "s until the end", seconds)
        report.add("slow", "1,000", policy, "age when read, p50, ms", 811.0)
        report.add("slow", "1,000", policy, "KiB grown", 432.0)
    return report


_DRAWN = {
    "chunks": ("CPU time of a chunk, 16 a read", "2.00,  2.00 x", "90,  90 x"),
    "wires": ("CPU time of a chunk, 16 a read", "Anthropic: anthropic", "24,  12.0 x"),
    "tokens": ("CPU time of an agent's token, 16 a read", "190,  95 x"),
    "live_lag": ("Delay of a chunk, 99th percentile", "openai breaks"),
    "live_memory": ("Memory of a live stream, 100 streams", ">23<"),
    "length": ("CPU time of a chunk against the length of the answer", "20,000"),
    "tls": ("CPU time of a chunk without and with TLS", "5.00,  1.25 x"),
    "slow": ("under each policy", "error: fails after 0.5 s", ">97<", ">811<", ">432<"),
}
"""Text that each plot of `drawable_report` must have: its title and its figures."""


def test_labels_that_are_close_move_apart() -> None:
    from benchmarks.line_plots import apart

    assert apart([], 10.0) == []
    assert apart([0.0, 10.0, 50.0], 10.0) == [0.0, 10.0, 50.0]
    assert apart([0.0, 2.0, 50.0], 10.0) == [-4.0, 6.0, 50.0]
    assert apart([0.0, 8.0, 9.0], 10.0) == pytest.approx([-13 / 3, 17 / 3, 47 / 3])


def test_plots_have_titles_ratios_and_dark_colours(tmp_path: Path) -> None:
    from benchmarks.plots import draw  # matplotlib takes a second to import

    drawn = {path.stem: path.read_text() for path in draw(drawable_report(), tmp_path)}
    assert set(drawn) == set(_DRAWN)
    for name, text in drawn.items():
        ET.fromstring(text)
        shown = html.unescape(text)
        assert [part for part in _DRAWN[name] if part not in shown] == []
        assert "python -m benchmarks" in text
        light, dark = re.findall(r"svg\{(--page:[^}]*)\}", text)
        assert "prefers-color-scheme:dark" in text
        assert light.count("--c") == dark.count("--c")
        drawn_colours = re.sub(r"<style>svg.*</style>", "", text)
        assert re.findall(r"#[0-9a-f]{6}\b", drawn_colours) == []
    assert "rxagents breaks" not in drawn["live_lag"]
