"""Where a repository shares its references: fetch some, push one exclusively, and learn what became of the push.

The remote is called by its URL, never by its name, and with the programs that git itself would use: what the
repository's own configuration names (``core.sshCommand``, ``remote.*.receivepack``, credential helpers) is not run.
Authentication is Git's own: the ssh agent, the user's credential helper, ``GIT_ASKPASS``; nothing ever prompts.
"""

from __future__ import annotations

import os
import random
import re
import time
from collections.abc import Sequence
from enum import Enum, auto
from functools import cached_property

from modelregistry.errors import (
    AccessDeniedError,
    GitError,
    InvalidInputError,
    InvalidSettingsError,
    RefusedError,
    RemoteError,
)
from modelregistry.git.call import NETWORK_SECONDS, lock_hint, read_settings
from modelregistry.git.repo import GitRepo, check_url
from modelregistry.git.transfer import OPTION
from modelregistry.git.transport import Transport
from modelregistry.progress import Progress, Report, reported
from modelregistry.urlsecrets import without_secrets

_TRIES = 3
# What git itself says of a request that the web server turned down for want of a login, or of a right.
_NO_RIGHT = re.compile(
    r"Authentication failed for |returned error: 40[13]\b|could not read (Username|Password) for "
)
# Git says the first, and only that, of a server that spoke no word of Git; the second is in the words of ssh or a host.
_NO_CONTACT = "fatal: Could not read from remote repository"
_DENIED = re.compile(r"denied|not allowed|unauthori[sz]ed|forbidden", re.IGNORECASE)
# What git says of the clone that it fetches into; what the other side says of itself has another beginning.
_HERE = re.compile(
    r"(?!remote:|fatal: remote error:).*(cannot lock ref|nable to create|nable to write|failed to write object"
    r"|No space left on device|[Qq]uota exceeded|Read-only file system|insufficient permission for adding an object)"
)
_CLASH = re.compile(r"cannot lock ref '[^']*': '([^']*)' exists; cannot create '([^']*)'")


class Outcome(Enum):
    """What became of a push."""

    CREATED = auto()
    TAKEN = auto()
    """Another object has that name."""
    UNKNOWN = auto()
    """It may have been applied or not, and the remote can't say."""


