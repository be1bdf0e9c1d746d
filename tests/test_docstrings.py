"""Run the examples in the docstrings of the public names.

Those of the operators run in tests/operators/test_operator_docs.py.
"""

from __future__ import annotations

import doctest
import importlib
import inspect
import re

import pytest

MODULES = ["rxagents", "rxagents.testing", "rxagents.tools"]
DOCS = {
    f"{module}.{name}": inspect.getdoc(getattr(importlib.import_module(module), name)) or ""
    for module in MODULES
    for name in importlib.import_module(module).__all__
}


@pytest.mark.parametrize("name", [name for name, doc in DOCS.items() if ">>>" in doc])
def test_example_of_docstring_runs(name: str) -> None:
    module = importlib.import_module(name.rpartition(".")[0])
    example = doctest.DocTestParser().get_doctest(DOCS[name], dict(vars(module)), name, None, None)
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS, verbose=False)
    result = runner.run(example, out=report.append)
    assert not result.failed, "".join(report)


@pytest.mark.parametrize("name", DOCS)
def test_code_of_docstring_is_an_example(name: str) -> None:
    """Code after `::` would be shown, and not run."""
    assert re.findall(r"^(?!\.\. marble).*::$", DOCS[name], re.MULTILINE) == []
