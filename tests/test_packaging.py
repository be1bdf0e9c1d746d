"""Build the sdist, the wheel from it, install that in an empty environment, and import it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest
from child import SECONDS, run_program
from matrix import only_full

import rxagents

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel that was built from it."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, timeout=SECONDS)
    return folder


def test_wheel_holds_operators_once(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert len(names) == len(set(names))
    assert "rxagents/operators/__init__.py" in names
    assert "rxagents/operators/text.py" in names
    assert "rxagents/py.typed" in names
    assert "rxagents/serve/page.html" in names
    assert not [name for name in names if name.startswith(("operators", "tests", "benchmarks"))]


def test_sdist_holds_the_tests(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {
        "operators/text.py",
        "rxagents/serve/page.html",
        "tests/conftest.py",
        "LICENSE",
        "README.md",
    } <= names


def test_twine_accepts_both(built: Path) -> None:
    command = [sys.executable, "-m", "twine", "--no-color", "check", "--strict"]
    files = sorted(str(path) for path in built.iterdir())
    assert [Path(file).name for file in files] == [
        f"rxagents-{rxagents.__version__}-py3-none-any.whl",
        f"rxagents-{rxagents.__version__}.tar.gz",
    ]
    checked = subprocess.run(
        [*command, *files], capture_output=True, text=True, check=False, timeout=SECONDS
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert checked.stdout.count("PASSED") == 2


def test_links_of_published_readme_are_absolute(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    (name,) = (name for name in zipfile.ZipFile(wheel).namelist() if name.endswith("/METADATA"))
    readme = zipfile.ZipFile(wheel).read(name).decode()
    targets = re.findall(r"\]\(([^)\s]+)\)", readme)
    base = "https://github.com/rxagents/rxagents/blob/main/"
    assert f"{base}CHANGELOG.md" in targets
    for target in targets:
        assert target.startswith(("https://", "#")), target
        assert not target.startswith(base) or (ROOT / target.removeprefix(base)).exists()


def test_checkout_without_symbolic_links_imports(tmp_path: Path) -> None:
    for folder in ("rxagents", "operators"):
        shutil.copytree(ROOT / folder, tmp_path / folder, symlinks=True)
    link = tmp_path / "rxagents" / "operators"
    link.unlink()
    link.write_text("../operators")  # what git makes of a link on Windows
    script = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "import rxagents, rxagents.operators\n"
        "assert rxagents.FunctionAgent and rxagents.operators.text()\n"
        "print(rxagents.operators.__file__)"
    )
    assert run_program(script, "-I").strip() == str(tmp_path / "operators" / "__init__.py")


@only_full  # installs all dependencies again
def test_wheel_imports_in_empty_environment(built: Path, tmp_path: Path) -> None:
    (wheel,) = built.glob("*.whl")
    venv.create(tmp_path / "empty", with_pip=True)
    python = tmp_path / "empty" / "bin" / "python"
    install: list[str | Path] = [
        python,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        wheel,
    ]
    subprocess.run(install, check=True, capture_output=True, timeout=SECONDS)
    script = (
        "import rxagents, rxagents.operators as ops; "
        "print(rxagents.__version__, ops.text.__module__)"
    )
    done = subprocess.run(
        [python, "-I", "-W", "error", "-c", script],
        check=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=SECONDS,
    )
    assert done.stdout.split() == [rxagents.__version__, "rxagents.operators.text"]
    command: list[str | Path] = [tmp_path / "empty" / "bin" / "rxagents", "demo"]
    bare = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)
    assert (bare.returncode, bare.stderr.count("\n")) == (2, 1)
    assert "rxagents[cli]" in bare.stderr


def test_changelog_lists_the_version() -> None:
    assert f"## [{rxagents.__version__}]" in (ROOT / "CHANGELOG.md").read_text()
