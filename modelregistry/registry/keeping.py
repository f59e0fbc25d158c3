"""The verbs of a registry that keep it: to share, check, carry, and trust."""

from __future__ import annotations

import logging
import os
import posixpath
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from modelregistry import config
from modelregistry.backends.base import Backend, Synced
from modelregistry.display.listing import PROBLEM_COLUMNS
from modelregistry.display.tables import Rows
from modelregistry.errors import InvalidInputError, InvalidSettingsError, RefusedError, RegistryError
from modelregistry.givenpath import given_path
from modelregistry.log.checks import Problem, problems_in
from modelregistry.log.history import History, gto_differs
from modelregistry.log.meaning import meant
from modelregistry.plugins import GIT, loaders_for, open_backend
from modelregistry.progress import Progress, check_progress
from modelregistry.registry.hub import Folded
from modelregistry.registry.intake import IntakeVerbs
from modelregistry.trust.pins import PinnedDigest, PinnedDigests
from modelregistry.version import ModelVersion

if TYPE_CHECKING:
    from modelregistry.bundles.bundling import Bundled
    from modelregistry.bundles.unbundling import Unbundled
    from modelregistry.log.copying import Copied
    from modelregistry.trust.grant import Grant

_log = logging.getLogger("modelregistry")


class KeepingVerbs(IntakeVerbs):
    """The verbs that keep it: to share, check, carry, and trust."""

    def check(self, *, repair: bool = False, accept: bool = False, cards: bool = False) -> Rows[Problem]:
        """What is odd: tags that can't be read or contradict each other, what GTO answers otherwise, a partial clone.

        Also what became of the log since this user last checked: events that are gone, and events that are dated
        before what was there; and metadata that does not fit what the library and the team's schema want of it.

        Args:
            repair: Write what a stopped writer left out or left alone (the tags that repeat a change for GTO), and
                settle what is not published yet; what is still odd after that is returned.
            accept: Take the log as it is now for what was seen.
            cards: Also what the cards of the versions that hold the highest stage lack of what the team wants
                (``[cards]`` in ``.modelregistry.toml``). Their lineage is read.

        Raises:
            RemoteError: ``repair`` needs the remote, and it can't be reached.
        """
        if repair:
            self._repair()
        self._refresh()
        stages = self._read_stages()
        found: list[Problem] = []
        if self._in_tags and self._repo.is_shallow:
            found.append(
                Problem("", "clone", "it is shallow: tags may be missing", "git fetch --unshallow --tags")
            )
        if self._in_tags and self._repo.is_tagless:
            found.append(
                Problem("", "clone", "it was told to fetch no tags: sync() does", "git fetch --tags")
            )
        found += [
            Problem(event.model, event.source, "it waits here to be published: nobody else sees it", "sync()")
            for event in self._backend.pending()
        ]
        if accept:
            self._marks.forget_registry()
        gone = set(self._marks.models)
        folds: list[Folded] = []
        for log in self._verified.survey() if self._verified else self._backend.read_all():
            gone.discard(log.model)
            history = History(log.model, log.events, stages)
            folds.append(Folded(None, log, history))
            found += problems_in(history, log.quarantined, log.aside)
            if not accept:
                found += self._marks.compare(log.model, history.events, log.aside)
            self._marks.extend(log.model, history.events, accept=accept)
        for model in sorted(gone):
            if accept:
                self._marks.forget(model)
            else:
                found += self._marks.compare(model, ())
        if accept:
            self._marks.forget_registry()  # what the next read meets, not what came first by its name
        found += self._misfits(folds)
        if cards:
            found += self._lacking(folds)
        return Rows(found, PROBLEM_COLUMNS)

    def _misfits(self, folds: Sequence[Folded]) -> list[Problem]:
        """Metadata that does not fit."""
        from modelregistry.metadata.check import MetadataCheck

        try:
            wanted = MetadataCheck.of(self._repo)
        except InvalidSettingsError as error:
            return [Problem("", config.SETTINGS_FILE, str(error), "mend the schema, and commit it")]
        said = [
            (folded.history.model, version, metadata)
            for folded in folds
            for version, metadata in folded.history.all_metadata().items()
            if version is None or folded.history.versions[version].served
        ]
        return [*wanted.problems(said)]

    def _lacking(self, folds: Sequence[Folded]) -> Iterator[Problem]:
        """What the cards of the holders of the highest stage lack."""
        required = config.read_settings(self._repo).cards.wanted
        for folded in folds:
            history = folded.history
            for stage in history.stages.order[-1:]:
                for holder in history.holders(stage):
                    version = self._version(folded, holder)
                    where = f"card of {holder}"
                    try:
                        missing = [part for part in version.card.missing if part in required]
                    except RegistryError as error:
                        yield Problem(history.model, where, f"it can't be made: {error}", "mend what it says")
                        continue
                    if missing:
                        yield Problem(
                            history.model, where, f"{version.reference} is {stage!r}, and its card lacks {', '.join(missing)}",
                            f'registry.annotate("{history.model}", "{holder}", {{"card": {{…}}}})',
                        )  # fmt: skip

    def sync(self, *, progress: Progress = None) -> Synced:
        """Fetch what others wrote, and publish what waits in this clone: one push for each event, in their order.

        An event that lost its place to another (staged too late, or left by GTO whose push was refused) is set aside
        below ``refs/modelregistry/refused/`` with a warning, and so are the staged ones after it: they were decided
        on it. Without a remote there is nothing to do.

        Args:
            progress: Who is told while it is fetched, as of ``ModelVersion.local_path``.

        Raises:
            RemoteError: The remote can't be reached.
            OutcomeUnknownError: The connection broke while an event was pushed: call it again.
        """
        self._check_writable()
        check_progress(progress)
        with self._telling(progress):
            self._refresh(max_age=0)
            synced = self._backend.sync()
            self._keep_what_offline_needs()
        return synced

    def trust(
        self, reference: str | ModelVersion, *, progress: Progress = None, dry_run: bool = False
    ) -> Grant:
        """Let the very bytes of a version run code whenever this user loads them, from now on.

        What comes back shows who registered and signed it, what the bytes ask for, and what is new since the version of
        the model that was trusted before. Look at it with ``dry_run=True`` first. It is written into a file that only
        this user may write, never into the registry.

        Args:
            reference: The version, as ``get`` takes or gives it.
            progress: Who is told while missing bytes are fetched, as of ``ModelVersion.local_path``.
            dry_run: Only show it.

        Raises:
            NotFoundError: No such model, version, or holder of the stage.
            WithdrawnError: The version was withdrawn.
            RefusedError: It was registered without a sha256, or the file can't be written.
            UnknownFormatError: No loader recognises the file.
            MissingDependencyError: The library that reads the file is not installed.
            MissingBytesError: The bytes are nowhere to be had.
            IntegrityError: They are not the registered bytes.
        """
        from modelregistry.loading.examine import what_it_needs
        from modelregistry.trust.grant import grant

        version = self.get(reference)
        if version.digest is None:
            raise RefusedError(
                f"{version.reference} was registered without its bytes (allow_missing=True), so no digest says which are meant"
            )
        path, name = version.local_path(progress=progress), posixpath.basename(version.path)
        needed = what_it_needs(path, name, loaders=loaders_for(path, name, None))
        signature = self._verified.signature(version.registered) if self._verified else None
        return grant(version, needed, signature, PinnedDigests(), dry_run=dry_run)

    def distrust(self, reference: str | ModelVersion, *, dry_run: bool = False) -> None:
        """Take that back: the bytes run no code from now on, whoever signed or made them, but by ``trust=`` of a call.

        What a process has loaded already stays in its memory.

        Args:
            reference: The version, which may be withdrawn, as ``get`` takes or gives it; or a digest (``"sha256:…"``).
            dry_run: Write nothing.

        Raises:
            NotFoundError: No such model, version, or holder of the stage.
            InvalidInputError: What begins like a digest is none.
            RefusedError: It was registered without a sha256, or the file can't be written.
        """
        pin = PinnedDigest(self._digest_of(reference), trusted=False)
        if not dry_run:
            PinnedDigests().add(pin)

    def _digest_of(self, reference: str | ModelVersion) -> str:
        if isinstance(reference, str) and reference.startswith("sha256:"):
            return reference
        wanted = meant(reference)
        history = self._read(wanted.model).history
        wanted.check(history)
        record = history.versions.get(wanted.reference.version or "")
        digest = record.registered.digest if record is not None else self.get(reference).digest
        if digest is None:
            raise RefusedError(
                f"{reference!r} was registered without a sha256 of its bytes: nothing trusts them"
            )
        return digest

    def copy_log(self, to: Backend | str) -> Copied:
        """Append everything this log has to another one, in its order: ids, times, authors and the chain stay.

        Both are brought up to date first, as ``sync`` does. What is there already is passed by, so a copy that was
        interrupted is completed by another call.

        Args:
            to: Where to: the address of a database, what ``open_backend`` gave, or ``"git"`` for the tags of this
                registry's own repository.

        Raises:
            ConflictError: The other log has events that this one has not; nothing was written.
            RefusedError: It can't keep an event, or the signatures; nothing was written.
            UnreachableError: It can't be reached; what was copied before that stays, and another call goes on.
        """
        from modelregistry.log.copying import copy

        target = self._other(to)
        self.sync()
        target.sync()
        return copy(self._log, target)

    def mirror(self, to: Backend | str) -> Copied:
        """Make another log what this one is now; call it again to have it follow, which reads what moved only.

        This log is brought up to date first, as ``sync`` does (not with ``push=False`` or ``offline=True``). A mirror is
        an index, never a place to write to: events that are gone here go there, where it is a database's. It belongs to
        one log, which is known by the URL, or by the place of the clone.

        Args:
            to: Where to: the address of a database that is empty or this log's mirror, or what ``open_backend`` gave.

        Raises:
            ConflictError: It is another log's mirror, or a log of its own.
            RefusedError: This clone is partial, so events may be missing here.
            UnreachableError: It can't be reached.
        """
        from modelregistry.log.copying import follow

        if self._is_partial:
            raise RefusedError(f"nothing was written: {self.target!r} may lack events{self._hint}")
        if self._push and not self._offline:
            self.sync()
        return follow(self._log, self._other(to), of=self._log_name, memory=self._cache / "followed")

    def _other(self, to: Backend | str) -> Backend:
        found = to if isinstance(to, Backend) else self._open_tags() if to == GIT else open_backend(to)
        if found.identity == self._log.identity:
            raise InvalidInputError(f"the log is kept at {found.identity!r} already")
        return found

    def bundle(
        self,
        references: Iterable[str | ModelVersion],
        file: str | os.PathLike[str],
        *,
        overwrite: bool = False,
        progress: Progress = None,
    ) -> Bundled:
        """Put versions into one file, for a place that no network leads to: ``unbundle`` makes a registry of it there.

        In it are the verified bytes of these versions and of no others; all events of their models, as they are, with
        their signatures; and the Git history up to the commits of these events and to the head of the default branch.
        What is plainly in Git is in that history, whichever model it is of. The same registry gives the same file.

        Args:
            references: The versions, as ``get`` takes or gives them.
            file: The file to write, in a folder that is there.
            overwrite: Replace a file that is there.
            progress: Who is told while missing bytes are fetched, as of ``ModelVersion.local_path``, and while the file is
                written.

        Raises:
            NotFoundError: No such model, version, or holder of the stage.
            WithdrawnError: A version was withdrawn.
            RefusedError: Events wait here to be published, this clone is shallow, or the team's settings say that the log
                is kept in a database.
            InvalidInputError: No version, or the file is there already or can't be written.
            MissingBytesError: The bytes are nowhere to be had.
            IntegrityError: They are not the registered bytes.
        """
        from modelregistry.bundles.bundling import bundle

        wanted = [references] if isinstance(references, str | ModelVersion) else references
        if not isinstance(wanted, Iterable):
            raise InvalidInputError(
                f"references={wanted!r} is no list of versions: ['churn#current'], for one"
            )
        versions = [self.get(each) for each in wanted]
        models = sorted({version.name for version in versions})
        if waiting := [event.source for event in self._backend.pending() if event.model in models]:
            raise RefusedError(
                f"nothing was written: {waiting[0]!r} waits here to be published, and may lose its place: sync() first"
            )
        return bundle(
            self._repo, versions, [self._log.read(model, records=True) for model in models], given_path(file, "file"),
            in_tags=self._in_tags, objects=partial(self._content.objects, progress=progress), overwrite=overwrite,
            progress=progress,
        )  # fmt: skip

    @staticmethod
    def unbundle(
        file: str | os.PathLike[str],
        to: str | os.PathLike[str],
        *,
        progress: Progress = None,
        dry_run: bool = False,
    ) -> Unbundled:
        """Make a registry of a bundle, or bring the one that an earlier bundle made up to date.

        It is a bare repository: open it by its path, clone it, or serve it. The bytes lie in its folder ``dvc``, laid out
        as a DVC remote. Every byte of the file is checked before anything is written; a new repository is there at once;
        in one that is there, events come one after the other, so that who reads meanwhile sees the registry as it was at
        some moment, and after a crash another call goes on. Nothing in a bundle counts as made here.

        Args:
            file: What ``bundle`` wrote.
            to: The repository.
            progress: Who is told while the file is read and checked, as of ``ModelVersion.local_path``.
            dry_run: Check it, say what would come, and write nothing.

        Raises:
            InvalidFileError: It is no whole bundle, or not what it says.
            IntegrityError: Bytes of it were changed.
            ConflictError: The repository has other events, or another history, in the place of what is in the bundle.
            RefusedError: The bundle is of another registry, or ``to`` is no bare repository.
            InvalidInputError: The bundle can't be read, or the repository can't be written.
        """
        from modelregistry.bundles.unbundling import unbundle

        return unbundle(given_path(file, "file"), given_path(to, "to"), progress=progress, dry_run=dry_run)

    def _keep_what_offline_needs(self) -> None:
        """Have the files that say where the bytes of every holder of a stage are, though contents are left out here."""
        if self._mirror is not None:
            held = [
                self._version(folded, version)
                for folded in self._fold_all()
                for holders in folded.history.assignments.values()
                for version in holders
            ]
            self._content.locate_all(held)

    def _repair(self) -> None:
        """Settle what is pending, and write the echoes that are missing."""
        from modelregistry.log import changes

        self.sync()
        for folded in list(self._fold_all()):
            if gto_differs(folded.history):
                self._change(folded.log.model, changes.repeat_for_gto, message="", dry_run=False)
