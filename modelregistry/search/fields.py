"""The fields that a search can ask for, and what each of them is of one version."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final, Literal

from pydantic import JsonValue

from modelregistry.errors import RegistryError
from modelregistry.project.declarations import Declared, declaring_file, rooted
from modelregistry.project.declarationtexts import Declaration
from modelregistry.search.matching import MISSING, UNKNOWN, Flat, Origin, Several
from modelregistry.search.query import Field, FieldKind, VersionText
from modelregistry.version import ModelVersion, said_of


class Cost(IntEnum):
    """What must be read to know a field."""

    LOG = 0
    DECLARATION = 1
    """``dvc.yaml`` at the version's commit."""
    MEASURED = 2
    """What DVC recorded there."""
    LINEAGE = 3


FIELDS: Mapping[str, FieldKind] = {
    "name": "text", "version": "version", "latest": "flag", "state": "text", "stage": "texts", "deprecated": "flag",
    "created_at": "time", "author": "text", "email": "text", "message": "text", "rev": "text", "source_rev": "text",
    "digest": "texts", "size": "number", "metadata": "tree",
    "type": "text", "labels": "texts", "description": "text", "path": "text",
    "metrics": "tree", "params": "tree", "made_from": "origin", "repository": "texts",
}  # fmt: skip
COSTS: Mapping[str, Cost] = {
    **dict.fromkeys(("type", "labels", "description", "path"), Cost.DECLARATION),
    **dict.fromkeys(("metrics", "params"), Cost.MEASURED),
    **dict.fromkeys(("made_from", "repository"), Cost.LINEAGE),
}
NOTHING_READ: Final = object()
"""What was not read yet."""


@dataclass(slots=True)
class Row:
    """What is known of one version."""

    version: ModelVersion
    email: str = ""
    is_latest: bool = False
    declared: Declared | object = NOTHING_READ
    measured: dict[str, Mapping[str, JsonValue]] = field(default_factory=dict)
    """Metrics and params that were read, by keys with dots."""
    most: Cost = Cost.LOG
    """What may be read to answer."""
    problem: str | None = None
    """Why something could not be read."""
    _said: dict[str, Mapping[str, JsonValue]] = field(default_factory=dict)

    def look(self, wanted: Field) -> object:
        """What a field of the version is."""
        return reading(wanted)(self)

    def _fact(self, name: str) -> object:
        """What the log says."""
        version = self.version
        match name:
            case "version":
                return VersionText(version.version)
            case "latest":
                return self.is_latest
            case "stage":
                return Several(version.stages)
            case "email":
                return self.email
            case "digest":
                address = version.registered.address if version.registered is not None else None
                return Several(filter(None, (version.digest, address)))
        found = getattr(version, name)
        return MISSING if found is None else found

    def _declared(self, name: str) -> object:
        found = self.declared
        if found is NOTHING_READ:
            return UNKNOWN
        if not isinstance(found, Declared) or found.entry is None:
            return MISSING
        match name:
            case "labels":
                return Several(found.entry.labels)
            case "path":
                return self._path(found.entry)
        value = getattr(found.entry, name)
        return MISSING if value is None else value

    def _path(self, entry: Declaration) -> object:
        try:
            return rooted(entry, declaring_file(self.version.name)).path
        except RegistryError as error:
            self.problem = self.problem or str(error)
            return MISSING

    def _measured(self, kind: Literal["metrics", "params"], key: str, *, is_whole: bool) -> object:
        """What the log says of it, else what DVC recorded."""
        known = self._said.get(kind)
        if known is None:
            known = self._said[kind] = said_of(self.version, kind)
        if key in known and not is_whole:
            return known[key]
        read = self.measured.get(kind)
        if read is None:
            return UNKNOWN
        if is_whole:
            return Flat({**read, **known})
        return read[key] if key in read else _group({**read, **known}, key)

    def _made(self, name: str) -> object:
        try:
            lineage = self.version.lineage
        except RegistryError as error:
            self.problem = self.problem or str(error)
            return MISSING
        if name == "made_from":
            return Origin(lambda what: bool(what) and bool(lineage.find(what)))
        return Several(dict.fromkeys(node.name for node in lineage.of_kind("repository", "source")))


def reading(wanted: Field) -> Callable[[Row], object]:
    """What reads a field of any version: what the field is, is looked at once."""
    name, parts = wanted.name, wanted.parts
    match name:
        case "metadata":
            return lambda row: _inside(row.version.metadata, parts)
        case "metrics" | "params":
            return _reading_measured(name, parts)
        case "type" | "labels" | "description" | "path":
            return lambda row: row._declared(name)
        case "made_from" | "repository":
            return lambda row: row._made(name) if row.most >= Cost.LINEAGE else UNKNOWN
    return lambda row: row._fact(name)


def _reading_measured(
    kind: Literal["metrics", "params"], parts: tuple[str | int, ...]
) -> Callable[[Row], object]:
    """Reads what has keys with dots, in which a list is one value: ``params.layers[0]`` is in ``params.layers``."""
    key = ".".join(map(str, parts))
    numbered = next((at for at, part in enumerate(parts) if isinstance(part, int)), 0)
    if not numbered:
        return lambda row: row._measured(kind, key, is_whole=not parts)
    whole, rest = ".".join(map(str, parts[:numbered])), parts[numbered:]

    def read(row: Row) -> object:
        found = row._measured(kind, key, is_whole=False)
        return _inside(row._measured(kind, whole, is_whole=False), rest) if found is MISSING else found

    return read


def _group(values: Mapping[str, JsonValue], key: str) -> object:
    """What stands below a name, by the rest of the keys with dots."""
    before = f"{key}."
    found = Flat({name[len(before) :]: value for name, value in values.items() if name.startswith(before)})
    return found or MISSING


def _inside(value: object, parts: tuple[str | int, ...]) -> object:
    """What is at the end of a path through nested values."""
    for position, part in enumerate(parts):
        if isinstance(value, Mapping):
            rest = ".".join(map(str, parts[position:]))
            if part not in value and rest in value:
                return value[rest]
            value = value.get(part, MISSING)
        elif isinstance(value, list | tuple) and isinstance(part, int) and -len(value) <= part < len(value):
            value = value[part]
        else:
            return MISSING
    return value
