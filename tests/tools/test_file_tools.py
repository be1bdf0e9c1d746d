"""The file tools: their results, and that no path leads out of their folder."""

from __future__ import annotations

import os
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rxagents import ConfigurationError, ToolContext, ToolError
from rxagents.tools import file_tools

SECRET = "the secret outside"


class Files:
    """The tools of a folder as attributes, called as a model calls them."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self._tools = {tool.name: tool for tool in file_tools(folder, writable=True, **options)}

    def __getattr__(self, name: str) -> Callable[..., Any]:
        tool = self._tools[name]
        return lambda **arguments: tool.bind(arguments, ToolContext("1", name))()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "secret.txt").write_text(SECRET)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.txt").write_text(SECRET)
    (inside / "a.txt").write_text("hello")
    (inside / "notes").mkdir()
    return inside


@pytest.fixture
def files(folder: Path) -> Files:
    return Files(folder)


@pytest.fixture(autouse=True)
def outside_stays_as_it_is(tmp_path: Path) -> Iterator[None]:
    yield
    assert (tmp_path / "secret.txt").read_text() == SECRET
    assert [path.name for path in (tmp_path / "outside").iterdir()] == ["secret.txt"]
    assert (tmp_path / "outside" / "secret.txt").read_text() == SECRET
    assert {path.name for path in tmp_path.iterdir()} == {"inside", "outside", "secret.txt"}


def test_writable_adds_writing_tools(folder: Path) -> None:
    reading = ["read_file", "list_files", "file_exists", "file_info"]
    writing = ["write_file", "append_file", "delete_file"]
    assert [tool.name for tool in file_tools(folder)] == reading
    assert [tool.name for tool in file_tools(str(folder), writable=True)] == reading + writing
    assert all(tool.description for tool in file_tools(folder))


def test_read_file(files: Files) -> None:
    assert files.read_file(path="a.txt") == "hello"
    assert files.read_file(path=".//./a.txt") == "hello"


def test_write_append_and_delete(files: Files, folder: Path) -> None:
    assert files.write_file(path="new/deep/b.txt", content="grüß") == (
        "Wrote 6 bytes to new/deep/b.txt."
    )
    files.append_file(path="new/deep/b.txt", content=" dich")
    assert files.read_file(path="new/deep/b.txt") == "grüß dich"
    files.write_file(path="new/deep/b.txt", content="x")
    assert (folder / "new/deep/b.txt").read_bytes() == b"x"
    files.append_file(path="c.txt", content="made")
    files.delete_file(path="new/deep/b.txt")
    assert not files.file_exists(path="new/deep/b.txt")
    assert files.list_files(path="new/deep") == []
    assert files.list_files() == ["a.txt", "c.txt", "new/", "notes/"]


def test_file_exists_and_info(files: Files) -> None:
    assert files.file_exists(path="a.txt")
    assert files.file_exists(path="notes")
    assert not files.file_exists(path="notes/none.txt")
    assert not files.file_exists(path="none/none.txt")
    info = files.file_info(path="a.txt")
    assert (info.path, info.type, info.size) == ("a.txt", "file", 5)
    assert datetime.now(UTC) - datetime.fromisoformat(info.modified) < timedelta(minutes=5)
    assert files.file_info(path="notes").type == "folder"
    assert files.file_info(path=".").type == "folder"


@pytest.mark.parametrize(
    ("name", "arguments", "sentence"),
    [
        ("read_file", {"path": "none.txt"}, "'none.txt' does not exist. Use list_files"),
        ("read_file", {"path": "none/none.txt"}, "does not exist"),
        ("read_file", {"path": "notes"}, "not a regular file"),
        ("read_file", {"path": ""}, "not a regular file"),
        ("read_file", {"path": "a.txt/b"}, "not a folder"),
        ("read_file", {"path": "x" * 300}, "too long"),
        ("list_files", {"path": "a.txt"}, "not a folder"),
        ("list_files", {"path": "none"}, "does not exist"),
        ("write_file", {"path": "notes", "content": ""}, "is a folder"),
        ("write_file", {"path": ".", "content": ""}, "is a folder"),
        ("delete_file", {"path": "notes"}, "not a regular file"),
        ("delete_file", {"path": "none"}, "does not exist"),
        ("file_info", {"path": "none"}, "does not exist"),
        ("write_file", {"path": "x/" * 3000 + "y", "content": ""}, "has 3001 parts"),
        ("file_exists", {"path": "x/" * 100 + "y"}, "has 101 parts"),
    ],
)
def test_error_hides_folder_path(
    files: Files, folder: Path, name: str, arguments: dict[str, str], sentence: str
) -> None:
    with pytest.raises(ToolError, match=sentence) as failure:
        getattr(files, name)(**arguments)
    assert str(folder.parent) not in str(failure.value)
    assert failure.value.__cause__ is None


ALL = [
    ("read_file", {}),
    ("list_files", {}),
    ("file_exists", {}),
    ("file_info", {}),
    ("write_file", {"content": "x"}),
    ("append_file", {"content": "x"}),
    ("delete_file", {}),
]


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


def test_file_sizes_are_limited(folder: Path) -> None:
    files = Files(folder, max_bytes=10)
    (folder / "long.txt").write_text("12345678é0123")
    assert files.read_file(path="long.txt") == (
        "12345678é\n(Truncated: the file is longer than 10 bytes.)"
    )
    (folder / "long.txt").write_text("123456789é123")
    assert files.read_file(path="long.txt").startswith("123456789\n(Truncated")
    files.write_file(path="b.txt", content="1234567890")
    assert files.read_file(path="b.txt") == "1234567890"
    with pytest.raises(ToolError, match="the limit is 10"):
        files.append_file(path="b.txt", content="1")
    with pytest.raises(ToolError, match="the limit is 10"):
        files.write_file(path="b.txt", content="12345678901")
    assert files.read_file(path="b.txt") == "1234567890"


def test_long_listing_is_truncated(files: Files, folder: Path) -> None:
    for number in range(1005):
        (folder / "notes" / f"{number:04}").touch()
    names = files.list_files(path="notes")
    assert (names[0], names[999], names[1000:]) == ("0000", "0999", ["(and 5 more)"])


def test_binary_file_is_refused(files: Files, folder: Path) -> None:
    (folder / "image.png").write_bytes(b"\x89PNG\xff\xfe")
    with pytest.raises(ToolError, match="not UTF-8 text"):
        files.read_file(path="image.png")


def test_unreadable_file_is_explained(files: Files, folder: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may open everything")
    (folder / "a.txt").chmod(0)
    with pytest.raises(ToolError, match="permission denied"):
        files.read_file(path="a.txt")


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


@pytest.mark.parametrize("bad", ["none", "a.txt"])
def test_folder_must_exist(folder: Path, bad: str) -> None:
    with pytest.raises(ConfigurationError, match="an existing folder"):
        file_tools(folder / bad)


def test_folder_itself_may_be_link(folder: Path) -> None:
    (folder / "here").symlink_to(folder / "notes")
    files = Files(folder / "here")
    files.write_file(path="n.txt", content="n")
    assert (folder / "notes" / "n.txt").read_text() == "n"


def test_path_of_maximum_depth(files: Files) -> None:
    path = "x/" * 99 + "y"
    files.write_file(path=path, content="deep")
    assert files.read_file(path=path) == "deep"


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
