"""The metrics and parameters that DVC recorded of versions: read once, and remembered on disk, since a commit never changes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from modelregistry.git.folders import Memory
from modelregistry.git.halving import each_answered
from modelregistry.git.repo import GitRepo, file_mark
from modelregistry.keptfile import hashed, load_values, save_text
from modelregistry.project.measuring import Answer, Cached, Kind, Reading, Values
from modelregistry.version import ModelVersion

_AT_ONCE = 500
_MOST_KEPT = 200_000
_MOST_IN_MEMORY = 50_000
_MOST_KEPT_CHARACTERS = 20_000
"""Of the values of one version; what is longer is read again."""
_SCHEMA = 1


class Measurements:
    """Reads what DVC recorded of the versions of one registry.

    Args:
        repo: Its repository.
        folder: Where this user keeps what was read.
        name: What tells the registry from others.
        cached: Finds bytes in the project's cache, where that is on this machine.
    """

    def __init__(self, repo: GitRepo, folder: Path, name: str, cached: Cached | None = None) -> None:
        self._repo = repo
        self._folder = folder
        self._name = name
        self._cached = cached
        self._memory = Memory()
        self._kept: dict[Path, tuple[object, dict[str, Values]]] = {}

    def at_hand(self, version: ModelVersion, kind: Kind) -> Values:
        """The metrics or parameters of one version, as far as a quick look on this machine tells."""
        known = self._load(self._place(kind)).get(_key(version))
        if known is not None:
            return known
        with self._repo.at_hand(), self._repo.reading() as ask:
            (answer,) = Reading(ask, self._memory, self._cached, kind, at_hand=True).of([version])
        return answer.values

    def _place(self, kind: Kind) -> Path:
        return self._folder / f"{hashed(self._name)}-{kind}.json"

    def of(self, versions: Sequence[ModelVersion], kind: Kind) -> list[Answer]:
        """The metrics or parameters of each version."""
        place = self._place(kind)
        known = self._load(place)
        keys = [_key(version) for version in versions]
        new = [version for key, version in zip(keys, versions, strict=True) if key not in known]
        found: dict[str, Answer] = {}
        if new:
            with self._repo.reading() as ask:
                reading = Reading(ask, self._memory, self._cached, kind)
                batches: list[Sequence[ModelVersion]] = [
                    new[start : start + _AT_ONCE] for start in range(0, len(new), _AT_ONCE)
                ]
                answered = each_answered(reading.of, batches, lambda error: Answer({}, str(error)))
                found = {_key(version): answer for version, answer in answered}
            lasting = {key: answer.values for key, answer in found.items() if answer.problem is None}
            if lasting:
                _save(place, known | lasting)
        return [found.get(key) or Answer(known[key]) for key in keys]

    def _load(self, place: Path) -> dict[str, Values]:
        """What is kept on disk; from memory, while that looks the same."""
        mark = file_mark(place)
        known = self._kept.get(place)
        if mark is None or known is None or known[0] != mark:
            known = mark, _load(place)
            if len(known[1]) <= _MOST_IN_MEMORY:
                self._kept[place] = known
        return known[1]


def _key(version: ModelVersion) -> str:
    # What a commit says never changes.
    return f"{version.rev} {version.name}"


def _load(place: Path) -> dict[str, Values]:
    kept = load_values(place)
    found = kept.get("versions") if kept.get("schema") == _SCHEMA else None
    return (
        {key: values for key, values in found.items() if isinstance(values, dict)}
        if isinstance(found, dict)
        else {}
    )


def _save(place: Path, known: Mapping[str, Values]) -> None:
    kept = dict(list(known.items())[-_MOST_KEPT:])
    texts = {key: json.dumps(values) for key, values in kept.items()}
    body = ",".join(
        f"{json.dumps(key)}:{text}" for key, text in texts.items() if len(text) <= _MOST_KEPT_CHARACTERS
    )
    save_text(place, f'{{"schema":{_SCHEMA},"versions":{{{body}}}}}')
