"""The repositories that imported data came from: opened where they are, or by a private copy; never by what could run code."""

from __future__ import annotations

import os
import posixpath
import re
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from urllib.parse import unquote, urlsplit

from modelregistry.errors import GitError, InvalidInputError, RegistryError, RemoteError
from modelregistry.git.mirror import GitMirror
from modelregistry.git.remote import GitRemote, bring_promised
from modelregistry.git.repo import GitRepo, check_url, is_url
from modelregistry.urlsecrets import without_secrets

MOST_REPOSITORIES = 50
"""That one lineage opens."""
MOST_SECONDS = 900.0
"""After which it opens no more."""

_FOR_EVER = 1e9
_AGAIN_AFTER = 60.0
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SCP = re.compile(r"((?:[^/@:]+@)?[^/@:]{2,}:)(?!//)(.*)")


class Source:
    """A repository that something was imported from, or into.

    Attributes:
        repo: The repository.
        url: Where it is, for people and for relative URLs; None where its own configuration says that.
    """

    def __init__(self, repo: GitRepo, url: str | None, mirror: GitMirror | None = None) -> None:
        self.repo = repo
        self.url = url
        self._mirror = mirror

    @property
    def bases(self) -> Sequence[str]:
        """What a relative URL in one of its files may be relative to, best first."""
        bases = [os.fspath(self.repo.root)] if self.repo.root is not None else []
        if self.url is not None:
            return [*bases, self.url]
        with suppress(RegistryError):
            origin = GitRemote.named(self.repo, "origin")
            if origin is not None:
                bases.append(origin.url)
        return bases

    @property
    def is_here(self) -> bool:
        """Whether its contents are on this machine: a copy leaves them out until they are asked for."""
        return self._mirror is None

    def has(self, rev: str, *, offline: bool) -> bool:
        """Whether the commit is there; a copy is brought up to date for it."""
        if self._has(rev):
            return True
        if self._mirror is None or offline:
            return False
        self._mirror.refresh(0)
        if not self._has(rev):
            with suppress(GitError):  # one that no branch leads to any more
                self._mirror.remote.bring([rev])
        return self._has(rev)

    def _has(self, rev: str) -> bool:
        found = self.repo.read([rev], limit=0)[0]
        return found is not None and found.kind == "commit"


