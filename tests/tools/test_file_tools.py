"""Results, limits and errors of the file tools."""

from __future__ import annotations

import errno
import os
import stat
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tool_files import Files

from rxagents import ConfigurationError, ToolError
from rxagents.tools import file_tools


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


@pytest.mark.parametrize("moment", ["write", "rename"])
def test_failed_write_keeps_old_content(
    files: Files, folder: Path, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> int:
        raise OSError(errno.ENOSPC, "")

    with monkeypatch.context() as patch:
        patch.setattr(os, moment, fail)
        with pytest.raises(ToolError, match="No space left"):
            files.write_file(path="a.txt", content="new")
        with pytest.raises(ToolError, match="No space left"):
            files.write_file(path="b.txt", content="new")
    assert (folder / "a.txt").read_text() == "hello"
    assert {path.name for path in folder.iterdir()} == {"a.txt", "notes"}


def test_reader_sees_old_or_new_content(
    files: Files, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    write = os.write

    def write_one_byte(file: int, data: bytes) -> int:
        seen.append((folder / "a.txt").read_text())
        return write(file, data[:1])

    monkeypatch.setattr(os, "write", write_one_byte)
    files.write_file(path="a.txt", content="new")
    assert seen == ["hello"] * 3
    assert (folder / "a.txt").read_text() == "new"


def test_written_file_keeps_permissions(files: Files, folder: Path) -> None:
    (folder / "a.txt").chmod(0o640)
    files.write_file(path="a.txt", content="new")
    assert stat.S_IMODE((folder / "a.txt").stat().st_mode) == 0o640


def test_parallel_appends_keep_the_limit(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = Files(folder, max_bytes=10)
    write = os.write

    def write_later(file: int, data: bytes) -> int:
        threading.Event().wait(0.05)  # meanwhile the other threads look at the size
        return write(file, data)

    monkeypatch.setattr(os, "write", write_later)
    results: list[object] = []

    def append() -> None:
        try:
            results.append(files.append_file(path="log", content="1234"))
        except ToolError:
            results.append(None)

    threads = [threading.Thread(target=append) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (folder / "log").read_text() == "12341234"
    assert results.count(None) == 2


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
