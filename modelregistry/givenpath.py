"""A path that a caller passed, before anything is done with it."""

from __future__ import annotations

import os
from pathlib import Path

from modelregistry.errors import InvalidInputError


def given_path(path: object, name: str) -> Path:
    """The path, if it can be one.

    Args:
        path: What was passed.
        name: The name of the argument.

    Raises:
        InvalidInputError: It is no text and no path, or empty, or holds what no path does.
    """
    text = os.fspath(path) if isinstance(path, str | os.PathLike) else path
    if not isinstance(text, str) or not text or "\0" in text:
        raise InvalidInputError(f"{name}={path!r} is no path: pass a text or a pathlib.Path")
    return Path(text)
