"""Registry: the one hub. It reads, folds, lets pure functions decide, and appends; it has no rule of its own.

Each chapter of its verbs is a file, and builds on the one before: hub, reading, writing, intake, keeping.
"""

from __future__ import annotations

from modelregistry.registry.keeping import KeepingVerbs


class Registry(KeepingVerbs):
    """The registry of a team: a Git repository whose tags say which model versions there are and what they are for.

    Args:
        target: A path in a working copy, a bare repository, or a Git URL (kept in a private mirror). Left out:
            ``$MODELREGISTRY_URL``, else the current folder.
        remote: The Git remote that the log is shared through: every write fetches from it first and pushes to it.
            ``"origin"`` where there is one; None shares with nobody. Of a URL, the URL itself.
        push: Publish what is written at once; else it is staged in this clone until ``sync()``.
        max_age: Seconds after which the mirror of a URL is fetched anew before a read; 0 for always.
        offline: Read the mirror of a URL as it is, and only bytes that are on this machine: without the network.
        sign: Sign every event with the key that Git is configured with (``user.signingKey``, SSH or GPG).
        signers: Whose events count: a policy file (``.toml``), an ``allowed_signers`` file of OpenSSH, or a mapping of
            e-mail addresses to keys. Left out: this user's own policy file, where there is one. What fails it counts
            for nothing, with a warning.
        strict: Make such events an error. It needs a policy.
        backend: Where the log is kept: ``"git"`` for the tags of the repository, the address of a database such as
            ``"postgresql://user@host/database"``, or what ``open_backend`` gave. Left out: ``$MODELREGISTRY_BACKEND``,
            else this user's ``config.toml``, else ``"git"``. Code and data stay in the repository and in DVC.
        progress: Who is told while a URL is cloned, and whatever is fetched from Git, as of
            ``ModelVersion.local_path``.

    Raises:
        RepositoryNotFoundError: No Git repository there.
        InvalidInputError: A URL or an address that can't be opened, a key that is none, or ``strict`` without a policy.
        InvalidSettingsError: A policy or a configuration that can't be read.
        GitError: The URL could not be cloned.
        UnreachableError: The database can't be reached.
        SchemaError: It has no tables for a log, or not those of this version: ``migrate`` makes them.
    """
