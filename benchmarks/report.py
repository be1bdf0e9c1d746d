"""Keep what the scenarios measured, with the machine and the versions, as one JSON file."""

from __future__ import annotations

import datetime
import os
import platform
import shlex
import statistics
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from msgspec import Struct, field

from rxagents import __version__

OUR_LIBRARIES = ("reactivex", "aiohttp", "msgspec")
_WITH_PATHS = {"--cache", "--json", "--load", "--plot", "--python"}
"""Options that name files and folders of this machine."""


class Series(Struct):
    """One figure of one contender, by round.

    Attributes:
        scenario: The name of the scenario.
        work: The work, such as the number of streams.
        contender: What was measured.
        measure: What the figure is, with its unit.
        values: The figure of each round.
    """

    scenario: str
    work: str
    contender: str
    measure: str
    values: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """The median of the rounds."""
        return statistics.median(self.values)

    @property
    def spread(self) -> float:
        """Half of the distance between the quartiles; 0 with one round."""
        if len(self.values) < 2:
            return 0.0
        low, _, high = statistics.quantiles(self.values, n=4, method="inclusive")
        return (high - low) / 2

    def ratio(self, reference: Series) -> float | None:
        """Return the median of the ratios of the same round; `None` where there is none."""
        pairs = zip(self.values, reference.values, strict=False)
        ratios = [mine / other for mine, other in pairs if other > 0]
        return statistics.median(ratios) if ratios else None


class Machine(Struct):
    """Where and with what it was measured.

    Attributes:
        date: The day and time, UTC.
        commit: The commit of this repository, with `+` if files were changed.
        command: The command.
        processor: The model of the processor.
        cores: How many of its cores this process may use.
        system: The operating system.
        python: The version of Python.
    """

    date: str
    commit: str
    command: str
    processor: str
    cores: int
    system: str
    python: str


class Report(Struct):
    """What one run of the benchmarks found.

    Attributes:
        machine: Where it was measured.
        versions: The version of each library.
        loads: The load of the machine (processes that wanted a core, over a minute) after each
            scenario. The benchmarks themselves are about 2.
        seconds: How long each scenario took.
        missing: Why a contender was not measured.
        references: What each scenario's ratios refer to.
        series: The figures.
        before: The figures of the goals on an earlier commit, by the work.
        commit_before: That commit.
    """

    machine: Machine
    versions: dict[str, str] = {}
    loads: dict[str, float] = {}
    seconds: dict[str, float] = {}
    missing: dict[str, str] = {}
    references: dict[str, str] = {}
    series: list[Series] = []
    before: dict[str, str] = {}
    commit_before: str = ""

    def find(
        self,
        scenario: str,
        *,
        work: str | None = None,
        contender: str | None = None,
        measure: str | None = None,
    ) -> list[Series]:
        """Return the series of a scenario that have these names."""
        return [
            one
            for one in self.series
            if one.scenario == scenario
            and work in {None, one.work}
            and contender in {None, one.contender}
            and measure in {None, one.measure}
        ]

    def add(self, scenario: str, work: str, contender: str, measure: str, value: float) -> None:
        """Add the figure of a round."""
        found = self.find(scenario, work=work, contender=contender, measure=measure)
        if not found:
            found = [Series(scenario, work, contender, measure)]
            self.series += found
        found[0].values.append(value)

    def ratio(self, series: Series) -> float | None:
        """Return the ratio to the reference of the scenario; `None` if it has none."""
        reference = self.references.get(series.scenario)
        found = self.find(
            series.scenario, work=series.work, contender=reference, measure=series.measure
        )
        if reference is None or not found or found[0] is series:
            return None
        return series.ratio(found[0])


def this_machine() -> Machine:
    """Describe the machine and the command."""
    return Machine(
        date=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        commit=_commit(),
        command=_command(),
        processor=_processor(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1,
        system=platform.platform(terse=True),
        python=platform.python_version(),
    )


def our_versions() -> dict[str, str]:
    """Return the versions of rxagents and of its libraries."""
    return {"rxagents": __version__, **{name: version(name) for name in OUR_LIBRARIES}}


def _command() -> str:
    """Return the command without the folders and files of this machine."""
    shown = ["python", "-m", "benchmarks"]
    arguments = iter(sys.argv[1:])
    for argument in arguments:
        if argument.partition("=")[0] not in _WITH_PATHS:
            shown.append(argument)
        elif "=" not in argument:
            next(arguments, None)
    return shlex.join(shown)


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _commit() -> str:
    try:
        folder = Path(__file__).parent
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--exclude=*"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()
