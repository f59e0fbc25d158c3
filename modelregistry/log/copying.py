"""Moving a log to another backend, and having one follow another."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from modelregistry.backends.base import Backend, Entry, Log
from modelregistry.display.shown import shown
from modelregistry.errors import ConflictError, RegistryError
from modelregistry.keptfile import hashed, load_values, save_text

_FEW = 20
"""Logs that are sooner read one by one than all at once."""


@shown
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
    for model in sorted(target.heads().keys() - source.heads().keys()):
        _refuse_strangers(target, model, [])
    models = events = 0
    left: list[str] = []
    for log in source.read_all(records=True):
        left += [each.name for each in log.quarantined]
        for event, record in _missing(log, target):
            target.check(event, record)
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
    ours = {entry.event.fingerprint(): entry for entry in log.entries()}
    there = _refuse_strangers(target, log.model, ours)
    return [entry for mark, entry in ours.items() if mark not in there]


def _refuse_strangers(target: Backend, model: str, ours: Collection[str]) -> Collection[str]:
    """The fingerprints of what ``target`` has of the model, all of which must be among ``ours``."""
    there = {event.fingerprint(): event for event in target.read(model).events}
    for mark in there.keys() - set(ours):
        raise ConflictError(
            f"nothing was written: the log at {target.identity!r} has {there[mark].source!r}, by {there[mark].author}, which "
            "is not in this one: copy into an empty log, or into one that was copied from this",
            by=there[mark].author, at=there[mark].at,
        )  # fmt: skip
    return there.keys()


def follow(source: Backend, target: Backend, *, of: str, memory: Path) -> Copied:
    """Make ``target`` what ``source`` is, reading the logs that moved since this user last did so.

    Args:
        source: What is followed.
        target: What follows.
        of: What tells ``source`` from others.
        memory: The folder where it is kept which heads were copied; nothing is lost with it.
    """
    path = memory / f"{hashed(f'{of} {target.identity}')}.json"
    done = load_values(path)
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
        save_text(path, json.dumps(kept))
    return Copied(len(copied), events, tuple(left))


def _logs(source: Backend, models: Sequence[str]) -> Iterator[Log]:
    if len(models) <= _FEW:
        return (source.read(model, records=True) for model in models)
    wanted = set(models)
    return (log for log in source.read_all(records=True) if log.model in wanted)
