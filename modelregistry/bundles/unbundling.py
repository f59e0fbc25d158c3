"""unbundle(): a bundle into a bare repository, after every byte of it was checked."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from glob import escape
from pathlib import Path
from typing import NamedTuple

from modelregistry.bundles.check import TAGS, Checked, lay_out
from modelregistry.bundles.file import BundleFile
from modelregistry.display.shown import shown
from modelregistry.errors import ConflictError, GitError, InvalidInputError, RefusedError, RegistryError
from modelregistry.git.history import adopt, create_in_order, create_unseen
from modelregistry.git.repo import GitRepo
from modelregistry.log.events import Event
from modelregistry.log.tags import parse
from modelregistry.progress import Progress, check_progress, reported
from modelregistry.project.dvcfiles import CARRIED

_SHOWN = 5


@shown
class Unbundled(NamedTuple):
    """What a bundle brought."""

    path: Path
    """The repository."""
    versions: tuple[str, ...]
    """The versions whose bytes are in the bundle, as ``name@version``."""
    events: tuple[str, ...]
    """The events that were not here before, by their tags, oldest first."""


def unbundle(file: Path, to: Path, *, progress: Progress = None, dry_run: bool = False) -> Unbundled:
    """Make the bare repository ``to`` of a bundle, or bring one that is there up to date.

    Raises:
        InvalidFileError: It is no whole bundle, or not what it says.
        IntegrityError: Bytes of it were changed.
        ConflictError: The repository has other events, or another history, in the place of what is in it.
        RefusedError: The bundle is of another registry, or ``to`` is no bare repository.
        InvalidInputError: The bundle can't be read, or the repository can't be written.
    """
    check_progress(progress)
    to = to.absolute()
    try:
        with BundleFile.open(file) as source, _alone(to) as folder:
            target = _target(to)
            known = _known(target)
            with reported(progress, f"checking {file.name!r}") as report:
                checked = lay_out(source, folder, to / CARRIED, report)
            new = [
                event for event in checked.events if checked.oid(event) != known.get(f"{TAGS}{event.source}")
            ]
            moves = target is not None and _compare(target, known, checked, new)
            if not dry_run and target is None:
                _make(checked, to)
            elif not dry_run and target is not None:
                _update(target, checked, new, moves=moves)
    except OSError as error:
        if isinstance(error, RegistryError):
            raise
        raise InvalidInputError(f"{os.fspath(to)!r} can't be written: {error}") from error
    return Unbundled(to, checked.manifest.versions, tuple(event.source for event in new))


# -- where it goes -----------------------------------------------------------------------------------------


@contextmanager
def _alone(to: Path) -> Iterator[Path]:
    """A folder beside ``to`` for what is not checked yet, gone afterwards; nobody else unbundles there meanwhile."""
    from filelock import FileLock

    if not to.parent.is_dir():
        raise InvalidInputError(f"there is no folder {os.fspath(to.parent)!r} to unbundle in")
    prefix = f".{to.name}.unbundle-"
    with FileLock(to.parent / f".{to.name}.lock"):
        for left in to.parent.glob(f"{escape(prefix)}*"):  # by one that was killed
            shutil.rmtree(left, ignore_errors=True)
        with tempfile.TemporaryDirectory(dir=to.parent, prefix=prefix) as folder:
            yield Path(folder)


def _target(to: Path) -> GitRepo | None:
    """The bare repository that is there; None where it has to be made."""
    if (to / ".git").exists():
        raise RefusedError(
            f"{os.fspath(to)!r} is a working copy, and a bundle makes or updates a bare repository: unbundle into a folder "
            "of its own, and clone that"
        )
    if (to / "HEAD").is_file() and (to / "objects").is_dir() and (to / "refs").is_dir():
        return GitRepo(to)
    if to.is_dir() and not any(to.iterdir()):
        return None
    if to.exists():
        raise RefusedError(
            f"{os.fspath(to)!r} is there, and is no bare repository: unbundle into a folder that is new"
        )
    return None


# -- comparing ---------------------------------------------------------------------------------------------


def _known(target: GitRepo | None) -> Mapping[str, str]:
    """The branches and tags that are there."""
    return dict(target.refs("refs/heads", "refs/tags")) if target is not None else {}


def _compare(target: GitRepo, known: Mapping[str, str], checked: Checked, new: Sequence[Event]) -> bool:
    """Refuse what the repository can't have beside what it has; whether its default branch moves."""
    ours, theirs = (repo.run("rev-parse", "--show-object-format") for repo in (target, checked.repo))
    if ours != theirs:
        raise RefusedError(
            "the repository and the bundle name objects by different hashes; nothing was written"
        )
    registry = _registry(target)
    if None not in (registry, checked.manifest.registry) and registry != checked.manifest.registry:
        raise RefusedError(
            f"the bundle is of the registry {checked.manifest.registry}, and {os.fspath(target.common_dir)!r} of {registry}: "
            "unbundle it into a repository of its own; nothing was written"
        )
    if taken := [event for event in new if f"{TAGS}{event.source}" in known]:
        names = ", ".join(event.source for event in taken[:_SHOWN])
        raise ConflictError(
            f"{len(taken)} events of the bundle have the place of others in {os.fspath(target.common_dir)!r}, {names} for one: "
            "somebody wrote there too, or the registry was rewritten; nothing was written",
            by=taken[0].author, at=taken[0].at,
        )  # fmt: skip
    both_sides = known.keys() | {f"{TAGS}{event.source}" for event in new}
    folders = {name[:at] for name in both_sides for at, character in enumerate(name) if character == "/"}
    if clash := sorted(folders & both_sides):
        raise ConflictError(
            f"no repository can have both {clash[0]!r} and references in a folder of that name; nothing was written"
        )
    return _moves(target, known.get(checked.branch), checked)


