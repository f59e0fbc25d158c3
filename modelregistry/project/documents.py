"""Files of commits, parsed: kept by Git's id of their content, so that this user's machine parses each one once."""

from __future__ import annotations

import json
import os
import posixpath
import threading
import time as clock
from collections.abc import Callable, Hashable
from contextlib import suppress
from datetime import date, time
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from modelregistry.errors import InvalidFileError
from modelregistry.git.folders import Memory, bound
from modelregistry.keptfile import load_values, save_text
from modelregistry.project.yamltext import decoded_text, parse_block, parse_other
from modelregistry.trust.privatefile import doubt_of

MOST_BYTES = 8 << 20
"""Of one file."""
_MOST_TOML_BYTES = 1 << 20  # its parser is slower
_MOST_PYTHON_BYTES = 1 << 18
# Parsed sooner than looked up on disk, or nearly so; what DVC writes is parsed ten times sooner than other YAML.
_FEW_BYTES = 1 << 11
_FEW_SIMPLE_BYTES = 1 << 15
MOST_KEPT = 512
MOST_ON_DISK = 256 << 20
"""Bytes of documents that a user keeps."""
_MOST_UNUSED = 90 * 86_400.0
_TIDY_EVERY = 86_400.0
_MARK = ".tidied"
_MOST_RECENT = 50_000
"""Steps of pipelines, of which each weighs about two kilobytes."""
_MOST_DEPTH = 64
_MOST_AGREED = 100_000
_SCHEMA = 1


class _Absent:
    """What is not kept."""


ABSENT: Final = _Absent()


