"""The verbs of a registry that write one event."""

from __future__ import annotations

import logging
import os
import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import TYPE_CHECKING

from pydantic import JsonValue

from modelregistry.callers import warn
from modelregistry.content.content import MANIFEST, MOST_FILES_IN_EVENT
from modelregistry.content.identity import manifest_text
from modelregistry.errors import InvalidInputError, RegistryWarning
from modelregistry.givenpath import given_place
from modelregistry.log.events import Bytes, Event
from modelregistry.log.history import ANY, Expected, History
from modelregistry.log.meaning import Meant, holder_meant, meant_to_change
from modelregistry.metadata.jsonvalues import check_json
from modelregistry.names import Bump, Reference, check_model, check_stage
from modelregistry.plugins import loaders_for
from modelregistry.progress import Progress, check_progress
from modelregistry.registry.reading import ReadingVerbs
from modelregistry.trust.trust import Ledger
from modelregistry.version import ModelVersion, recorded_metrics

if TYPE_CHECKING:
    from modelregistry.artifacts.base import Content
    from modelregistry.lineage.declared import Inputs
    from modelregistry.loading.examine import Examined
    from modelregistry.log.changes import Change, Writer
    from modelregistry.log.writing import Decide, Pin
    from modelregistry.metadata.evaluating import Evaluated
    from modelregistry.metadata.schema import Schema
    from modelregistry.version import Trust

_log = logging.getLogger("modelregistry")


