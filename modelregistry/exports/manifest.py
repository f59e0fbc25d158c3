"""What an export says of itself: the JSON by which whoever receives it knows that it is whole, and what it is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from modelregistry.display.shown import Shown
from modelregistry.display.view import Badge, Code, Facts, Size, View
from modelregistry.errors import InvalidFileError

SCHEMA = 1
"""The version of the fields that this library writes, and the only one that it reads."""
MANIFEST = "manifest.json"
MOST = 256 << 20
"""Bytes of a manifest that is read."""

Identity = tuple[str, str | None, str, str, str]
Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]


class _Frozen(Shown, BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="ignore", hide_input_in_errors=True, populate_by_name=True, serialize_by_alias=True
    )


class _Document(_Frozen):
    @classmethod
    def from_json(cls, text: bytes, place: str) -> Self:
        """What ``to_json`` gave.

        Raises:
            InvalidFileError: It did not.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise _invalid(place, error) from error


class ManifestFile(_Frozen):
    """One file."""

    path: str = Field(min_length=1)
    """With ``/`` between."""
    size: int = Field(ge=0)
    """Bytes."""
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class ExportManifest(_Document):
    """What was exported: ``manifest.json``, which is written last. Fields that this version does not know are skipped."""

    schema_version: Literal[1] = Field(1, alias="schema")
    format: str
    """The exporter: ``folder``, ``tar.gz``, …"""
    registry: str | None
    """The random id of the registry; null where the version was registered by another tool."""
    name: str
    """The model."""
    version: str
    """SemVer with a leading ``v``."""
    digest: Digest
    """Of the artifact: of its one file, or of the canonical list of its files."""
    size: int
    """Bytes of the artifact."""
    state: str
    """The highest stage that the version held when it was exported, else ``inactive``."""
    stages: tuple[str, ...]
    """The stages that it held then."""
    exported_at: datetime
    rev: str
    """The commit that it was registered at."""
    source_rev: str
    """The commit that it was made from."""
    path: str
    """Where it is in the repository."""
    created_at: datetime
    """When it was registered."""
    author: str
    """Who registered it."""
    message: str
    """Why."""
    type: str | None
    labels: tuple[str, ...]
    description: str | None
    loader: str | None
    """The loader that reads it, such as ``skops``."""
    signature: dict[str, JsonValue] | None
    """Its inputs and outputs."""
    environment: dict[str, str] | None
    """What it was made with."""
    metadata: dict[str, JsonValue]
    """What was said of it until it was exported."""
    lineage: dict[str, JsonValue]
    """What it was made from, as ``Lineage.from_dict`` reads it."""
    artifact: str | None
    """The path in the export under which the artifact's files lie as they are; null where they are packed."""
    bom: bool = False
    """Whether a bill of materials, ``bom.cdx.json``, is among the files, or packed with them."""
    contents: tuple[ManifestFile, ...]
    """The artifact's files, by their paths in it (of one file, its name)."""
    files: tuple[ManifestFile, ...]
    """All files of the export but for ``manifest.json``, by their paths in it."""

    @property
    def identity(self) -> Identity:
        """What tells it from the export of anything else."""
        return self.format, self.registry, self.name, self.version, self.digest

    @property
    def reference(self) -> str:
        """``name@version``."""
        return f"{self.name}@{self.version}"

    def to_json(self) -> bytes:
        """The file."""
        return self.model_dump_json(indent=2).encode() + b"\n"


@dataclass(frozen=True, slots=True, repr=False)
class Exported(Shown):
    """What an export left at its target."""

    target: str
    """The folder, without what is secret in its URL."""
    manifest: ExportManifest
    written: tuple[str, ...]
    """The files that this call wrote; none where all was there."""

    def _view(self) -> View:
        said = self.manifest
        facts = [
            ("at", Code(self.target)),
            ("artifact", Code(self.artifact) if self.artifact is not None else None),
            ("digest", Code(said.digest)),
            ("size", Size(said.size)),
            ("files", f"{len(said.files):,}"),
            ("written", f"{len(self.written):,}" if self.written else "nothing: all was there"),
        ]
        return View(f"Export of {said.reference}", [Badge(said.format)], [Facts(facts)])

    @property
    def artifact(self) -> str | None:
        """Where the model's file or folder is; None where it is packed."""
        inside = self.manifest.artifact
        if inside == ".":
            return self.target
        return f"{self.target.rstrip('/')}/{inside}" if inside is not None else None


class Unfinished(_Document):
    """What lies beside the files of an export until its manifest does: whose they are, so that it can be gone on with."""

    identity: Identity
    files: tuple[str, ...]

    def to_json(self) -> bytes:
        """The file."""
        return self.model_dump_json().encode()


def _invalid(place: str, error: ValidationError) -> InvalidFileError:
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(map(str, first["loc"])) or "the whole"
    return InvalidFileError(
        f"{place!r} is not what an export leaves there: {where}: {first['msg']}; who wrote it? An export needs a folder of "
        "its own",
        path=place,
    )
