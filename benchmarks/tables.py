"""Print a report: one table for each scenario."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from benchmarks.report import Report, Series
from benchmarks.scenarios import SCENARIOS

_MOST_COLUMNS = 5
"""The works of a scenario are the rows of its table, and not the columns, if they are more."""


def show(report: Report, console: Console, names: list[str]) -> None:
    """Print the tables of some scenarios."""
    for name in names:
        for table in _tables(report, name):
            console.print(table)


def show_end(report: Report, console: Console) -> None:
    """Print what was missing, and where and with what it was measured."""
    for contender, reason in report.missing.items():
        console.print(f"missing: {contender}: {reason}", style="yellow", markup=False)
    machine = report.machine
    loads = ", ".join(f"{name} {load:.1f}" for name, load in report.loads.items())
    console.print(
        f"{machine.date}, {machine.processor}, {machine.cores} cores, {machine.system}, Python "
        f"{machine.python}, commit {machine.commit}\n"
        f"load after each scenario: {loads}\n"
        f"{', '.join(f'{name} {each}' for name, each in report.versions.items())}\n"
        f"{sum(report.seconds.values()):.0f} s: {machine.command}",
        markup=False,
        highlight=False,
    )


def _tables(report: Report, name: str) -> list[Table]:
    """Return a table for each work, whose columns are the measures.

    If there is one measure, return one table with works and contenders.
    """
    series = report.find(name)
    title = SCENARIOS[name].title if name in SCENARIOS else name
    works = list(dict.fromkeys(one.work for one in series))
    measures = list(dict.fromkeys(one.measure for one in series))
    if not series:
        return []
    if len(measures) == 1:
        heading = f"{title}: {measures[0]}"
        contenders = list(dict.fromkeys(one.contender for one in series))
        if len(works) > _MOST_COLUMNS and len(contenders) <= _MOST_COLUMNS:
            rows = {(one.work, one.contender): one for one in series}
            return [_table(report, heading, contenders, rows)]
        rows = {(one.contender, one.work): one for one in series}
        return [_table(report, heading, works, rows)]
    tables = []
    for work in works:
        rows = {(one.contender, one.measure): one for one in series if one.work == work}
        present = [measure for measure in measures if any(measure == each for _, each in rows)]
        tables.append(_table(report, f"{title}: {work}", present, rows))
    return tables


def _table(
    report: Report, title: str, columns: list[str], rows: dict[tuple[str, str], Series]
) -> Table:
    reference = report.references.get(next(iter(rows.values())).scenario, "")
    has_ratios = any(report.ratio(one) is not None for one in rows.values())
    table = Table(title=title, caption=f"x: times {reference}" if has_ratios else None)
    table.add_column("")
    for column in columns:
        table.add_column(column, justify="right")
    for row in dict.fromkeys(row for row, _ in rows):
        cells = [
            _cell(report, rows[row, column]) if (row, column) in rows else "" for column in columns
        ]
        table.add_row(row, *cells)
    return table


def _cell(report: Report, series: Series) -> str:
    text = _number(series.median)
    if len(series.values) > 1:
        text += f" ±{_number(series.spread)}"
    ratio = report.ratio(series)
    return text if ratio is None else f"{text}  {_number(ratio)} x"


def _number(value: float) -> str:
    """Return three digits, or all that stand before the point."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
