"""Open files below a folder, without any path that leads out of it.

Theory of operation. A path comes from a model, and another process may change the folder while a
tool uses it. To resolve a path, check that the result is inside, and then open it by name leaves
a moment in which a part of the path can be replaced by a link. So a path is never opened as a
whole: each part is opened relative to the descriptor of the part before it (`dir_fd`), and no
link is followed (`O_NOFOLLOW`), wherever it leads. The path of the folder itself can also change:
`_open_root` compares device and inode with those of the folder at construction.

Each operation must use the open descriptor or `dir_fd` with a single name. A call that takes a
path of several parts, such as `Path.resolve` or `open`, would bring the race back.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rxagents.core.errors import ConfigurationError, ToolError

_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)

_FILE = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
"""Nonblocking: to open a pipe, which is rejected only afterwards, would block the thread."""

_PARTS = 100
"""The largest number of parts of a path: common tools cannot delete very deep folders."""

_GONE = "The folder of the files was removed or replaced. No file can be used now."

_IMPOSSIBLE = re.compile("[\0\ud800-\udfff]")

_SENTENCES = {
    errno.ENOENT: "does not exist. Use list_files to see the files",
    errno.EISDIR: "is a folder. Name a file in it",
    errno.ENOTDIR: "contains a link, which is not followed, or is not a folder",
    errno.ELOOP: "is a link, which is not followed. Name a file of the folder itself",
    errno.EACCES: "cannot be opened: permission denied. Use another file",
    errno.EPERM: "cannot be changed: not permitted. Use another file",
    errno.ENXIO: "is not a regular file. Use another file",
    errno.ENAMETOOLONG: "has a name that is too long. Use a shorter name",
}


class ContainedFolder:
    """Opens files and folders below a folder, by the paths that a model passes.

    Args:
        folder: The folder; links in its own path are resolved once, at construction.

    Raises:
        ConfigurationError: The folder does not exist, or the system has no `dir_fd` or
            `O_NOFOLLOW`.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        if os.open not in os.supports_dir_fd or not hasattr(os, "O_NOFOLLOW"):
            raise ConfigurationError(
                "file_tools needs a system that opens files relative to a folder without "
                "following links, such as Linux or macOS."
            )
        self._root = Path(folder).resolve()
        if not self._root.is_dir():
            raise ConfigurationError(f"file_tools needs an existing folder, not {folder!s}.")
        self._known = self._root.stat()

    @contextmanager
    def opened(self, path: str, flags: int, *, create: bool = False) -> Iterator[int]:
        """Open a regular file for the duration of the block; yield its descriptor.

        Args:
            path: The path below the folder.
            flags: The flags of `os.open`.
            create: Whether to create the file and the folders above it if they are missing.

        Raises:
            ToolError: The file cannot be opened; the message is written for the model.
        """
        with self.parent(path, create=create) as (folder, name):
            flags |= _FILE | (os.O_CREAT if create else 0)
            file = os.open(name, flags, 0o666, dir_fd=folder)
            try:
                if not stat.S_ISREG(os.fstat(file).st_mode):
                    raise OSError(errno.ENXIO, "")
                yield file
            finally:
                os.close(file)

    def replace(self, path: str, data: bytes) -> None:
        """Write a file as a whole: a reader, or a failure, finds its old content or its new one.

        The content goes to a new file in the same folder, which then takes the name. Missing
        folders are created. The file keeps its permissions.

        Raises:
            ToolError: The file cannot be written; the message is written for the model.
        """
        with self.parent(path, create=True) as (folder, name):
            mode = self._mode_of_writable(name, folder)
            temporary = f".rxagents-{secrets.token_hex(8)}"
            file = os.open(
                temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FILE, 0o666, dir_fd=folder
            )
            try:
                try:
                    if mode is not None:
                        os.fchmod(file, mode)
                    write_all(file, data)
                    os.fsync(file)  # else a crash could leave the new name with no content
                finally:
                    os.close(file)
                os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException:
                with suppress(OSError):
                    os.unlink(temporary, dir_fd=folder)
                raise

    def _mode_of_writable(self, name: str, folder: int) -> int | None:
        """Return the permissions of an existing file; raise if it cannot be written."""
        try:
            file = os.open(name, os.O_WRONLY | _FILE, dir_fd=folder)
        except FileNotFoundError:
            return None
        try:
            known = os.fstat(file).st_mode
        finally:
            os.close(file)
        if not stat.S_ISREG(known):
            raise OSError(errno.ENXIO, "")
        return stat.S_IMODE(known)

    @contextmanager
    def parent(self, path: str, *, create: bool = False) -> Iterator[tuple[int, str]]:
        """Open the parent folder of `path` for the block; yield its descriptor and the last name.

        Raises:
            ToolError: The folder cannot be opened, or an operation in the block fails.
        """
        *above, name = parts_of(path) or ["."]
        with _explained(path):
            folder = self._open_folder(above, create=create)
            try:
                yield folder, name
            finally:
                os.close(folder)

    @contextmanager
    def folder(self, path: str) -> Iterator[int]:
        """Open a folder for the duration of the block; yield its descriptor.

        Raises:
            ToolError: The folder cannot be opened, or an operation in the block fails.
        """
        parts = parts_of(path)
        with _explained(path):
            folder = self._open_folder(parts, create=False)
            try:
                yield folder
            finally:
                os.close(folder)

    def _open_folder(self, parts: list[str], *, create: bool) -> int:
        folder = self._open_root()
        for part in parts:
            try:
                if create:
                    with suppress(FileExistsError):
                        os.mkdir(part, dir_fd=folder)
                inner = os.open(part, _FOLDER, dir_fd=folder)
            finally:
                os.close(folder)
            folder = inner
        return folder

    def _open_root(self) -> int:
        """Open the folder itself; raise if it is not the same folder as at construction."""
        try:
            root = os.open(self._root, _FOLDER)
        except OSError as error:
            if error.errno not in {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}:
                raise
            raise ToolError(_GONE) from None
        if not os.path.samestat(os.fstat(root), self._known):
            os.close(root)
            raise ToolError(_GONE)
        return root


def parts_of(path: str) -> list[str]:
    """Return the parts of a path.

    Raises:
        ToolError: It may lead out of the folder, or no file can have it.
    """
    parts = [part for part in path.split("/") if part not in {"", "."}]
    if path.startswith("/") or ".." in parts or _IMPOSSIBLE.search(path):
        raise ToolError(
            f"The path {path[:80]!r} is not allowed. Use a path relative to the folder, such as "
            "'notes/today.txt', without '..' and without a leading '/'."
        )
    if len(parts) > _PARTS:
        raise ToolError(
            f"The path {path[:80]!r} has {len(parts)} parts. Use a path of at most {_PARTS} parts."
        )
    return parts


def write_all(file: int, data: bytes) -> None:
    """Write `data`, however many calls of the system that takes."""
    while data:
        data = data[os.write(file, data) :]


@contextmanager
def _explained(path: str) -> Iterator[None]:
    """Convert `OSError` to `ToolError` with the model's own path, not the system's."""
    try:
        yield
    except OSError as error:
        known = _SENTENCES.get(error.errno or 0)
        why = known or f"cannot be used ({os.strerror(error.errno or 0)})"
        raise ToolError(f"{path[:200]!r} {why}.") from None
