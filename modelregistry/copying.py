"""Moving a log to another backend, and having one follow another."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from modelregistry.backends.base import Backend, Entry, Log
from modelregistry.errors import ConflictError, RefusedError, RegistryError
from modelregistry.tags import is_signed

_FEW = 20
"""Logs that are sooner read one by one than all at once."""


class Copied(NamedTuple):
    """What a copy came to."""

    models: int
    """Models that had something to copy."""
    events: int
    """Events that were copied; of a mirror, all those of the models that moved."""
    left: tuple[str, ...]
    """What is in the log and is no event, by the backend's names: it stays behind."""


def copy(source: Backend, target: Backend) -> Copied:
    """Append what ``source`` has, and ``target`` has not, to ``target``.

    Everything is compared before anything is written.

    Raises:
        ConflictError: ``target`` has an event that ``source`` has not.
        RefusedError: ``target`` can't keep an event, or its signature.
    """
    found = target.heads().keys() - source.heads().keys()
    for model in sorted(found):
        _refuse_strangers(target, model, [])
    models = events = 0
    left: list[str] = []
    for log in source.read_all(records=True):
        left += [each.name for each in log.quarantined]
        for event, record in _missing(log, target):
            if record is not None and is_signed(record) and not target.capabilities.signed:
                raise RefusedError(
                    f"{event.source!r} is signed, and a {target.kind!r} log keeps no signatures"
                )
            target.check(event)
    for log in source.read_all(records=True):
        new = _missing(log, target)
        if new:
            try:
                target.extend(log.model, new)
            except RegistryError as error:
                error.add_note(
                    f"copied before that: {events} events of {models} models; another call goes on from there"
                )
                raise
            models += 1
            events += len(new)
    return Copied(models, events, tuple(left))


def _missing(log: Log, target: Backend) -> list[Entry]:
    """What ``target`` lacks of the log."""
    known = _refuse_strangers(target, log.model, log.entries())
    return [entry for entry in log.entries() if entry.event.fingerprint() not in known]


def _refuse_strangers(target: Backend, model: str, entries: Sequence[Entry]) -> set[str]:
    """The fingerprints of what ``target`` has of the model, all of which must be among ``entries``."""
    there = {event.fingerprint(): event for event in target.read(model).events}
    for mark in there.keys() - {entry.event.fingerprint() for entry in entries}:
        raise ConflictError(
            f"nothing was written: the log at {target.identity!r} has {there[mark].source!r}, by {there[mark].author}, which "
            "is not in this one: copy into an empty log, or into one that was copied from this",
            by=there[mark].author, at=there[mark].at,
        )  # fmt: skip
    return set(there)


def follow(source: Backend, target: Backend, *, of: str, memory: Path) -> Copied:
    """Make ``target`` what ``source`` is, reading the logs that moved since this user last did so.

    Args:
        source: What is followed.
        target: What follows.
        of: What tells ``source`` from others.
        memory: The folder where it is kept which heads were copied; nothing is lost with it.
    """
    path = memory / f"{hashlib.sha256(os.fsencode(f'{of} {target.identity}')).hexdigest()[:32]}.json"
    done = _load(path)
    heads, there = source.heads(), target.heads()
    moved = [model for model, head in heads.items() if done.get(model) != [head, there.get(model)]]
    copied: dict[str, str] = {}
    events = 0
    left: list[str] = []
    for log in _logs(source, moved):
        target.follow(log, of=of)
        copied[log.model] = log.head
        events += len(log.events)
        left += [each.name for each in log.quarantined]
    for model in there.keys() - heads.keys():
        target.follow(Log(model, head=""), of=of)
    now = target.heads() if copied else there
    kept = {model: pair for model, pair in done.items() if model in heads and model not in copied}
    kept |= {model: [head, now.get(model)] for model, head in copied.items()}
    if kept != done:
        _save(path, kept)
    return Copied(len(copied), events, tuple(left))


def _logs(source: Backend, models: Sequence[str]) -> Iterator[Log]:
    if len(models) <= _FEW:
        return (source.read(model, records=True) for model in models)
    wanted = set(models)
    return (log for log in source.read_all(records=True) if log.model in wanted)


def _load(path: Path) -> Mapping[str, object]:
    with suppress(OSError, ValueError):
        found = json.loads(path.read_bytes())
        if isinstance(found, dict):
            return found
    return {}


def _save(path: Path, values: Mapping[str, object]) -> None:
    with suppress(OSError):  # a disk that can't be written is no matter
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = path.with_name(f".{os.getpid()}-{os.urandom(6).hex()}")
        temporary.write_text(json.dumps(values), encoding="utf-8")
        temporary.replace(path)
