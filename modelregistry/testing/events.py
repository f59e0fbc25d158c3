"""Events to test with."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from modelregistry.log.events import (
    SCHEMA,
    Annotated,
    Assigned,
    DeclaredInput,
    DeclaredLineage,
    Deprecated,
    Event,
    FileDigest,
    Registered,
    Unassigned,
    Withdrawn,
)
from modelregistry.log.tags import first_number, tag_name

_EventType = TypeVar("_EventType", bound=Event)
START = datetime(2026, 1, 1, tzinfo=UTC)
"""When events are dated, less their seconds."""


def make_event(kind: type[_EventType], model: str, rev: str, *, second: int = 0, **facts: Any) -> _EventType:
    """An event as the registry makes them: dated, with an id, and with a name for its record."""
    facts.setdefault("id", f"{kind.__name__.lower()}-{model}-{second}")
    facts.setdefault("schema_version", SCHEMA)
    event = kind(
        model=model, at=START + timedelta(seconds=second), author="Ann Author", email="ann@example.com", rev=rev, **facts
    )  # fmt: skip
    if "number" not in facts:
        event = event.model_copy(update={"number": first_number(event.slot)})
    return event.model_copy(update={"source": tag_name(event)})


def make_events(model: str, rev: str) -> tuple[Event, ...]:
    """One event of every kind, a second apart, between them with every kind of fact, some unknown to this version."""
    file = FileDigest(path="sub/mödel.skops", sha256="2" * 64, size=0, md5="3" * 32)
    metadata: dict[str, Any] = {"a": [0.9, 1, None, {}], "Model-Registry: ": "-----BEGIN \n"}
    declared = DeclaredLineage(
        inputs=(
            DeclaredInput(path="data/mödel.csv", digest="git:" + "7" * 40, size=0),
            DeclaredInput(version="base@v1.0.0", digest="sha256:" + "8" * 64, size=1 << 40, name="the base"),
        ),
        code=(DeclaredInput(url="https://git.example.com/code", rev="9" * 40),),
        params={"C": 1, "deep": {"": None}}, metrics={"auc": 0.9},
    )  # fmt: skip
    words = "Why: because.\n\nModel-Registry: is what a line of the words may start with\n\n  ¿Qué? 模型 🎉"
    return (
        make_event(
            Registered, model, rev, second=1, version="v1.0.0", source_rev=rev, digest="sha256:" + "1" * 64,
            address="md5:" + "4" * 32 + ".dir", size=1 << 40, files=(file,), metadata=metadata, message=words,
            registry="5" * 32, written_at=START.astimezone(), prev="sha256:" + "6" * 64, lineage=declared,
            unknown={"kept": ["as it is"]},
        ),
        make_event(Assigned, model, rev, second=2, stage="current", version="v1.0.0", leaves=("shadow", "a/b")),
        make_event(Unassigned, model, rev, second=3, stage="current", version="v1.0.0", empties=True),
        make_event(Assigned, model, rev, second=4, stage="a/b", version="v1.0.0", restores="assigned", number=7),
        make_event(Unassigned, model, rev, second=5, stage="a/b", version="v1.0.0", echo_of="assigned"),
        make_event(Annotated, model, rev, second=6, version="v1.0.0", metadata={"owner": None, "": "nobody"}),
        make_event(Deprecated, model, rev, second=7, message="superseded"),
        make_event(Withdrawn, model, rev, second=8, version="v1.0.0", message="leaks\r\n\tdata"),
    )  # fmt: skip
