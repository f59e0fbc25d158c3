# ruff: noqa: D102 (a law's name is its promise)
"""The laws that a backend keeps when one process calls it, one test a law."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from modelregistry.backends.base import FEW, Backend, Log
from modelregistry.log.events import Assigned, Registered, Unassigned
from modelregistry.log.history import History, Stages
from modelregistry.log.tags import first_number, render
from modelregistry.search.clues import Clue, Either, Every, Holds, fits
from modelregistry.testing.events import START, make_event, make_events
from modelregistry.testing.opened import Opened, Opener

_NEIGHBOURS = ("chur", "churn-2", "churn/eu", "churn_2", "team/churn", "team:churn", "Churn")


class SequentialLaws(Opened):
    """What a backend promises to one process."""

    def test_a_model_that_is_not_there_has_an_empty_log_with_a_stable_head(self, backend: Backend) -> None:
        log = backend.read("churn")
        assert (log.model, log.events, log.quarantined, dict(log.numbers)) == ("churn", (), (), {})
        assert backend.read("churn").head == log.head
        backend.watch("churn")
        assert list(backend.read_all()) == [], "reading and watching write nothing"

    @pytest.mark.parametrize("position", range(8))
    def test_an_event_is_read_as_it_was_appended(
        self, backend: Backend, opener: Opener, rev: str, position: int
    ) -> None:
        event = make_events("team:churn", rev)[position]
        kept = backend.append(event)
        assert kept == event
        assert kept is not None and kept.fingerprint() == event.fingerprint()
        assert same(backend.read("team:churn").events, [event])
        assert same(opener().read("team:churn").events, [event])

    def test_append_at_a_taken_number_writes_nothing(self, backend: Backend, rev: str) -> None:
        for event in make_events("churn", rev):
            assert backend.append(event) is not None
            before = backend.read("churn")
            rival = event.model_copy(update={"id": "rival", "at": START + timedelta(days=1)})
            assert backend.append(rival) is None
            assert backend.append(event) in (None, event), "the same event again is taken, or known again"
            assert same_log(backend.read("churn"), before)

    def test_next_number_is_free_and_follows_the_highest(self, backend: Backend, rev: str) -> None:
        for slot in ("@v1.0.0", "@v1.0.0!", "#current", "#current!", "@annotate", "@deprecated"):
            assert backend.read("churn").next_number(slot) == first_number(slot)
        for number in (1, 2, 9):
            assert backend.append(assigned("churn", rev, number)) is not None
            assert backend.read("churn").next_number("#current") == number + 1
        assert backend.read("churn").next_number("#shadow") == 1
        assert backend.append(assigned("churn", rev, 5)) is not None, (
            "late, and the number is free: it is kept"
        )
        assert backend.read("churn").next_number("#current") == 10

    def test_slots_do_not_take_each_others_numbers(self, backend: Backend, rev: str) -> None:
        for stage in ("current", "shadow", "current/eu", "1"):
            assert backend.append(assigned("churn", rev, 1, stage=stage)) is not None
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
            assert same(backend.read(name).events, make_events(name, rev))
            assert same_log(backend.read("churn"), before)

    def test_a_log_that_was_read_does_not_change(self, backend: Backend, rev: str) -> None:
        backend.append(assigned("churn", rev, 1))
        log = backend.read("churn")
        logs = backend.read_all()
        seen = (log.head, log.events, dict(log.numbers))
        backend.append(assigned("churn", rev, 2))
        assert (log.head, log.events, dict(log.numbers)) == seen
        assert [found.model for found in logs] == ["churn"]

    def test_the_head_changes_with_the_log_and_only_then(
        self, backend: Backend, opener: Opener, rev: str
    ) -> None:
        heads = [backend.read("churn").head]
        for event in make_events("churn", rev):
            backend.append(event)
            heads.append(backend.read("churn").head)
            backend.append(make_event(Registered, f"other{len(heads)}", rev, version="v1.0.0"))
            backend.append(event)
            assert backend.read("churn").head == heads[-1] == opener().read("churn").head
        assert len(set(heads)) == len(heads)

    def test_a_watch_token_stays_only_while_the_log_does(
        self, backend: Backend, opener: Opener, rev: str
    ) -> None:
        before = backend.watch("churn")
        for event in make_events("churn", rev):
            assert opener().append(event) is not None
            after = backend.watch("churn")
            assert after is None or after != before, f"{event.source} came, and the token stayed"
            backend.read("churn")
            before = backend.watch("churn")

    def test_read_all_gives_the_log_of_each_model_by_name(self, backend: Backend, rev: str) -> None:
        for name in reversed(("churn", *_NEIGHBOURS)):
            backend.append(assigned(name, rev, 1))
            backend.append(make_event(Registered, name, rev, second=2, version="v1.0.0"))
        logs = list(backend.read_all())
        assert [log.model for log in logs] == sorted(("churn", *_NEIGHBOURS))
        assert all(same_log(log, backend.read(log.model)) for log in logs)
        assert backend.heads() == {log.model: log.head for log in logs}

    def test_some_logs_are_what_they_are_among_all(self, backend: Backend, rev: str) -> None:
        names = ["churn", *_NEIGHBOURS, *(f"m{number}" for number in range(2 * FEW))]
        for name in names:
            backend.append(make_event(Registered, name, rev, version="v1.0.0"))
        logs = {log.model: log for log in backend.read_all()}
        for some in ([], ["team/churn"], ["nobody", "Churn"], names[:-1], names):
            found = [log for log in backend.read_some(some) if log.events]
            assert sorted(log.model for log in found) == sorted(name for name in some if name in logs)
            assert all(same_log(log, logs[log.model]) for log in found)

    def test_no_log_that_fits_a_clue_is_missed(self, backend: Backend, rev: str) -> None:
        for name in ("churn", *_NEIGHBOURS):
            for event in make_events(name, rev)[: 1 + len(name) % 8]:
                backend.append(event)
        texts = {log.model: [render(event) for event in log.events] for log in backend.read_all()}
        pieces = sorted({piece for records in texts.values() for text in records for piece in text.split()})
        has: list[Clue] = [Holds(((piece,),)) for piece in pieces]
        mixed: list[Clue] = [
            Holds(((pieces[0], pieces[-1]), (rev.encode(),))), Holds(((b"%",), (b"_",))), Holds(((b"'", b"\\"),)),
            Every((has[0], has[-1])), Either((has[1], has[-2])), Either((Every((has[2], has[3])), has[4])), Either(()),
        ]  # fmt: skip
        for clue in [*has, *mixed]:
            told = backend.candidates(clue)
            fitting = {model for model, records in texts.items() if fits(clue, records)}
            assert told is None or fitting <= {*told}, f"{fitting - {*told}} fit {clue}"

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


def assigned(model: str, rev: str, number: int, *, stage: str = "current") -> Assigned:
    """The event of that number on a stage."""
    return make_event(Assigned, model, rev, second=number, stage=stage, version="v1.0.0", number=number)


def same(found: Any, expected: Any) -> bool:
    """Whether both have the same events; in which order a backend gives them is its own business."""
    return sorted(found, key=lambda event: event.order) == sorted(expected, key=lambda event: event.order)


def same_log(found: Log, expected: Log, *, heads: bool = True) -> bool:
    """Whether both logs say the same; without ``heads``, whatever their tokens are."""
    return (
        same(found.events, expected.events)
        and (found.model, found.quarantined) == (expected.model, expected.quarantined)
        and dict(found.numbers) == dict(expected.numbers)
        and (found.head == expected.head or not heads)
    )