class WritingVerbs(ReadingVerbs):
    """The verbs that write one event."""

    def register(
        self,
        model: str,
        *,
        path: str | os.PathLike[str] | None = None,
        rev: str = "HEAD",
        version: str | None = None,
        bump: Bump | None = None,
        message: str = "",
        metadata: Mapping[str, JsonValue] | None = None,
        schema: Schema | None = None,
        inputs: Inputs = (),
        code: Inputs = (),
        params: Mapping[str, JsonValue] | None = None,
        metrics: Mapping[str, JsonValue] | None = None,
        declare: bool = False,
        allow_missing: bool = False,
        push_data: bool = False,
        progress: Progress = None,
        dry_run: bool = False,
    ) -> ModelVersion:
        """Register what a commit has at a path as the next version of a model.

        The commit must have the path, ``dvc.yaml`` must declare it under ``artifacts:``, and its bytes must be in the
        DVC cache or remote (in the remote, where the event is published at once): they are hashed here, and later
        loads are held to that. Bytes that a version has already
        are not registered again: that version comes back, with a warning, unless ``version=`` asks for it.

        Nothing but the commit counts. That other bytes lie at the path than ``HEAD`` has is a warning; that no branch of
        the remote has the commit yet is logged as one.

        What the bytes tell goes into the metadata, where the author does not say it: ``loader``, ``environment`` (what
        they were made with) and ``signature``. They are tried out as far as no code of theirs can run; what will keep
        others from loading them is a warning; so is a model card in ``dvc.yaml`` that can't be read.

        Args:
            model: ``churn``, or ``folder:churn`` where ``dvc.yaml`` is in a folder.
            path: Where the artifact is, relative to the Git root; left out: what ``dvc.yaml`` says.
            rev: The commit.
            version: An explicit version such as ``"v2.0.0"``.
            bump: ``"major"``, ``"minor"`` or ``"patch"`` (the default) from the greatest version there is; the first
                version is ``v0.1.0``.
            message: Why, for people.
            metadata: What JSON can hold; it comes before what the bytes tell. It must fit the team's schema, if there is
                one, and ``usage``, ``evaluation`` and ``card`` are typed.
            schema: A pydantic model that it must fit as well.
            inputs: What it was made from, where no pipeline of DVC's says that: paths of the commit, URLs, versions of
                this registry, digests; as text (``"data/customers.csv"``, ``"s3://bucket/customers.parquet"``,
                ``"base@v1.2.0"``, ``"sha256:…"``) or as ``Input``. It is in the lineage, marked as declared.
            code: The code that made it: paths of the commit, or ``url@commit`` of another repository.
            params: The parameters that it was made with.
            metrics: The metrics that it reached.
            declare: Write a missing entry into ``dvc.yaml`` and commit that, and nothing else.
            allow_missing: Register bytes that are nowhere to be had; only DVC's md5 is recorded then.
            push_data: Push bytes that are not in the DVC remote yet.
            progress: Who is told while bytes are fetched or pushed, as of ``ModelVersion.local_path``.
            dry_run: Write nothing; the version comes back as it would be.

        Raises:
            NotDeclaredError: ``dvc.yaml`` has no such entry, or one with another path.
            PathNotFoundError: The commit does not have the path.
            RevisionNotFoundError: No such commit.
            MissingBytesError: The bytes are neither in the cache nor in the remote.
            IntegrityError: They are not what DVC says.
            VersionExistsError: The version has other bytes.
            WithdrawnError: These bytes were withdrawn.
            NotFoundError: What ``inputs`` or ``code`` name is not there.
            InvalidInputError: A misspelt name, metadata that JSON can't hold, or that does not fit, or an input that is
                none.
            InvalidSettingsError: The team's schema can't be used.
        """
        from modelregistry.git.drift import drift
        from modelregistry.lineage.declared import declared, looked_up
        from modelregistry.log import changes
        from modelregistry.metadata.check import MetadataCheck

        self._check_writable()
        check_progress(progress)
        check_model(model)
        check_json(metadata or {})
        said = declared(
            inputs, code, check_json(params or {}, "params"),
            check_json(metrics or {}, "metrics"),
        )  # fmt: skip
        path = given_place(path, "path") if path is not None else None
        self._refresh(max_age=0)
        wanted = MetadataCheck.of(self._repo, schema)
        source_rev = self._repo.resolve(rev)
        lineage = looked_up(said, partial(self._content.identify, source_rev), self._look_up)
        declaration = self._declarations.at(source_rev, model)
        to_declare = declare and path is not None and (declaration is None or declaration.path != path)
        if not to_declare:
            path = self._declarations.require(source_rev, model, path).path
        assert path is not None
        if to_declare:
            self._declarations.check(self._repo.resolve("HEAD"), source_rev, model, path)
        content, found = self._content.describe(
            source_rev, path, allow_missing=allow_missing,
            published=self._push and not dry_run and self._shared() is not None, push=push_data and not dry_run,
            progress=progress,
        )  # fmt: skip

        def is_there(history: History) -> bool:
            same = changes.same_bytes(history, rev=source_rev, content=content, asked=version)
            return same is not None and version in (None, same) and history.versions[same].served

        if rev == "HEAD" and (note := drift(self._repo, source_rev, found)):
            warn(note, RegistryWarning)

        # Before anything is decided: it may take seconds, in which others would be faster.
        examined = None
        if not is_there(self._read(model).history):
            examined = self._examined(content, found)
            learned = examined.to_metadata() if examined is not None else {}
            wanted.refuse(
                model, {**learned, **(metadata or {})}, before=None, version=True,
                bring=partial(self._content.beside, source_rev),
            )  # fmt: skip

        def decide(history: History, writer: Writer) -> Change:
            target = changes.plan_version(history, version=version, bump=bump)
            is_new = target not in history.versions and not is_there(history)
            own = source_rev
            bytes_ = content
            if is_new and not pretend:
                own, bytes_ = self._own_commit(history, source_rev, f"{model}@{target}", content)
                if not self._in_tags:
                    self._commits.keep(own)
            return changes.register(
                history, writer, rev=own, content=bytes_, version=version, bump=bump,
                source_rev=source_rev if own != source_rev else None, metadata=metadata,
                learned=examined.to_metadata() if examined is not None else None, lineage=lineage,
            )  # fmt: skip

        pretend = dry_run or to_declare
        folded, change = self._change(model, decide, message=message, dry_run=pretend)
        if to_declare and not dry_run and change.events:
            # Only now, when nothing refuses the registration any more.
            pretend, source_rev = False, self._declarations.write(source_rev, model, path)
            folded, change = self._change(model, decide, message=message, dry_run=False)
        problem = self._content.card_problem(source_rev, model) if change.events else None
        for note in filter(None, (change.note, problem)):
            warn(note, RegistryWarning)
        if rev == "HEAD" and change.events and not dry_run and (note := self._unpushed(source_rev)):
            _log.warning("%s@%s: %s", model, change.version, note)
        if content.digest is not None and not dry_run and self._content.made_here(source_rev, found):
            Ledger().add(content.digest)
        obstacle = examined.obstacle(f"{model}@{change.version}") if examined is not None else None
        if change.events and obstacle is not None:
            warn(obstacle, RegistryWarning)
        assert change.version is not None
        registered = self._version(folded, change.version)
        return replace(registered, dry_run=True) if dry_run and change.events else registered

    def promote(
        self,
        model: str | ModelVersion,
        version: str | ModelVersion | None = None,
        stage: str | None = None,
        *,
        message: str = "",
        expected: Expected | ModelVersion = ANY,
        require: Mapping[str, str] | None = None,
        keep: bool = False,
        dry_run: bool = False,
    ) -> ModelVersion:
        """Put a version on a stage. Promoting the holder again writes nothing.

        Without ``expected`` the last writer wins. DVC and GTO see it too. A version that can't stand in for the holder,
        by their signatures, is promoted with a warning.

        Args:
            model: Its name. Or what names a version by itself, and ``version`` is left out: a version that was read
                (``promote(v, stage="current")``), ``"churn@v1.3.0"``, ``"churn#shadow"`` (who holds that stage).
            version: The version, such as ``"v1.3.0"``; or ``"latest"``.
            stage: The stage.
            message: Why, for people.
            expected: The holder you believe in: a version, or ``EMPTY`` for nobody; left out: don't check.
            require: What numbers in the metadata must be, by their keys: ``{"metrics.auc": ">= 0.9"}``, or, against the
                holder of a stage, ``{"metrics.auc": "> current + 0.01"}`` (which a stage that nobody holds does not
                hinder). A metric that nobody said there is the one that the pipeline recorded, or the registration
                declared. The event keeps the figures.
            keep: Leave the version on its other stages too; else it moves.
            dry_run: Write nothing; the version comes back as it would be.

        Raises:
            ModelNotFoundError: No such model.
            VersionNotFoundError: No such version.
            WithdrawnError: It was withdrawn.
            InvalidNameError: A stage that the team has not.
            InvalidReferenceError: No version is named, or two.
            ConflictError: Somebody else holds the stage, or a figure moved while this was being written.
            RefusedError: A figure is not what is required, or not known.
            InvalidInputError: ``require`` is not understood, no stage is named, or a version is of another registry.
        """
        from modelregistry.comparison import unfit
        from modelregistry.log import changes
        from modelregistry.log.requirements import parse_all

        wanted = self._wanted(model, version)
        if stage is None:
            raise InvalidInputError(f"promote {wanted.reference} to which stage? stage='current', for one")
        requirements = parse_all(require)
        doubt: str | None = None

        @cache
        def recorded(name: str) -> Mapping[str, float]:
            """What a version reached by its pipeline, or as its registration declared, which never changes."""
            folded = self._read(wanted.model)
            if name not in folded.history.versions:
                return {}
            known = self._version(folded, name)
            (found,) = self._content.measured([known], "metrics")
            return recorded_metrics(known, found.values)

        def decide(history: History, writer: Writer) -> Change:
            nonlocal doubt
            found = wanted.find(history)
            change = changes.promote(
                history, writer, found, stage, expected=holder_meant(wanted.model, expected, history),
                require=requirements, recorded=recorded, keep=keep,
            )  # fmt: skip
            doubt = unfit(history, found, stage) if change.events else None
            return change

        promoted = self._changed(wanted.model, decide, message=message, dry_run=dry_run, pin=wanted.pin)
        if doubt is not None:
            warn(doubt, RegistryWarning)
        return promoted

    def rollback(
        self, model: str, stage: str, *, message: str = "", keep: bool = False, dry_run: bool = False
    ) -> ModelVersion:
        """Give the stage back to the holder before the present one; again, to the one before that.

        Withdrawn versions are skipped. On an empty stage the last holder comes back. DVC and GTO see it too.

        Args:
            model: Its name.
            stage: The stage.
            message: Why, for people.
            keep: Leave the version that comes back on its other stages too; else it moves.
            dry_run: Write nothing; the version comes back as it would be.

        Raises:
            ModelNotFoundError: No such model.
            StageEmptyError: There is nobody to go back to.
            ConflictError: The stage moved while this was being written.
        """
        from modelregistry.log import changes
        from modelregistry.log.writing import holders_of

        return self._changed(
            model,
            lambda history, writer: changes.rollback(history, writer, stage, keep=keep),
            message=message,
            dry_run=dry_run,
            pin=holders_of(check_stage(stage)),
        )

    def demote(
        self,
        model: str,
        stage: str,
        *,
        version: str | ModelVersion | None = None,
        message: str = "",
        dry_run: bool = False,
    ) -> ModelVersion:
        """Empty the stage; of a shared one, take ``version`` off it. The version that left comes back.

        GTO sees the stage empty; ``dvc artifacts get`` and ``dvc.api.artifacts_show`` go on naming the last holder,
        which no tag can prevent.

        Args:
            model: Its name.
            stage: The stage.
            version: The one that is to leave it.
            message: Why, for people.
            dry_run: Write nothing; the version comes back as it would be.

        Raises:
            ModelNotFoundError: No such model.
            StageEmptyError: Nobody holds it.
            SeveralHoldersError: A shared stage has several holders and ``version`` is not given.
            ConflictError: The stage moved while this was being written.
        """
        from modelregistry.log import changes
        from modelregistry.log.writing import holders_of

        wanted = self._wanted(model, version) if version is not None else None
        return self._changed(
            model,
            lambda history, writer: changes.demote(
                history, writer, stage, version=wanted.find(history) if wanted is not None else None
            ),
            message=message,
            dry_run=dry_run,
            pin=holders_of(check_stage(stage)),
        )

    def withdraw(
        self,
        model: str | ModelVersion,
        version: str | ModelVersion | None = None,
        *,
        then: Expected | ModelVersion | None = None,
        message: str = "",
        dry_run: bool = False,
    ) -> ModelVersion:
        """Put a tombstone on a version: it is never served, promoted or registered again.

        GTO sees it deregistered; DVC goes on serving it when asked for it by version, which no tag can prevent.

        Args:
            model: Its name; or what names a version by itself, as ``promote`` takes it.
            version: The version; or ``"latest"``.
            then: Who takes over the stages it holds, first: a version, or ``EMPTY`` for nobody.
            message: Why, for people.
            dry_run: Write nothing; the version comes back as it would be.

        Raises:
            ModelNotFoundError: No such model.
            VersionNotFoundError: No such version.
            InvalidReferenceError: No version is named, or two.
            InvalidInputError: A version is of another registry.
            RefusedError: It holds a stage and ``then`` is not given.
            ConflictError: A stage that it holds moved while this was being written.
        """
        from modelregistry.log import changes
        from modelregistry.log.writing import stages_of

        wanted = self._wanted(model, version)

        def decide(history: History, writer: Writer) -> Change:
            successor = holder_meant(wanted.model, then, history) if then is not None else None
            return changes.withdraw(history, writer, wanted.find(history), then=successor)

        def pin(history: History) -> Sequence[str] | None:
            found = wanted.find(history)
            held = stages_of(found)(history)
            return held if wanted.is_fixed or held is None else [found, *held]

        return self._changed(wanted.model, decide, message=message, dry_run=dry_run, pin=pin)

    def annotate(
        self,
        model: str | ModelVersion,
        version: str | ModelVersion | None = None,
        metadata: Mapping[str, JsonValue] | None = None,
        *,
        schema: Schema | None = None,
        message: str = "",
        dry_run: bool = False,
    ) -> Mapping[str, JsonValue]:
        """Attach metadata after the fact, with history and without a commit; all the metadata comes back.

        Args:
            model: Its name; or what names a version by itself, as ``promote`` takes it.
            version: The version, or ``"latest"``; None, with a bare name, for the model as a whole.
            metadata: What JSON can hold; a None takes a key away. With what is there it must fit the team's schema, if
                there is one, and ``usage``, ``evaluation`` and ``card`` are typed.
            schema: A pydantic model that it must fit as well.
            message: Why, for people.
            dry_run: Write nothing.

        Raises:
            ModelNotFoundError: No such model.
            VersionNotFoundError: No such version.
            InvalidReferenceError: Two versions are named.
            InvalidInputError: Metadata that JSON can't hold, or that does not fit, or a version of another registry.
            PathNotFoundError: The version's commit has no such ``usage.example``.
            MissingBytesError: The bytes of the example are nowhere to be had.
            InvalidSettingsError: The team's schema can't be used.
        """
        from modelregistry.log import changes
        from modelregistry.metadata.check import MetadataCheck

        self._check_writable()
        wanted = meant_to_change(model, version, whole=True)
        name = wanted.model if wanted is not None else check_model(str(model))
        said = check_json({} if metadata is None else metadata)
        self._refresh()
        fitting = MetadataCheck.of(self._repo, schema)

        def decide(history: History, writer: Writer) -> Change:
            found = wanted.find(history) if wanted is not None else None
            change = changes.annotate(history, writer, said, version=found)
            if change.events:
                rev = history.versions[found].registered.rev if found is not None else None
                fitting.refuse(
                    name if found is None else f"{name}@{found}", said,
                    before=history.metadata(found), version=found is not None,
                    bring=partial(self._content.beside, rev) if rev is not None else None,
                )  # fmt: skip
            return change

        folded, change = self._change(
            name, decide, message=message, dry_run=dry_run, pin=wanted.pin if wanted is not None else None
        )
        return folded.history.metadata(change.version)

    def evaluate(
        self,
        reference: str | ModelVersion,
        *,
        data: str | os.PathLike[str],
        command: Sequence[str] | None = None,
        trust: Trust = None,
        timeout: float | None = None,
        message: str = "",
        progress: Progress = None,
        dry_run: bool = False,
    ) -> Evaluated:
        """Measure a version: run a command on its verified bytes, and record the metrics that it writes.

        In the command, ``{model}``, ``{data}`` and ``{output}`` stand for paths, which the variables
        ``MODELREGISTRY_MODEL``, ``…_DATA`` and ``…_OUTPUT`` hold as well. It writes a JSON object of numbers to the
        output. They become ``metadata["metrics"]``, and ``metadata["evaluated"]`` says how they were measured: the
        data's digest, the command as it is given here, the environment, the seconds.

        Args:
            reference: The version, as ``get`` takes or gives it.
            data: What to measure it on: a file or folder.
            command: A program and its arguments, run in the current folder; no shell reads them. Left out: that of the
                ``evaluation`` block of the version, else of the model, run in a copy of the version's commit.
            trust: Whether such a command may run: ``"code"``, or a list with the digest that the refusal shows. What
                was signed by those whose registrations may run code by this reader's policy runs without.
            timeout: Seconds after which it is ended; None for no end.
            message: Why, for people; left out, that it was evaluated, and on what.
            progress: Who is told while missing bytes are fetched, as of ``ModelVersion.local_path``.
            dry_run: Measure, and record nothing.

        Raises:
            NotFoundError: No such model, version, or holder of the stage.
            InvalidInputError: No command or no data, or what is no such thing.
            UntrustedModelError: The command comes from the repository, and nobody here vouched for it.
            RefusedError: It failed, took too long, or wrote what are no metrics; nothing was recorded.
            MissingBytesError: The bytes are nowhere to be had.
            IntegrityError: They are not the registered bytes.
        """
        from modelregistry.git.checkout import check_out
        from modelregistry.metadata import evaluating
        from modelregistry.metadata.evaluation import evaluation_in

        if not dry_run:
            self._check_writable()
        check_progress(progress)
        evaluating.check_timeout(timeout)
        argv = evaluating.check_command(command) if command is not None else None
        version = self.get(reference)
        history = self._read(version.name).history
        about = version.version if version.evaluation is not None else None
        known = version.evaluation or evaluation_in(history.metadata())
        chosen = argv or (known.command if known is not None else None)
        if chosen is None:
            raise InvalidInputError(
                f'nothing says how {version.reference} is measured: pass command=["python", …], or annotate it with '
                '{"evaluation": {"command": […]}}'
            )
        if argv is None:
            says = history.said_by("evaluation", about)
            evaluating.permit(
                chosen, version.source_rev, trust, lambda: self._trusted_author(version, says),
                reference=version.reference,
            )  # fmt: skip
        found = evaluating.evaluate(
            version, chosen, data, evaluation=known, timeout=timeout, recorded=not dry_run, progress=progress,
            check_out=partial(check_out, self._repo, version.source_rev) if argv is None else None,
        )  # fmt: skip
        if not dry_run:
            why = message or f"Evaluate {version.reference} on {found.data}"
            self.annotate(version.name, version.version, found.to_metadata(), message=why)
        return found

    def _trusted_author(self, version: ModelVersion, says: Event | None) -> str | None:
        """Who signed what is to be run, if both it and the registration are signed by whom this reader's policy trusts."""
        if self._verified is None or says is None or self._trusted_signer(version) is None:
            return None
        return self._verified.trusted_signer(says)

    def deprecate(self, model: str, *, message: str = "", dry_run: bool = False) -> None:
        """Hide a model from ``models()`` until it is registered or promoted again; it loads, with a warning.

        GTO hides it too; DVC does not.

        Args:
            model: Its name.
            message: Why, for people.
            dry_run: Write nothing.

        Raises:
            ModelNotFoundError: No such model.
        """
        from modelregistry.log import changes

        self._change(model, changes.deprecate, message=message, dry_run=dry_run)

    def _wanted(self, model: object, version: object) -> Meant:
        """The version that a verb is to change, as the caller names it."""
        wanted = meant_to_change(model, version)
        assert wanted is not None  # it is asked for no model as a whole
        return wanted

    def _changed(
        self, model: str, decide: Decide, *, message: str, dry_run: bool, pin: Pin | None = None
    ) -> ModelVersion:
        """The version that the change is about, as it is then (or would be)."""
        folded, change = self._change(model, decide, message=message, dry_run=dry_run, pin=pin)
        assert change.version is not None
        return self._version(folded, change.version)

    def _look_up(self, reference: str) -> tuple[str, tuple[str | None, int | None]]:
        """The version that a reference names now, withdrawn ones too, and its digest and size."""
        wanted = Reference.parse(reference)
        registered = self._registered(wanted.model, wanted.version) if wanted.version is not None else None
        if registered is None:
            registered = self.get(reference).registered
        found = (registered.digest or registered.address, registered.size)
        return f"{wanted.model}@{registered.version}", found

    def _examined(self, described: Bytes, content: Content) -> Examined | None:
        """What the bytes that were just verified tell; None where they are not here, or no loader knows them."""
        from modelregistry.loading.examine import examine

        name = posixpath.basename(content.path)
        return examine(
            partial(self._content.local, described, content), name, size=described.size or 0,
            loaders=lambda path: loaders_for(path, name, None),
        )  # fmt: skip

    def _unpushed(self, rev: str) -> str | None:
        """Whether a commit is on no branch of the remote that the log is shared through, in a sentence."""
        from modelregistry.git.drift import unpushed

        shared = self._push and self._mirror is None and self._shared() is not None
        return unpushed(self._repo, rev, self._remote_name) if shared and self._remote_name else None

    def _own_commit(self, history: History, rev: str, what: str, content: Bytes) -> tuple[str, Bytes]:
        """A commit of the version's own, where it needs one.

        Two versions registered at one commit break every GTO reader; and a long manifest must be kept in a file.
        """
        paths = sum(len(file.path) for file in content.files)
        long = len(content.files) > MOST_FILES_IN_EVENT or paths > MOST_FILES_IN_EVENT * 100
        if not long and not history.versions_at(rev):
            return rev, content
        files = {MANIFEST: manifest_text(content.files)} if long else None
        commit = self._repo.write_commit(rev, f"Register {what}", files=files)
        if long:
            content = Bytes(content.digest, content.address, content.size, manifest=MANIFEST)
        return commit, content
