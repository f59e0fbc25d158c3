"""A file in which a process keeps what it found for the next one: nothing is lost with it, and a damaged one is as good as none."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from modelregistry.git.repo import file_mark
from modelregistry.trust.privatefile import make_private


def hashed(text: str) -> str:
    """A name for a file that is about ``text``, whatever that holds."""
    return hashlib.sha256(os.fsencode(text)).hexdigest()[:32]


def load_values(path: Path) -> Mapping[str, Any]:
    """The JSON object in the file; an empty one where there is none."""
    with suppress(OSError, ValueError, RecursionError):
        found = json.loads(path.read_bytes())
        if isinstance(found, dict):
            return found
    return {}


def save_text(path: Path, text: str) -> object:
    """Put a file with the text in its place; returns the mark of what is there then, if nobody else wrote.

    It is this user's alone, whatever the umask: readers don't believe a file that others may write.
    """
    with suppress(OSError, ValueError):  # a disk that can't be written is no matter
        make_private(path.parent)
        temporary = path.with_name(f".{os.getpid()}-{os.urandom(6).hex()}")
        temporary.touch(mode=0o600)
        temporary.write_text(text, encoding="utf-8")
        mark = file_mark(temporary)
        temporary.replace(path)
        return mark
    return file_mark(path)
