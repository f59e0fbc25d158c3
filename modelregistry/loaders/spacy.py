"""Pipelines of spaCy's."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from modelregistry.loaders.base import (
    Inspection,
    Likeness,
    Loader,
    Permit,
    Tier,
    UntrustedNamesError,
    is_of,
)


class SpacyLoader(Loader):
    """The folder that ``nlp.to_disk`` writes."""

    name: ClassVar[str] = "spacy"
    library: ClassVar[str] = "spacy"
    requires: ClassVar[str] = "spacy>=3.7"
    extra: ClassVar[str] = "spacy"
    distributions: ClassVar[tuple[str, ...]] = ("spacy",)

    def recognises(self, path: Path, name: str) -> Likeness:
        """Whether the folder has spaCy's two files."""
        marked = (path / "meta.json").is_file() and (path / "config.cfg").is_file()
        return Likeness.MARKER if marked else Likeness.NONE

    def inspect(self, path: Path) -> Inspection:
        """Code: the configuration calls whatever the installed packages have registered, with arguments of its own."""
        return Inspection(Tier.CODE)

    def load(self, path: Path, permit: Permit) -> object:
        """The pipeline.

        Raises:
            UntrustedNamesError: Code may not run.
            MissingDependencyError: spaCy is not installed.
        """
        if not permit.code:
            raise UntrustedNamesError(())
        with self.importing():
            import spacy
        pipeline: object = spacy.load(path)
        return pipeline

    def saves(self, model: object) -> bool:
        """Pipelines."""
        return is_of(model, "spacy", "Language")

    def save(self, model: object, path: Path) -> None:
        """Write it."""
        pipeline: Any = model
        pipeline.to_disk(path)
