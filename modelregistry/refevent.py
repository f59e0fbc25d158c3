"""event_from_ref(): what happened, for a CI job that a tag started."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from modelregistry.display.shown import Shown
from modelregistry.errors import InvalidInputError, InvalidReferenceError, VersionNotFoundError
from modelregistry.git.remote import bring_promised, choose_remote
from modelregistry.git.repo import GitRepo
from modelregistry.log.events import Event, Registered
from modelregistry.log.tags import MOST_TAG_BYTES, RawTag, parse, parse_name, tag_prefix
from modelregistry.project.declarations import Declarations
from modelregistry.project.declarationtexts import Declaration

_TAGS = "refs/tags/"
_ORIGIN = "origin"
# The words of GTO, and of the jobs that were written for it.
_WORDS = {
    "register": "registration", "deregister": "deregistration", "withdraw": "deregistration",
    "assign": "assignment", "unassign": "unassignment", "deprecate": "deprecation", "annotate": "annotation",
}  # fmt: skip


@dataclass(frozen=True, slots=True, repr=False)
class RefEvent(Shown):
    """One event of a registry, as the tag that keeps it tells: what ``event_from_ref`` gives."""

    event: str
    """``registration``, ``assignment`` (a promotion or a rollback), ``unassignment`` (a demotion), ``deregistration``
    (a withdrawal), ``annotation`` or ``deprecation``."""
    name: str
    """The model."""
    version: str | None
    """The version; None where the event is about the model as a whole."""
    stage: str | None
    """The stage that the version was put on or taken off."""
    path: str | None
    """Where the artifact is in the repository, as ``dvc.yaml`` at the commit says; None where it does not."""
    type: str | None
    """What ``dvc.yaml`` says it is, such as ``model``."""
    description: str | None
    """How ``dvc.yaml`` describes it."""
    rev: str
    """The commit of the version."""
    tag: str
    """The tag."""
    author: str
    """Who wrote the event."""
    message: str
    """Why, in the author's words."""
    at: datetime
    """When."""
    echo: bool
    """Whether it only repeats another event for GTO to read: nothing moved with it."""

    @property
    def outputs(self) -> Mapping[str, str]:
        """Every fact as the text that a job passes on: what is not known is empty, ``echo`` is ``true`` or ``false``."""
        facts = {name: getattr(self, name) for name in self.__slots__}
        texts = {name: str(value) for name, value in facts.items() if value is not None}
        return dict.fromkeys(facts, "") | texts | {"at": self.at.isoformat(), "echo": str(self.echo).lower()}

    def write_github_output(self, path: str | os.PathLike[str] | None = None) -> None:
        """Make every fact an output of the step that runs in a GitHub workflow.

        Whatever a description or a message holds stays in its own output. (In a ``run:`` line use outputs by ``env:``,
        never by ``${{ … }}``, which would put their text into the script.)

        Args:
            path: The file; left out: ``$GITHUB_OUTPUT``.

        Raises:
            InvalidInputError: There is no such file to write to.
        """
        target = os.environ.get("GITHUB_OUTPUT") if path is None else os.fspath(path)
        if not target:
            raise InvalidInputError(
                "$GITHUB_OUTPUT is not set: this is no step of a GitHub workflow; pass path="
            )
        end = f"end-{secrets.token_hex(16)}"  # which no value can know
        lines = "".join(f"{name}<<{end}\n{text}\n{end}\n" for name, text in self.outputs.items())
        try:
            with open(target, "ab") as file:
                # Before this, the step may have left a line that has no end.
                start = "\n" if file.tell() and not _ends_a_line(target) else ""
                file.write(f"{start}{lines}".encode("utf-8", "replace"))
        except OSError as error:
            raise InvalidInputError(f"the outputs can't be written to {target!r}: {error}") from error


