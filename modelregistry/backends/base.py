"""The contract of a backend: keep an append-only log per model, append one event under compare-and-swap.

A backend decides nothing: it sorts no versions, knows no stage rules and no "latest".
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

from modelregistry.events import Event
from modelregistry.tags import Quarantined, first_number


class Signed(NamedTuple):
    """The record of a signed event, as the backend keeps it."""

    oid: str
    """Its id: equal ids, equal records."""
    data: bytes
    """The signed text, then the signature."""


@dataclass(frozen=True, slots=True)
class Log:
    """What a backend keeps of one model, read at one moment."""

    model: str
    head: str
    """An opaque token of this very content: equal heads, equal logs."""
    events: tuple[Event, ...] = ()
    quarantined: tuple[Quarantined, ...] = ()
    numbers: Mapping[str, int] = field(default_factory=dict)
    """The highest number taken in each slot."""
    signed: Mapping[str, Signed] = field(default_factory=dict)
    """The records of the signed events, by ``source``, where the backend was asked to give them."""
    aside: tuple[Event, ...] = ()
    """Events that are there and do not count, by the reader's policy: they are quarantined as well."""

    def next_number(self, slot: str) -> int:
        """The number that the slot's next event must have."""
        return self.numbers[slot] + 1 if slot in self.numbers else first_number(slot)


class Outline(NamedTuple):
    """What a fold needs of a log."""

    model: str
    head: str
    events: tuple[Event, ...]
    """Those that decide who holds what, with the fields that do; others may be missing."""


class Synced(NamedTuple):
    """What bringing a log and its copy here together did."""

    published: tuple[str, ...] = ()
    """What waited here and now is shared, by the backend's names for events."""
    refused: tuple[str, ...] = ()
    """What another event had taken the place of: set aside, counted by nobody."""


class Backend(ABC):
    """Keeps the logs of a registry's models.

    Subclasses implement the hooks (``_read`` …). Whatever they raise on purpose is a ``RegistryError``.
    """

    name: ClassVar[str]

    def read(self, model: str) -> Log:
        """The model's log as it is now; an empty one for a model that is not there."""
        return self._read(model)

    def read_all(self) -> Iterator[Log]:
        """The logs of all models, by name."""
        return self._read_all()

    def outlines(self) -> Iterator[Outline]:
        """The outlines of all models' logs, by name; for less than it takes to read the logs, where that can be."""
        return self._outlines()

    def heads(self) -> dict[str, str]:
        """The head of every model's log, by name; for less than it takes to read them, where that can be."""
        return self._heads()

    def registry(self, *, shared: bool = False) -> str | None:
        """The random id of the registry that its events carry; None while none does.

        Args:
            shared: Where nothing here says it, look at all that writers share.

        Raises:
            RemoteError: ``shared``, and it is kept elsewhere, and that can't be reached.
        """
        return self._registry(shared=shared)

    def pending(self) -> Sequence[Event]:
        """What was written here and is not shared yet, oldest first."""
        return self._pending()

    def prepare(self, model: str) -> Sequence[str]:
        """Bring the model's log up to what all writers share, so that a change is decided on that.

        Returns:
            The events of an earlier call whose outcome was unknown and that are kept, as it turns out: by name.

        Raises:
            RemoteError: It is kept elsewhere, and that can't be reached.
        """
        return self._prepare(model)

    def sync(self) -> Synced:
        """The same for all models; what was written here and not shared yet is published.

        Raises:
            RemoteError: It is kept elsewhere, and that can't be reached.
        """
        return self._sync()

    def append(self, event: Event) -> Event | None:
        """Append ``event`` if and only if its number in its slot is free; None when it is taken.

        The number is the log position the write was decided on. When this returns, the event is kept; when it
        raises, or returns None, nothing was written.

        Returns:
            The event as it will be read.

        Raises:
            OutcomeUnknownError: It may be kept or not; ``prepare`` settles it.
        """
        return self._append(event)

    def check(self, event: Event) -> None:
        """Refuse, as ``append`` would, an event that can't be kept whatever its number; writes nothing.

        Raises:
            RegistryError: See the backend.
        """
        self._check(event)

    def permit(self, event: Event) -> None:
        """Refuse an event that this writer may not write; asked for all events of a change before the first is appended.

        Raises:
            RefusedError: It would not count.
        """
        self._permit(event)

    def watch(self, model: str) -> Hashable | None:
        """A cheap token: while it stays the same, so does the model's log. None when that can't be told yet."""
        return self._watch(model)

    @abstractmethod
    def _read(self, model: str) -> Log: ...

    @abstractmethod
    def _read_all(self) -> Iterator[Log]: ...

    def _outlines(self) -> Iterator[Outline]:
        return map(_outline, self._read_all())

    def _prepare(self, model: str) -> Sequence[str]:
        del model
        return ()

    def _sync(self) -> Synced:
        return Synced()

    def _pending(self) -> Sequence[Event]:
        return ()

    def _heads(self) -> dict[str, str]:
        return {log.model: log.head for log in self._read_all()}

    def _check(self, event: Event) -> None:
        del event

    def _permit(self, event: Event) -> None:
        del event

    def _registry(self, *, shared: bool) -> str | None:
        del shared
        return next(
            (event.registry for log in self._read_all() for event in log.events if event.registry), None
        )

    @abstractmethod
    def _append(self, event: Event) -> Event | None: ...

    @abstractmethod
    def _watch(self, model: str) -> Hashable | None: ...


def _outline(log: Log) -> Outline:
    return Outline(log.model, log.head, log.events)
