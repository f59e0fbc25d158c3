"""The report of a migration: what was made, or would be, what was there already, and what could not come along."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from modelregistry.display.shown import Shown
from modelregistry.display.tables import Rows
from modelregistry.display.view import Badge, View

Action = Literal["rename", "register", "promote", "annotate", "present", "skip", "lose"]
"""What is done: ``present`` was done by an earlier call, ``skip`` is left as it is, ``lose`` has no place here."""


@dataclass(frozen=True, slots=True, repr=False)
class MigrationStep(Shown):
    """One thing that a migration did, would do, or did not do."""

    source: str
    """What it is over there: ``churn``, ``churn/3``, ``churn@champion``."""
    action: Action
    target: str = ""
    """What it is here: ``churn``, ``churn@v3.0.0``, ``churn#current``."""
    note: str = ""
    """Why, or with what."""


_COLUMNS: Mapping[str, Callable[[MigrationStep], object]] = {
    "there": lambda row: row.source,
    "action": lambda row: row.action,
    "here": lambda row: row.target,
    "note": lambda row: row.note,
}


class Migration(Rows[MigrationStep]):
    """Every step of a migration, in order; a table in a terminal and in a notebook.

    Attributes:
        dry_run: Whether nothing was written.
    """

    def __init__(self, steps: Iterable[MigrationStep], *, dry_run: bool) -> None:
        super().__init__(steps, _COLUMNS)
        self.dry_run = dry_run

    def _view(self) -> View:
        badges = [Badge("dry run", "warn")] if self.dry_run else []
        return View("Migration" if badges else "", badges, [self._table()])

    @property
    def made(self) -> Rows[MigrationStep]:
        """What was written, or would be."""
        return self._those("register", "promote", "annotate")

    @property
    def skipped(self) -> Rows[MigrationStep]:
        """What was left as it is, and why."""
        return self._those("skip")

    @property
    def lost(self) -> Rows[MigrationStep]:
        """What has no place here, and so could not come along."""
        return self._those("lose")

    @property
    def renamed(self) -> dict[str, str]:
        """The models that are spelt otherwise here: their names there and here."""
        return {step.source: step.target for step in self if step.action == "rename"}

    def _those(self, *actions: Action) -> Rows[MigrationStep]:
        return Rows((step for step in self if step.action in actions), _COLUMNS)
