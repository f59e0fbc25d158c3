"""The frozen facts a log consists of, and their JSON.

An event says what happened to one model: a version was registered, withdrawn, put on a stage or taken off it,
annotated; the model was deprecated. Fields that this version of the library does not know survive a round trip.
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from typing import Any, ClassVar, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from modelregistry.display.shown import Shown, shown

SCHEMA = 1
"""The version of the fields below that this library writes and the newest it understands."""


class Fact(Shown, BaseModel):
    """A frozen record that keeps what it does not know."""

    # Built on first use: a read meets two or three of the kinds.
    model_config = ConfigDict(frozen=True, extra="allow", hide_input_in_errors=True, defer_build=True)


class FileDigest(Fact):
    """One file of a version: its path inside the artifact and what its bytes hash to."""

    path: str
    sha256: str | None = None
    size: int | None = None
    md5: str | None = None


class Judged(Fact):
    """A figure by which a promotion was allowed."""

    figure: str
    """Its key in the version's metadata, with dots between."""
    wish: str
    """What was required of it, such as ``>= 0.9`` or ``> current + 0.01``."""
    value: float | None = None
    """What it was."""
    holder: str | None = None
    """The version that it was compared with."""
    holder_value: float | None = None
    """That one's figure."""


class DeclaredInput(Fact):
    """One thing that an author says a version was made from: a path, a URL, a version, or nothing but a digest."""

    path: str | None = None
    """From the Git root, at the commit of the registration."""
    url: str | None = None
    rev: str | None = None
    """Of a URL that is a Git repository, the commit."""
    version: str | None = None
    """A version of the same registry, as a reference."""
    digest: str | None = None
    """Algorithm first: as the author said it; of a path and a version, as it was found."""
    size: int | None = None
    """Bytes."""
    name: str | None = None
    """For people."""


class DeclaredLineage(Fact):
    """What an author says a version was made from."""

    inputs: tuple[DeclaredInput, ...] = ()
    code: tuple[DeclaredInput, ...] = ()
    params: dict[str, JsonValue] = Field(default_factory=dict)
    metrics: dict[str, JsonValue] = Field(default_factory=dict)


@shown
class Bytes(NamedTuple):
    """What a registration says of the bytes."""

    digest: str | None
    """Their identity; None where they were nowhere to be had."""
    address: str
    """What the storage calls them."""
    size: int | None = None
    files: tuple[FileDigest, ...] = ()
    manifest: str | None = None
    """The path of the manifest, where it is kept in a file."""


class Event(Fact):
    """What every event says: which model, when, who, why, and where it stands in the log."""

    kind: str
    model: str
    id: str
    """Random for events of ours; ``git:<object id>`` for tags that other tools wrote."""
    at: datetime
    """The time that orders the log: UTC, whole seconds, strictly later than the model's event before."""
    author: str
    email: str
    message: str = ""
    rev: str
    """The commit the event points at."""
    number: int = 0
    """Its number in its slot; 0 where the record carries none."""
    source: str = ""
    """What the backend calls the record: in Git, the tag."""
    schema_version: int = 0
    """The version of the fields; 0 for records that other tools wrote."""
    registry: str | None = None
    """The random id of the registry, set by the first event of ours."""
    written_at: datetime | None = None
    """What the writer's clock said."""
    prev: str | None = None
    """The digest of the model's event before this one, as its writer saw the log."""
    echo_of: str | None = None
    """The id of the event that this one repeats for GTO; an echo changes nothing for us."""

    kind_name: ClassVar[str]
    """What ``kind`` is."""

    @classmethod
    def from_values(cls, values: dict[str, Any]) -> Self:
        """``model_validate``, less its keyword arguments: a fifth faster, and a full read does it for every event."""
        return cls.__pydantic_validator__.validate_python(values)  # type: ignore[no-any-return]

    @classmethod
    def outline(cls, facts: dict[str, Any]) -> Self:
        """An event of ``facts``, which were checked before, and nothing else: to be folded, and then forgotten."""
        event: Self = object.__new__(cls)
        object.__setattr__(event, "__dict__", facts)
        return event

    rank: ClassVar[int]
    """GTO's order of kinds within one second."""

    @property
    def slot(self) -> str:
        """What one compare-and-swap guards: events of one model and slot are numbered without gaps."""
        raise NotImplementedError

    @property
    def order(self) -> tuple[datetime, int, int, str]:
        """What the log is ordered by."""
        return self.at, self.rank, self.number, self.source

    def to_json(self) -> dict[str, JsonValue]:
        """Every fact that is set, as JSON values."""
        return self.model_dump(mode="json", exclude_none=True)

    def fingerprint(self) -> str:
        """``sha256:…`` of the canonical JSON (sorted keys, no spaces, UTF-8): what the next event's ``prev`` holds."""
        text = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return "sha256:" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class Deprecated(Event):
    """The model is deprecated, until its next event."""

    kind: Literal["deprecate"] = "deprecate"
    kind_name: ClassVar[str] = "deprecate"
    rank: ClassVar[int] = 1

    @property
    def slot(self) -> str:
        """One for the model."""
        return "@deprecated"