def event_from_ref(ref: str, *, registry: str | os.PathLike[str] = ".") -> RefEvent:
    """What happened, by the reference that started a CI job.

    The shallow clone that CI makes is enough. Where that has the tag without its message (as GitHub's checkout action
    made it before 6.0.2), or not at all, the message is fetched from ``origin``.

    Args:
        ref: ``os.environ["GITHUB_REF"]`` on GitHub, ``os.environ["CI_COMMIT_TAG"]`` on GitLab: a tag, with or without
            ``refs/tags/``.
        registry: A folder in the clone.

    Raises:
        InvalidReferenceError: It is no event of a registry: a branch, another tag, or a tag that only looks like one;
            the message says which.
        VersionNotFoundError: GTO wrote it, which names a version by its commit, and this clone lacks its registration.
        RepositoryNotFoundError: No Git repository there.
        InvalidFileError: ``dvc.yaml`` at the commit can't be read.
        RemoteError: The message has to be fetched, and the remote can't be reached.
    """
    if not isinstance(ref, str):
        raise InvalidReferenceError(
            f"not a reference: {ref!r}; GitHub has it in $GITHUB_REF, and GitLab in $CI_COMMIT_TAG, which only the job of "
            "a tag has"
        )
    name = ref.removeprefix(_TAGS)
    if name.startswith("refs/") or parse_name(name) is None:
        kind = "a tag" if ref.startswith(_TAGS) else "a reference"
        raise InvalidReferenceError(
            f"{ref!r} is {kind} that is no event of a registry: those are tags such as 'churn@v1.2.0' (registered) and "
            "'churn#current#3' (promoted)"
        )
    repo = GitRepo.discover(registry)
    repo.bring = partial(bring_promised, repo)
    event = parse(_read(repo, name))
    if not isinstance(event, Event):
        raise InvalidReferenceError(
            f"the tag {name!r} only looks like an event: {event.reason if event is not None else 'it is none'}"
        )
    declared = Declarations(repo).at(event.rev, event.model) or Declaration(event.model, "")
    return RefEvent(
        event=_WORDS[event.kind], name=event.model, version=_version(repo, event), stage=getattr(event, "stage", None),
        path=declared.path or None, type=declared.type, description=declared.description, rev=event.rev, tag=name,
        author=event.author, message=event.message, at=event.at, echo=event.echo_of is not None,
    )  # fmt: skip


def _read(repo: GitRepo, name: str) -> RawTag:
    """The tag with its object, from the remote where it is not here."""
    ref = f"{_TAGS}{name}"
    oid = dict(repo.refs(ref)).get(ref)
    found = _tag(repo, name, oid) if oid is not None else None
    if found is not None and found.kind == "tag":
        return found
    remote = choose_remote(repo, _ORIGIN, default=_ORIGIN)
    there = remote.refs([ref]).get(ref) if remote is not None else None
    if remote is not None and there not in (None, oid):
        remote.bring([ref])
        found = _tag(repo, name, there or "")
    if found is None:
        raise InvalidReferenceError(
            f"there is no tag {name!r}, neither in {os.fspath(repo.root or repo.git_dir)!r} nor in its remote {_ORIGIN!r}: was it deleted?"
        )
    return found


def _tag(repo: GitRepo, name: str, oid: str) -> RawTag:
    found = repo.read([oid], limit=MOST_TAG_BYTES)[0]
    data = found.data if found is not None and found.kind == "tag" else None
    return RawTag(name, oid, found.kind if found is not None else "missing", data)


def _version(repo: GitRepo, event: Event) -> str | None:
    """The version that the event names, or that GTO registered at its commit."""
    version: str | None = getattr(event, "version", None)
    if version is not None or event.schema_version or not hasattr(event, "stage"):
        return version
    prefix = tag_prefix(event.model)
    parsed = [parse(raw) for raw in repo.tags_carefully(f"{prefix}@*")]
    there = [each for each in parsed if isinstance(each, Registered) and each.rev == event.rev]
    if not there:
        raise VersionNotFoundError(
            f"{event.source!r} was written by GTO, which names a version by its commit, and no registration of "
            f"{event.rev[:10]} is in this clone: 'git fetch --depth=1 origin \"refs/tags/{prefix}@*:refs/tags/{prefix}@*\"' "
            "brings it"
        )
    return max(there, key=lambda each: each.order).version


def _ends_a_line(path: str) -> bool:
    with open(path, "rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
