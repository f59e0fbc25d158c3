"""Registry: the one hub. It reads, folds, lets pure functions decide, and appends; it has no rule of its own."""

from __future__ import annotations

import logging
import os
import posixpath
import warnings
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import JsonValue

from modelregistry import config
from modelregistry.backends.base import Backend, Log, Synced
from modelregistry.checks import Problem, problems_in
from modelregistry.choice import check_there, choose
from modelregistry.commits import Commits
from modelregistry.content import MANIFEST, MOST_FILES_IN_EVENT, ContentReader
from modelregistry.cursor import Cursor
from modelregistry.declarations import Declarations, declaring_file
from modelregistry.errors import (
    InvalidInputError,
    InvalidReferenceError,
    InvalidSettingsError,
    MissingBytesError,
    OutcomeUnknownError,
    PartialViewWarning,
    PartlyRegisteredError,
    RefusedError,
    RegistryError,
    RegistryWarning,
    RemoteError,
)
from modelregistry.events import Bytes, Event, Registered
from modelregistry.gitcall import without_secrets
from modelregistry.gitremote import GitRemote, bring_promised, choose_remote
from modelregistry.gitrepo import GitRepo, is_url
from modelregistry.history import ANY, Expected, History, Stages, gto_differs
from modelregistry.identity import manifest_text
from modelregistry.listing import (
    MODEL_COLUMNS,
    PROBLEM_COLUMNS,
    VERSION_COLUMNS,
    Events,
    Model,
    event_columns,
    model_row,
    unregistered_row,
)
from modelregistry.marks import Marks
from modelregistry.names import INACTIVE, LATEST, WITHDRAWN, Bump, Reference, check_model, version_key
from modelregistry.pins import PinnedDigest, PinnedDigests
from modelregistry.plugins import ADDERS, BACKENDS, GIT, STORAGES, load_class, loaders_for, open_backend
from modelregistry.privatefile import PrivateFile, home_folder
from modelregistry.progress import Progress, check_progress
from modelregistry.store import Store
from modelregistry.summaries import Summaries, Summary, summarize
from modelregistry.tables import Rows
from modelregistry.tags import render
from modelregistry.trust import Ledger
from modelregistry.version import ModelVersion

# The rules of writing are imported by the verbs that write: a service that only loads starts the sooner.
if TYPE_CHECKING:
    from modelregistry.artifacts.base import Content
    from modelregistry.bundling import Bundled
    from modelregistry.cache import Cache
    from modelregistry.cardsources import Surroundings
    from modelregistry.changes import Change, Writer
    from modelregistry.comparison import Comparison
    from modelregistry.copying import Copied
    from modelregistry.declaredlineage import Input, Inputs
    from modelregistry.evaluating import Evaluated
    from modelregistry.examine import Examined
    from modelregistry.gitmirror import GitMirror
    from modelregistry.grant import Grant
    from modelregistry.impact import Affected
    from modelregistry.importer import Importer
    from modelregistry.imports import Import, ImportUpdate, SourceProject
    from modelregistry.metadatacheck import MetadataCheck
    from modelregistry.metadataschema import Schema
    from modelregistry.migration import Migration
    from modelregistry.query import Field
    from modelregistry.question import OneOf, Question, When
    from modelregistry.receiving import Received, Receiver
    from modelregistry.search import Direction, Found, Search
    from modelregistry.searchfields import Row
    from modelregistry.signers import Signers
    from modelregistry.tracking import Tracker
    from modelregistry.trend import Trend
    from modelregistry.unbundling import Unbundled
    from modelregistry.verified import VerifiedBackend
    from modelregistry.version import Trust
    from modelregistry.writing import Decide, Pin, Sign

_log = logging.getLogger("modelregistry")
_MAX_AGE = 60.0
_ORIGIN = "origin"
_FEW = 20
"""Logs that are sooner read one by one than all at once."""
_MOST_IN_MEMORY = 50_000
"""Events that are kept between searches; each weighs a few kilobytes."""


@dataclass(slots=True)
class _Folded:
    """A model as last read, and the token that says whether it still is so."""

    token: Hashable | None
    log: Log
    history: History
    versions: dict[str, ModelVersion] = field(default_factory=dict)


