"""Rows about sites: a whole one, and what it takes after one new version."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from modelregistry import Registry
from tests.bench.measure import Row, amount, timed
from tests.bench.registries import model_name
from tests.bench.trained import make_repository

VERSIONS_OF_A_MODEL = 10
LARGE = 1_000
"""Models of which a site has its budgets."""
SIZE_HEAD = {
    "site": "---", "files": "---:", "in all": "---:", "the page of a version": "---:", "the list of models": "---:",
    "`catalogue.json`": "---:",
}  # fmt: skip
"""The columns of the table of sizes, and to which side their cells stand."""
_FIRST, _AGAIN = 60, 5


@dataclass(frozen=True)
class Size:
    """How large a site is."""

    models: int
    files: Mapping[str, int]
    """Bytes by name."""

    @property
    def cells(self) -> tuple[str, ...]:
        """The row of the table of sizes."""
        versions = sorted(size for name, size in self.files.items() if "/v0." in name)
        single = (versions[len(versions) // 2], self.files["index.html"], self.files["catalogue.json"])
        sizes = (sum(self.files.values()), *single)
        return f"{self.models:,} models", f"{len(self.files):,}", *map(amount, sizes)


def measure(
    folder: Path, sizes: Sequence[int], *, say: Callable[[str], None]
) -> tuple[list[Row], list[Size]]:
    """Everything about sites, each of so many models."""
    rows: list[Row] = []
    found: list[Size] = []
    for models in sizes:
        say(f"making a site of {models:,} models")
        root = make_repository(
            folder / f"registry-{models}", models * VERSIONS_OF_A_MODEL, VERSIONS_OF_A_MODEL
        )
        public = folder / f"public-{models}"
        rows += _built(root, public, models)
        found.append(Size(models, dict(_files(public))))
        shutil.rmtree(public)
    return rows, found


def _built(root: Path, public: Path, models: int) -> Iterator[Row]:
    """Each is done once, by a registry that was just opened: what comes after it is another question."""
    what = f"`export_site`, {models:,} models of {VERSIONS_OF_A_MODEL} versions"
    budget = models == LARGE
    yield Row(f"{what}, the first time", _export(root, public), most=_FIRST if budget else None)
    Registry(root).register(model_name(models // 2), rev="HEAD", allow_missing=True)
    yield Row("the same, after one new version", _export(root, public), most=_AGAIN if budget else None)
    yield Row("the same, when nothing is new", _export(root, public), most=_AGAIN if budget else None)


def _export(root: Path, public: Path) -> float:
    return timed(lambda: Registry(root).export_site(public))


def _files(public: Path) -> Iterator[tuple[str, int]]:
    for path in public.rglob("*"):
        if path.is_file():
            yield os.fspath(path.relative_to(public)), path.stat().st_size
