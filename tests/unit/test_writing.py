"""One write against others that are faster."""

from __future__ import annotations

from datetime import timedelta

import pytest

from modelregistry import writing
from modelregistry.backends.memory import MemoryBackend
from modelregistry.changes import Change, Writer, annotate
from modelregistry.errors import ConflictError
from modelregistry.events import Annotated, Event, Registered
from modelregistry.gitrepo import Identity
from modelregistry.history import History, Stages
from modelregistry.testing import make_event

BY = Identity("Ann", "ann@example.com", timedelta())


class BusyBackend(MemoryBackend):
    """One in which another takes the place of the next ``times`` events first."""

    def __init__(self, times: int) -> None:
        super().__init__()
        super()._append(make_event(Registered, "churn", "a" * 40, version="v0.1.0"))
        self.times = times

    def _append(self, event: Event) -> Event | None:
        if self.times:
            self.times -= 1
            super()._append(event.model_copy(update={"id": f"other {self.times}", "message": "other"}))
        return super()._append(event)


def note(backend: MemoryBackend) -> Change:
    def decide(history: History, writer: Writer) -> Change:
        return annotate(history, writer, {"seen": len(history.events)})

    return writing.write(backend, "churn", Stages(), decide, by=BY, message="mine", dry_run=False)[1]


def test_a_writer_whom_others_overtake_decides_anew_each_time_and_gets_through() -> None:
    backend = BusyBackend(40)
    (event,) = note(backend).events
    assert isinstance(event, Annotated)
    assert (event.number, event.metadata) == (41, {"seen": 41})
    assert [event.message for event in backend.read("churn").events].count("mine") == 1


def test_a_writer_gives_up_once_its_time_is_over_though_not_after_its_first_tries(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(writing, "_SECONDS", 0.0)
    note(BusyBackend(writing._FEWEST - 1))
    backend = BusyBackend(writing._FEWEST)
    with pytest.raises(ConflictError, match="again and again"):
        note(backend)
    assert backend.times == 0
    assert "mine" not in [event.message for event in backend.read("churn").events]
