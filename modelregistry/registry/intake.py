"""The verbs of a registry that bring models in."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pydantic import JsonValue

from modelregistry.callers import warn
from modelregistry.display.listing import VERSION_COLUMNS
from modelregistry.display.tables import Rows
from modelregistry.errors import InvalidInputError, PartlyRegisteredError, RegistryError, RegistryWarning
from modelregistry.givenpath import given_place
from modelregistry.log.events import Bytes
from modelregistry.log.history import History
from modelregistry.metadata.jsonvalues import check_json
from modelregistry.names import Bump, check_model
from modelregistry.plugins import ADDERS, GIT, load_class, loaders_for
from modelregistry.progress import Progress, check_progress
from modelregistry.project.declarations import declaring_file
from modelregistry.registry.hub import MAX_AGE, Folded
from modelregistry.registry.writing import WritingVerbs
from modelregistry.trust.trust import Ledger
from modelregistry.version import ModelVersion

if TYPE_CHECKING:
    from modelregistry.cards.card import ModelCard
    from modelregistry.intake.arrivals import Arrival
    from modelregistry.intake.importer import Importer
    from modelregistry.intake.imports import Import, ImportUpdate, SourceProject
    from modelregistry.intake.receiving import Received, Receiver
    from modelregistry.intake.tracking import Tracker
    from modelregistry.lineage.declared import Input, Inputs
    from modelregistry.loading.examine import Examined
    from modelregistry.log.changes import Change, Writer
    from modelregistry.metadata.check import MetadataCheck
    from modelregistry.metadata.schema import Schema
    from modelregistry.mlflow.migration import Migration
    from modelregistry.project.declarationtexts import Declaration


class IntakeVerbs(WritingVerbs):
    """The verbs that bring models in."""

    def log_model(
        self,
        obj: object,
        model: str,
        *,
        path: str | os.PathLike[str] | None = None,
        loader: str | None = None,
        version: str | None = None,
        bump: Bump | None = None,
        message: str = "",
        metadata: Mapping[str, JsonValue] | None = None,
        schema: Schema | None = None,
        example: object = None,
        push_data: bool = True,
        progress: Progress = None,
        dry_run: bool = False,
    ) -> ModelVersion:
        """Save a model from memory in a safe format, and register it: from a training script, say.

        Its bytes go into the DVC cache, ``dvc.yaml`` declares it, a commit on the branch that is checked out has that and
        nothing else, and the version is registered at that commit. What else is edited or staged stays as it is; files
        of Git's that are edited are named in a warning and in the metadata (``uncommitted``), since the model may come
        from them. On this machine it loads without a word, whatever the format. Nobody pushes the branch for you.

        Estimators of scikit-learn's are written with skops, or with joblib where skops does not vouch for them; models of
        CatBoost, Keras, LightGBM, sentence-transformers, spaCy, transformers and XGBoost by their own library; arrays by
        their names as safetensors; ONNX graphs, and exported programs of PyTorch's, as such. What a format does not keep
        is a warning.

        Args:
            obj: The model.
            model: What it is called: ``churn``, or ``folder:churn`` where ``dvc.yaml`` is in a folder.
            path: Where it is to be, relative to the Git root; left out: where ``dvc.yaml`` says, else ``models/`` beside
                it, and the suffix of the format.
            loader: The loader whose format it is to have. ``"joblib"`` and ``"pickle"`` make a pickle of anything.
            version: An explicit version such as ``"v2.0.0"``.
            bump: ``"major"``, ``"minor"`` or ``"patch"``, as of ``register``.
            message: Why, for people; left out, what its commit says, as of every verb that makes one.
            metadata: What JSON can hold, and fits, as of ``register``; what the bytes tell is added.
            schema: A pydantic model that it must fit as well.
            example: Some rows of input: what was written is asked the same as the model, and must answer alike.
            push_data: Push the bytes to the DVC remote, where the registration is published at once.
            progress: Who is told while they are pushed, as of ``ModelVersion.local_path``.
            dry_run: Write nothing; the version comes back as it would be, as far as that is known without its commit.

        Raises:
            InvalidInputError: No loader saves such an object, or not so; the message says how to keep it. Or metadata
                that does not fit.
            ConversionError: It can't be written, or answers otherwise then.
            WorkingCopyError: Bare, on no branch, something is under way, or a file that would change has changes that
                are not committed; or no DVC project.
            RefusedError: DVC can't keep it there: it is the output of a step, for one.
            MissingBytesError: The bytes could not be pushed. A note on the error says what stands.
            MissingDependencyError: The library of the format is not installed.
            WithdrawnError: These bytes were withdrawn.
            VersionExistsError: The version has other bytes.
        """
        from modelregistry.git.uncommitted import uncommitted
        from modelregistry.intake.logmodel import Wish, incoming, standing
        from modelregistry.metadata.check import MetadataCheck

        self._check_writable()
        check_progress(progress)
        check_model(model)
        said = check_json(metadata or {})
        wanted = MetadataCheck.of(self._repo, schema)
        shared = self._push and self._shared() is not None
        place = given_place(path, "path") if path is not None else None
        wish = Wish(obj, model, place, loader, example, pushed=shared and push_data and not dry_run)
        adder = load_class(ADDERS["dvc"])(self._repo)
        with incoming(self._repo, self._declarations, adder, wish) as saved:
            edited = uncommitted(self._repo, but=saved.path)
            if edited:
                said = {**edited.to_metadata(), **said}

            folded, change = self._rehearse(
                model, saved.bytes, saved.saved.place, saved.path, rev=saved.base, metadata=said, wanted=wanted,
                version=version, bump=bump, message=message or saved.subject,
            )  # fmt: skip
            notes = [saved.loses, change.note, edited.note if change.events else None]
            for note in filter(None, notes):
                warn(f"{model}: {note}", RegistryWarning)
            assert saved.bytes.digest is not None and change.version is not None
            if not dry_run:
                Ledger().add(saved.bytes.digest)
            if not change.events:
                return self._version(folded, change.version)
            if dry_run:
                return self._would_be(
                    self._version(folded, change.version), saved.arrival(), saved.base, saved.bytes, saved.saved.place
                )  # fmt: skip
            commit = saved.commit(message)
        with standing(model, commit, saved.path):
            return self.register(
                model, path=saved.path, rev=commit, version=version, bump=bump, message=message or saved.subject,
                metadata=said, schema=schema, push_data=push_data, progress=progress,
            )  # fmt: skip

    def import_model(
        self,
        url: str | os.PathLike[str],
        name_or_path: str | None = None,
        *,
        rev: str | None = None,
        reference: str | None = None,
        as_name: str | None = None,
        path: str | os.PathLike[str] | None = None,
        version: str | None = None,
        bump: Bump | None = None,
        message: str = "",
        metadata: Mapping[str, JsonValue] | None = None,
        push_data: bool = True,
        progress: Progress = None,
        dry_run: bool = False,
    ) -> ModelVersion:
        """Bring a model in from the repository that makes it, and register it here.

        That is what ``dvc import`` makes, with its ``.dvc`` file and ``.gitignore``, and the entry in ``dvc.yaml``, in one
        commit on the branch that is checked out, and nothing else; then one registration, whose metadata says under
        ``origin`` where it is from: of a version of the source's own registry, which registry, version and event. What
        that says of it comes along: its card, licence, metrics, signature, environment, and how it is used and measured.
        What it says of its team does not, nor do stages and trust.

        The bytes are verified before anything is written; those of a version of the source's own registry by what it
        registered. Until the commit all of it happens or nothing; a registration that fails after that is finished by
        calling again.

        Args:
            url: The repository: a Git URL, or a path on this machine. A login in it is refused.
            name_or_path: A reference of the source's own registry (``churn#current``), an artifact that its ``dvc.yaml``
                declares (``churn``, ``nlp:intent``), or a path in it: a file or folder, of DVC or of Git.
            rev: The commit, branch or tag; left out: what the source has at its head.
            reference: In place of ``rev``: ``"churn#current"``, or what follows the name, as in ``"#current"``.
            as_name: What the model is called here; left out: as there, without a folder.
            path: Where it goes, from the Git root; left out: ``models/<name>`` with the ending that it has there.
            version: An explicit version here.
            bump: As ``register`` takes it.
            message: Why, for people.
            metadata: What JSON can hold, but no ``origin``; it comes before what the source says, and None leaves that
                out.
            push_data: Push the bytes to this registry's own DVC remote, so that they stay when the source goes.
            progress: Who is told while bytes are fetched, as of ``ModelVersion.local_path``.
            dry_run: Commit, push and register nothing; the version comes back as it would be, as far as that is known.

        Raises:
            InvalidInputError: A URL that this library does not open, or a wish that contradicts itself.
            RefusedError: The name is taken.
            NotFoundError: No such repository, version, revision or path.
            WithdrawnError: The version was withdrawn there, or its bytes here.
            WorkingCopyError: Bare, on no branch, without a DVC project, or a file that would change has changes that are
                not committed.
            RemoteError: The repository can't be reached.
            MissingBytesError: The bytes are nowhere to be had, or can't be pushed.
            IntegrityError: They are not what the source says.
        """
        from modelregistry.intake.imports import Import

        wanted = Import(url, name_or_path, rev, reference, as_name, path, metadata, version, bump)
        return self._import(
            [wanted], message=message, push_data=push_data, progress=progress, dry_run=dry_run
        )[0]

    def import_models(
        self,
        wanted: Iterable[Import],
        *,
        message: str = "",
        push_data: bool = True,
        progress: Progress = None,
        dry_run: bool = False,
    ) -> Rows[ModelVersion]:
        """Bring many models in: fetched at the same time, in one commit, all of them or none.

        Each is a registration of its own, after the commit. If some fail, the others stand, and calling again with the
        same list registers the rest.

        Args:
            wanted: What ``import_model`` takes, one by one.
            message: Why, for people.
            push_data: As of ``import_model``.
            progress: Who is told of all of them together.
            dry_run: As of ``import_model``.

        Raises:
            PartlyRegisteredError: The commit is made, and some could not be registered; it says which.
            RegistryError: What ``import_model`` raises, with a note that says of which; nothing was committed.
        """
        listed = [*wanted] if isinstance(wanted, Iterable) else []
        return Rows(
            self._import(listed, message=message, push_data=push_data, progress=progress, dry_run=dry_run),
            {"model": lambda found: found.name, **VERSION_COLUMNS},
        )

    def update_import(
        self,
        model: str,
        *,
        url: str | os.PathLike[str] | None = None,
        rev: str | None = None,
        reference: str | None = None,
        version: str | None = None,
        bump: Bump | None = None,
        message: str = "",
        metadata: Mapping[str, JsonValue] | None = None,
        push_data: bool = True,
        progress: Progress = None,
        dry_run: bool = False,
    ) -> ImportUpdate:
        """Bring what the source of an imported model has now, as a new version; or find that it is up to date.

        What was asked for when it was imported is asked again: the head, the branch, or a reference such as
        ``churn#current``; of what DVC tracks by a URL, what is there now, on the terms (``license``) that were said of
        it. What the source's registry says of the version comes along, as by ``import_model``. Where the bytes are those
        that are here, nothing is written, but where something else is asked for from now on (``url``, ``rev``,
        ``reference``): that is a commit of the ``.dvc`` file alone.

        Args:
            model: Its name here.
            url: Where the source is from now on, if it moved: a repository for what came from one, else a URL that DVC
                reads. That a repository does not have the commit that was imported is a warning.
            rev: Another revision from now on, of what came from a repository.
            reference: Another reference from now on, likewise.
            version: An explicit version here.
            bump: As ``register`` takes it.
            message: Why, for people.
            metadata: As of ``import_model``, of the new version.
            push_data: As of ``import_model``.
            progress: As of ``import_model``.
            dry_run: As of ``import_model``.

        Returns:
            True if there was something new; with the version, and the source's commits before and now, or what else its
            store calls the content.

        Raises:
            RefusedError: The model is not declared, or did not come from a repository or a URL.
            RegistryError: What ``import_model`` raises.
        """
        from modelregistry.intake.importer import words_of
        from modelregistry.intake.imports import ImportUpdate
        from modelregistry.intake.receiving import check_words, joined, with_wish
        from modelregistry.intake.tracking import told_of

        self._check_writable()
        check_progress(progress)
        check_words(metadata, version)
        head = self._repo.resolve("HEAD")

        def admit(received: Received, source: str) -> ModelVersion:
            return self._admit_received(
                [with_wish(received, metadata, version=version, bump=bump)], head, f"Update {model} from {source}",
                message=message, push_data=push_data, progress=progress, dry_run=dry_run,
            )[0]  # fmt: skip

        def known(rev: str, path: str, facts: Mapping[str, JsonValue]) -> tuple[bool, ModelVersion]:
            """Whether it is new that the version of what is here is registered, and that version."""
            found = self._version_with(model, rev, path)
            return found is None, found or self.register(
                model, rev=rev, version=version, bump=bump, message=message, push_data=push_data,
                progress=progress, dry_run=dry_run, metadata=joined(facts, metadata),
            )  # fmt: skip

        tracked = self._tracker.url_of(head, check_model(model))
        if tracked is not None:
            if rev is not None or reference is not None:
                raise InvalidInputError(
                    f"{model!r} was tracked by a URL: it has no rev= and no reference= there"
                )
            here = self._version_with(model, head, str(tracked.path))
            if here is not None:
                tracked = tracked.as_said(here.metadata)
            if url is not None:
                tracked = tracked.moved(url)
            file = f"{tracked.path}.dvc"
            old = told_of(self._repo.read_file(head, file) or b"", file)
            with self._tracker.received(tracked, progress=progress) as (_, received):
                new = told_of(received.arrival.dvc_file, file)
                if received.content.address != self._content.address_at(head, str(tracked.path)):
                    return ImportUpdate(True, admit(received, tracked.public), old, new)
                if url is not None and not dry_run:
                    head = self._tracker.note(head, received, tracked.public)
            return ImportUpdate(*known(head, str(tracked.path), tracked.facts({})), old, new)
        importer = self._importer(progress)
        look = importer.look(head, model, url=url, rev=rev, reference=reference)
        old, new = look.here.rev_lock, look.there.origin.rev_lock
        if not look.is_same:
            self._receiver.check([(model, look.there.path)])
            news = importer.bring(head, look, progress=progress)
            if news is not None:
                return ImportUpdate(True, admit(news, look.url), old, new)
        if look.asks and not dry_run:
            head = importer.note(head, look)
        facts = words_of(look.there) if look.is_same else {}
        return ImportUpdate(*known(head, look.there.path, facts), old, new)

    def track(
        self,
        source: str | os.PathLike[str],
        name: str,
        *,
        path: str | os.PathLike[str] | None = None,
        checksum: str | None = None,
        license: str | None = None,  # noqa: A002 - the word of model cards
        origin: str | None = None,
        inputs: Inputs = (),
        description: str | None = None,
        labels: Sequence[str] = (),
        version_aware: bool | None = None,
        storage_options: Mapping[str, Any] | None = None,
        version: str | None = None,
        bump: Bump | None = None,
        message: str = "",
        metadata: Mapping[str, JsonValue] | None = None,
        push_data: bool = True,
        progress: Progress = None,
        dry_run: bool = False,
    ) -> ModelVersion:
        """Bring a model in that was made elsewhere, and register it: a file, a folder, or what is at a URL.

        The bytes go into DVC, as by ``dvc add`` or, for a URL that DVC reads, ``dvc import-url``, which records what the
        store tells of them. What that needs, and the entry in ``dvc.yaml``, is one commit on the branch that is checked
        out, and nothing else. Another call with the same name brings the next version. Where it is from is in the
        metadata under ``origin``; what was signed into a URL is in no file, error or event.

        Args:
            source: A path, or a URL that fsspec knows: ``s3://``, ``gs://``, ``https://``, ``hf://``; or
                ``remote://name/path`` for one of the DVC project's remotes.
            name: What the model is called here.
            path: Where it goes, from the Git root; left out: where it lies, if that is in the repository, else
                ``models/<name>`` with the ending that it has there.
            checksum: What to expect: ``"sha256:…"`` (of a folder, that of its manifest, as ``digest`` has it) or ``"md5:…"``.
            license: Under which terms it may be used: ``"apache-2.0"``.
            origin: Where it comes from, for people, where the source does not say.
            inputs: What it was made from, as far as that is known; as ``register`` takes it.
            description: For ``dvc.yaml``.
            labels: For ``dvc.yaml``.
            version_aware: Whether to record the version that the store keeps it as; left out: if an S3 store keeps any.
            storage_options: What fsspec's file system for the URL takes. They are kept nowhere.
            version: An explicit version.
            bump: As ``register`` takes it.
            message: Why, for people.
            metadata: What JSON can hold, but none of the above.
            push_data: Push the bytes to the DVC remote.
            progress: Who is told while bytes are fetched, as of ``ModelVersion.local_path``.
            dry_run: Commit, push and register nothing; the version comes back as it would be, as far as that is known.

        Raises:
            InvalidInputError: A source, a name or a checksum that can't be right.
            RefusedError: The name is taken by something of another kind.
            WorkingCopyError: Bare, on no branch, without a DVC project, or a file that would change has changes that are
                not committed.
            PathNotFoundError: Nothing is there.
            AccessDeniedError: You may not read it.
            MissingBytesError: It can't be had, or can't be pushed.
            MissingDependencyError: The package for that kind of URL is not installed.
            IntegrityError: It is not what ``checksum`` says; nothing was kept.
        """
        from modelregistry.intake.receiving import check_words, with_wish
        from modelregistry.intake.tracking import Tracking
        from modelregistry.lineage.declared import declared

        self._check_writable()
        check_progress(progress)
        check_words(metadata, version, own=["license"])
        said = declared(inputs, (), {}, {})
        wanted = Tracking(
            os.fspath(source) if isinstance(source, os.PathLike) else source, name,
            path=given_place(path, "path") if path is not None else None, checksum=checksum, origin=origin, license=license,
            description=description, labels=labels, version_aware=version_aware,
            storage_options=storage_options or {},
        )  # fmt: skip
        with self._tracker.received(wanted, progress=progress) as (head, received):
            return self._admit_received(
                [with_wish(received, metadata, version=version, bump=bump)], head, f"Track {name}",
                message=message, push_data=push_data, progress=progress, dry_run=dry_run, inputs=said.inputs,
            )[0]  # fmt: skip

    def import_mlflow(
        self,
        uri: str | os.PathLike[str],
        *,
        models: Iterable[str] | None = None,
        names: Mapping[str, str] | None = None,
        stages: Mapping[str, str | None] | None = None,
        into: str = "models",
        tracking_uri: str | None = None,
        move_stages: bool = False,
        message: str = "",
        push_data: bool = True,
        progress: Progress = None,
        dry_run: bool = False,
    ) -> Migration:
        """Bring a whole MLflow registry here, or what is new in it since the last call. Nothing is changed over there.

        Version 3 is ``v3.0.0``: a commit of its own, dated and authored as over there, with the files in DVC's cache and
        ``dvc.yaml`` and the ``.dvc`` file changed; then a registration, whose metadata has the metrics and params of the
        run, the tags, and where it came from (``mlflow``). Then the stages. Look at it with ``dry_run=True`` first.

        What was brought before is passed by, so a call that was interrupted is completed by another one. A stage that
        was moved here since is left where it is. Bytes that came this way never count as made on this machine.

        Args:
            uri: ``sqlite:///mlflow.db`` (read from a copy), ``http://server:5000``, another database, or the folder of a
                file store.
            models: Only those, by their names there.
            names: What models are to be called here. The others keep their names; characters that can't be in one
                become hyphens.
            stages: What aliases and the stages of MLflow's old kind are here, None for nothing:
                ``{"canary": "shadow"}``. Of two for one stage the first counts. Left out: ``champion`` and
                ``Production`` are ``current``, ``challenger`` and ``Staging`` are ``shadow``, and the names of the team's
                stages are those.
            into: The folder for the models.
            tracking_uri: Where the runs are, if elsewhere.
            move_stages: Move stages as MLflow says even where they were moved here.
            message: Why, for people; left out: a version's own description there.
            push_data: Push the bytes to the DVC remote, where the registrations are published at once.
            progress: Who is told how many versions were brought, as of ``ModelVersion.local_path``.
            dry_run: Write nothing; the report says what would be done.

        Returns:
            What was brought, left as it is, or has no place here, and why.

        Raises:
            InvalidInputError: There is no registry of MLflow's at a path, or ``into`` is no folder in the repository.
            InvalidNameError: A name in ``names``, or a stage in ``stages``, can't be one.
            ModelNotFoundError: A model in ``models`` or ``names`` is not there.
            MissingDependencyError: MLflow is not installed, or too old.
            UnreachableError: MLflow can't read it.
            WorkingCopyError: Bare, no DVC project, on no branch, or files that would change have changes that are not
                committed.
            RefusedError: DVC can't keep the files where they are to be.
        """
        from modelregistry.metadata.check import MetadataCheck
        from modelregistry.mlflow.importing import Here, Wishes, import_mlflow

        if isinstance(models, str) or not (models is None or isinstance(models, Iterable)):
            raise InvalidInputError(f"models={models!r} must be a list of names: ['churn'], for one")
        for argument, value in (("names", names), ("stages", stages)):
            if not isinstance(value, Mapping | None):
                raise InvalidInputError(
                    f"{argument}={value!r} must be a mapping of what is there to what is here"
                )
        self._check_writable()
        check_progress(progress)
        self._refresh(max_age=0)
        wanted = MetadataCheck.of(self._repo)

        def misfit(
            what: str, said: Mapping[str, JsonValue], before: Mapping[str, JsonValue] | None
        ) -> str | None:
            try:
                wanted.refuse(what, said, before=before, version=before is None)
            except InvalidInputError as error:
                return str(error)
            return None

        here = Here(
            self._repo, self._declarations, self._read_stages(), verbs=self, adder=load_class(ADDERS["dvc"])(self._repo),
            history=lambda model: self._read(model).history, is_taken=self._content.has, misfit=misfit,
            is_pushed=push_data and self._push and self._shared() is not None,
        )  # fmt: skip
        wishes = Wishes(
            models=None if models is None else frozenset(map(str, models)), names=dict(names or {}), stages=dict(stages or {}),
            into=into, move_stages=move_stages, message=message, push_data=push_data,
        )  # fmt: skip
        return import_mlflow(uri, here, wishes, tracking_uri=tracking_uri, progress=progress, dry_run=dry_run)

    @property
    def _receiver(self) -> Receiver:
        from modelregistry.intake.receiving import Receiver

        return Receiver(self._repo, self._content, self._declarations)

    def _importer(self, progress: Progress) -> Importer:
        from modelregistry.intake.importer import Importer

        # A function or a callback is told of bytes, and of nothing that is counted otherwise.
        cloning = progress if isinstance(progress, bool | None) else False
        return Importer(
            self._repo, self._declarations, self._receiver, open_source=partial(self._open_source, progress=cloning),
            is_known=self._is_known,
        )  # fmt: skip

    @property
    def _tracker(self) -> Tracker:
        from modelregistry.intake.tracking import Tracker

        return Tracker(self._repo, self._declarations, self._receiver, is_known=self._is_known)

    def _is_known(self, model: str) -> bool:
        return bool(self._read(model).history.versions)

    @classmethod
    def _open_source(cls, url: str, *, progress: Progress) -> SourceProject:
        """A repository to import from, as it is now."""
        from modelregistry.intake.imports import SourceProject

        # The variable says where the log of this registry is, and of no other.
        backend = GIT if os.environ.get("MODELREGISTRY_BACKEND") else None
        source = cls(url, max_age=0, backend=backend, progress=progress)
        source._max_age = MAX_AGE  # as it was opened, for all that is asked of it
        return SourceProject(
            url, source._repo, source._declarations, source._content, source.get,
            said_of_model=lambda model: source._read(model).history.metadata(),
        )  # fmt: skip

    def _import(
        self,
        wanted: Sequence[Import],
        *,
        message: str,
        push_data: bool,
        progress: Progress,
        dry_run: bool,
    ) -> list[ModelVersion]:
        self._check_writable()
        check_progress(progress)
        head, received = self._importer(progress).receive(wanted, progress=progress)
        one = received[0].arrival.model
        what = f"{one} from {os.fspath(wanted[0].url)}" if len(received) == 1 else f"{len(received)} models"
        return self._admit_received(
            received, head, f"Import {what}", message=message, push_data=push_data, progress=progress, dry_run=dry_run
        )  # fmt: skip

    def _admit_received(
        self,
        received: Sequence[Received],
        head: str,
        subject: str,
        *,
        message: str,
        push_data: bool,
        progress: Progress,
        dry_run: bool,
        inputs: Sequence[Input] = (),
    ) -> list[ModelVersion]:
        """Commit what came from elsewhere, all of it or nothing, and register each."""
        from modelregistry.lineage.declared import declared, looked_up

        looked_up(declared(inputs, (), {}, {}), partial(self._content.identify, head), self._look_up)
        would_be = [self._would_register(each, head, message=message, dry_run=dry_run) for each in received]
        if dry_run:
            return would_be
        published = self._push and self._shared() is not None
        # A function or a callback is told of the bytes of all together, which came by now, and not once more of each.
        pushing = progress if len(received) == 1 or isinstance(progress, bool | None) else False

        def share(rev: str, path: str, has_remote: bool) -> None:
            # "dvc push" leaves out what was imported, so this is the time for it, though nobody learns of it yet.
            if push_data and has_remote:
                self._content.push(rev, path, progress=pushing)
            if published:
                self._content.check_shared(rev, path)

        text = f"{subject}\n\n{message}" if message else subject
        commit = self._receiver.take_in(received, text, base=head, share=share)
        done: list[ModelVersion] = []
        failed: dict[str, RegistryError] = {}
        for each in received:
            model = each.arrival.model
            try:
                found = self.register(
                    model,
                    rev=commit,
                    version=each.version,
                    bump=each.bump,
                    message=message or subject,
                    inputs=inputs,
                    metadata=each.metadata,
                    progress=progress,
                )
            except RegistryError as error:
                error.add_note(f"{model!r} is committed ({commit[:10]}): calling again registers it")
                failed[model] = error
            else:
                done.append(found)
        if not failed:
            return done
        first = next(iter(failed.values()))
        if len(received) == 1:
            raise first
        raise PartlyRegisteredError(
            f"{len(received)} models are committed ({commit[:10]}), and {len(failed)} of them could not be registered: "
            f"{'; '.join(f'{model}: {error}' for model, error in failed.items())}. Calling again registers the rest",
            registered=[each.name for each in done], failed=[*failed],
        ) from first  # fmt: skip

    def _would_register(self, received: Received, head: str, *, message: str, dry_run: bool) -> ModelVersion:
        """The version as it would be; refuses what a registration would refuse."""
        from modelregistry.intake.arrivals import check_beside
        from modelregistry.intake.receiving import brought
        from modelregistry.metadata.check import MetadataCheck

        check_beside(self._repo, head, received.arrival)
        wanted = MetadataCheck.of(self._repo)
        try:
            folded, change = self._rehearse(
                received.arrival.model, received.content._replace(files=()), received.place, received.arrival.path,
                rev=head, metadata=received.metadata, wanted=wanted, version=received.version, bump=received.bump,
                message=message, beside=received.arrival.beside,
            )  # fmt: skip
        except InvalidInputError as error:
            if words := brought(received.metadata):
                error.add_note(f"{', '.join(words)} came along from its source: metadata= says otherwise")
            raise
        assert change.version is not None
        found = self._version(folded, change.version)
        if not (dry_run and change.events):
            return found
        return self._would_be(found, received.arrival, head, received.content, received.place)

    def _would_be(
        self, version: ModelVersion, arrival: Arrival, head: str, content: Bytes, place: Path
    ) -> ModelVersion:
        """A version that is not to be made, with all that is known of it; warns as its registration would.

        Args:
            version: The version, as the log would have it.
            arrival: How the repository would have it.
            head: The commit that is checked out.
            content: What is known of the bytes.
            place: Where they lie for now.
        """
        from modelregistry.cards.sources import MOST_BYTES, card
        from modelregistry.intake.arrivals import declared_after
        from modelregistry.intake.rehearsal import Rehearsal

        found = self._examined_at(place, posixpath.basename(arrival.path), content)
        obstacle = found.obstacle(version.reference) if found is not None else None
        if obstacle is not None:
            warn(obstacle, RegistryWarning)

        def draw(version: ModelVersion, declared: Declaration) -> ModelCard:
            return card(
                version, self._around(version), declared=declared, file=declaring_file(version.name),
                read=lambda path: self._repo.read_file(head, path, limit=MOST_BYTES),
            )  # fmt: skip

        learned = found.to_metadata() if found is not None else {}
        return replace(
            version, rev="", source_rev="", dry_run=True, metadata={**learned, **version.metadata},
            _reader=Rehearsal(declared_after(self._repo, head, arrival), content.files, draw),
        )  # fmt: skip

    def _rehearse(
        self,
        model: str,
        content: Bytes,
        place: Path,
        path: str,
        *,
        rev: str,
        metadata: Mapping[str, JsonValue],
        wanted: MetadataCheck,
        version: str | None,
        bump: Bump | None,
        message: str,
        beside: Mapping[str, Path] = MappingProxyType({}),
    ) -> tuple[Folded, Change]:
        """What a registration of bytes that are in no commit yet would come to; refuses what it would refuse.

        Args:
            model: The model.
            content: What is known of the bytes.
            place: Where they lie.
            path: Where they will be, from the Git root.
            rev: The commit that is checked out.
            metadata: What is said of them.
            wanted: What metadata has to fit.
            version: As ``register`` takes it.
            bump: As ``register`` takes it.
            message: As ``register`` takes it.
            beside: Where files lie that the commit will have, by where they will be.
        """
        from modelregistry.log import changes

        def decide(history: History, writer: Writer) -> Change:
            return changes.register(
                history, writer, rev=rev, content=content, version=version, bump=bump,
                metadata=metadata,
            )  # fmt: skip

        folded, change = self._change(model, decide, message=message, dry_run=True)
        if change.events:
            learned = self._learned(wanted, place, posixpath.basename(path), content)
            wanted.refuse(
                model, {**learned, **metadata}, before=None, version=True, bring=lambda each: beside.get(each) or self._content.beside(rev, each),
            )  # fmt: skip
        return folded, change

    def _version_with(self, model: str, rev: str, path: str) -> ModelVersion | None:
        """The version that has the very bytes that a commit has at a path, if they are registered."""
        from modelregistry.log import changes

        folded = self._read(model)
        address = self._content.address_at(rev, path)
        same = changes.same_bytes(folded.history, rev=rev, content=Bytes(None, address or ""))
        return self._version(folded, same) if same in folded.history.served else None

    def _learned(
        self, wanted: MetadataCheck, place: Path, name: str, content: Bytes
    ) -> Mapping[str, JsonValue]:
        """What bytes that are nowhere yet will tell at their registration, where somebody wants to know."""
        found = self._examined_at(place, name, content) if wanted.asks else None
        return found.to_metadata() if found is not None else {}

    def _examined_at(self, place: Path, name: str, content: Bytes) -> Examined | None:
        """What bytes that are in no commit yet tell."""
        from modelregistry.loading.examine import examine

        return examine(
            lambda: place, name, size=content.size or 0, loaders=lambda path: loaders_for(path, name, None)
        )  # fmt: skip
