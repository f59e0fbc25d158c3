"""Judges metadata by a JSON Schema, in a process of its own that is ended when it takes too long: see metadataschema.py."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

MOST_PROBLEMS = 20
"""Misfits of one document that are told."""
_MOST_WORDS = 400
_MOST_MEMORY = 1 << 30


def judge(schema: Any, documents: Sequence[Any]) -> list[list[tuple[str, str]]]:
    """What does not fit, of each document: the path of the field, and what is wrong there.

    Raises:
        ValueError: It is no schema, or it names a schema elsewhere.
    """
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import validator_for
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    draft = validator_for(schema, default=Draft202012Validator)
    try:
        draft.check_schema(schema, format_checker=None)
        # An empty registry retrieves nothing: what the schema does not hold itself is nowhere.
        validator = draft(schema, registry=Registry())
        return [_misfits(validator.iter_errors(document)) for document in documents]
    except SchemaError as error:
        raise ValueError(f"{_path(error.absolute_path)}: {_short(error.message)}") from error
    except Unresolvable as error:
        raise ValueError(f"its $ref {str(error.ref)!r} leads nowhere") from error
    except RecursionError as error:
        raise ValueError("it is nested, or refers to itself, without end") from error


def _misfits(errors: Iterable[Any]) -> list[tuple[str, str]]:
    from jsonschema.exceptions import best_match

    found = []
    for error in errors:
        nearest = best_match([error]) or error  # of alternatives, the one that was meant
        found.append((_path(nearest.absolute_path), _short(nearest.message)))
        if len(found) == MOST_PROBLEMS:
            break
    return found


def _path(parts: Iterable[str | int]) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
    return text.removeprefix(".")


def _short(text: str) -> str:
    return text if len(text) <= _MOST_WORDS else f"{text[: _MOST_WORDS // 2]} … {text[-_MOST_WORDS // 2 :]}"


def _limit(seconds: int) -> None:
    """Let the system end this process, should nobody else."""
    try:
        import resource
    except ImportError:  # not on Windows, where the one who started it ends it
        return
    for what, most in ((resource.RLIMIT_CPU, seconds), (resource.RLIMIT_AS, _MOST_MEMORY)):
        _, hard = resource.getrlimit(what)
        with suppress(ValueError, OSError):  # some systems know no bound of this kind
            resource.setrlimit(what, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def main() -> None:
    """Read a schema and documents as JSON, and write what does not fit."""
    _limit(int(sys.argv[1]))
    asked = json.loads(sys.stdin.buffer.read())
    answer: dict[str, object]
    try:
        answer = {"misfits": judge(asked["schema"], asked["documents"])}
    except (ValueError, TypeError, MemoryError) as error:
        answer = {"problem": _short(str(error) or type(error).__name__)}
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main()
