"""A file of lines that only this user may write: one that somebody else could have written is not believed."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

import platformdirs

from modelregistry.callers import warn
from modelregistry.errors import RegistryWarning


def home_folder() -> Path:
    """Where this user keeps what must not be lost or forged: ``$MODELREGISTRY_HOME``, else the platform's data folder."""
    return Path(os.environ.get("MODELREGISTRY_HOME") or platformdirs.user_data_dir("modelregistry"))


class PrivateFile:
    """Lines of text, each whole or not there; safe for many processes.

    Args:
        path: Where it is.
        meaning: What it holds, for warnings: "nothing in it …".
    """

    def __init__(self, path: Path, meaning: str) -> None:
        self.path = path
        self._meaning = meaning

    def add(self, line: str) -> None:
        """Append a line. A file that can't be written is a warning."""
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = self._open(os.O_RDWR | os.O_APPEND | os.O_CREAT)
            if file is None:
                return
            try:
                size = os.fstat(file).st_size
                os.lseek(file, max(size - 1, 0), os.SEEK_SET)
                end = "" if os.read(file, 1) in {b"", b"\n"} else "\n"  # of a line that was torn
                os.write(file, f"{end}{line}\n".encode())
            finally:
                os.close(file)
        except OSError as error:
            _warn(f"can't remember {line!r} in {str(self.path)!r}: {error}")

    def lines(self) -> Sequence[str]:
        """The lines; none where there is no file, or one that is not believed, which is a warning."""
        try:
            descriptor = self._open(os.O_RDONLY)
        except FileNotFoundError:
            return ()
        except OSError as error:
            _warn(f"can't read {str(self.path)!r}: {error}; nothing in it {self._meaning}")
            return ()
        if descriptor is None:
            return ()
        with os.fdopen(descriptor, "rb") as file:
            text = file.read().decode("utf-8", "replace")
        return text.split("\n")[:-1]  # a line without its end was torn

    def _open(self, flags: int) -> int | None:
        # O_NONBLOCK: a FIFO in its place must not hang us. O_NOFOLLOW and O_BINARY are not everywhere.
        for flag in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"):
            flags |= getattr(os, flag, 0)
        if self.path.is_symlink():
            _warn(f"{str(self.path)!r} is a symbolic link; nothing in it {self._meaning}")
            return None
        file = os.open(self.path, flags, 0o600)
        if doubt := doubt_of(os.fstat(file)):
            os.close(file)
            _warn(f"{str(self.path)!r} is {doubt}; nothing in it {self._meaning}")
            return None
        return file


def make_private(folder: Path) -> None:
    """Make a folder and whatever it is in, as far as it is missing, for this user alone."""
    if not folder.is_dir():
        make_private(folder.parent)  # mkdir(parents=True) makes them for everybody
        folder.mkdir(mode=0o700, exist_ok=True)


def doubt_of(facts: os.stat_result) -> str | None:
    """Why a file is not this user's alone; None if it is."""
    if not stat.S_ISREG(facts.st_mode):
        return "not a regular file"
    if hasattr(os, "geteuid"):  # Windows has neither owners nor modes of this kind
        if facts.st_uid != os.geteuid():
            return f"owned by user {facts.st_uid}"
        if facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            return f"writable by others (mode {stat.S_IMODE(facts.st_mode):04o}; chmod 600 it if it is yours)"
    return None


def _warn(message: str) -> None:
    warn(message, RegistryWarning)
