"""A path, or the address of a place, that a caller passed, before anything is done with it."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from modelregistry.errors import InvalidInputError
from modelregistry.urlsecrets import without_secrets


def given_place(place: object, name: str) -> str:
    """A path or a URL as text, if it can be one.

    Args:
        place: What was passed.
        name: The name of the argument.

    Raises:
        InvalidInputError: It is no text and no path, or empty, or holds what neither does.
    """
    text = os.fspath(place) if isinstance(place, os.PathLike) else place
    if not isinstance(text, str) or not text or "\0" in text:
        raise InvalidInputError(
            f"{name}={without_secrets(repr(place))} is neither a path nor a URL: pass a text or a pathlib.Path"
        )
    return text


def given_path(path: object, name: str) -> Path:
    """A path on this machine, whether something is there or not.

    Args:
        path: What was passed.
        name: The name of the argument.

    Raises:
        InvalidInputError: It is none, a URL, or longer than any that can be.
    """
    text = given_place(path, name)
    if "://" in text:
        raise InvalidInputError(
            f"{name}={without_secrets(text)!r} is a URL, and must be a path on this machine"
        )
    found = Path(text)
    try:
        found.lstat()
    except (OSError, ValueError) as error:  # of what can't be written in the encoding of file names
        if isinstance(error, ValueError) or error.errno in (errno.ENAMETOOLONG, errno.EINVAL):
            raise InvalidInputError(f"{name}={path!r} can be no path here: {error}") from error
    return found
