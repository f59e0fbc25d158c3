"""The facts: frozen, tolerant of what they do not know, and the same bytes on every machine."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from modelregistry.log.events import (
    KINDS,
    Annotated,
    Assigned,
    Bytes,
    DeclaredInput,
    DeclaredLineage,
    Event,
    FileDigest,
    Judged,
    Registered,
    event_from_json,
)
from modelregistry.testing import make_event, make_events

REV = "a" * 40


@pytest.mark.parametrize("event", make_events("team:churn", REV), ids=lambda event: event.kind)
def test_an_event_survives_json(event: Event) -> None:
    again = event_from_json(event.to_json())
    assert (type(again), again, again.fingerprint()) == (type(event), event, event.fingerprint())


def test_unknown_fields_survive_and_count() -> None:
    plain = make_event(Assigned, "churn", REV, stage="current", version="v1.0.0")
    event = event_from_json({**plain.to_json(), "approved_by": {"name": "Bob"}})
    assert event.to_json()["approved_by"] == {"name": "Bob"}
    assert event.fingerprint() != plain.fingerprint()


def test_an_event_can_not_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        make_event(Assigned, "churn", REV, stage="current").stage = "shadow"


def test_every_kind_is_in_the_table_under_its_own_name() -> None:
    assert set(KINDS) == {"deprecate", "register", "deregister", "withdraw", "assign", "unassign", "annotate"}
    for name, kind in KINDS.items():
        assert kind.model_fields["kind"].default == name
        assert isinstance(kind.rank, int)


@pytest.mark.parametrize("values", [{"kind": "explode"}, {}])
def test_an_unknown_kind_is_a_key_error(values: dict[str, object]) -> None:
    with pytest.raises(KeyError):
        event_from_json(values)


def test_a_validation_error_does_not_print_what_it_was_given() -> None:
    with pytest.raises(ValidationError) as caught:
        event_from_json({"kind": "register", "model": ["a secret"]})
    assert "a secret" not in str(caught.value)


def test_slots_part_what_may_happen_at_once() -> None:
    slots = [event.slot for event in make_events("churn", REV)]
    assert slots == [
        "@v1.0.0",
        "#current",
        "#current!",
        "#a/b",
        "#a/b!",
        "@annotate",
        "@deprecated",
        "@v1.0.0!",
    ]


def test_within_a_second_kinds_come_in_gtos_order() -> None:
    same = [
        event.model_copy(update={"at": datetime(2026, 1, 1, tzinfo=UTC)})
        for event in make_events("churn", REV)
    ]
    kinds = list(dict.fromkeys(event.kind for event in sorted(same, key=lambda event: event.order)))
    assert kinds == ["deprecate", "register", "withdraw", "assign", "unassign", "annotate"]


def test_a_fingerprint_is_pinned() -> None:
    event = Registered(
        model="churn", id="1", at=datetime(2026, 1, 1, tzinfo=UTC), author="Ann", email="a@x", rev=REV, version="v1.0.0",
        metadata={"ü": 1}, schema_version=1,
    )  # fmt: skip
    assert event.fingerprint() == "sha256:b99fcc4e3cde3c558ef9bf70e1e7046a48eaa33483917f27837ede15d393de6d"
    assert event.fingerprint() != event.model_copy(update={"message": "x"}).fingerprint()


@pytest.mark.parametrize("message", ["Réglé", "\udc80 of a tag that is no UTF-8", "<>&"])
def test_a_fingerprint_is_the_sha256_of_canonical_json_in_utf_8(message: str) -> None:
    """Sorted keys, no spaces, nothing escaped that JSON does not ask for; so that another program can work it out."""
    event = Annotated(
        model="churn",
        id="1",
        at=datetime(2026, 1, 1, tzinfo=UTC),
        author="a",
        email="b",
        rev="c",
        message=message,
    )
    text = (
        '{"at":"2026-01-01T00:00:00Z","author":"a","email":"b","id":"1","kind":"annotate","message":"'
        f'{message}","metadata":{{}},"model":"churn","number":0,"rev":"c","schema_version":0,"source":""}}'
    )
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    assert event.fingerprint() == f"sha256:{digest}"


def test_what_a_record_does_not_say_is_nothing() -> None:
    assert FileDigest(path="a").model_dump() == {"path": "a", "sha256": None, "size": None, "md5": None}
    judged = {"figure": "auc", "wish": "> 0", "value": None, "holder": None, "holder_value": None}
    assert Judged(figure="auc", wish="> 0").model_dump() == judged
    assert DeclaredInput().model_dump() == dict.fromkeys(
        ("path", "url", "rev", "version", "digest", "size", "name")
    )
    assert DeclaredLineage().model_dump() == {"inputs": (), "code": (), "params": {}, "metrics": {}}
    assert Bytes("sha256:0", "md5:0") == ("sha256:0", "md5:0", None, (), None)
    registered = make_event(Registered, "churn", REV, version="v1.0.0")
    assert (registered.metadata, registered.files, registered.manifest, registered.lineage) == (
        {},
        (),
        None,
        None,
    )
    assigned = make_event(Assigned, "churn", REV, stage="current", version="v1.0.0")
    assert (assigned.judged, assigned.leaves, assigned.message) == ((), (), "")


def test_of_one_second_the_kinds_are_read_in_the_order_of_gto() -> None:
    order = ("deprecate", "register", "deregister", "assign", "unassign", "annotate")
    assert [KINDS[name].rank for name in order] == [1, 2, 3, 4, 5, 6]
    assert KINDS["withdraw"].rank == KINDS["deregister"].rank
