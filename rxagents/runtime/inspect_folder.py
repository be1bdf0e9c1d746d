"""The folder of the sockets that `rxagents top` connects to.

Who can enter the folder can look into the process. So it belongs to the user and to nobody else: on
a machine with several users another one may have made a folder, or a symbolic link, of the same
name in the folder for temporary files before.
"""

from __future__ import annotations

import os
import secrets
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from rxagents.core.errors import ConfigurationError

_MAX_PATH = 103
"""The bytes of a socket's path that macOS accepts; Linux accepts 107."""


class InspectSocket(NamedTuple):
    """The socket of one event loop of a process.

    Attributes:
        pid: The process.
        path: The socket.
    """

    pid: int
    path: Path


def new_socket_path() -> Path:
    """Return a path for a socket of this process, in a folder that only its user can enter.

    The folder is `rxagents` in `XDG_RUNTIME_DIR`, or else `rxagents-UID` in the folder for
    temporary files; it is made if it is missing.

    Raises:
        ConfigurationError: The folder is open to others or cannot be made, or its name is too long.
    """
    folder = _folders()[0]
    try:
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        _check(folder)
    except OSError as error:
        raise ConfigurationError(
            f"The folder {folder} for inspection cannot be used: {error.strerror or error}. Name "
            "another one for it with the variable XDG_RUNTIME_DIR."
        ) from error
    path = folder / f"{os.getpid()}-{secrets.token_hex(4)}.sock"
    if len(os.fsencode(path)) > _MAX_PATH:
        raise ConfigurationError(
            f"The path {path} is too long for a socket, which takes {_MAX_PATH} bytes: name a "
            "shorter folder with the variable XDG_RUNTIME_DIR."
        )
    return path


def found_sockets() -> list[InspectSocket]:
    """Return the sockets of this user's processes, the newest first; some may be dead."""
    found: list[tuple[float, InspectSocket]] = []
    for folder in _folders():
        with suppress(OSError, ConfigurationError):
            _check(folder)
            for path in folder.glob("*.sock"):
                pid = path.name.partition("-")[0]
                if pid.isdecimal():
                    found.append((path.stat().st_mtime, InspectSocket(int(pid), path)))
    return [entry for _, entry in sorted(found, reverse=True)]


def _folders() -> list[Path]:
    """Return where the sockets may be: a service may lack the variable that a terminal has."""
    folders = [Path(tempfile.gettempdir(), f"rxagents-{os.getuid()}")]
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return [Path(runtime, "rxagents"), *folders] if runtime else folders


def _check(folder: Path) -> None:
    found = folder.lstat()
    is_private = found.st_uid == os.getuid() and not found.st_mode & 0o077
    if not stat.S_ISDIR(found.st_mode) or not is_private:
        raise ConfigurationError(
            f"{folder} must be a folder that belongs to you and that nobody else can enter (mode "
            "0700), since who can enter it can look into your streams. Remove it, or name another "
            "folder with the variable XDG_RUNTIME_DIR."
        )
