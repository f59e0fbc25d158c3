# ruff: noqa: D102 (a law's name is its promise)
"""The laws every backend keeps, as a pytest class for those who write one.

Subclass it in a test module, say how a backend is made, and run pytest::

    class TestMyBackend(BackendSuite):
        @pytest.fixture
        def backend(self, tmp_path):
            return MyBackend(tmp_path)

The laws are sequential; who wins a race is for tests of your own, with processes of your own. To see the values in a
failed assertion, call ``pytest.register_assert_rewrite("modelregistry.testing")`` before the import.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest

from modelregistry.backends.base import Backend, Log
from modelregistry.events import (
    SCHEMA,
    Annotated,
    Assigned,
    Deprecated,
    Event,
    FileDigest,
    Registered,
    Unassigned,
    Withdrawn,
)
from modelregistry.history import History, Stages
from modelregistry.tags import first_number, tag_name

_EventType = TypeVar("_EventType", bound=Event)
_START = datetime(2026, 1, 1, tzinfo=UTC)
_NEIGHBOURS = ("chur", "churn-2", "churn/eu", "churn_2", "team/churn", "team:churn", "Churn")


def make_event(kind: type[_EventType], model: str, rev: str, *, second: int = 0, **facts: Any) -> _EventType:
    """An event as the registry makes them: dated, with an id, and with a name for its record."""
    facts.setdefault("id", f"{kind.__name__.lower()}-{model}-{second}")
    facts.setdefault("schema_version", SCHEMA)
    event = kind(
        model=model, at=_START + timedelta(seconds=second), author="Ann Author", email="ann@example.com", rev=rev, **facts
    )  # fmt: skip
    if "number" not in facts:
        event = event.model_copy(update={"number": first_number(event.slot)})
    return event.model_copy(update={"source": tag_name(event)})


def make_events(model: str, rev: str) -> tuple[Event, ...]:
    """One event of every kind, a second apart, between them with every kind of fact, some unknown to this version."""
    file = FileDigest(path="sub/mödel.skops", sha256="2" * 64, size=0, md5="3" * 32)
    metadata: dict[str, Any] = {"a": [0.9, 1, None, {}], "Model-Registry: ": "-----BEGIN \n"}
    words = "Why: because.\n\nModel-Registry: is what a line of the words may start with\n\n  ¿Qué? 模型 🎉"
    return (
        make_event(
            Registered, model, rev, second=1, version="v1.0.0", source_rev=rev, digest="sha256:" + "1" * 64,
            address="md5:" + "4" * 32 + ".dir", size=1 << 40, files=(file,), metadata=metadata, message=words,
            registry="5" * 32, written_at=_START.astimezone(), prev="sha256:" + "6" * 64, unknown={"kept": ["as it is"]},
        ),
        make_event(Assigned, model, rev, second=2, stage="current", version="v1.0.0", leaves=("shadow", "a/b")),
        make_event(Unassigned, model, rev, second=3, stage="current", version="v1.0.0", empties=True),
        make_event(Assigned, model, rev, second=4, stage="a/b", version="v1.0.0", restores="assigned", number=7),
        make_event(Unassigned, model, rev, second=5, stage="a/b", version="v1.0.0", echo_of="assigned"),
        make_event(Annotated, model, rev, second=6, version="v1.0.0", metadata={"owner": None, "": "nobody"}),
        make_event(Deprecated, model, rev, second=7, message="superseded"),
        make_event(Withdrawn, model, rev, second=8, version="v1.0.0", message="leaks\r\n\tdata"),
    )  # fmt: skip


class BackendSuite:
    """What every backend promises, one test a promise. Override ``backend``, and what else yours needs."""

    @pytest.fixture
    def backend(self) -> Backend:
        """An empty backend."""
        raise NotImplementedError("override the fixture 'backend': it returns an empty backend")

    @pytest.fixture
    def rev(self) -> str:
        """A commit id that the backend takes."""
        return "0123456789" * 4

    def reopen(self, backend: Backend) -> Backend:
        """Another backend over the same log, as another process would open it; or the same, where nobody else can."""
        return backend

    def test_a_model_that_is_not_there_has_an_empty_log_with_a_stable_head(self, backend: Backend) -> None:
        log = backend.read("churn")
        assert (log.model, log.events, log.quarantined, dict(log.numbers)) == ("churn", (), (), {})
        assert backend.read("churn").head == log.head
        backend.watch("churn")
        assert list(backend.read_all()) == [], "reading and watching write nothing"

    @pytest.mark.parametrize("position", range(8))
    def test_an_event_is_read_as_it_was_appended(self, backend: Backend, rev: str, position: int) -> None:
        event = make_events("team:churn", rev)[position]
        kept = backend.append(event)
        assert kept == event
        assert kept is not None and kept.fingerprint() == event.fingerprint()
        assert _same(backend.read("team:churn").events, [event])
        assert _same(self.reopen(backend).read("team:churn").events, [event])

    def test_append_at_a_taken_number_writes_nothing(self, backend: Backend, rev: str) -> None:
        for event in make_events("churn", rev):
            assert backend.append(event) is not None
            before = backend.read("churn")
            rival = event.model_copy(update={"id": "rival", "at": _START + timedelta(days=1)})
            assert backend.append(rival) is None
            assert backend.append(event) is None, "the same event again is taken too"
            assert _same_log(backend.read("churn"), before)

    def test_next_number_is_free_and_follows_the_highest(self, backend: Backend, rev: str) -> None:
        for slot in ("@v1.0.0", "@v1.0.0!", "#current", "#current!", "@annotate", "@deprecated"):
            assert backend.read("churn").next_number(slot) == first_number(slot)
        for number in (1, 2, 9):
            assert backend.append(_assigned("churn", rev, number)) is not None
            assert backend.read("churn").next_number("#current") == number + 1
        assert backend.read("churn").next_number("#shadow") == 1
        assert backend.append(_assigned("churn", rev, 5)) is not None, (
            "late, and the number is free: it is kept"
        )
        assert backend.read("churn").next_number("#current") == 10

    def test_slots_do_not_take_each_others_numbers(self, backend: Backend, rev: str) -> None:
        for stage in ("current", "shadow", "current/eu", "1"):
            assert backend.append(_assigned("churn", rev, 1, stage=stage)) is not None
            assert backend.append(
                make_event(Unassigned, "churn", rev, stage=stage, version="v1.0.0", number=1)
            ) is not None  # fmt: skip
        assert len(backend.read("churn").events) == 8

    def test_models_with_similar_names_do_not_harm_each_other(self, backend: Backend, rev: str) -> None:
        for event in make_events("churn", rev):
            assert backend.append(event) is not None
        before = backend.read("churn")
        for name in _NEIGHBOURS:
            for event in make_events(name, rev):
                assert backend.append(event) is not None
            assert _same(backend.read(name).events, make_events(name, rev))
            assert _same_log(backend.read("churn"), before)

    def test_a_log_that_was_read_does_not_change(self, backend: Backend, rev: str) -> None:
        backend.append(_assigned("churn", rev, 1))
        log = backend.read("churn")
        logs = backend.read_all()
        seen = (log.head, log.events, dict(log.numbers))
        backend.append(_assigned("churn", rev, 2))
        assert (log.head, log.events, dict(log.numbers)) == seen
        assert [found.model for found in logs] == ["churn"]

    def test_the_head_changes_with_the_log_and_only_then(self, backend: Backend, rev: str) -> None:
        heads = [backend.read("churn").head]
        for event in make_events("churn", rev):
            backend.append(event)
            heads.append(backend.read("churn").head)
            backend.append(make_event(Registered, f"other{len(heads)}", rev, version="v1.0.0"))
            backend.append(event)
            assert backend.read("churn").head == heads[-1] == self.reopen(backend).read("churn").head
        assert len(set(heads)) == len(heads)

    def test_a_watch_token_stays_only_while_the_log_does(self, backend: Backend, rev: str) -> None:
        before = backend.watch("churn")
        for event in make_events("churn", rev):
            assert self.reopen(backend).append(event) is not None
            after = backend.watch("churn")
            assert after is None or after != before, f"{event.source} came, and the token stayed"
            backend.read("churn")
            before = backend.watch("churn")

    def test_read_all_gives_the_log_of_each_model_by_name(self, backend: Backend, rev: str) -> None:
        for name in reversed(("churn", *_NEIGHBOURS)):
            backend.append(_assigned(name, rev, 1))
            backend.append(make_event(Registered, name, rev, second=2, version="v1.0.0"))
        logs = list(backend.read_all())
        assert [log.model for log in logs] == sorted(("churn", *_NEIGHBOURS))
        assert all(_same_log(log, backend.read(log.model)) for log in logs)
        assert backend.heads() == {log.model: log.head for log in logs}

    def test_an_outline_folds_to_what_its_log_does(self, backend: Backend, rev: str) -> None:
        for name in reversed(("churn", *_NEIGHBOURS)):
            for event in make_events(name, rev)[: 1 + len(name) % 8]:
                backend.append(event)
        outlines, logs = list(backend.outlines()), list(backend.read_all())
        assert [(each.model, each.head) for each in outlines] == [(log.model, log.head) for log in logs]
        for outline, log in zip(outlines, logs, strict=True):
            told, whole = (History(log.model, events, Stages()) for events in (outline.events, log.events))
            assert told.served == whole.served
            assert told.assignments == whole.assignments
            assert (told.deprecated is None) == (whole.deprecated is None)
            assert {name: told.standing(name) for name in told.stages_used} == {
                name: whole.standing(name) for name in whole.stages_used
            }


def _assigned(model: str, rev: str, number: int, *, stage: str = "current") -> Assigned:
    return make_event(Assigned, model, rev, second=number, stage=stage, version="v1.0.0", number=number)


def _same(found: Any, expected: Any) -> bool:
    """Whether both have the same events; in which order a backend gives them is its own business."""
    return sorted(found, key=lambda event: event.order) == sorted(expected, key=lambda event: event.order)


def _same_log(found: Log, expected: Log) -> bool:
    return (
        _same(found.events, expected.events)
        and (found.model, found.head, found.quarantined)
        == (expected.model, expected.head, expected.quarantined)
        and dict(found.numbers) == dict(expected.numbers)
    )