class Registered(Event):
    """A version was registered: this commit, these bytes."""

    kind: Literal["register"] = "register"
    kind_name: ClassVar[str] = "register"
    version: str
    source_rev: str | None = None
    """The commit the version was made from, where it has a commit of its own."""
    digest: str | None = None
    """The identity of the bytes: of the file, or of the canonical manifest of a folder."""
    address: str | None = None
    """What the storage calls the bytes, such as ``md5:….dir``."""
    size: int | None = None
    """Bytes in all."""
    files: tuple[FileDigest, ...] = ()
    """The files, up to 200; above that the manifest is a file in a commit of the version's own."""
    manifest: str | None = None
    """The path of that manifest."""
    metadata: dict[str, JsonValue] = Field(default_factory=dict)
    lineage: DeclaredLineage | None = None
    """What the author says it was made from; None where nothing was said."""
    rank: ClassVar[int] = 2

    @property
    def slot(self) -> str:
        """One for the version."""
        return f"@{self.version}"


class Deregistered(Event):
    """GTO's deregistration: the version is hidden until it is registered again."""

    kind: Literal["deregister"] = "deregister"
    kind_name: ClassVar[str] = "deregister"
    version: str
    rank: ClassVar[int] = 3

    @property
    def slot(self) -> str:
        """One for the version."""
        return f"@{self.version}!"


class Withdrawn(Deregistered):
    """A tombstone: the version is never served again."""

    kind: Literal["withdraw"] = "withdraw"  # type: ignore[assignment]
    kind_name: ClassVar[str] = "withdraw"


class Assigned(Event):
    """A version was put on a stage."""

    kind: Literal["assign"] = "assign"
    kind_name: ClassVar[str] = "assign"
    stage: str
    version: str | None = None
    """None in GTO's tags, which name a version by its commit."""
    leaves: tuple[str, ...] = ()
    """Stages that the version left with this."""
    restores: str | None = None
    """The id of the assignment that a rollback went back to."""
    judged: tuple[Judged, ...] = ()
    """The figures that the promotion was allowed by."""
    rank: ClassVar[int] = 4

    @property
    def slot(self) -> str:
        """One for the stage's assignments."""
        return f"#{self.stage}"


class Unassigned(Event):
    """A version was taken off a stage."""

    kind: Literal["unassign"] = "unassign"
    kind_name: ClassVar[str] = "unassign"
    stage: str
    version: str | None = None
    """None in GTO's tags, which name a version by its commit."""
    empties: bool = False
    """Whether every earlier assignment of the stage ends with this."""
    rank: ClassVar[int] = 5

    @property
    def slot(self) -> str:
        """One for the stage's ends."""
        return f"#{self.stage}!"


class Annotated(Event):
    """Metadata was attached after the fact; a null takes a key away."""

    kind: Literal["annotate"] = "annotate"
    kind_name: ClassVar[str] = "annotate"
    version: str | None = None
    """None for the model as a whole."""
    metadata: dict[str, JsonValue] = Field(default_factory=dict)
    rank: ClassVar[int] = 6

    @property
    def slot(self) -> str:
        """One for the model."""
        return "@annotate"


KINDS: dict[str, type[Event]] = {
    event.kind_name: event
    for event in (Deprecated, Registered, Deregistered, Withdrawn, Assigned, Unassigned, Annotated)
}


def event_from_json(values: dict[str, Any]) -> Event:
    """The event that ``to_json`` gave ``values``.

    Raises:
        pydantic.ValidationError: A field is missing or of another type.
        KeyError: The kind is unknown.
    """
    return KINDS[values["kind"]].model_validate(values)