class GitRemote:
    """One remote of a repository.

    Args:
        repo: The repository.
        url: Where the remote is. One that this library does not open is refused when it is used, by
            ``InvalidInputError``: a repository whose remote is odd can still be read.
        push_url: Where it is pushed to, if that is another place.
        name: What the repository calls it, where its configuration is of our own making; else it is called by its URL.

    Attributes:
        progress: Who is told while something is fetched.
    """

    progress: Progress = None

    def __init__(
        self, repo: GitRepo, url: str, *, push_url: str | None = None, name: str | None = None
    ) -> None:
        self._repo = repo
        self._url = url
        self._push_url = push_url
        self._name = name

    @classmethod
    def named(cls, repo: GitRepo, name: str) -> GitRemote | None:
        """The remote that the repository's configuration has under that name, if there is one."""
        urls = _urls(repo, name)
        return cls(repo, urls["url"], push_url=urls.get("pushurl")) if "url" in urls else None

    def __repr__(self) -> str:
        return without_secrets(self._url)

    @property
    def url(self) -> str:
        """Where it is, less a password."""
        return without_secrets(self._url)

    @cached_property
    def _address(self) -> str:
        url = check_url(self._url)
        return self._name or url

    @cached_property
    def _push_address(self) -> str:
        return check_url(self._push_url) if self._push_url is not None else self._address

    @cached_property
    def _transport(self) -> Transport:
        return Transport(self._repo.run)

    def fetch(self, patterns: Sequence[str]) -> bool:
        """Bring the references that match (each pattern has one ``*``, or none); what is here is left as it is.

        Returns:
            Whether all that is here is what the remote has; False where a reference is at another object.

        Raises:
            RemoteError: The remote can't be reached.
            GitError: What it has can't be written here.
        """
        return self._fetch([f"{pattern}:{pattern}" for pattern in patterns])

    def mirror(self) -> None:
        """Make every branch and tag here what it is there.

        Raises:
            RemoteError: The remote can't be reached.
        """
        self._fetch(["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"], "--prune")

    def bring(self, oids: Sequence[str]) -> None:
        """Bring objects that a clone without file contents left out.

        Raises:
            RemoteError: The remote can't be reached.
        """
        # Nothing that is here says anything of what is missing, so there is nothing to negotiate.
        self._fetch(oids, before=("-c", "fetch.negotiationAlgorithm=noop"))

    def _fetch(self, specs: Sequence[str], *options: str, before: Sequence[str] = ()) -> bool:
        for attempt in range(1, _TRIES + 1):
            with self._repo.guard():
                try:
                    with reported(self.progress, f"fetching {self}", "objects") as report:
                        self._call(
                            self._address, *before, "fetch", OPTION, "--no-tags", "--no-prune", "--no-write-fetch-head",
                            "--no-recurse-submodules", "--upload-pack=git-upload-pack", *options, "--stdin",
                            stdin="".join(f"{spec}\n" for spec in specs).encode(), report=report,
                        )  # fmt: skip
                    return True
                except GitError as error:
                    failure = error
            # Two processes of one clone that fetch the same tags at once are in each other's way for a moment.
            if "cannot lock ref" not in failure.stderr or _CLASH.search(failure.stderr) or attempt == _TRIES:
                break
            time.sleep(random.uniform(0, 0.1 * 2 ** (attempt - 1)))  # noqa: S311
        # References that differ here stay, and git says so by its exit status; the others have come.
        if "would clobber existing tag" in failure.stderr and not _said_here(failure):
            return False
        raise self._failed(failure) from failure

    def refs(self, patterns: Sequence[str]) -> dict[str, str]:
        """The object of every reference of the remote that matches.

        Raises:
            RemoteError: The remote can't be reached.
        """
        return self._refs(self._address, patterns)

    def _refs(self, address: str, patterns: Sequence[str]) -> dict[str, str]:
        try:
            output = self._call(
                address, "ls-remote", "--quiet", "--upload-pack=git-upload-pack", operands=patterns
            )
        except GitError as error:
            raise self._failed(error) from error
        # Not splitlines: a name may hold what Unicode takes for the end of a line.
        pairs = (line.split("\t") for line in output.decode("utf-8", "surrogateescape").split("\n")[:-1])
        return {name: oid for oid, name in pairs if not name.endswith("^{}")}

    def create(self, name: str, oid: str) -> Outcome:
        """Create ``name`` at ``oid`` on the remote if and only if nothing is there.

        A push that fails in any other way than by a plain refusal may have been applied. So the remote is asked
        what it has, and the same object is pushed again where it has nothing.

        Raises:
            RefusedError: The remote's own rules forbid it; nothing was written.
            AccessDeniedError: This user may not push there; nothing was written.
            GitError: The remote says that it can't; nothing was written.
        """
        told, where = True, without_secrets(self._push_url or self._url)
        for attempt in range(_TRIES):
            if attempt:
                time.sleep(0.2 * attempt)
            try:
                self._push(name, oid)
                return Outcome.CREATED
            except GitError as error:
                failure = error
            # Git itself saw another object there and sent nothing: that is certain, whatever came before.
            if f"!\t{oid}:{name}\t[rejected] (already exists)" in failure.stdout.splitlines():
                return Outcome.TAKEN
            if told and _lacks_right(failure):  # which is told before anything is sent
                raise AccessDeniedError(
                    f"the remote {where} does not let you push the tag {name!r}: {_reason(failure)}; nothing was written: "
                    "have Git's credential helper (https) or your ssh agent (ssh) log in as somebody who may push there"
                ) from failure
            told = told and "[remote rejected]" in failure.stdout
            try:
                found = self._refs(self._push_address, [name]).get(name)
            except RemoteError:
                continue
            if found is not None:
                return Outcome.CREATED if found == oid else Outcome.TAKEN
            if "declined" in failure.stdout:  # by a hook or a rule; GitHub, GitLab and git itself say it so
                raise RefusedError(
                    f"the remote {where} refuses the tag {name!r}: {_reason(failure)}"
                ) from failure
        if told:  # each time, by the remote itself: a full disk, a stale lock
            raise GitError(
                f"the remote {where} can't keep the tag {name!r}: {_reason(failure)}",
                arguments=failure.arguments, stdout=failure.stdout, stderr=failure.stderr, status=failure.status,
            ) from failure  # fmt: skip
        return Outcome.UNKNOWN

    def _push(self, name: str, oid: str) -> None:
        self._call(
            self._push_address, "push", "--porcelain", "--quiet", "--no-verify", "--no-signed", "--no-follow-tags",
            "--recurse-submodules=no", "--receive-pack=git-receive-pack", operands=[f"{oid}:{name}"],
        )  # fmt: skip

    def _call(
        self,
        address: str,
        *arguments: str,
        operands: Sequence[str] = (),
        stdin: bytes = b"",
        report: Report | None = None,
    ) -> bytes:
        """What git prints when it calls the address, which comes after the arguments and before the operands."""
        self._transport.check(self._url if address == self._name else address)
        # So old a way to configure a remote that only a name without a slash can be one.
        for kind in ("remotes", "branches") if "/" not in address and address != self._name else ():
            if (file := self._repo.common_dir / kind / address).exists():
                raise InvalidSettingsError(
                    f"{os.fspath(file)!r} makes a remote of the address itself, and may lead what is sent there elsewhere: "
                    "delete that file"
                )
        return self._repo.run(
            *arguments, "--end-of-options", address, *operands,
            stdin=stdin, timeout=NETWORK_SECONDS, environment=self._transport.environment, report=report,
        )  # fmt: skip

    def _failed(self, error: GitError) -> GitError:
        """That the remote can't be reached, or that the fault is here: nobody should look for it at the wrong end."""
        said = _said_here(error)
        if not said:
            return RemoteError(
                f"the remote {self} can't be reached: {error}",
                arguments=error.arguments, stderr=error.stderr, status=error.status,
            )  # fmt: skip
        return GitError(
            f"what the remote {self} has can't be kept here: {said}; {_remedy(said, self._repo)}",
            arguments=error.arguments, stdout=error.stdout, stderr=error.stderr, status=error.status,
        )  # fmt: skip


