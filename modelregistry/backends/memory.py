"""The log in memory: the specification that other backends are compared with."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Hashable, Iterator
from typing import Self

from modelregistry.backends.base import Backend, Capabilities, Log, Record
from modelregistry.log.events import Event


class MemoryBackend(Backend):
    """Keeps the log as long as the process lives; safe for threads."""

    name = "memory"
    capabilities = Capabilities(signed=True)

    def __init__(self) -> None:
        self._events: dict[str, list[Event]] = {}
        self._records: dict[str, Record] = {}
        self._lock = threading.Lock()

    @classmethod
    def open(cls, address: str) -> Self:
        """A new one, whatever comes after ``memory:``."""
        del address
        return cls()

    def _read(self, model: str, records: bool) -> Log:
        with self._lock:
            events = tuple(self._events.get(model, ()))
            found = {
                event.source: self._records[event.source] for event in events if event.source in self._records
            }
        numbers: dict[str, int] = {}
        for event in events:
            numbers[event.slot] = max(event.number, numbers.get(event.slot, 0))
        head = f"{len(events)} {events[-1].fingerprint()}" if events else ""
        return Log(model, head, events, numbers=numbers, records=found if records else {})

    def _read_all(self, records: bool) -> Iterator[Log]:
        with self._lock:
            models = sorted(self._events)
        return (self._read(model, records) for model in models)

    def _append(self, event: Event, record: bytes | None) -> Event | None:
        with self._lock:
            kept = self._events.setdefault(event.model, [])
            if any(other.slot == event.slot and other.number == event.number for other in kept):
                return None
            kept.append(event)
            if record is not None:
                self._records[event.source] = Record(hashlib.sha256(record).hexdigest(), record)
        return event

    def _watch(self, model: str) -> Hashable | None:
        with self._lock:
            return len(self._events.get(model, ()))
