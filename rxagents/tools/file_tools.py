"""Make tools that read and write the text files below one folder."""

from __future__ import annotations

import codecs
import errno
import os
import stat
import threading
from datetime import UTC, datetime

from msgspec import Struct

from rxagents.core.checks import checked_count
from rxagents.core.errors import ToolError
from rxagents.core.tools import Tool, tool
from rxagents.tools.contained_folder import ContainedFolder, parts_of, write_all

_appending = threading.Lock()
"""Held from the check of a file's size until the text is added: tools run in parallel."""

_LISTED = 1000
"""The largest number of names that list_files returns."""


class FileInfo(Struct, frozen=True):
    """The type, size and modification time of a file.

    Attributes:
        path: The path that the model passed.
        type: `"file"`, `"folder"`, or `"other"` for links and devices, which cannot be used.
        size: The size in bytes.
        modified: The time of the last change, as ISO 8601 in UTC.
    """

    path: str
    type: str
    size: int
    modified: str


def file_tools(
    folder: str | os.PathLike[str], writable: bool = False, *, max_bytes: int = 256 * 1024
) -> list[Tool]:
    """Make tools for the text files below a folder.

    No path leads out of the folder: `..`, absolute paths and links are rejected, including links
    that another process creates while a tool runs. A hard link is treated as a regular file;
    `write_file` replaces the whole file, and leaves the other names of a hard link as they are.

    Args:
        folder: The folder; it must exist.
        writable: Whether to include the tools that change files.
        max_bytes: The largest number of bytes that is read of a file, and the largest size of a
            file that is written.

    Returns:
        `read_file`, `list_files`, `file_exists` and `file_info`; with `writable` also
        `write_file`, `append_file` and `delete_file`.

    Raises:
        ConfigurationError: The folder does not exist, or the system cannot open files relative to
            a folder without following links.
    """
    files = _Files(ContainedFolder(folder), checked_count("max_bytes", max_bytes))
    tools = [tool(files.read_file), tool(files.list_files)]
    tools += [tool(files.file_exists), tool(files.file_info)]
    if writable:
        tools += [tool(files.write_file), tool(files.append_file), tool(files.delete_file)]
    return tools


class _Files:
    """The functions of the tools; their docstrings are written for the model."""

    def __init__(self, folder: ContainedFolder, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes

    def read_file(self, path: str) -> str:
        """Return the text of a file.

        Args:
            path: Relative to the folder, such as "notes/today.txt".
        """
        with self._folder.opened(path, os.O_RDONLY) as file:
            data = _read(file, self._max_bytes + 1)
        cut = len(data) > self._max_bytes
        try:
            text = codecs.getincrementaldecoder("utf-8")().decode(
                data[: self._max_bytes], final=not cut
            )
        except UnicodeDecodeError:
            raise ToolError(f"{path!r} is not UTF-8 text. Use another file.") from None
        note = f"\n(Truncated: the file is longer than {self._max_bytes} bytes.)"
        return text + note if cut else text

    def list_files(self, path: str = ".") -> list[str]:
        """List the names in a folder; names of folders end with a slash.

        Args:
            path: The folder; "." is the top one.
        """
        with self._folder.folder(path) as folder, os.scandir(folder) as entries:
            names = sorted(map(_listed, entries))
        more = len(names) - _LISTED
        return [*names[:_LISTED], f"(and {more} more)"] if more > 0 else names

    def file_exists(self, path: str) -> bool:
        """Return whether a file or folder exists.

        Args:
            path: Relative to the folder.
        """
        parts_of(path)  # a path that is not allowed is an error, not a missing file
        try:
            return self.file_info(path).type != "other"
        except ToolError:
            return False

    def file_info(self, path: str) -> FileInfo:
        """Return the type, size and modification time of a file or folder.

        Args:
            path: Relative to the folder.
        """
        with self._folder.parent(path) as (folder, name):
            known = os.stat(name, dir_fd=folder, follow_symlinks=False)
        modified = datetime.fromtimestamp(known.st_mtime, UTC).isoformat(timespec="seconds")
        return FileInfo(path, _type(known.st_mode), known.st_size, modified)

    def write_file(self, path: str, content: str) -> str:
        """Write a text file; an existing file is replaced, and missing folders are created.

        Args:
            path: Relative to the folder.
            content: The whole text.
        """
        data = self._encoded(content, 0)
        self._folder.replace(path, data)
        return f"Wrote {len(data)} bytes to {path}."

    def append_file(self, path: str, content: str) -> str:
        """Add text to the end of a file, which is created if it is missing.

        Args:
            path: Relative to the folder.
            content: The text to add.
        """
        flags = os.O_WRONLY | os.O_APPEND
        with _appending, self._folder.opened(path, flags, create=True) as file:
            data = self._encoded(content, os.fstat(file).st_size)
            write_all(file, data)
        return f"Added {len(data)} bytes to {path}."

    def delete_file(self, path: str) -> str:
        """Delete a file.

        Args:
            path: Relative to the folder.
        """
        with self._folder.parent(path) as (folder, name):
            if _type(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode) != "file":
                raise OSError(errno.ENXIO, "")
            os.unlink(name, dir_fd=folder)
        return f"Deleted {path}."

    def _encoded(self, content: str, before: int) -> bytes:
        data = content.encode("utf-8", "replace")
        if before + len(data) > self._max_bytes:
            raise ToolError(
                f"The file would have {before + len(data)} bytes, and the limit is "
                f"{self._max_bytes}. Write less text, or use another file."
            )
        return data


def _read(file: int, size: int) -> bytes:
    data = b""
    while len(data) < size and (more := os.read(file, size - len(data))):
        data += more
    return data


def _listed(entry: os.DirEntry[str]) -> str:
    return f"{entry.name}/" if entry.is_dir(follow_symlinks=False) else entry.name


def _type(mode: int) -> str:
    if stat.S_ISREG(mode):
        return "file"
    return "folder" if stat.S_ISDIR(mode) else "other"
