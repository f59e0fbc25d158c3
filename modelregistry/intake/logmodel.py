"""Brings an object from memory into the repository: saved, in DVC's cache, declared and committed, ready to register."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from modelregistry.content.identity import whole_digest
from modelregistry.errors import RefusedError, RegistryError
from modelregistry.git.repo import GitRepo
from modelregistry.intake.arrivals import Arrival, check_arrivals, commit_arrivals
from modelregistry.intake.receiving import described_files
from modelregistry.intake.saving import Saved, plan, save
from modelregistry.log.events import Bytes
from modelregistry.project.declarations import Declarations

_log = logging.getLogger("modelregistry")


class Adder(Protocol):
    """Brings bytes into the cache that the repository's large files are kept in."""

    def check(self, path: str, *, pushed: bool = False) -> None:
        """Refuse what could not be added."""

    def add(self, path: str, source: Path) -> bytes:
        """Put ``source`` into the cache; returns the text of its ``.dvc`` file."""

    def place(self, path: str) -> None:
        """Have it lie at ``path``."""

    def scratch(self, path: str) -> AbstractContextManager[Path]:
        """A folder for what is not ready."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What the caller of ``log_model`` asked for."""

    model: object
    name: str
    path: str | None = None
    loader: str | None = None
    example: object = None
    pushed: bool = False
    """Whether the bytes will be pushed."""


class Incoming:
    """An object that was saved, and is nowhere else yet.

    Args:
        repo: The repository.
        adder: Brings bytes into its cache.
        wish: What was asked for.
        saved: What came of it.
        base: The commit that is checked out.
        meta: What ``dvc.yaml`` is to say of it.
    """

    def __init__(
        self, repo: GitRepo, adder: Adder, wish: Wish, saved: Saved, base: str, meta: Mapping[str, object]
    ) -> None:
        self._repo = repo
        self._adder = adder
        self._wish = wish
        self._meta = meta
        self.saved = saved
        self.base = base
        self.bytes = _described(saved.place)

    @property
    def path(self) -> str:
        """Where it belongs, from the Git root."""
        return self.saved.path

    @property
    def loses(self) -> str | None:
        """What is not kept of it, in a sentence; None where all that matters is."""
        lost = self.saved.loader.loses(self._wish.model)
        return f"saved with {self.saved.loader.name}, which does not keep {lost}" if lost else None

    def arrival(self, dvc_file: bytes = b"") -> Arrival:
        """How the repository is to have it, with the text of its ``.dvc`` file."""
        return Arrival(self._wish.name, self.path, dvc_file, meta=self._meta)

    @property
    def subject(self) -> str:
        """What its commit says that it does."""
        return f"Log {self._wish.name} at {self.path}"

    def commit(self, message: str) -> str:
        """Put it into the cache, commit what says so and nothing else, and have it lie at its path; returns the commit.

        Args:
            message: Why, for people; it may be empty.

        Raises:
            WorkingCopyError: A file is in the way, or changed meanwhile.
            RefusedError: DVC can't keep it there.
            CacheError: The cache can't be written.
            GitError: Another git is at work there.
        """
        name = self._wish.name
        self._adder.check(self.path)
        arrival = self.arrival(self._adder.add(self.path, self.saved.place))
        text = f"{self.subject}\n\n{message}" if message else self.subject
        commit = commit_arrivals(self._repo, [arrival], text)
        with standing(name, commit, self.path):
            self._adder.place(self.path)
        why = f", because {self.saved.reason}" if self.saved.reason else ""
        _log.info(
            "%s: saved as %r with %s%s; committed as %s, which 'git push' shares",
            name, self.path, self.saved.loader.name, why, commit[:10],
        )  # fmt: skip
        return commit


@contextmanager
def incoming(repo: GitRepo, declarations: Declarations, adder: Adder, wish: Wish) -> Iterator[Incoming]:
    """The object, saved where nobody sees it for as long as the body runs; all that can be refused is before that.

    Args:
        repo: The repository.
        declarations: What it declares.
        adder: Brings bytes into its cache.
        wish: What is asked for.

    Raises:
        InvalidInputError: Nothing saves such an object, or not so.
        ConversionError: It can't be written.
        WorkingCopyError: It could not be committed, as of ``check_arrivals`` and ``Adder.check``.
        RefusedError: DVC could not keep it there.
    """
    base = repo.resolve("HEAD")
    declared = declarations.at(base, wish.name)
    usual = declared.path if declared is not None else None
    meta = dict(declared.meta) if declared is not None else {}
    said = meta.get("loader")
    wanted = wish.loader or (said if isinstance(said, str) else None)
    plans = plan(wish.model, wish.name, wanted=wanted, path=wish.path, declared=usual)
    guess = plans[0].path
    base = _check(repo, adder, wish, guess)
    with adder.scratch(guess) as folder:
        saved = save(wish.model, plans, folder, named=wanted is not None, example=wish.example)
        if saved.path != guess:
            base = _check(repo, adder, wish, saved.path)
        if said is not None or not saved.recognised:
            meta["loader"] = saved.loader.name
        yield Incoming(repo, adder, wish, saved, base, meta)


@contextmanager
def standing(name: str, commit: str, path: str) -> Iterator[None]:
    """Around what follows the commit: an error says what stands, and how to go on."""
    try:
        yield
    except RegistryError as error:
        error.add_note(
            f"commit {commit[:10]} stands: it declares {name!r} at {path!r}, whose bytes are in the DVC cache. To go on, "
            f"registry.register({name!r}, rev={commit[:10]!r}, push_data=True), or call log_model again"
        )
        raise


def _check(repo: GitRepo, adder: Adder, wish: Wish, path: str) -> str:
    base = check_arrivals(repo, [(wish.name, path)])
    adder.check(path, pushed=wish.pushed)
    return base


def _described(place: Path) -> Bytes:
    """What a registration would record of the bytes."""
    files = described_files(place)
    if not files:
        raise RefusedError(f"{place.name!r} was saved as nothing at all")
    digest = whole_digest(files, is_directory=place.is_dir())
    return Bytes(digest, "", sum(file.size or 0 for file in files), files)
