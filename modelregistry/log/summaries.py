"""What each model's log folds to, remembered on disk under the head it was folded at, so that a list reads what is new."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from modelregistry.keptfile import hashed, load_values, save_text
from modelregistry.log.history import History, Stages

_SCHEMA = 2


class Summary(NamedTuple):
    """A model in one line."""

    known: bool
    """Whether any event counts, echoes aside; not where every tag is quarantined."""
    latest: str | None
    rev: str | None
    """The commit of the latest version."""
    stages: Mapping[str, tuple[str, ...]]
    deprecated: bool


def summarize(history: History) -> Summary:
    """The line of a model."""
    latest = history.latest
    rev = history.versions[latest].registered.rev if latest is not None else None
    known = any(event.echo_of is None for event in history.events)
    return Summary(known, latest, rev, history.assignments, history.deprecated is not None)


class Summaries:
    """The summaries of one repository. Nothing is lost with the file, and a damaged one is as good as none.

    Args:
        folder: Where this user keeps them.
        repository: What tells repositories apart.
        stages: The stages they were folded with.
    """

    def __init__(self, folder: Path, repository: str, stages: Stages) -> None:
        self._path = folder / f"{hashed(repository)}.json"
        self._rules = [_SCHEMA, list(stages.order), sorted(stages.shared)]
        self._known: dict[str, tuple[str, Summary]] = {}
        with suppress(ValueError, TypeError, KeyError):
            kept = load_values(self._path)
            if kept["rules"] == self._rules:
                self._known = {
                    model: (head, _from_json(values)) for model, (head, values) in kept["models"].items()
                }

    def __bool__(self) -> bool:
        return bool(self._known)

    def get(self, model: str, head: str) -> Summary | None:
        """The model's summary at that head, if it is known."""
        found = self._known.get(model)
        return found[1] if found is not None and found[0] == head else None

    def put(self, model: str, head: str, summary: Summary) -> None:
        """Remember it, in place of an older one."""
        self._known[model] = head, summary

    def save(self, models: Collection[str]) -> None:
        """Keep those of ``models`` on disk; a disk that can't be written is no matter."""
        known = {model: pair for model, pair in self._known.items() if model in models}
        save_text(self._path, json.dumps({"rules": self._rules, "models": known}))


def _from_json(values: list[object]) -> Summary:
    summary = Summary(*values)  # type: ignore[arg-type]
    return summary._replace(stages={stage: tuple(holders) for stage, holders in summary.stages.items()})
