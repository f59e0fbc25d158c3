"""What a team wants of metadata: a JSON Schema from its repository, or a pydantic model that the caller passes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, cast

from pydantic import BaseModel, JsonValue, ValidationError

from modelregistry.errors import InvalidInputError, InvalidSettingsError, MissingDependencyError

MOST_BYTES = 256 << 10
"""Of a schema."""
_MOST_DEPTH = 64
_SECONDS = 10
_PATIENCE = 6
"""How many times as long a busy machine may take for so much of a processor's time."""
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
OF_BYTES = frozenset({"loader", "environment", "signature"})
"""Entries that the bytes of a version tell."""
LEARNED = OF_BYTES | {"metrics", "evaluated", "uncommitted", "origin", "inputs", "license"}
"""Entries that this library writes: a schema judges them only where it names them."""

Metadata = Mapping[str, JsonValue]
Schema = type[BaseModel]
"""What ``schema=`` takes: a pydantic model, as a class."""


@dataclass(frozen=True, slots=True)
class Misfit:
    """One field that does not fit."""

    path: str
    """Of the field, such as ``limits[0].age``; empty for the whole."""
    what: str
    """The value, and what is wanted instead."""

    def __str__(self) -> str:
        return f"{self.path}: {self.what}" if self.path else self.what


@dataclass(frozen=True, slots=True)
class MetadataSchema:
    """A JSON Schema that lies in the repository."""

    path: str
    document: Any = field(hash=False)

    @classmethod
    def parse(cls, text: bytes | None, path: str) -> MetadataSchema:
        """The schema in a file.

        Raises:
            InvalidSettingsError: There is none; it is too large or no JSON; or it refers to what is outside of it.
        """
        if text is None:
            raise InvalidSettingsError(
                f"{path!r}, which .modelregistry.toml names, is not in the repository, or larger than {MOST_BYTES:,} bytes"
            )
        try:
            document = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InvalidSettingsError(f"{path!r} is no JSON: {error}") from error
        if not isinstance(document, dict):
            raise InvalidSettingsError(f"{path!r} is no JSON Schema: it must be an object")
        for target in _references(document, path):
            if not target.startswith("#"):
                raise InvalidSettingsError(
                    f"{path!r}: $ref {target!r} is not read: a schema may only refer to itself ('#/$defs/…')"
                )
        return cls(path, document)

    def misfits(self, values: Sequence[Metadata], *, seconds: int = _SECONDS) -> list[tuple[Misfit, ...]]:
        """What does not fit, of each of the values.

        It is judged by another process, which is ended when it has had so many seconds of a processor: a pattern can be
        made so that it takes for ever, and whoever may push wrote it.

        Raises:
            InvalidSettingsError: It is no schema, or takes too long.
            MissingDependencyError: jsonschema is not installed.
        """
        if find_spec("jsonschema") is None:
            raise MissingDependencyError(
                "a schema for metadata needs jsonschema: pip install 'jsonschema>=4.23'"
            )
        named = self.named
        documents = [_judged(value, named) for value in values]
        try:
            done = subprocess.run(
                # Without the current folder on the path: it may be the repository.
                [sys.executable, "-P", "-m", "modelregistry.metadata.judge", str(seconds)],
                input=json.dumps({"schema": self.document, "documents": documents}).encode(),
                capture_output=True, check=False, timeout=_PATIENCE * seconds,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise self._too_slow(seconds) from error
        if done.returncode == -getattr(signal, "SIGXCPU", 0):
            raise self._too_slow(seconds)
        if done.returncode:
            said = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
            raise InvalidSettingsError(
                f"{self.path!r} could not be judged by: {said[-400:] or f'ended with {done.returncode}'}"
            )
        answer = json.loads(done.stdout)
        if "problem" in answer:
            raise InvalidSettingsError(
                f"{self.path!r} is no JSON Schema that can be used: {answer['problem']}"
            )
        return [tuple(Misfit(*each) for each in found) for found in answer["misfits"]]

    def _too_slow(self, seconds: int) -> InvalidSettingsError:
        return InvalidSettingsError(
            f"{self.path!r} could not be judged by within {seconds} seconds: make it simpler, its patterns above all"
        )

    @property
    def named(self) -> frozenset[str]:
        """The entries that it knows by name."""
        properties, required = self.document.get("properties"), self.document.get("required")
        names = [*properties] if isinstance(properties, dict) else []
        names += [each for each in required if isinstance(each, str)] if isinstance(required, list) else []
        return frozenset(names)


def check_model(schema: object) -> Schema | None:
    """What ``schema=`` takes.

    Raises:
        InvalidInputError: It is something else.
    """
    if schema is None or (isinstance(schema, type) and issubclass(schema, BaseModel)):
        return schema
    raise InvalidInputError(f"schema={schema!r}: it must be a pydantic model, a subclass of BaseModel")


def model_misfits(schema: Schema, value: Metadata) -> tuple[Misfit, ...]:
    """What does not fit a pydantic model, which takes JSON as it is: ``"3"`` is no number."""
    named = frozenset(
        name for key, info in schema.model_fields.items() for name in (key, info.alias) if name is not None
    )
    try:
        schema.model_validate_json(json.dumps(_judged(value, named)), strict=True)
    except ValidationError as error:
        return tuple(
            Misfit(_place(each["loc"]), _told(each["input"], each["msg"], each["type"]))
            for each in error.errors(include_url=False, include_context=False)
        )
    return ()


def _judged(value: Metadata, named: frozenset[str]) -> dict[str, JsonValue]:
    return {key: each for key, each in value.items() if key not in LEARNED or key in named}


def _place(location: Sequence[int | str]) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return text.removeprefix(".")


def _told(value: object, message: str, kind: str) -> str:
    return message if kind == "missing" else f"{message}, and it is {value!r:.200}"


def _references(node: object, path: str, depth: int = 0) -> Iterator[str]:
    if depth > _MOST_DEPTH:
        raise InvalidSettingsError(f"{path!r} is nested deeper than {_MOST_DEPTH} levels")
    if isinstance(node, dict):
        for key, value in node.items():
            if key in _REFERENCES and isinstance(value, str):
                yield value
            yield from _references(value, path, depth + 1)
    elif isinstance(node, list):
        for each in cast("list[object]", node):
            yield from _references(each, path, depth + 1)
