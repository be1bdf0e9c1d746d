"""No path of a file tool leads out of its folder."""

from __future__ import annotations

import os
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tool_files import ALL, Files

from rxagents import ToolError


@pytest.mark.parametrize(("name", "more"), ALL)
@pytest.mark.parametrize(
    "path",
    [
        *("..", "../secret.txt", "notes/../../secret.txt", "./../secret.txt", "notes/.."),
        *("/etc/passwd", "//etc/passwd", "/", "a.txt\0", "\0", "\ud800", "../outside/new.txt"),
    ],
)
def test_escaping_paths_are_refused(
    files: Files, name: str, more: dict[str, str], path: str
) -> None:
    with pytest.raises(ToolError, match=r"is not allowed\. Use a path relative"):
        getattr(files, name)(path=path, **more)


def link_file(folder: Path) -> str:
    (folder / "link.txt").symlink_to(folder.parent / "secret.txt")
    return "link.txt"


def link_relative(folder: Path) -> str:
    (folder / "link.txt").symlink_to("../secret.txt")
    return "link.txt"


def link_folder(folder: Path) -> str:
    (folder / "out").symlink_to(folder.parent / "outside")
    return "out/secret.txt"


def link_chain(folder: Path) -> str:
    (folder / "first").symlink_to("second")
    (folder / "second").symlink_to("../outside")
    return "first/secret.txt"


def link_inside_link(folder: Path) -> str:
    (folder / "notes" / "up").symlink_to("../..")
    return "notes/up/secret.txt"


def link_to_nothing(folder: Path) -> str:
    (folder / "dangling").symlink_to(folder.parent / "outside" / "new.txt")
    return "dangling"


def link_loop(folder: Path) -> str:
    (folder / "loop").symlink_to("loop")
    return "loop"


LINKS = [
    *(link_file, link_relative, link_folder, link_chain, link_inside_link),
    *(link_to_nothing, link_loop),
]


@pytest.mark.parametrize("make_link", LINKS)
def test_links_are_not_followed(
    files: Files, folder: Path, make_link: Callable[[Path], str]
) -> None:
    path = make_link(folder)
    for name, more in ALL:
        if name == "file_exists":
            assert not files.file_exists(path=path)
        elif name == "file_info" and "/" not in path:
            assert files.file_info(path=path).type == "other"
        else:
            with pytest.raises(ToolError, match=r"link|regular"):
                getattr(files, name)(path=path, **more)


def test_linked_folder_is_not_listed(files: Files, folder: Path) -> None:
    link_folder(folder)
    with pytest.raises(ToolError, match="link"):
        files.list_files(path="out")
    assert "out" in files.list_files()


def _put(source: Path, target: Path) -> None:
    """Rename, also onto a folder that the tool has created in the meantime."""
    while True:
        try:
            source.rename(target)
        except OSError:
            shutil.rmtree(target, ignore_errors=True)
        else:
            return


@contextmanager
def swapping(folder: Path) -> Iterator[None]:
    """Replace a folder with a link to the outside and back, again and again."""
    real, link, name = folder / "real", folder / "link", folder / "swapped"
    real.mkdir()
    (real / "secret.txt").write_text("inside")
    over = threading.Event()

    def swap() -> None:
        while not over.is_set():
            link.symlink_to("../outside")
            _put(link, name)
            name.unlink()
            _put(real, name)
            name.rename(real)

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_link_race_stays_inside(files: Files, folder: Path) -> None:
    seen = set()
    with swapping(folder):
        for number in range(1500):
            try:
                seen.add(files.read_file(path="swapped/secret.txt"))
            except ToolError as error:
                seen.add(type(error).__name__)
            try:
                files.write_file(path=f"swapped/new{number % 5}.txt", content="x")
            except ToolError:
                seen.add("refused")
    assert seen <= {"inside", "ToolError", "refused"}
    assert "ToolError" in seen


def test_special_files_are_refused(
    files: Files, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(folder / "pipe")
    monkeypatch.chdir(folder)  # a socket's path may not be long
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        for path in ("pipe", "socket"):
            assert files.file_info(path=path).type == "other"
            for name, more in ALL:
                if name not in {"file_exists", "file_info", "list_files"}:
                    with pytest.raises(ToolError, match="regular"):
                        getattr(files, name)(path=path, **more)


def test_descriptors_are_closed(files: Files, folder: Path) -> None:
    link_folder(folder)
    before = len(list(Path("/dev/fd").iterdir()))
    for name, more in ALL:
        for path in ("a.txt", "out/x", "none/x", "notes"):
            try:
                getattr(files, name)(path=path, **more)
            except ToolError:
                continue
    assert len(list(Path("/dev/fd").iterdir())) == before


TOUCHING = [(name, more) for name, more in ALL if name != "file_exists"]


@pytest.mark.parametrize(("name", "more"), TOUCHING)
def test_later_link_above_folder(folder: Path, name: str, more: dict[str, str]) -> None:
    above, other = folder / "above", folder / "other"
    (above / "it").mkdir(parents=True)
    (other / "it").mkdir(parents=True)
    files = Files(above / "it")
    files.write_file(path="a.txt", content="inside")
    (other / "it" / "a.txt").write_text("elsewhere")
    above.rename(folder / "moved")
    above.symlink_to(other)
    with pytest.raises(ToolError, match="removed or replaced"):
        getattr(files, name)(path="a.txt" if name != "list_files" else ".", **more)
    assert not files.file_exists(path="a.txt")
    assert (other / "it" / "a.txt").read_text() == "elsewhere"


@pytest.mark.parametrize("replace", [lambda _: None, Path.touch, lambda it: it.symlink_to(".")])
def test_removed_folder_is_explained(folder: Path, replace: Callable[[Path], Any]) -> None:
    (folder / "it").mkdir()
    files = Files(folder / "it")
    (folder / "it").rmdir()
    replace(folder / "it")
    with pytest.raises(ToolError, match="removed or replaced"):
        files.list_files()


def test_replaced_folder_leaves_no_descriptor(folder: Path) -> None:
    (folder / "it").mkdir()
    files = Files(folder / "it")
    (folder / "it").rename(folder / "moved")
    (folder / "it").mkdir()
    before = len(list(Path("/dev/fd").iterdir()))
    for _ in range(5):
        with pytest.raises(ToolError, match="removed or replaced"):
            files.list_files()
    assert len(list(Path("/dev/fd").iterdir())) == before