def _said_here(error: GitError) -> str:
    """The first line, if there is one, by which git complains of this clone and not of the remote."""
    return next((line for line in error.stderr.splitlines() if _HERE.match(line)), "")


def _remedy(said: str, repo: GitRepo) -> str:
    if clash := _CLASH.search(said):
        return (
            f"{clash[1]!r} is here, {clash[2]!r} is there, and no repository can have both: delete the one that nobody "
            f"needs ('git update-ref -d {clash[1]}' does it here)"
        )
    return lock_hint(said) or f"see whether {repo!r} may be written, and has room"


def choose_remote(repo: GitRepo, name: str | None, *, default: str) -> GitRemote | None:
    """The remote of that name; none where ``name`` is None, or is the default one and the repository has it not.

    Raises:
        InvalidInputError: There is no such remote.
    """
    if name is None:
        return None
    found = GitRemote.named(repo, name)
    if found is None and name != default:
        raise InvalidInputError(
            f"no remote {without_secrets(str(name))!r} in {repo!r}: 'git remote add {without_secrets(str(name))} …', or remote=None for none"
        )
    return found


def bring_promised(repo: GitRepo, oids: Sequence[str]) -> None:
    """Bring objects that the repository left out, from the remote that its configuration says has them.

    Raises:
        RemoteError: It can't be reached, or there is none.
    """
    try:
        lines = repo.run("config", "--get-regexp", r"^remote\..*\.promisor$").decode().splitlines()
    except GitError as error:
        raise RemoteError(f"{repo!r} lacks objects, and names no remote that has them") from error
    name = lines[0].partition(" ")[0].removeprefix("remote.").removesuffix(".promisor")
    remote = GitRemote.named(repo, name)
    if remote is None:
        raise RemoteError(f"{repo!r} lacks objects, and its remote {name!r} has no URL")
    remote.bring(oids)


def _urls(repo: GitRepo, name: str) -> dict[str, str]:
    """What the repository's configuration has first as the remote's ``url`` and ``pushurl``: git takes the first too."""
    found: dict[str, str] = {}
    for _, key, url in read_settings(repo.run, r"^remote\..*\.(url|pushurl)$"):
        remote, _, kind = key.removeprefix("remote.").rpartition(".")
        if remote == name:
            found.setdefault(kind, url)
    for kind, url in found.items():
        if "://" not in url and repo.root and not os.path.isabs(url) and os.path.exists(repo.root / url):
            found[kind] = os.fspath((repo.root / url).resolve())
    return found


def _lacks_right(error: GitError) -> bool:
    """Whether the server turned this user away at the door."""
    lines = error.stderr.splitlines()
    # What the server's programs say proves nothing: a hook that pushes elsewhere complains in the same words.
    if any(_NO_RIGHT.search(line) for line in lines if not line.startswith("remote:")):
        return True
    return any(line.startswith(_NO_CONTACT) for line in lines) and bool(_DENIED.search(error.stderr))


def _reason(error: GitError) -> str:
    said = f"{error.stderr}\n{error.stdout}".splitlines()
    lines = [line for line in said if "[remote rejected]" in line or line.startswith("remote:")]
    return " ".join(line.strip() for line in lines) or str(error)
