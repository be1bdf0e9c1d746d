"""A folder that no path leads out of."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rxagents.core.errors import ConfigurationError, ToolError

_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)

_FILE = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
"""Without waiting, so that a pipe, which has yet to be refused, does not hold the thread."""

_PARTS = 100
"""How many parts a path may have: very deep folders cannot be deleted with common tools."""

_GONE = "The folder of the files is gone, or another is in its place. No file can be used now."

_IMPOSSIBLE = re.compile("[\0\ud800-\udfff]")

_SENTENCES = {
    errno.ENOENT: "does not exist. Use list_files to see what there is",
    errno.EISDIR: "is a folder. Name a file in it",
    errno.ENOTDIR: "leads through a link, which is not followed, or is not a folder",
    errno.ELOOP: "is a link, which is not followed. Name a file of the folder itself",
    errno.EACCES: "may not be opened. Use another",
    errno.EPERM: "may not be changed. Use another",
    errno.ENXIO: "is not a regular file. Use another",
    errno.ENAMETOOLONG: "is too long a name. Use a shorter one",
}


class ContainedFolder:
    """Opens what is below a folder, by paths that a model gives.

    Each part of a path is opened below the one before, and no link is followed, wherever it
    leads: so there is no moment in which a folder could be put in the place of another. The
    folder itself is known by its device and inode, since a link may come into the path above it.

    Args:
        folder: The folder; for itself, links are followed once, now.

    Raises:
        ConfigurationError: There is no such folder, or the system cannot open files this way.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        if os.open not in os.supports_dir_fd or not hasattr(os, "O_NOFOLLOW"):
            raise ConfigurationError(
                "file_tools needs a system that opens files relative to a folder without "
                "following links, such as Linux or macOS."
            )
        self._root = Path(folder).resolve()
        if not self._root.is_dir():
            raise ConfigurationError(f"file_tools needs a folder that exists, not {folder!s}.")
        self._known = self._root.stat()

    @contextmanager
    def opened(self, path: str, flags: int, *, create: bool = False) -> Iterator[int]:
        """Open a regular file, for as long as the block lasts.

        Args:
            path: Below the folder.
            flags: As for `os.open`.
            create: Make the folders above it, and the file, where they are missing.

        Raises:
            ToolError: It cannot be opened; the message is written for the model.
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

    @contextmanager
    def parent(self, path: str, *, create: bool = False) -> Iterator[tuple[int, str]]:
        """Open the folder that `path` is in, for as long as the block lasts, and give its name.

        Raises:
            ToolError: It cannot be opened, or what is done in the block fails.
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
        """Open a folder, for as long as the block lasts.

        Raises:
            ToolError: It cannot be opened, or what is done in the block fails.
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
        """Open the folder itself, if it still is the one that it was in the beginning."""
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
            f"The path {path[:80]!r} is not allowed. Use one relative to the folder, such as "
            "'notes/today.txt', without '..' and without a '/' in front."
        )
    if len(parts) > _PARTS:
        raise ToolError(
            f"The path {path[:80]!r} has {len(parts)} parts. Use one of at most {_PARTS}."
        )
    return parts


@contextmanager
def _explained(path: str) -> Iterator[None]:
    """Say what goes wrong with the model's own path; the system's words may show another."""
    try:
        yield
    except OSError as error:
        known = _SENTENCES.get(error.errno or 0)
        why = known or f"cannot be used ({os.strerror(error.errno or 0)})"
        raise ToolError(f"{path[:200]!r} {why}.") from None
