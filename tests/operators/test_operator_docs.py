"""Every operator is documented in one form, and its example runs."""

from __future__ import annotations

import doctest
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rxagents import operators

OPERATORS = [name for name in operators.__all__ if inspect.isfunction(getattr(operators, name))]
each_operator = pytest.mark.parametrize("name", OPERATORS)


def _doc(name: str) -> str:
    return inspect.getdoc(getattr(operators, name)) or ""


@each_operator
def test_the_operator_has_a_module_of_its_own_name(name: str) -> None:
    operator: Callable[..., Any] = getattr(operators, name)
    assert operator.__module__ == f"rxagents.operators.{name}"
    assert operator.__name__ == name


@each_operator
def test_the_package_docstring_names_the_operator(name: str) -> None:
    assert f"`{name}`" in (operators.__doc__ or "")


@each_operator
def test_the_operator_has_tests_of_its_own(name: str) -> None:
    assert Path(__file__).with_name(f"test_{name}.py").is_file()


@each_operator
def test_the_docstring_has_a_marble_diagram(name: str) -> None:
    diagram = re.search(r"\.\. marble::\n((?:    .*\n)+)", _doc(name))
    assert diagram, "no diagram"
    lines = diagram[1].splitlines()
    assert any(re.match(rf"    \[ {name}\(.*\) \]$", line) for line in lines)
    assert sum(bool(re.match(r"    -.*[|#)-]$", line)) for line in lines) >= 2


@each_operator
@pytest.mark.parametrize("line", ["Emits when", "Backpressures when", "Completes when"])
def test_the_docstring_says_when(name: str, line: str) -> None:
    assert re.search(rf"^{line}: \S", _doc(name), re.MULTILINE)


@each_operator
@pytest.mark.parametrize("section", ["Args", "Returns", "Raises", "Example"])
def test_the_docstring_has_the_section(name: str, section: str) -> None:
    assert re.search(rf"^{section}:\n    \S", _doc(name), re.MULTILINE)


@each_operator
def test_the_section_args_names_every_parameter(name: str) -> None:
    arguments = re.search(r"^Args:\n((?:    .*\n)+)", _doc(name), re.MULTILINE)
    described = re.findall(r"^    (\w+): ", arguments[1], re.MULTILINE) if arguments else []
    assert described == list(inspect.signature(getattr(operators, name)).parameters)


@each_operator
def test_the_example_runs(name: str) -> None:
    example = doctest.DocTestParser().get_doctest(_doc(name), {}, name, None, None)
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS, verbose=False)
    result = runner.run(example, out=report.append)
    assert not result.failed, "".join(report)
    assert result.attempted >= 3
    assert f"ops.{name}(" in _doc(name).partition("Example:")[2]
