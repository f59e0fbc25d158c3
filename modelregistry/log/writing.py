"""One write: decide on the log as it is, append, and decide anew when another writer was faster."""

from __future__ import annotations

import logging
import random
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timezone
from itertools import count

from modelregistry.backends.base import Backend, Log
from modelregistry.errors import (
    AccessDeniedError,
    ConflictError,
    DatabaseError,
    OutcomeUnknownError,
    RegistryError,
    UnreachableError,
)
from modelregistry.git.repo import Identity
from modelregistry.log.changes import Change, Writer
from modelregistry.log.events import Event
from modelregistry.log.history import History, Stages
from modelregistry.log.tags import numbered, render

Decide = Callable[[History, Writer], Change]
Pin = Callable[[History], Sequence[str] | None]
"""What must stay as the change met it first, such as the holders of a stage; what moved is a conflict, never a second try."""

Sign = Callable[[bytes], bytes]
"""Puts a signature below the text of an event."""

FAULTS = (AccessDeniedError, DatabaseError, UnreachableError)
"""What the place of a log says where it could not do what it was asked."""

_log = logging.getLogger("modelregistry")
_SECONDS = 30.0
_FEWEST = 5
"""While others are faster, a writer goes on for that long, and tries that often."""
_WINDOW = 16
"""Within how many lengths of a try the second one begins."""
_LONGEST = 3.0
"""Seconds that a writer waits at most: a try takes long where the remote is far, and then no others are in its way."""


def write(
    backend: Backend,
    model: str,
    stages: Stages,
    decide: Decide,
    *,
    by: Identity,
    message: str,
    dry_run: bool,
    pin: Pin | None = None,
    sign: Sign | None = None,
) -> tuple[Log, Change]:
    """Let ``decide`` choose the events and append them; returns the log it was decided on, and what it chose.

    Raises:
        ConflictError: Others wrote first, again and again, for half a minute; or what ``pin`` holds it to moved.
        OutcomeUnknownError: The connection broke while an event was pushed, or between two of one change.
        RegistryError: Whatever ``decide`` refuses.
    """
    written: list[Event] = []
    met: str | None = None
    try:
        for _ in _tries():
            revealed = () if dry_run else backend.prepare(model)
            log = backend.read(model)
            history = History(model, log.events, stages)
            if pin is not None:
                met = _hold(history, pin, met, revealed)
            writer = Writer(
                author=by.name, email=by.email, now=datetime.now(timezone(by.offset)),
                registry=_registry_id(backend, log, shared=not dry_run), next_number=log.next_number, message=message,
            )  # fmt: skip
            change = decide(history, writer)
            for event in change.events:
                backend.permit(event)
                render(event)  # what can't be a tag is in no log, so that each can be moved to Git
                if dry_run:
                    backend.check(event)
            if dry_run or _append(backend, change.events, written, sign):
                return log, change
    except RegistryError as error:
        if written:
            error.add_note(f"written before that: {', '.join(event.source for event in written)}")
        if isinstance(error, FAULTS) and any(event.echo_of is None for event in written):
            event = next(event for event in reversed(written) if event.echo_of is None)
            raise OutcomeUnknownError(
                f"{event.source} is written, and what was to follow it is not ({error}): look again, then decide; "
                "check(repair=True) writes what is missing for GTO",
                event_id=event.id, tag=event.source,
            ) from error  # fmt: skip
        raise
    last = max(
        backend.read(model).events, key=lambda event: event.order
    )  # there are others: they were faster
    raise ConflictError(
        f"{model!r} was written by others again and again for {_SECONDS:g} seconds while this was tried: try again",
        by=last.author, at=last.at,
    )  # fmt: skip


def holders_of(stage: str) -> Pin:
    """Hold a change to who holds the stage."""
    return lambda history: history.holders(stage)


def stages_of(version: str) -> Pin:
    """Hold a change to the stages that the version holds; to nothing once it is withdrawn, whoever did that."""

    def pin(history: History) -> Sequence[str] | None:
        record = history.versions.get(version)
        if record is None:
            return ()
        return history.stages_of(version) if record.withdrawn is None else None

    return pin


def _hold(history: History, pin: Pin, met: str | None, revealed: Sequence[str]) -> str | None:
    """What ``pin`` holds a change to, which must be what it met first.

    An event of an earlier call whose outcome was unknown till now is one that the caller did not see: the very same
    change, perhaps, and it must not happen twice.
    """
    held = pin(history)
    if held is None:
        return met
    now = ", ".join(held) or "nothing"
    last = history.last
    if revealed:
        why = f"{', '.join(revealed)}, whose outcome was unknown, is written"
    elif met is not None and met != now:
        why = f"{history.model!r} moved while this was being written: it was {met}"
    else:
        return now
    raise ConflictError(
        f"{why}; now it is {now}: look again, then decide",
        believed=met, found=now, by=last.author if last else None, at=last.at if last else None,
    )  # fmt: skip


def _append(backend: Backend, events: Sequence[Event], written: list[Event], sign: Sign | None) -> bool:
    """Append the events in order and list them in ``written``; False when another writer was faster with one."""
    chain: dict[str | None, str | None] = {}
    for drafted in events:
        # What came before may have another number than it was drafted with, and so another fingerprint.
        event = drafted.model_copy(update={"prev": chain.get(drafted.prev, drafted.prev)})
        kept = _append_one(backend, event, sign)
        if kept is None and event.echo_of is not None:
            kept = _append_echo(backend, event, sign)
            if kept is None:  # check(repair=True) writes it
                chain[drafted.fingerprint()] = event.prev
                continue
        if kept is None:
            return False
        written.append(kept)
        chain[drafted.fingerprint()] = kept.fingerprint()
        if kept.echo_of is None:
            _log.info("%s: %s written as %s", kept.model, kept.kind, kept.source)
    return True


def _append_one(backend: Backend, event: Event, sign: Sign | None) -> Event | None:
    return backend.append(event, sign(render(event)) if sign is not None else None)


def _append_echo(backend: Backend, event: Event, sign: Sign | None) -> Event | None:
    """Append an echo whose number is taken: its place in the log does not matter to anyone."""
    for _ in _tries():
        backend.prepare(event.model)
        next_one = numbered(event, backend.read(event.model).next_number(event.slot))
        kept = _append_one(backend, next_one, sign)
        if kept is not None:
            return kept
    _log.warning("%s: %s could not be written for GTO; check(repair=True) does it", event.model, event.source)
    return None


def _tries() -> Iterator[None]:
    """One item for each try, until it is time to give up; before each but the first, wait.

    Writers that met must not meet again in step, so each waits for any time within a window. It is measured in tries,
    which take the longer the more writers there are; and who has lost more often waits less, so that nobody is always
    overtaken by those who only just came.
    """
    end = time.monotonic() + _SECONDS
    for tries in count(1):
        began = time.monotonic()
        yield
        now = time.monotonic()
        if tries >= _FEWEST and now > end:
            return
        time.sleep(random.uniform(0, min(_WINDOW / tries * (now - began), _LONGEST)))  # noqa: S311


def _registry_id(backend: Backend, log: Log, *, shared: bool) -> str:
    """The random id of the registry: the one that events carry, else a new one."""
    own = next((event.registry for event in log.events if event.registry is not None), None)
    return own or backend.registry(shared=shared) or secrets.token_hex(16)
