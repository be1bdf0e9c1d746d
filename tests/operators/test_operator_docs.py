"""Test that every operator is complete: exported, documented in one form, tested and measured.

Each failure names the next place to edit; CONTRIBUTING.md lists them under "Add an operator".
"""

from __future__ import annotations

import doctest
import inspect
import re
from pathlib import Path

import draw_marbles
import operator_cases
import pytest

from rxagents import operators

ROOT = Path(__file__).parent.parent.parent
MODULES = sorted(path.stem for path in (ROOT / "operators").glob("[!_]*.py"))
PAGE = draw_marbles.PAGE.read_text(encoding="utf-8")
each_operator = pytest.mark.parametrize("name", MODULES)
each_exported = pytest.mark.parametrize("name", draw_marbles.NAMES)


def _doc(name: str) -> str:
    return inspect.getdoc(getattr(operators, name)) or ""


@each_operator
def test_operator_is_exported(name: str) -> None:
    exported = getattr(operators, name, None)
    assert inspect.isfunction(exported), (
        f'operators/__init__.py: add "from rxagents.operators.{name} import {name}"; the module '
        f"operators/{name}.py must define the function {name}."
    )
    assert exported.__module__ == f"rxagents.operators.{name}"
    assert name in operators.__all__, f'operators/__init__.py: add "{name}" to __all__.'


def test_every_export_has_a_module() -> None:
    assert set(draw_marbles.NAMES) <= set(MODULES)


@each_operator
def test_package_docstring_lists_operator(name: str) -> None:
    listed = [operator for _, group in draw_marbles.groups() for operator in group]
    assert listed.count(name) == 1, (
        f"operators/__init__.py: name `{name}` once in the docstring, in the group where "
        "docs/operators.md is to show it."
    )


@each_operator
def test_operator_has_own_tests(name: str) -> None:
    path = Path(__file__).with_name(f"test_{name}.py")
    assert path.is_file(), f"Add tests/operators/{path.name}."


@each_operator
def test_operator_has_a_case(name: str) -> None:
    assert name in operator_cases.CASES, (
        f'tests/support/operator_cases.py: add CASES["{name}"]; the laws and the benchmark use it.'
    )


def test_every_case_is_an_operator() -> None:
    assert operator_cases.CASES.keys() <= set(MODULES)


@each_operator
def test_docs_table_has_a_row(name: str) -> None:
    table = PAGE.partition(draw_marbles.MARKER)[0]
    assert f"| [`{name}`](#{name}) |" in table, (
        f'docs/operators.md: add a row for `{name}` to the table under "I want to …".'
    )


@each_exported
def test_docs_section_is_current(name: str) -> None:
    assert draw_marbles.section(name) in PAGE, (
        f"docs/operators.md: the section {name!r} is missing or old: run "
        "`python docs/draw_marbles.py`."
    )


def test_pictures_are_current() -> None:
    drawn = {path.stem: path.read_text() for path in draw_marbles.FOLDER.glob("*.svg")}
    expected = draw_marbles.pictures()
    old = sorted(name for name in drawn | expected if drawn.get(name) != expected.get(name))
    assert old == [], "docs/marbles/: run `python docs/draw_marbles.py`, and delete what is unused."


def test_docs_page_is_current() -> None:
    is_current = draw_marbles.page(PAGE) == PAGE
    assert is_current, "docs/operators.md is old: run `python docs/draw_marbles.py`."


@each_exported
def test_docstring_has_marble_diagram(name: str) -> None:
    diagram = re.search(r"\.\. marble::\n((?:    .*\n)+)", _doc(name))
    assert diagram, f"operators/{name}.py: the docstring has no `.. marble::` diagram."
    lines = diagram[1].splitlines()
    assert any(re.match(rf"    \[ {name}\(.*\) \]$", line) for line in lines)
    assert sum(bool(re.match(r"    -.*[|#)-]$", line)) for line in lines) >= 2


@each_exported
@pytest.mark.parametrize("line", ["Emits when", "Backpressures when", "Completes when"])
def test_docstring_says_when(name: str, line: str) -> None:
    found = re.search(rf"^{line}: \S", _doc(name), re.MULTILINE)
    assert found, f"operators/{name}.py: the docstring has no line '{line}: …'."


@each_exported
@pytest.mark.parametrize("section", ["Args", "Returns", "Raises", "Example"])
def test_docstring_has_section(name: str, section: str) -> None:
    found = re.search(rf"^{section}:\n    \S", _doc(name), re.MULTILINE)
    assert found, f"operators/{name}.py: the docstring has no section '{section}:'."


@each_exported
def test_args_name_every_parameter(name: str) -> None:
    arguments = re.search(r"^Args:\n((?:    .*\n)+)", _doc(name), re.MULTILINE)
    described = re.findall(r"^    (\w+): ", arguments[1], re.MULTILINE) if arguments else []
    assert described == list(inspect.signature(getattr(operators, name)).parameters)


@each_exported
def test_example_runs(name: str) -> None:
    example = doctest.DocTestParser().get_doctest(_doc(name), {}, name, None, None)
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS, verbose=False)
    result = runner.run(example, out=report.append)
    assert not result.failed, "".join(report)
    assert result.attempted >= 3
    assert f"ops.{name}(" in _doc(name).partition("Example:")[2]
