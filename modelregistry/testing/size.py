# ruff: noqa: D102 (a law's name is its promise)
"""The law that a log of some size is read as it was written."""

from __future__ import annotations

import time

from modelregistry.backends.base import Backend, Entry
from modelregistry.log.events import Assigned, Event, Registered
from modelregistry.testing.events import make_event
from modelregistry.testing.laws import same
from modelregistry.testing.opened import Opened, Opener


class SizeLaw(Opened):
    """Make ``models`` and ``longest`` larger for a longer test; ``pytest -rP`` shows what it took."""

    models = 50
    longest = 200
    """Events of one model among others that have ten."""

    def test_a_log_of_some_size_is_read_as_it_was_written(
        self, backend: Backend, opener: Opener, rev: str
    ) -> None:
        told = {f"m{number:05}": _events(f"m{number:05}", rev, 10) for number in range(self.models)}
        told["long"] = _events("long", rev, self.longest)
        started = time.perf_counter()
        for model, events in told.items():
            backend.extend(model, [Entry(event) for event in events])
        written = time.perf_counter()
        fresh = opener()
        logs = list(fresh.read_all())
        read = time.perf_counter()
        assert [log.model for log in logs] == sorted(told)
        assert all(same(log.events, told[log.model]) for log in logs)
        assert [(each.model, each.head) for each in fresh.outlines()] == [
            (log.model, log.head) for log in logs
        ]
        assert fresh.heads() == {log.model: log.head for log in logs}
        for model in ("m00000", f"m{self.models - 1:05}", "long"):
            assert same(fresh.read(model).events, told[model])
        total = sum(map(len, told.values()))
        print(  # noqa: T201 - for pytest -rP
            f"{total:,} events: {(written - started) / total * 1e3:.3g} ms to write one of a copy, "
            f"{(read - written) / total * 1e6:.3g} µs to read one of all"
        )


def _events(model: str, rev: str, number: int) -> list[Event]:
    first = make_event(Registered, model, rev, version="v1.0.0")
    moves = [
        make_event(Assigned, model, rev, second=at, stage="current", version="v1.0.0", number=at)
        for at in range(1, number)
    ]
    return [first, *moves]
