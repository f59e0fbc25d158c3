"""Keeps the commits of versions whose log is not in Git: there, the tag of an event does it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

from modelregistry.errors import GitError, RemoteError
from modelregistry.git.remote import GitRemote, Outcome
from modelregistry.git.repo import GitRepo

_KEPT = "refs/modelregistry/commits/"


class Commits:
    """The commits of one repository that versions were registered at.

    ``refs/modelregistry/commits/<commit>`` is one that neither a deleted branch nor ``git gc`` takes away.

    Args:
        repo: The repository.
        shared: Where the code is shared, if it is.
    """

    def __init__(self, repo: GitRepo, shared: Callable[[], GitRemote | None]) -> None:
        self._repo = repo
        self._shared = shared

    def keep(self, rev: str) -> None:
        """Have a reference at the commit here, and first where the code is shared: with it goes what it needs.

        Raises:
            RemoteError: The remote can't be reached.
            RefusedError: The remote does not take it.
        """
        name, remote = f"{_KEPT}{rev}", self._shared()
        if remote is not None and remote.create(name, rev) is Outcome.UNKNOWN:
            raise RemoteError(
                f"nothing was written: {remote} does not say whether it has the commit {rev[:10]}"
            )
        self._repo.create_ref(name, rev)

    def bring(self, revs: Sequence[str]) -> None:
        """Fetch commits that others registered, if they can be had.

        Raises:
            RemoteError: The remote can't be reached.
        """
        remote = self._shared()
        if remote is not None:
            there = remote.refs([f"{_KEPT}{rev}" for rev in revs])
            if there:
                remote.fetch(list(there))
            others = [rev for rev in revs if f"{_KEPT}{rev}" not in there]
            if others:  # of a log that was in Git before: below a branch or a tag
                with suppress(GitError):  # who reads them says better what is missing
                    remote.bring(others)