class Failures:
    """What could not be had over the network a moment ago: many versions lead to one host, and none waits for it again."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, ...], tuple[float, RegistryError]] = {}

    def recent(self, *what: str) -> RegistryError | None:
        """Why it could not be had; None where it could, or where that was longer ago."""
        at, error = self._last.get(what, (-_AGAIN_AFTER, None))
        return error if time.monotonic() - at < _AGAIN_AFTER else None

    def put(self, error: RegistryError, *what: str) -> None:
        """It could not be had just now."""
        self._last[what] = time.monotonic(), error


class Sources:
    """Opens the repositories that one lineage leads to.

    Args:
        folder: Where copies are kept.
        failures: What other lineages could not reach.
        offline: Whether to do without the network.

    Attributes:
        offline: The same.
    """

    def __init__(self, folder: Path, failures: Failures, *, offline: bool = False) -> None:
        self._folder = folder
        self._failures = failures
        self.offline = offline
        self._until = time.monotonic() + MOST_SECONDS
        self._opened: dict[str, Source] = {}
        self._failed: dict[str, RegistryError] = {}

    def open(self, url: str, rev: str, importer: Source, file: str) -> Source:
        """The repository at ``url``, with the commit ``rev``.

        Args:
            url: As written.
            rev: The id of a commit.
            importer: Whose file says so: relative URLs lead from there.
            file: That file, from its Git root.

        Raises:
            RegistryError: It can't be had, or is no URL that this library opens; the message says why.
        """
        if not _COMMIT.fullmatch(rev):
            raise InvalidInputError(f"{rev!r} is not the id of a commit")
        failure: RegistryError | None = None
        for place in places(url, lambda: importer.bases, file):
            try:
                return self._with(rev, self._open(place), place)
            except RegistryError as error:
                failure = failure or error
        raise failure or RemoteError(f"{without_secrets(url)!r} is relative, and nothing says to what")

    def _with(self, rev: str, source: Source, place: str) -> Source:
        """The source, if it has the commit, or can be brought up to it."""
        recent = self._failures.recent("update", place) or self._failures.recent("commit", place, rev)
        try:
            if source.has(rev, offline=self.offline or recent is not None):
                return source
        except RegistryError as error:
            self._failed_there(error, "update", place)
            raise
        if recent is None:
            recent = RemoteError(f"{source.url!r} has no commit {rev[:10]}")
            self._failed_there(recent, "commit", place, rev)
        raise recent.with_traceback(None)

    def _failed_there(self, error: RegistryError, attempt: str, place: str, *rest: str) -> None:
        if is_url(place) and not self.offline:
            self._failures.put(error, attempt, place, *rest)

    def _open(self, place: str) -> Source:
        recent = self._failures.recent("open", place)
        if recent is not None:
            self._failed.setdefault(place, recent.with_traceback(None))
        if place in self._failed:
            raise self._failed[place]
        if place not in self._opened:
            if len(self._opened) + len(self._failed) >= MOST_REPOSITORIES:
                raise RemoteError(f"it leads to more than {MOST_REPOSITORIES} repositories")
            if time.monotonic() > self._until:
                raise RemoteError(f"to open the others took more than {MOST_SECONDS:g} seconds")
            try:
                self._opened[place] = self._here(place) if not is_url(place) else self._copy(place)
            except RegistryError as error:
                self._failed[place] = error
                self._failed_there(error, "open", place)
                raise
            except OSError as error:
                self._failed[place] = RemoteError(
                    f"{without_secrets(place)!r} can't be read: {error.strerror}"
                )
                raise self._failed[place] from error
        return self._opened[place]

    def _here(self, place: str) -> Source:
        repo = GitRepo.discover(place)
        if Path(place).resolve() not in {path.resolve() for path in (repo.root, repo.git_dir) if path}:
            raise RemoteError(f"no Git repository at {place!r}")
        if not self.offline:
            repo.bring = partial(bring_promised, repo)
        return Source(repo, place)

    def _copy(self, url: str) -> Source:
        # Not brought up to date: a commit that is there does not change.
        max_age = float("inf") if self.offline else _FOR_EVER
        mirror = GitMirror.open(url, self._folder, max_age=max_age)
        if self.offline:
            mirror.repo.bring = None
        return Source(mirror.repo, without_secrets(url), mirror)


def places(url: str, bases: Callable[[], Sequence[str]], file: str) -> Sequence[str]:
    """Where a URL in a file may lead, best first: paths on this machine, and URLs that may be opened.

    Args:
        url: As written by ``dvc import``, which keeps what was typed.
        bases: Gives paths and URLs of the importing repository, where that is needed.
        file: The file, from its Git root.

    Raises:
        InvalidInputError: It is none of those.
    """
    if not url or url.startswith("-") or "\0" in url:
        raise InvalidInputError(f"not a Git URL: {without_secrets(url)!r}")
    if url.startswith("file://"):
        parts = urlsplit(check_url(url))
        if parts.netloc not in ("", "localhost"):
            raise InvalidInputError(f"not on this machine: {url!r}")
        return [unquote(parts.path)]
    if "::" in url.partition("/")[0] or "://" in url or (_SCP.fullmatch(url) and not os.path.isabs(url)):
        return [check_url(url)]
    if os.path.isabs(url):
        return [url]
    found = []
    for base in bases():
        if not is_url(base):
            # Where it was typed is not recorded: most type it at the top, or beside the file.
            folders = [base, os.path.join(base, os.path.dirname(file))]
            found += [os.path.normpath(os.path.join(folder, url)) for folder in folders]
        elif base.startswith("file://"):
            found.append(os.path.normpath(os.path.join(unquote(urlsplit(base).path), url)))
        else:
            found.append(check_url(_beside(base, url)))
    return list(dict.fromkeys(found))


def _beside(base: str, relative: str) -> str:
    """The URL that is ``relative`` to another one, as Git has it for submodules."""
    scp = _SCP.fullmatch(base)
    if scp is not None and "://" not in base:
        return scp[1] + posixpath.normpath(posixpath.join(scp[2], relative))
    scheme, _, rest = base.partition("://")
    host, _, path = rest.partition("/")
    return f"{scheme}://{host}{posixpath.normpath(posixpath.join('/', path, relative))}"