class Registry:
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

    Raises:
        RepositoryNotFoundError: No Git repository there.
        InvalidInputError: A URL or an address that can't be opened, a key that is none, or ``strict`` without a policy.
        InvalidSettingsError: A policy or a configuration that can't be read.
        GitError: The URL could not be cloned.
        UnreachableError: The database can't be reached.
        SchemaError: It has no tables for a log, or not those of this version: ``migrate`` makes them.
    """

    def __init__(
        self,
        target: str | os.PathLike[str] | None = None,
        *,
        remote: str | None = _ORIGIN,
        push: bool = True,
        max_age: float = _MAX_AGE,
        offline: bool = False,
        sign: bool = False,
        signers: Signers | Mapping[str, str] | str | os.PathLike[str] | None = None,
        strict: bool = False,
        backend: Backend | str | None = None,
    ) -> None:
        self.target = config.choose_target(target)
        self._url = self.target if is_url(self.target) else None
        self._max_age = float("inf") if offline else max_age
        self._offline = offline
        self._cache = cache = config.cache_folder()
        self._mirror: GitMirror | None = None
        if self._url:
            if not push:
                raise InvalidInputError(
                    "push=False needs a clone to stage changes in: open a path, not a URL"
                )
            if remote not in (None, _ORIGIN):
                raise InvalidInputError(f"a URL is its own remote: leave remote= out, not {remote!r}")
            from modelregistry.gitmirror import GitMirror

            self._mirror = GitMirror.open(self._url, cache / "mirrors", max_age=self._max_age)
            self._repo = self._mirror.repo
        else:
            self._repo = GitRepo.discover(self.target)
            self._repo.bring = partial(bring_promised, self._repo)
        if offline:
            self._repo.bring = _bring_nothing
        self._remote_name = remote
        self._push = push
        if remote not in (None, _ORIGIN):
            self._shared()  # a misspelt one is told at once
        policy = config.read_signers(signers, strict=strict)
        self._log = self._open_log(backend)
        self._commits = Commits(self._repo, self._shared)
        if not self._in_tags and not offline:
            self._repo.bring_commits = self._commits.bring
        # What was seen of the log: of the events that count, where there is a policy.
        self._marks = Marks(home_folder() / ("marks" if policy is None else "marks-verified"), self._log_name)
        self._sign: Sign | None = None
        self._verified: VerifiedBackend | None = None
        self._backend = self._log
        if sign or policy is not None:
            self._look_through(policy, sign=sign, strict=strict)
        storages = [
            load_class(STORAGES["dvc"])(self._repo, home=cache, source=self._url),
            load_class(STORAGES["git"])(self._repo),
        ]
        self._declarations = Declarations(self._repo)
        self._store = Store(cache)
        self._content = ContentReader(
            self._repo,
            self._declarations,
            storages,
            self._store,
            offline=offline,
            signer=self._trusted_signer,
            around=self._around,
            home=cache,
            url=self._url,
            registered=self._registered,
        )
        self._folded: dict[str, _Folded] = {}
        self._stages: tuple[Hashable | None, Stages] | None = None
        self._searched: tuple[object, Sequence[_Folded]] | None = None
        if self._is_partial:
            warnings.warn(
                f"{self.target!r} is a partial clone of its history: events may be missing, and answers may be old; "
                "'git fetch --unshallow --tags' completes it",
                PartialViewWarning,
                stacklevel=2,
            )

    def __repr__(self) -> str:
        return f"Registry({without_secrets(self.target)!r})"

    def _open_log(self, backend: Backend | str | None) -> Backend:
        """Where the log is kept: in the repository's tags, or elsewhere."""
        chosen = config.choose_backend(backend, self._names) if not isinstance(backend, Backend) else backend
        if chosen == GIT:
            return self._open_tags()
        log = open_backend(chosen) if isinstance(chosen, str) else chosen
        if not self._push:
            raise InvalidInputError(
                f"push=False stages tags in a clone, and the log is kept at {log.identity!r}"
            )
        if self._offline and log.capabilities.remote:
            raise InvalidInputError(
                f"offline=True, and the log is kept at {log.identity!r}, which needs the network"
            )
        return log

    def _open_tags(self) -> Backend:
        return load_class(BACKENDS[GIT])(  # type: ignore[no-any-return]
            self._repo, self._shared, staged=not self._push, admit=self._admit
        )

    def _names(self) -> list[str]:
        """What this user's configuration may call the registry."""
        remote = GitRemote.named(self._repo, _ORIGIN) if self._url is None else None
        places = [self.target, *map(os.fspath, filter(None, [self._repo.root, self._repo.common_dir]))]
        return [*places, remote.url] if remote is not None else places

    @property
    def _log_name(self) -> str:
        """What tells this log from others."""
        return (self._url or os.fspath(self._repo.common_dir)) if self._in_tags else self._log.identity

    @property
    def _in_tags(self) -> bool:
        return self._log.kind == GIT

    @property
    def _is_partial(self) -> bool:
        """Whether events may be missing here."""
        return self._in_tags and self._repo.is_partial

    def _look_through(self, signers: Signers | None, *, sign: bool, strict: bool) -> None:
        """Sign what is written, and let count what a policy says."""
        from modelregistry.signatures import Signing, Verifier

        signing = Signing(self._repo)
        if sign:
            if not self._log.capabilities.signed:
                raise InvalidInputError(
                    f"sign=True, and the log at {self._log.identity!r} keeps no signatures"
                )
            self._sign = signing.sign
        if signers is None:
            return
        from modelregistry.verified import VerifiedBackend

        verifier = Verifier(signing, PrivateFile(home_folder() / "signatures", "is taken for verified"))
        self._backend = self._verified = VerifiedBackend(
            self._log, replace(signers, strict=strict or signers.strict), verifier, self._marks,
            own_key=lambda event: verifier.own_key(render(event)) if sign else None,
        )  # fmt: skip

    @property
    def synced_at(self) -> datetime | None:
        """When the mirror of a URL was last brought up to date; None for a registry opened by its path."""
        return self._mirror.synced_at if self._mirror is not None else None

    @property
    def cache(self) -> Cache:
        """The bytes that this user has fetched, for all registries: to list, verify and prune."""
        from modelregistry.cache import Cache

        return Cache(self._store, self._every_version)

    def _every_version(self, *, withdrawn: bool = False) -> Iterator[ModelVersion]:
        self._refresh()
        for folded in self._fold_all():
            for name in folded.history.versions if withdrawn else folded.history.served:
                yield self._version(folded, name)

    # -- reading -------------------------------------------------------------------------------------------

    def get(
        self,
        reference: str,
        *,
        version: str | None = None,
        stage: str | None = None,
        as_of: datetime | None = None,
    ) -> ModelVersion:
        """The version that a reference names.

        Args:
            reference: ``churn`` or ``churn@latest`` (the greatest version that is not withdrawn, a pre-release only
                when there is nothing else), ``churn@v1.2.0``, ``churn#current``, ``models:/churn@current``.
            version: Instead of a version in the reference.
            stage: Instead of a stage in the reference.
            as_of: As the log stood at that moment (with a time zone).

        Raises:
            InvalidReferenceError: The reference names no version.
            ModelNotFoundError: No such model.
            VersionNotFoundError: No such version.
            WithdrawnError: The version was withdrawn.
            StageEmptyError: No version holds the stage.
            SeveralHoldersError: A shared stage has several holders.
        """
        wanted = Reference.parse(reference)
        if version is not None or stage is not None:
            if wanted.version or wanted.stage or (version is not None and stage is not None):
                raise InvalidReferenceError(
                    f"{reference!r} with version={version!r}, stage={stage!r} names more than one version"
                )
            text = f"{wanted.model}#{stage}" if stage is not None else f"{wanted.model}@{version}"
            wanted = Reference.parse(text)
        folded = self._read(wanted.model, as_of)
        return self._version(folded, choose(folded.history, wanted, self._hint))

    def compare(self, base: str | ModelVersion, candidate: str | ModelVersion) -> Comparison:
        """Two versions side by side, and whether the second can stand in where the first is called.

        Args:
            base: A version, as ``get`` takes or gives it: the holder of a stage, say.
            candidate: Another one.

        Raises:
            NotFoundError: No such model, version, or holder of the stage.
            WithdrawnError: A version was withdrawn.
        """
        from modelregistry.comparison import compare
        from modelregistry.evaluation import evaluation_in

        one, other = (
            each if isinstance(each, ModelVersion) else self.get(each) for each in (base, candidate)
        )
        known = evaluation_in(self._metadata_of(other.name))
        return compare(one, other, metrics=known.metrics if known is not None else None)

    def search(
        self,
        query: str | None = None,
        *,
        name: OneOf = None,
        stage: OneOf = None,
        state: OneOf = None,
        type: OneOf = None,  # noqa: A002
        label: OneOf = None,
        author: OneOf = None,
        digest: OneOf = None,
        made_from: OneOf = None,
        since: When = None,
        until: When = None,
        sort: OneOf = None,
        limit: int | None = None,
    ) -> Found:
        """The versions of all models for which all of this holds, by name, the greatest version first.

        ``search("metrics.auc > 0.9 and stage == 'current'")``: docs/reference/query-language.md has the language. Of
        several texts for one argument, any will do. Withdrawn versions and deprecated models are left out, unless the
        question names the state ``withdrawn`` or the field ``deprecated``. Only what the question needs is read, for all
        versions at once; metrics and parameters that were read are remembered on this machine.

        Args:
            query: An expression.
            name: The model; ``*``, ``?`` and ``[abc]`` make it a pattern.
            stage: A stage that the version holds, ``"inactive"`` or ``"withdrawn"``.
            state: The highest stage it holds, ``"inactive"`` or ``"withdrawn"``.
            type: What ``dvc.yaml`` says it is.
            label: A label in ``dvc.yaml``.
            author: Who registered it: the name or the e-mail address, or a pattern.
            digest: ``sha256:…`` of its bytes, or DVC's ``md5:…``.
            made_from: What must be in its lineage: a digest, a path, a URL or a reference.
            since: Registered at that moment, or on that day, or later: ISO text, or a datetime with a time zone.
            until: Registered then or earlier.
            sort: A field to sort by, or several: ``"-metrics.auc"`` puts the greatest first. What has none comes last.
            limit: How many at most; ``total`` of the answer is how many there are.

        Raises:
            QueryError: The expression can't be read, or has a field that there is not; it shows where.
            InvalidInputError: Another argument that can't be.
        """
        from modelregistry.question import Question

        filters = {
            "name": name, "stage": stage, "state": state, "type": type, "label": label, "author": author,
            "digest": digest, "made_from": made_from,
        }  # fmt: skip
        search = self._search(
            Question.of(query, filters=filters, since=since, until=until, sort=sort, limit=limit)
        )
        found = search.answer(self._candidates(search))
        for reference, why in [*found.unread.items()][:1]:
            warnings.warn(
                f"{len(found.unread)} versions could not be read whole, and may be missing: {reference}, for one: {why}",
                RegistryWarning, stacklevel=2,
            )  # fmt: skip
        return found

    def best(
        self, model: str, by: str, query: str | None = None, *, direction: Direction | None = None
    ) -> ModelVersion:
        """The version of a model with the best number; of equal ones the newest.

        Args:
            model: Its name.
            by: The field with the number, such as ``"metrics.auc"``; of a metric, ``"auc"`` will do.
            query: Only versions for which that holds, as for ``search``.
            direction: ``"max"`` or ``"min"``; left out: what the ``evaluation`` block in the metadata of the newest version
                that has it, or of the model, says of that metric, else ``"max"``.

        Raises:
            ModelNotFoundError: No such model.
            VersionNotFoundError: None of its versions has a number there.
            QueryError: The field or the expression can't be read.
            InvalidInputError: A direction that is none.
        """
        from modelregistry.search import best, check_direction, direction_in, nothing_to_measure

        check_direction(direction)
        history, field, values = self._measure(model, by, query)
        said = [version.metadata for version, _ in reversed(values)]
        found = best(values, direction or direction_in([*said, history.metadata()], field) or "max")
        if found is None:
            raise nothing_to_measure(model, field, self._all_beside(model, field))
        return found

    def trend(self, model: str, metric: str, query: str | None = None) -> Trend:
        """A metric of one model across its versions, the oldest first: a table, and a picture with the stages on it.

        Args:
            model: Its name.
            metric: The field with the number, such as ``"metrics.auc"``; of a metric, ``"auc"`` will do.
            query: Only versions for which that holds, as for ``search``.

        Raises:
            ModelNotFoundError: No such model.
            VersionNotFoundError: None of its versions has a number there.
            QueryError: The field or the expression can't be read.
        """
        from modelregistry.search import nothing_to_measure
        from modelregistry.trend import trend

        _, field, values = self._measure(model, metric, query)
        found = trend(model, str(field), values)
        if not found.points:
            raise nothing_to_measure(model, field, self._all_beside(model, field))
        return found

    def versions(
        self, model: str, *, stage: str | None = None, as_of: datetime | None = None
    ) -> Rows[ModelVersion]:
        """The versions of a model, greatest first.

        Args:
            model: Its name.
            stage: Only those in that state: a stage, ``"inactive"`` (holds no stage) or ``"withdrawn"``, which are
                left out otherwise.
            as_of: As the log stood at that moment.

        Raises:
            ModelNotFoundError: No such model.
        """
        folded = self._read(check_model(model), as_of)
        history = folded.history
        check_there(history, self._hint)
        names: Iterable[str]
        if stage is None:
            names = history.served
        elif stage == WITHDRAWN:
            names = [name for name, record in history.versions.items() if not record.served]
        elif stage == INACTIVE:
            names = [name for name in history.served if not history.stages_of(name)]
        else:
            names = history.holders(stage)
        ordered = sorted(names, key=version_key, reverse=True)
        return Rows((self._version(folded, name) for name in ordered), VERSION_COLUMNS)

    def models(self, *, type: str | None = "model", deprecated: bool = False) -> Rows[Model]:  # noqa: A002
        """Every model with its latest version and the holders of its stages, by name.

        Artifacts that ``dvc.yaml`` declares at the head and nobody registered yet are there too, marked so.

        Args:
            type: Only artifacts whose ``type`` in ``dvc.yaml`` is this, or that have none; None for all.
            deprecated: Deprecated models too.
        """
        self._refresh()
        # One git lists the tags while another reads the declarations.
        with ThreadPoolExecutor(max_workers=1) as pool:
            declaring = pool.submit(self._declarations.all_at_head)
            known = {model: found for model, found in self._summaries().items() if found.known}
            declared = declaring.result()
        elsewhere = [
            (found.rev, model) for model, found in known.items() if found.rev and model not in declared
        ]
        entries = self._declarations.many_at(elsewhere)
        declared |= {model: entry for (_, model), entry in zip(elsewhere, entries, strict=True) if entry}
        rows = [
            model_row(model, found, declared.get(model), self._metadata_of)
            for model, found in known.items()
            if deprecated or not found.deprecated
        ]
        rows += [unregistered_row(model, entry) for model, entry in declared.items() if model not in known]
        chosen = [row for row in rows if type is None or row.type in (type, None)]
        return Rows(sorted(chosen, key=lambda row: row.name), MODEL_COLUMNS)

    def model(self, name: str) -> Model:
        """One model: its line of ``models()``, and its ``metadata``.

        Raises:
            ModelNotFoundError: No such model.
        """
        history = self._read(check_model(name)).history
        check_there(history, self._hint)
        found = summarize(history)
        declared = self._declarations.many_at([(found.rev, name)])[0] if found.rev is not None else None
        return model_row(name, found, declared, self._metadata_of)

    def _metadata_of(self, model: str) -> Mapping[str, JsonValue]:
        return self._read(model).history.metadata()

    def history(self, model: str, *, echoes: bool = False) -> Rows[Event]:
        """What happened to a model, oldest first: who, when, what, why, and who held the stage before.

        Args:
            model: Its name.
            echoes: Also what was written only for GTO to agree.

        Raises:
            ModelNotFoundError: No such model.
        """
        found = self._read(check_model(model)).history
        check_there(found, self._hint)
        events = (event for event in found.events if echoes or event.echo_of is None)
        return Rows(events, event_columns(found.holders_before))

    def events(self, *, after: str | None = None) -> Events:
        """What happened to all models, oldest first; the answer has a ``cursor`` to go on from.

        Args:
            after: The cursor of an earlier answer: only what came since, whatever its date.

        Raises:
            InvalidInputError: It is no cursor.
        """
        had = Cursor.parse(after) if after is not None else Cursor()
        self._refresh()
        histories = [folded.history for folded in self._fold_all()]
        before = {key: held for history in histories for key, held in history.holders_before.items()}
        events = [event for history in histories for event in history.events if event.echo_of is None]
        found = sorted(
            (event for event in events if event not in had),
            key=lambda event: (event.at, event.model, event.order),
        )
        return Events(found, event_columns(before), cursor=str(Cursor.at(events)))

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
        folds: list[_Folded] = []
        for log in self._verified.survey() if self._verified else self._backend.read_all():
            gone.discard(log.model)
            history = History(log.model, log.events, stages)
            folds.append(_Folded(None, log, history))
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

    def _misfits(self, folds: Sequence[_Folded]) -> list[Problem]:
        """Metadata that does not fit."""
        from modelregistry.metadatacheck import MetadataCheck

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

    def _lacking(self, folds: Sequence[_Folded]) -> Iterator[Problem]:
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

    def sync(self) -> Synced:
        """Fetch what others wrote, and publish what waits in this clone: one push for each event, in their order.

        An event that lost its place to another (staged too late, or left by GTO whose push was refused) is set aside
        below ``refs/modelregistry/refused/`` with a warning, and so are the staged ones after it: they were decided
        on it. Without a remote there is nothing to do.

        Raises:
            RemoteError: The remote can't be reached.
            OutcomeUnknownError: The connection broke while an event was pushed: call it again.
        """
        self._check_writable()
        self._refresh(max_age=0)
        synced = self._backend.sync()
        self._keep_what_offline_needs()
        return synced

    # -- writing -------------------------------------------------------------------------------------------

    def register(
        self,
        model: str,
        *,
        path: str | None = None,
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
        others from loading them is a warning.

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
        from modelregistry import changes
        from modelregistry.declaredlineage import declared, looked_up
        from modelregistry.drift import drift
        from modelregistry.metadatacheck import MetadataCheck

        self._check_writable()
        check_model(model)
        changes.check_metadata(metadata or {})
        said = declared(
            inputs, code, changes.check_metadata(params or {}, "params"),
            changes.check_metadata(metrics or {}, "metrics"),
        )  # fmt: skip
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
        )  # fmt: skip

        def is_there(history: History) -> bool:
            same = changes.same_bytes(history, rev=source_rev, content=content, asked=version)
            return same is not None and version in (None, same) and history.versions[same].served

        if rev == "HEAD" and (note := drift(self._repo, source_rev, found)):
            warnings.warn(note, RegistryWarning, stacklevel=2)

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
        if change.note:
            warnings.warn(change.note, RegistryWarning, stacklevel=2)
        if rev == "HEAD" and change.events and not dry_run and (note := self._unpushed(source_rev)):
            _log.warning("%s@%s: %s", model, change.version, note)
        if content.digest is not None and not dry_run and self._content.made_here(source_rev, found):
            Ledger().add(content.digest)
        obstacle = examined.obstacle(f"{model}@{change.version}") if examined is not None else None
        if change.events and obstacle is not None:
            warnings.warn(obstacle, RegistryWarning, stacklevel=2)
        assert change.version is not None
        return self._version(folded, change.version)

    def log_model(
        self,
        obj: object,
        model: str,
        *,
        path: str | None = None,
        loader: str | None = None,
        version: str | None = None,
        bump: Bump | None = None,
        message: str = "",
        metadata: Mapping[str, JsonValue] | None = None,
        schema: Schema | None = None,
        example: object = None,
        push_data: bool = True,
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
            message: Why, for people.
            metadata: What JSON can hold, and fits, as of ``register``; what the bytes tell is added.
            schema: A pydantic model that it must fit as well.
            example: Some rows of input: what was written is asked the same as the model, and must answer alike.
            push_data: Push the bytes to the DVC remote, where the registration is published at once.
            dry_run: Write nothing; the version comes back as it would be.

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
        from modelregistry import changes
        from modelregistry.logmodel import Wish, incoming, standing
        from modelregistry.metadatacheck import MetadataCheck
        from modelregistry.uncommitted import uncommitted

        self._check_writable()
        check_model(model)
        said = changes.check_metadata(metadata or {})
        wanted = MetadataCheck.of(self._repo, schema)
        shared = self._push and self._shared() is not None
        wish = Wish(obj, model, path, loader, example, pushed=shared and push_data and not dry_run)
        adder = load_class(ADDERS["dvc"])(self._repo)
        with incoming(self._repo, self._declarations, adder, wish) as saved:
            edited = uncommitted(self._repo, but=saved.path)
            if edited:
                said = {**edited.to_metadata(), **said}

            def decide(history: History, writer: Writer) -> Change:
                return changes.register(
                    history,
                    writer,
                    rev=saved.base,
                    content=saved.bytes,
                    version=version,
                    bump=bump,
                    metadata=said,
                )

            folded, change = self._change(model, decide, message=message, dry_run=True)
            if change.events:
                place, name = saved.saved.place, posixpath.basename(saved.path)
                wanted.refuse(
                    model, {**self._learned(wanted, place, name, saved.bytes), **said}, before=None, version=True,
                    bring=partial(self._content.beside, saved.base),
                )  # fmt: skip
            notes = [saved.loses, change.note, edited.note if change.events else None]
            for note in filter(None, notes):
                warnings.warn(f"{model}: {note}", RegistryWarning, stacklevel=2)
            assert saved.bytes.digest is not None and change.version is not None
            if not dry_run:
                Ledger().add(saved.bytes.digest)
            if dry_run or not change.events:
                return self._version(folded, change.version)
            commit = saved.commit()
        with standing(model, commit, saved.path):
            return self.register(
                model, path=saved.path, rev=commit, version=version, bump=bump, message=message, metadata=said,
                schema=schema, push_data=push_data,
            )  # fmt: skip

    # -- bringing in ---------------------------------------------------------------------------------------

    def import_model(
        self,
        url: str | os.PathLike[str],
        name_or_path: str | None = None,
        *,
        rev: str | None = None,
        reference: str | None = None,
        as_name: str | None = None,
        path: str | None = None,
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
        ``origin`` where it is from. The bytes are verified before anything is written; those of a version of the source's
        own registry by what it registered. Until the commit all of it happens or nothing; a registration that fails
        after that is finished by calling again.

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
            metadata: What JSON can hold, but no ``origin``.
            push_data: Push the bytes to this registry's own DVC remote, so that they stay when the source goes.
            progress: Who is told while bytes are fetched, as of ``ModelVersion.local_path``.
            dry_run: Commit, push and register nothing; the version comes back as it would be.

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
        from modelregistry.imports import Import

        wanted = Import(url, name_or_path, rev, reference, as_name, path, metadata)
        return self._import(
            [wanted], version=version, bump=bump, message=message, push_data=push_data, progress=progress,
            dry_run=dry_run,
        )[0]  # fmt: skip

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
        return Rows(
            self._import([*wanted], message=message, push_data=push_data, progress=progress, dry_run=dry_run),
            {"model": lambda found: found.name, **VERSION_COLUMNS},
        )

    def update_import(
        self,
        model: str,
        *,
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
        ``churn#current``; of what DVC tracks by a URL, what is there now. Where the bytes are those that are here,
        nothing is written.

        Args:
            model: Its name here.
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
        from modelregistry.imports import ImportUpdate
        from modelregistry.receiving import ORIGIN, check_words, with_metadata
        from modelregistry.tracking import told_of

        self._check_writable()
        check_progress(progress)
        check_words(metadata, version)
        head = self._repo.resolve("HEAD")

        def admit(received: Received, source: str) -> ModelVersion:
            return self._admit_received(
                [with_metadata(received, metadata)], head, f"Update {model} from {source}", version=version, bump=bump, message=message,
                push_data=push_data, dry_run=dry_run,
            )[0]  # fmt: skip

        def known(path: str, facts: Mapping[str, JsonValue]) -> tuple[bool, ModelVersion]:
            """Whether it is new that the version of what is here is registered, and that version."""
            found = self._version_with(model, head, path)
            return found is None, found or self.register(
                model, rev=head, version=version, bump=bump, message=message, push_data=push_data, dry_run=dry_run,
                metadata={**(metadata or {}), **facts},
            )  # fmt: skip

        url = self._tracker.url_of(head, check_model(model))
        if url is not None:
            if rev is not None or reference is not None:
                raise InvalidInputError(
                    f"{model!r} was tracked by a URL: it has no rev= and no reference= there"
                )
            file = f"{url.path}.dvc"
            old = told_of(self._repo.read_file(head, file) or b"", file)
            with self._tracker.received(url, progress=progress) as (_, received):
                new = told_of(received.arrival.dvc_file, file)
                if received.content.address != self._content.address_at(head, str(url.path)):
                    return ImportUpdate(True, admit(received, url.public), old, new)
            return ImportUpdate(*known(str(url.path), url.facts({})), old, new)
        importer = self._importer()
        look = importer.look(head, model, rev=rev, reference=reference)
        old, new = look.here.rev_lock, look.there.origin.rev_lock
        if not look.is_same:
            self._receiver.check([(model, look.there.path)])
            news = importer.bring(head, look, progress=progress)
            if news is not None:
                return ImportUpdate(True, admit(news, look.here.url), old, new)
        facts: dict[str, JsonValue] = {ORIGIN: dict(look.there.facts)} if look.is_same else {}
        return ImportUpdate(*known(look.there.path, facts), old, new)

    def track(
        self,
        source: str | os.PathLike[str],
        name: str,
        *,
        path: str | None = None,
        checksum: str | None = None,
        license: str | None = None,  # noqa: A002 - the word of model cards
        licence: str | None = None,
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
            licence: The same.
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
            dry_run: Commit, push and register nothing; the version comes back as it would be.

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
        from modelregistry.declaredlineage import declared
        from modelregistry.receiving import check_words, with_metadata
        from modelregistry.tracking import Tracking

        self._check_writable()
        check_progress(progress)
        check_words(metadata, version)
        said = declared(inputs, (), {}, {})
        if license is not None and licence not in (None, license):
            raise InvalidInputError(f"license={license!r} and licence={licence!r} are not the same")
        wanted = Tracking(
            os.fspath(source), name, path=path, checksum=checksum, origin=origin, license=license or licence,
            description=description, labels=labels, version_aware=version_aware,
            storage_options=storage_options or {},
        )  # fmt: skip
        with self._tracker.received(wanted, progress=progress) as (head, received):
            return self._admit_received(
                [with_metadata(received, metadata)], head, f"Track {name}", version=version, bump=bump,
                message=message, push_data=push_data, dry_run=dry_run, inputs=said.inputs,
            )[0]  # fmt: skip

    def promote(
        self,
        model: str,
        version: str,
        stage: str,
        *,
        message: str = "",
        expected: Expected = ANY,
        require: Mapping[str, str] | None = None,
        keep: bool = False,
        dry_run: bool = False,
    ) -> ModelVersion:
        """Put a version on a stage. Promoting the holder again writes nothing.

        Without ``expected`` the last writer wins. DVC and GTO see it too. A version that can't stand in for the holder,
        by their signatures, is promoted with a warning.

        Args:
            model: Its name.
            version: The version, such as ``"v1.3.0"``; or ``"latest"``.
            stage: The stage.
            message: Why, for people.
            expected: The holder you believe in: a version, or ``EMPTY`` for nobody; left out: don't check.
            require: What numbers in the metadata must be, by their keys: ``{"metrics.auc": ">= 0.9"}``, or, against the
                holder of a stage, ``{"metrics.auc": "> current + 0.01"}`` (which a stage that nobody holds does not
                hinder). Where the metadata has no ``metrics``, those count that the pipeline recorded. The event keeps
                the figures.
            keep: Leave the version on its other stages too; else it moves.
            dry_run: Write nothing; the version comes back as it would be.

        Raises:
            ModelNotFoundError: No such model.
            VersionNotFoundError: No such version.
            WithdrawnError: It was withdrawn.
            InvalidNameError: A stage that the team has not.
            ConflictError: Somebody else holds the stage, or a figure moved while this was being written.
            RefusedError: A figure is not what is required, or not known.
            InvalidInputError: ``require`` is not understood.
        """
        from modelregistry import changes
        from modelregistry.comparison import unfit
        from modelregistry.evaluation import figures
        from modelregistry.requirements import parse_all

        requirements = parse_all(require)
        doubt: str | None = None

        @cache
        def recorded(name: str) -> Mapping[str, float]:
            """What the pipeline of a version recorded, which never changes."""
            folded = self._read(model)
            if name not in folded.history.versions:
                return {}
            (found,) = self._content.measured([self._version(folded, name)], "metrics")
            return dict(figures(found.values))

        def decide(history: History, writer: Writer) -> Change:
            nonlocal doubt
            change = changes.promote(
                history,
                writer,
                _latest(history, version),
                stage,
                expected=expected,
                require=requirements,
                recorded=recorded,
                keep=keep,
            )
            doubt = unfit(history, change.version or version, stage) if change.events else None
            return change

        promoted = self._changed(model, decide, message=message, dry_run=dry_run)
        if doubt is not None:
            warnings.warn(doubt, RegistryWarning, stacklevel=2)
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
        from modelregistry import changes
        from modelregistry.writing import holders_of

        return self._changed(
            model,
            lambda history, writer: changes.rollback(history, writer, stage, keep=keep),
            message=message,
            dry_run=dry_run,
            pin=holders_of(stage),
        )

    def demote(
        self, model: str, stage: str, *, version: str | None = None, message: str = "", dry_run: bool = False
    ) -> ModelVersion:
        """Empty the stage; of a shared one, take ``version`` off it. The version that left comes back.

        GTO sees the stage empty; ``dvc artifacts get`` and ``dvc.api.artifacts_show`` go on naming the last holder,
        which no tag can prevent.

        Raises:
            ModelNotFoundError: No such model.
            StageEmptyError: Nobody holds it.
            SeveralHoldersError: A shared stage has several holders and ``version`` is not given.
            ConflictError: The stage moved while this was being written.
        """
        from modelregistry import changes
        from modelregistry.writing import holders_of

        return self._changed(
            model,
            lambda history, writer: changes.demote(history, writer, stage, version=version),
            message=message,
            dry_run=dry_run,
            pin=holders_of(stage),
        )

    def withdraw(
        self,
        model: str,
        version: str,
        *,
        then: Expected | None = None,
        message: str = "",
        dry_run: bool = False,
    ) -> ModelVersion:
        """Put a tombstone on a version: it is never served, promoted or registered again.

        GTO sees it deregistered; DVC goes on serving it when asked for it by version, which no tag can prevent.

        Args:
            model: Its name.
            version: The version.
            then: Who takes over the stages it holds, first: a version, or ``EMPTY`` for nobody.
            message: Why, for people.
            dry_run: Write nothing; the version comes back as it would be.

        Raises:
            ModelNotFoundError: No such model.
            VersionNotFoundError: No such version.
            RefusedError: It holds a stage and ``then`` is not given.
            ConflictError: A stage that it holds moved while this was being written.
        """
        from modelregistry import changes
        from modelregistry.writing import stages_of

        return self._changed(
            model,
            lambda history, writer: changes.withdraw(history, writer, version, then=then),
            message=message,
            dry_run=dry_run,
            pin=stages_of(version),
        )

    def annotate(
        self,
        model: str,
        version: str | None,
        metadata: Mapping[str, JsonValue],
        *,
        schema: Schema | None = None,
        message: str = "",
        dry_run: bool = False,
    ) -> Mapping[str, JsonValue]:
        """Attach metadata after the fact, with history and without a commit; all the metadata comes back.

        Args:
            model: Its name.
            version: The version; None for the model as a whole.
            metadata: What JSON can hold; a None takes a key away. With what is there it must fit the team's schema, if
                there is one, and ``usage``, ``evaluation`` and ``card`` are typed.
            schema: A pydantic model that it must fit as well.
            message: Why, for people.
            dry_run: Write nothing.

        Raises:
            ModelNotFoundError: No such model.
            VersionNotFoundError: No such version.
            InvalidInputError: Metadata that JSON can't hold, or that does not fit.
            InvalidSettingsError: The team's schema can't be used.
        """
        from modelregistry import changes
        from modelregistry.metadatacheck import MetadataCheck

        self._check_writable()
        self._refresh()
        wanted = MetadataCheck.of(self._repo, schema)

        def decide(history: History, writer: Writer) -> Change:
            change = changes.annotate(history, writer, metadata, version=version)
            if change.events:
                rev = history.versions[version].registered.rev if version is not None else None
                wanted.refuse(
                    model if version is None else f"{model}@{version}", metadata,
                    before=history.metadata(version), version=version is not None,
                    bring=partial(self._content.beside, rev) if rev is not None else None,
                )  # fmt: skip
            return change

        folded, _ = self._change(model, decide, message=message, dry_run=dry_run)
        return folded.history.metadata(version)

    def evaluate(
        self,
        reference: str,
        *,
        data: str | os.PathLike[str],
        command: Sequence[str] | None = None,
        trust: Trust = None,
        timeout: float | None = None,
        message: str = "",
        dry_run: bool = False,
    ) -> Evaluated:
        """Measure a version: run a command on its verified bytes, and record the metrics that it writes.

        In the command, ``{model}``, ``{data}`` and ``{output}`` stand for paths, which the variables
        ``MODELREGISTRY_MODEL``, ``…_DATA`` and ``…_OUTPUT`` hold as well. It writes a JSON object of numbers to the
        output. They become ``metadata["metrics"]``, and ``metadata["evaluated"]`` says how they were measured: the
        data's digest, the command as it is given here, the environment, the seconds.

        Args:
            reference: The version, as ``get`` takes it.
            data: What to measure it on: a file or folder.
            command: A program and its arguments, run in the current folder; no shell reads them. Left out: that of the
                ``evaluation`` block of the version, else of the model, run in a copy of the version's commit.
            trust: Whether such a command may run: ``"code"``, or a list with the digest that the refusal shows. What
                was signed by those whose registrations may run code by this reader's policy runs without.
            timeout: Seconds after which it is ended; None for no end.
            message: Why, for people.
            dry_run: Measure, and record nothing.

        Raises:
            NotFoundError: No such model, version, or holder of the stage.
            InvalidInputError: No command or no data, or what is no such thing.
            UntrustedModelError: The command comes from the repository, and nobody here vouched for it.
            RefusedError: It failed, took too long, or wrote what are no metrics; nothing was recorded.
            MissingBytesError: The bytes are nowhere to be had.
            IntegrityError: They are not the registered bytes.
        """
        from modelregistry import evaluating
        from modelregistry.checkout import check_out
        from modelregistry.evaluation import evaluation_in

        if not dry_run:
            self._check_writable()
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
            version, chosen, data, evaluation=known, timeout=timeout, recorded=not dry_run,
            check_out=partial(check_out, self._repo, version.source_rev) if argv is None else None,
        )  # fmt: skip
        if not dry_run:
            self.annotate(version.name, version.version, found.to_metadata(), message=message)
        return found

    def _trusted_author(self, version: ModelVersion, says: Event | None) -> str | None:
        """Who signed what is to be run, if both it and the registration are signed by whom this reader's policy trusts."""
        if self._verified is None or says is None or self._trusted_signer(version) is None:
            return None
        return self._verified.trusted_signer(says)

    def deprecate(self, model: str, *, message: str = "", dry_run: bool = False) -> None:
        """Hide a model from ``models()`` until it is registered or promoted again; it loads, with a warning.

        GTO hides it too; DVC does not.

        Raises:
            ModelNotFoundError: No such model.
        """
        from modelregistry import changes

        self._change(model, changes.deprecate, message=message, dry_run=dry_run)

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
        dry_run: bool = False,
    ) -> Migration:
        """Bring a whole MLflow registry here, or what is new in it since the last call. Nothing is changed over there.

        Version 3 is ``v3.0.0``: a commit of its own, dated and authored as over there, with the files in DVC's cache and
        ``dvc.yaml`` and the ``.dvc`` file changed; then a registration, whose metadata has the metrics and params of the
        run, the tags, and where it came from (``mlflow``). Then the stages. Where the log is shared, the bytes are pushed
        to the DVC remote. Look at it with ``dry_run=True`` first.

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
        from modelregistry.metadatacheck import MetadataCheck
        from modelregistry.mlflowimport import Here, Wishes, import_mlflow

        if isinstance(models, str):
            raise InvalidInputError(f"models={models!r} must be a list of names: [{models!r}]")
        self._check_writable()
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
            is_pushed=self._push and self._shared() is not None,
        )  # fmt: skip
        wishes = Wishes(
            models=None if models is None else frozenset(models), names=dict(names or {}), stages=dict(stages or {}),
            into=into, move_stages=move_stages, message=message,
        )  # fmt: skip
        return import_mlflow(uri, here, wishes, tracking_uri=tracking_uri, dry_run=dry_run)

    def impact(self, what: str, *, registries: Iterable[Registry] = ()) -> Rows[Affected]:
        """Every version that was made from something, those that hold a stage first: which models ate that dataset?

        The versions of all models are looked at, withdrawn ones too, by what DVC recorded at their commits.

        Args:
            what: A digest (``md5:…``, ``sha256:…``, ``git:…``), a path in the repository, a URL, ``url@rev``, or the
                reference of a version of another registry.
            registries: Other registries to look in, too.

        Raises:
            InvalidInputError: ``what`` is empty.
        """
        from modelregistry.impact import Affected, ordered

        if not what:
            raise InvalidInputError("impact of what? A digest, a path, a URL or a reference says it")
        found: list[Affected] = []
        odd: list[str] = []
        for registry in (self, *registries):
            place = without_secrets(registry.target)
            with registry._repo.reading():
                versions = list(registry._kept_versions())
                registry._bring_records(versions)
                for version in versions:
                    try:
                        nodes = version.lineage.find(what)
                    except RegistryError as error:
                        odd.append(f"{version.reference}: {error}")
                        continue
                    if nodes:
                        found.append(Affected(version, nodes, place))
        if odd:
            warnings.warn(
                f"{len(odd)} versions could not be looked at, {odd[0]} for one", RegistryWarning, stacklevel=2
            )
        return ordered(found)

    # -- trust ---------------------------------------------------------------------------------------------

    def trust(self, reference: str, *, dry_run: bool = False) -> Grant:
        """Let the very bytes of a version run code whenever this user loads them, from now on.

        What comes back shows who registered and signed it, what the bytes ask for, and what is new since the version of
        the model that was trusted before. Look at it with ``dry_run=True`` first. It is written into a file that only
        this user may write, never into the registry.

        Args:
            reference: The version, as ``get`` takes it.
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
        from modelregistry.examine import what_it_needs
        from modelregistry.grant import grant

        version = self.get(reference)
        if version.digest is None:
            raise RefusedError(
                f"{version.reference} was registered without its bytes (allow_missing=True), so no digest says which are meant"
            )
        path, name = version.local_path(), posixpath.basename(version.path)
        needed = what_it_needs(path, name, loaders=loaders_for(path, name, None))
        signature = self._verified.signature(version.registered) if self._verified else None
        return grant(version, needed, signature, PinnedDigests(), dry_run=dry_run)

    def distrust(self, reference: str) -> None:
        """Take that back: the bytes run no code from now on, whoever signed or made them, but by ``trust=`` of a call.

        What a process has loaded already stays in its memory.

        Args:
            reference: The version, which may be withdrawn, as ``get`` takes it; or a digest (``"sha256:…"``).

        Raises:
            NotFoundError: No such model, version, or holder of the stage.
            InvalidInputError: What begins like a digest is none.
            RefusedError: It was registered without a sha256, or the file can't be written.
        """
        PinnedDigests().add(PinnedDigest(self._digest_of(reference), trusted=False))

    def _digest_of(self, reference: str) -> str:
        if reference.startswith("sha256:"):
            return reference
        wanted = Reference.parse(reference)
        record = self._read(wanted.model).history.versions.get(wanted.version or "")
        digest = record.registered.digest if record is not None else self.get(reference).digest
        if digest is None:
            raise RefusedError(
                f"{reference!r} was registered without a sha256 of its bytes: nothing trusts them"
            )
        return digest

    def _trusted_signer(self, version: ModelVersion) -> str | None:
        """Who signed the registration, if what they register may run code by this reader's policy."""
        return self._verified.trusted_signer(version.registered) if self._verified is not None else None

    # -- the log elsewhere ---------------------------------------------------------------------------------

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
        from modelregistry.copying import copy

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
        from modelregistry.copying import follow

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

    # -- carrying it elsewhere -----------------------------------------------------------------------------

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
            progress: Who is told while missing bytes are fetched.

        Raises:
            NotFoundError: No such model, version, or holder of the stage.
            WithdrawnError: A version was withdrawn.
            RefusedError: Events wait here to be published, this clone is shallow, or the team's settings say that the log
                is kept in a database.
            InvalidInputError: No version, or the file is there already or can't be written.
            MissingBytesError: The bytes are nowhere to be had.
            IntegrityError: They are not the registered bytes.
        """
        from modelregistry.bundling import bundle

        wanted = [references] if isinstance(references, str) else references
        versions = [each if isinstance(each, ModelVersion) else self.get(each) for each in wanted]
        models = sorted({version.name for version in versions})
        if waiting := [event.source for event in self._backend.pending() if event.model in models]:
            raise RefusedError(
                f"nothing was written: {waiting[0]!r} waits here to be published, and may lose its place: sync() first"
            )
        return bundle(
            self._repo, versions, [self._log.read(model, records=True) for model in models], Path(file),
            in_tags=self._in_tags, objects=partial(self._content.objects, progress=progress), overwrite=overwrite,
        )  # fmt: skip

    @staticmethod
    def unbundle(
        file: str | os.PathLike[str], to: str | os.PathLike[str], *, dry_run: bool = False
    ) -> Unbundled:
        """Make a registry of a bundle, or bring the one that an earlier bundle made up to date.

        It is a bare repository: open it by its path, clone it, or serve it. The bytes lie in its folder ``dvc``, laid out
        as a DVC remote. Every byte of the file is checked before anything is written; a new repository is there at once;
        in one that is there, events come one after the other, so that who reads meanwhile sees the registry as it was at
        some moment, and after a crash another call goes on. Nothing in a bundle counts as made here.

        Args:
            file: What ``bundle`` wrote.
            to: The repository.
            dry_run: Check it, say what would come, and write nothing.

        Raises:
            InvalidFileError: It is no whole bundle, or not what it says.
            IntegrityError: Bytes of it were changed.
            ConflictError: The repository has other events, or another history, in the place of what is in the bundle.
            RefusedError: The bundle is of another registry, or ``to`` is no bare repository.
            InvalidInputError: The bundle can't be read, or the repository can't be written.
        """
        from modelregistry.unbundling import unbundle

        return unbundle(Path(file), Path(to), dry_run=dry_run)

    # -- reading, inside -----------------------------------------------------------------------------------

    def _read(self, model: str, as_of: datetime | None = None) -> _Folded:
        """The model, folded: from memory where nothing changed since."""
        self._refresh()
        token = self._backend.watch(model)
        known = self._folded.get(model)
        if known is not None and token is not None and known.token == token:
            stages, log = self._read_stages(), known.log
        elif self._stages is not None:  # they seldom change
            stages, log = self._read_stages(), self._backend.read(model)
        else:
            with ThreadPoolExecutor(
                max_workers=1
            ) as pool:  # one git lists the tags while another reads the settings
                reading = pool.submit(self._backend.read, model)
                stages = self._read_stages()
                log = reading.result()
        if known is None or known.log is not log or known.history.stages is not stages:
            known = self._folded[model] = _Folded(token, log, History(model, log.events, stages))
        if as_of is None:
            return known
        if as_of.tzinfo is None:
            raise InvalidInputError(f"as_of={as_of!r} has no time zone: datetime(…, tzinfo=UTC), for one")
        if as_of >= datetime.now(UTC):  # events written in quick succession are dated some seconds ahead
            return known
        return _Folded(None, known.log, History(model, known.log.events, stages, as_of=as_of))

    def _bring_records(self, versions: Iterable[ModelVersion]) -> None:
        """Have what declares and records the versions, all at once: a mirror has left it out."""
        places = [(version.rev, version.name) for version in versions]
        self._declarations.bring(places)
        if self._mirror is not None:
            files = [f"{rev}:{declaring_file(model).removesuffix('yaml')}lock" for rev, model in places]
            self._repo.read(list(dict.fromkeys(files)), limit=0)

    def _kept_versions(self) -> Iterator[ModelVersion]:
        """Every version, withdrawn ones too, from memory where the log of its model did not move since."""
        self._refresh()
        stages = self._read_stages()
        heads = self._backend.heads()
        known = {
            model: folded
            for model, folded in self._folded.items()
            if heads.get(model) == folded.log.head and folded.history.stages is stages
        }
        if len(known) < len(heads):
            for log in self._backend.read_all():
                if log.model not in known:
                    folded = _Folded(None, log, History(log.model, log.events, stages))
                    known[log.model] = self._folded[log.model] = folded
        for folded in known.values():
            for name in folded.history.versions:
                yield self._version(folded, name)

    def _fold_all(self) -> Iterator[_Folded]:
        """Every model, folded, by one reading of the whole log."""
        stages = self._read_stages()
        return (
            _Folded(None, log, History(log.model, log.events, stages)) for log in self._backend.read_all()
        )

    def _search(self, question: Question) -> Search:
        from modelregistry.search import Search

        return Search(question, self._declarations.many_at, self._content.measured)

    def _candidates(self, search: Search) -> Iterator[Row]:
        """The versions that a search may find: of the models that it names, where it names them."""
        models = search.models
        self._refresh()
        few = models is not None and len(models) <= _FEW
        for folded in map(self._read, models or ()) if few else self._fold_again():
            yield from search.candidates(folded.history, partial(self._version, folded))

    def _fold_again(self) -> Sequence[_Folded]:
        """Every model, folded: from memory where no log moved since."""
        now = self._backend.heads(), self._read_stages()
        if self._searched is None or self._searched[0] != now:
            self._searched = None
            found = [*self._fold_all()]
            if sum(len(folded.log.events) for folded in found) > _MOST_IN_MEMORY:
                return found
            self._searched = now, found
        return self._searched[1]

    def _measure(
        self, model: str, by: str, query: str | None
    ) -> tuple[History, Field, list[tuple[ModelVersion, object]]]:
        """A model, a field, and what that is of its versions, the oldest first."""
        from modelregistry.question import Question, measure

        field = measure(by)
        question = Question.of(query)
        folded = self._read(check_model(model))
        check_there(folded.history, self._hint)
        search = self._search(question)
        rows = search.candidates(folded.history, partial(self._version, folded), deprecated=True)
        return folded.history, field, search.values(rows, field)

    def _all_beside(self, model: str, field: Field) -> Iterator[object]:
        """All that the versions of a model say beside a field, such as all metrics."""
        values = self._measure(model, field.name, None)[2] if field.parts else ()
        return (value for _, value in values)

    def _summaries(self) -> dict[str, Summary]:
        """Every model in one line; only the logs that changed since this user last looked are read."""
        stages = self._read_stages()
        remembered = Summaries(self._cache / "summaries", self._log_name, stages)
        heads = self._backend.heads() if remembered else {}
        changed = [model for model, head in heads.items() if remembered.get(model, head) is None]
        one_by_one = bool(remembered) and len(changed) <= _FEW
        for log in map(self._backend.read, changed) if one_by_one else self._backend.outlines():
            remembered.put(log.model, log.head, summarize(History(log.model, log.events, stages)))
            heads[log.model] = log.head
        if changed or (heads and not one_by_one):
            remembered.save(heads)
        found = {model: remembered.get(model, head) for model, head in heads.items()}
        return {model: summary for model, summary in found.items() if summary is not None}

    def _read_stages(self) -> Stages:
        """The team's stages: from memory where nothing changed since."""
        token, settled = self._repo.watch_head()
        if self._stages is not None and settled and self._stages[0] == token:
            return self._stages[1]
        settings = config.read_settings(self._repo)
        settings.check_backend(self._log.kind)
        stages = settings.rules
        if self._stages is not None and self._stages[1] == stages:
            stages = self._stages[1]  # the same object, so that what was folded with it stays good
        self._stages = (token if settled else None, stages)
        return stages

    def _version(self, folded: _Folded, name: str) -> ModelVersion:
        found = folded.versions.get(name)
        if found is None:
            history = folded.history
            registered = history.versions[name].registered
            found = folded.versions[name] = ModelVersion(
                name=history.model, version=name, state=history.state(name), stages=history.stages_of(name),
                rev=registered.rev, source_rev=registered.source_rev or registered.rev, digest=registered.digest,
                size=registered.size, created_at=registered.at, author=registered.author, message=registered.message,
                metadata=history.metadata(name), head=folded.log.head, deprecated=history.deprecated is not None,
                registered=registered, _reader=self._content,
            )  # fmt: skip
        return found

    def _around(self, version: ModelVersion) -> Surroundings:
        """What a card says besides the version."""
        from modelregistry.cardsources import Surroundings

        folded = self._read(version.name)
        history = folded.history
        baseline: str | None = None
        for stage in history.stages.order[-1:]:
            tenure = history.tenure(stage)
            while tenure is not None and (
                tenure.version == version.version or not history.versions[tenure.version].served
            ):
                tenure = tenure.previous
            baseline = tenure.version if tenure is not None else None
        return Surroundings(history.metadata(), self._version(folded, baseline) if baseline else None)

    def _shared(self) -> GitRemote | None:
        """Where the log is shared. Asked for by what writes: a service that only reads has no need to know."""
        if self._mirror is not None:
            return self._mirror.remote
        return choose_remote(self._repo, self._remote_name, default=_ORIGIN)

    def _refresh(self, *, max_age: float | None = None) -> None:
        """Bring the mirror of a URL up to date, if it is older than that."""
        if self._mirror is not None:
            self._mirror.refresh(self._max_age if max_age is None else max_age)

    @property
    def _hint(self) -> str:
        if self._is_partial:
            return " (this clone is partial: 'git fetch --unshallow --tags' completes it)"
        return ""

    # -- writing, inside -----------------------------------------------------------------------------------

    def _change(
        self, model: str, decide: Decide, *, message: str, dry_run: bool, pin: Pin | None = None
    ) -> tuple[_Folded, Change]:
        """Write what ``decide`` chooses; returns the model as it is then (or would be), and what was chosen."""
        from modelregistry.writing import write

        self._check_writable()
        stages = self._read_stages()
        log, change = write(
            self._backend, check_model(model), stages, decide,
            by=self._repo.identity(), message=message, dry_run=dry_run, pin=pin, sign=self._sign,
        )  # fmt: skip
        if change.events and not dry_run:
            from modelregistry import changes

            folded = self._look_again(model, change, fetch=change.relies_on_others or pin is not None)
            changes.confirm(change, folded.history, seen=len(log.events))
            return folded, change
        return _Folded(None, log, History(model, [*log.events, *change.events], stages)), change

    def _look_again(self, model: str, change: Change, *, fetch: bool) -> _Folded:
        """The model as it is after the change.

        ``fetch`` what came meanwhile, where the change relied on what an event of another slot may have altered.
        """
        from modelregistry.writing import FAULTS

        try:
            if fetch:
                self._backend.prepare(model)
            return self._read(model)
        except FAULTS as error:
            event = change.events[-1]
            raise OutcomeUnknownError(
                f"{event.source} is written, and whether another event came before it and changed what it was decided "
                f"on could not be seen: {error}; look again, then decide",
                event_id=event.id, tag=event.source,
            ) from error  # fmt: skip

    def _changed(
        self, model: str, decide: Decide, *, message: str, dry_run: bool, pin: Pin | None = None
    ) -> ModelVersion:
        """The version that the change is about, as it is then (or would be)."""
        folded, change = self._change(model, decide, message=message, dry_run=dry_run, pin=pin)
        assert change.version is not None
        return self._version(folded, change.version)

    def _admit(self, event: Event) -> None:
        """Bytes before words: what was registered in this clone alone is published once others can fetch its bytes."""
        if isinstance(event, Registered) and event.digest is not None:
            path = self._declarations.require(event.rev, event.model, None).path
            try:
                self._content.check_shared(event.rev, path)
            except MissingBytesError as error:
                error.add_note(f"{event.source} waits in this clone to be published")
                raise

    # -- bringing in, inside -------------------------------------------------------------------------------

    @property
    def _receiver(self) -> Receiver:
        from modelregistry.receiving import Receiver

        return Receiver(self._repo, self._content, self._declarations)

    def _importer(self) -> Importer:
        from modelregistry.importer import Importer

        return Importer(
            self._repo, self._declarations, self._receiver, open_source=self._open_source,
            is_known=self._is_known,
        )  # fmt: skip

    @property
    def _tracker(self) -> Tracker:
        from modelregistry.tracking import Tracker

        return Tracker(self._repo, self._declarations, self._receiver, is_known=self._is_known)

    def _is_known(self, model: str) -> bool:
        return bool(self._read(model).history.versions)

    @staticmethod
    def _open_source(url: str) -> SourceProject:
        """A repository to import from, as it is now."""
        from modelregistry.imports import SourceProject

        # The variable says where the log of this registry is, and of no other.
        backend = GIT if os.environ.get("MODELREGISTRY_BACKEND") else None
        source = Registry(url, max_age=0, backend=backend)
        source._max_age = _MAX_AGE  # as it was opened, for all that is asked of it
        return SourceProject(url, source._repo, source._declarations, source._content, source.get)

    def _import(
        self,
        wanted: Sequence[Import],
        *,
        message: str,
        push_data: bool,
        progress: Progress,
        dry_run: bool,
        version: str | None = None,
        bump: Bump | None = None,
    ) -> list[ModelVersion]:
        from modelregistry.receiving import check_words

        self._check_writable()
        check_progress(progress)
        check_words(None, version)
        head, received = self._importer().receive(wanted, progress=progress)
        one = received[0].arrival.model
        what = f"{one} from {os.fspath(wanted[0].url)}" if len(received) == 1 else f"{len(received)} models"
        return self._admit_received(
            received, head, f"Import {what}", version=version, bump=bump, message=message, push_data=push_data,
            dry_run=dry_run,
        )  # fmt: skip

    def _admit_received(
        self,
        received: Sequence[Received],
        head: str,
        subject: str,
        *,
        version: str | None,
        bump: Bump | None,
        message: str,
        push_data: bool,
        dry_run: bool,
        inputs: Sequence[Input] = (),
    ) -> list[ModelVersion]:
        """Commit what came from elsewhere, all of it or nothing, and register each."""
        from modelregistry.declaredlineage import declared, looked_up

        looked_up(declared(inputs, (), {}, {}), partial(self._content.identify, head), self._look_up)
        would_be = [
            self._would_register(each, head, version=version, bump=bump, message=message) for each in received
        ]
        if dry_run:
            return would_be
        published = self._push and self._shared() is not None

        def share(rev: str, path: str, has_remote: bool) -> None:
            # "dvc push" leaves out what was imported, so this is the time for it, though nobody learns of it yet.
            if push_data and has_remote:
                self._content.push(rev, path)
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
                    version=version,
                    bump=bump,
                    message=message or subject,
                    inputs=inputs,
                    metadata=each.metadata,
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

    def _would_register(
        self, received: Received, head: str, *, version: str | None, bump: Bump | None, message: str
    ) -> ModelVersion:
        """The version as it would be; refuses what a registration would refuse."""
        from modelregistry import changes
        from modelregistry.metadatacheck import MetadataCheck

        model, content = received.arrival.model, received.content

        def decide(history: History, writer: Writer) -> Change:
            return changes.register(
                history, writer, rev=head, content=content._replace(files=()), version=version, bump=bump,
                metadata=received.metadata,
            )  # fmt: skip

        folded, change = self._change(model, decide, message=message, dry_run=True)
        assert change.version is not None
        if change.events:
            wanted = MetadataCheck.of(self._repo)
            name = posixpath.basename(received.arrival.path)
            wanted.refuse(
                model, {**self._learned(wanted, received.place, name, content), **received.metadata}, before=None,
                version=True, bring=partial(self._content.beside, head),
            )  # fmt: skip
        return self._version(folded, change.version)

    def _version_with(self, model: str, rev: str, path: str) -> ModelVersion | None:
        """The version that has the very bytes that a commit has at a path, if they are registered."""
        from modelregistry import changes

        folded = self._read(model)
        address = self._content.address_at(rev, path)
        same = changes.same_bytes(folded.history, rev=rev, content=Bytes(None, address or ""))
        return self._version(folded, same) if same in folded.history.served else None

    def _check_writable(self) -> None:
        if self._offline:
            raise RemoteError("a write needs the remote, and this registry was opened with offline=True")

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
        from modelregistry import changes

        self.sync()
        for folded in list(self._fold_all()):
            if gto_differs(folded.history):
                self._change(folded.log.model, changes.repeat_for_gto, message="", dry_run=False)

    def _registered(self, model: str, version: str) -> Registered | None:
        """The registration of a version, withdrawn ones too."""
        record = self._read(model).history.versions.get(version)
        return record.registered if record is not None else None

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
        from modelregistry.examine import examine

        name = posixpath.basename(content.path)
        return examine(
            partial(self._content.local, described, content), name, size=described.size or 0,
            loaders=lambda path: loaders_for(path, name, None),
        )  # fmt: skip

    def _learned(
        self, wanted: MetadataCheck, place: Path, name: str, content: Bytes
    ) -> Mapping[str, JsonValue]:
        """What bytes that are nowhere yet will tell at their registration, where somebody wants to know."""
        from modelregistry.examine import examine

        if not wanted.asks:
            return {}
        found = examine(
            lambda: place, name, size=content.size or 0, loaders=lambda path: loaders_for(path, name, None)
        )  # fmt: skip
        return found.to_metadata() if found is not None else {}

    def _unpushed(self, rev: str) -> str | None:
        """Whether a commit is on no branch of the remote that the log is shared through, in a sentence."""
        from modelregistry.drift import unpushed

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
        commit = self._repo.write_commit(rev, f"Registered as {what}", files=files)
        if long:
            content = Bytes(content.digest, content.address, content.size, manifest=MANIFEST)
        return commit, content


def _bring_nothing(oids: Sequence[str]) -> None:
    """What an offline registry does about files that a clone or a mirror left out."""
    raise RemoteError(
        f"offline=True, and {len(oids)} files of the repository that were asked for are not here: "
        "sync() of a registry opened without it brings what the holders of stages need"
    )


def _latest(history: History, version: str) -> str:
    return history.latest or version if version == LATEST else version