class Recent:
    """What was used last, up to so much in all.

    Args:
        most: How much all of it may weigh.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._weight = 0
        self._lock = threading.Lock()
        self._kept: dict[Hashable, tuple[Any, int]] = {}

    def get(self, key: Hashable) -> Any:
        """What is kept; None where nothing is."""
        with self._lock:
            found = self._kept.pop(key, None)
            if found is None:
                return None
            self._kept[key] = found  # the last to be forgotten
            return found[0]

    def put(self, key: Hashable, value: Any, weight: int) -> None:
        """Keep it, and forget what was not used for longest where that is too much."""
        with self._lock:
            before = self._kept.pop(key, None)
            self._weight += weight - (before[1] if before is not None else 0)
            self._kept[key] = value, weight
            while self._weight > self._most and len(self._kept) > 1:
                oldest = next(iter(self._kept))
                self._weight -= self._kept.pop(oldest)[1]


class Documents:
    """What YAML, JSON and TOML files hold, in JSON's own types.

    Args:
        folder: Where this user keeps them.

    Attributes:
        agreed: Ids of files and folders in Git, each with the md5 of DVC's that it was found to have.
        folders: What is known of folders in Git.
        meanings: What documents were read as, by id, path and reader.
        recent: What else was learned from documents.
        parts: What is known of folders at the top of commits, by name and id.
    """

    def __init__(self, folder: Path) -> None:
        self.folders = Memory()
        self.recent = Recent(_MOST_RECENT)
        self.parts: dict[tuple[str, str], Any] = {}
        self.meanings: dict[tuple[str, str, object], Any] = {}
        self.agreed: set[tuple[str, str]] = set()
        self._folder = folder
        self._top = os.path.join(folder, "")
        self._is_tidy = False
        self._memory: dict[tuple[str, str], object] = {}

    def find(self, oid: str, path: str) -> object:
        """The document with that content, if it was parsed before; else ``ABSENT``."""
        key = (oid, _format(path))
        if key not in self._memory:
            self._remember(key, self._load(key))  # that it is not there, too: few are asked for once only
        return self._memory.get(key, ABSENT)

    def parsed(self, oid: str, path: str, data: bytes) -> object:
        """The document in ``data``, which is kept.

        Raises:
            InvalidFileError: It can't be read; the message says where.
        """
        key = (oid, _format(path))
        found, is_simple = _read(data, path)
        self._remember(key, found)
        if len(data) >= (_FEW_SIMPLE_BYTES if is_simple else _FEW_BYTES):
            save_text(Path(self._place(key)), json.dumps({"schema": _SCHEMA, "document": found}))
            self._tidy()
        return found

    def _tidy(self) -> None:
        """Once a day, whoever comes to write forgets what nobody asked for, and what is too much."""
        if self._is_tidy:
            return
        self._is_tidy = True
        mark = self._folder / _MARK
        with suppress(OSError):
            last = mark.stat().st_mtime if mark.exists() else 0.0
            if not 0 <= clock.time() - last < _TIDY_EVERY:
                mark.touch()
                prune(self._folder, _MOST_UNUSED)

    def agree(self, oid: str, md5: str) -> None:
        """Remember that what has that id in Git has that md5 in DVC."""
        if len(self.agreed) > _MOST_AGREED:
            self.agreed.clear()
        self.agreed.add((oid, md5))

    def _remember(self, key: tuple[str, str], document: object) -> None:
        self._memory[key] = document
        bound(self._memory, MOST_KEPT)

    def _place(self, key: tuple[str, str]) -> str:
        oid, kind = key
        return f"{self._top}{oid[:2]}{os.sep}{oid[2:]}.{kind}.json"

    def _load(self, key: tuple[str, str]) -> object:
        path = self._place(key)
        try:
            status = os.lstat(path)
            if doubt_of(status):
                return ABSENT
            if clock.time() - status.st_mtime > _TIDY_EVERY:
                os.utime(path)  # so that what is used stays
        except OSError:
            return ABSENT
        values = load_values(Path(path))
        return values.get("document", ABSENT) if values.get("schema") == _SCHEMA else ABSENT


def prune(folder: Path, unused: float, most: int | None = None) -> int:
    """Forget documents that were not used for so many seconds, and those that were used last before ``most`` bytes.

    Args:
        folder: Where they are kept.
        unused: Seconds.
        most: Bytes in all; left out, ``MOST_ON_DISK``.

    Returns:
        The bytes that are gone.
    """
    kept: list[tuple[float, int, str]] = []
    for place, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(place, name)
            with suppress(OSError):
                status = os.lstat(path)
                kept.append((status.st_mtime, status.st_size, path))
    before, left, gone = clock.time() - unused, MOST_ON_DISK if most is None else most, 0
    for changed, size, path in sorted(kept, reverse=True):
        left -= size
        if (left < 0 or changed < before) and os.path.basename(path) != _MARK:
            with suppress(OSError):
                os.unlink(path)
                gone += size
    return gone


def read_document(data: bytes, path: str) -> object:
    """What the file holds, by the suffix of its name, as DVC goes: JSON, TOML, the literals of Python, else YAML.

    Raises:
        InvalidFileError: It is none, or too large.
    """
    return _read(data, path)[0]


def _read(data: bytes, path: str) -> tuple[object, bool]:
    """The same, and whether it is YAML of the simple form, which is read as soon as it would be found on disk."""
    kind = _format(path)
    simple = parse_block(data, path) if kind == "yaml" else None
    return (simple, True) if simple is not None else (_READERS[kind](data, path), False)


@lru_cache(maxsize=1024)
def _format(path: str) -> str:
    suffix = posixpath.splitext(path)[1].lower().removeprefix(".")
    return suffix if suffix in _READERS else "yaml"


def _read_json(data: bytes, path: str) -> object:
    try:
        return _plain(json.loads(decoded_text(data, path), parse_constant=str), path)
    except (ValueError, RecursionError) as error:
        raise InvalidFileError(f"{path!r} is no JSON: {error}", path=path) from error


def _read_toml(data: bytes, path: str) -> object:
    import tomllib

    if len(data) > _MOST_TOML_BYTES:
        raise InvalidFileError(f"{path!r} is larger than {_MOST_TOML_BYTES} bytes", path=path)
    try:
        return _plain(tomllib.loads(decoded_text(data, path)), path)
    except (ValueError, RecursionError) as error:
        raise InvalidFileError(f"{path!r} is no TOML: {error}", path=path) from error


def _read_python(data: bytes, path: str) -> object:
    from modelregistry.project.pythonvalues import assigned

    if len(data) > _MOST_PYTHON_BYTES:
        raise InvalidFileError(f"{path!r} is larger than {_MOST_PYTHON_BYTES} bytes", path=path)
    try:
        return _plain(assigned(decoded_text(data, path)), path)
    # MemoryError: the parser's own, of what is nested too deep.
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise InvalidFileError(f"{path!r} is no Python: {error}", path=path) from error


def _plain(value: object, path: str, depth: int = 0) -> object:
    """``value`` without what TOML and Python have and JSON has not, if it is not nested so deep that it would hurt."""
    if depth > _MOST_DEPTH:
        raise InvalidFileError(f"{path!r} is nested deeper than {_MOST_DEPTH} levels", path=path)
    if isinstance(value, dict):
        return {str(key): _plain(item, path, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, path, depth + 1) for item in value]
    if isinstance(value, set | bytes | complex) or value is ...:
        return repr(value)
    if isinstance(value, date | time):
        return value.isoformat()
    return str(value) if isinstance(value, float) and not abs(value) < float("inf") else value


_READERS: dict[str, Callable[[bytes, str], object]] = {
    "yaml": parse_other,
    "json": _read_json,
    "toml": _read_toml,
    "py": _read_python,
}
