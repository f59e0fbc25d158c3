"""One write against others that are faster."""

from __future__ import annotations

from datetime import timedelta

import pytest

from modelregistry.backends.memory import MemoryBackend
from modelregistry.errors import ConflictError
from modelregistry.git.repo import Identity
from modelregistry.log import writing
from modelregistry.log.changes import Change, Writer, annotate
from modelregistry.log.events import Annotated, Event, Registered
from modelregistry.log.history import History, Stages
from modelregistry.log.writing import Pin, holders_of, stages_of
from modelregistry.testing import make_event

BY = Identity("Ann", "ann@example.com", timedelta())


class BusyBackend(MemoryBackend):
    """One in which another takes the place of the next ``times`` events first."""

    def __init__(self, times: int) -> None:
        super().__init__()
        super()._append(make_event(Registered, "churn", "a" * 40, version="v0.1.0"), None)
        self.times = times

    def _append(self, event: Event, record: bytes | None = None) -> Event | None:
        if self.times:
            self.times -= 1
            super()._append(event.model_copy(update={"id": f"other {self.times}", "message": "other"}), None)
        return super()._append(event, record)


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


class RevealingBackend(MemoryBackend):
    """One that finds out, when asked for what is shared, that an earlier write is there."""

    def __init__(self, revealed: tuple[str, ...]) -> None:
        super().__init__()
        super()._append(make_event(Registered, "churn", "a" * 40, version="v0.1.0"), None)
        self.revealed = revealed

    def _prepare(self, model: str) -> tuple[str, ...]:
        return self.revealed


@pytest.mark.parametrize("pin", [holders_of("current"), stages_of("v0.1.0"), stages_of("v9.9.9")])
def test_what_was_unknown_and_turns_out_to_be_written_stops_what_relies_on_the_holder(pin: Pin) -> None:
    def decide(history: History, writer: Writer) -> Change:
        return annotate(history, writer, {"seen": len(history.events)})

    def write(backend: MemoryBackend, held: Pin | None) -> Change:
        return writing.write(backend, "churn", Stages(), decide, by=BY, message="", dry_run=False, pin=held)[
            1
        ]

    backend = RevealingBackend(("churn#current#1",))
    with pytest.raises(
        ConflictError, match=r"churn#current#1, whose outcome was unknown, is written"
    ) as caught:
        write(backend, pin)
    assert (caught.value.believed, caught.value.found, caught.value.by) == (None, "nothing", "Ann Author")
    assert len(backend.read("churn").events) == 1
    assert write(backend, None).events
    backend.revealed = ()
    assert write(backend, pin).events


def test_a_writer_gives_up_once_its_time_is_over_though_not_after_its_first_tries(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(writing, "_SECONDS", 0.0)
    note(BusyBackend(writing._FEWEST - 1))
    backend = BusyBackend(writing._FEWEST)
    with pytest.raises(ConflictError, match="again and again") as caught:
        note(backend)
    last = max(backend.read("churn").events, key=lambda event: event.order)
    assert (caught.value.by, caught.value.at) == (last.author, last.at)
    assert backend.times == 0
    assert "mine" not in [event.message for event in backend.read("churn").events]