def _moves(target: GitRepo, here: str | None, checked: Checked) -> bool:
    """Whether the bundle's default branch is ahead of the one that is at ``here``."""
    head = checked.head
    if head is None or here == head:
        return False
    if here is None or _is_ancestor(checked.repo, here, head):
        return True
    if _is_ancestor(target, head, here):
        return False
    raise ConflictError(
        f"the branch {checked.manifest.branch!r} has commits here that the bundle has not, and the other way round; nothing "
        f"was written: if the bundle is right, 'git update-ref -d {checked.branch}' in {os.fspath(target.common_dir)!r}, then "
        "unbundle again",
        believed=head, found=here,
    )  # fmt: skip


def _is_ancestor(repo: GitRepo, old: str, new: str) -> bool:
    if None in repo.read([old, new], limit=0):
        return False
    try:
        repo.run("merge-base", "--is-ancestor", old, new)
    except GitError as error:
        if error.status != 1:
            raise
        return False
    return True


def _registry(repo: GitRepo) -> str | None:
    for tag in repo.tags_carefully("**"):
        event = parse(tag)
        if isinstance(event, Event) and event.registry is not None:
            return event.registry
    return None


# -- writing -----------------------------------------------------------------------------------------------


def _make(checked: Checked, to: Path) -> None:
    """A new repository, which is there at once."""
    place = checked.repo.common_dir
    if checked.objects.is_dir():
        checked.objects.rename(place / CARRIED)
    create_unseen(checked.repo, checked.refs)
    if checked.head is not None:
        checked.repo.run("symbolic-ref", "HEAD", checked.branch)
    place.rename(to)


def _update(target: GitRepo, checked: Checked, new: Sequence[Event], *, moves: bool) -> None:
    """What is new, in such an order that whoever reads meanwhile sees the registry as it was at some moment."""
    for file in sorted(path for path in checked.objects.rglob("*") if path.is_file()):
        place = target.common_dir / CARRIED / file.relative_to(checked.objects)
        place.parent.mkdir(parents=True, exist_ok=True)
        file.replace(place)
    if new or moves:
        adopt(target, checked.repo)
        _write_refs(target, checked, new, moves=moves)


def _write_refs(repo: GitRepo, checked: Checked, new: Sequence[Event], *, moves: bool) -> None:
    """The default branch, where the settings are, and then one event after the other."""
    if moves and checked.head is not None:
        repo.run("update-ref", checked.branch, checked.head)
        if repo.read(["HEAD"], limit=0)[0] is None:
            repo.run("symbolic-ref", "HEAD", checked.branch)
    try:
        create_in_order(repo, ((f"{TAGS}{event.source}", checked.oid(event)) for event in new))
    except GitError as error:
        if "reference already exists" not in error.stderr:
            raise
        raise ConflictError(
            f"somebody wrote to {os.fspath(repo.common_dir)!r} at the same time: unbundle again, which says what is in the way"
        ) from error
