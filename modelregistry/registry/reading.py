"""The verbs of a registry that ask."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Self, overload

from pydantic import JsonValue

from modelregistry.backends.base import FEW
from modelregistry.callers import warn
from modelregistry.display.listing import (
    MODEL_COLUMNS,
    VERSION_COLUMNS,
    Events,
    Model,
    event_columns,
    model_row,
    unregistered_row,
)
from modelregistry.display.tables import Rows
from modelregistry.display.words import count
from modelregistry.errors import InvalidInputError, RegistryError, RegistryWarning, naming
from modelregistry.git.remote import GitRemote
from modelregistry.git.repo import is_url
from modelregistry.log.choice import check_there, choose
from modelregistry.log.completion import references
from modelregistry.log.cursor import Cursor
from modelregistry.log.events import Event
from modelregistry.log.history import History
from modelregistry.log.meaning import meant
from modelregistry.log.summaries import Summaries, Summary, summarize
from modelregistry.names import INACTIVE, WITHDRAWN, check_model, check_stage, version_key
from modelregistry.progress import Progress, check_progress, counted
from modelregistry.project.declarations import declaring_file
from modelregistry.registry.hub import Hub
from modelregistry.urlsecrets import without_secrets
from modelregistry.version import ModelVersion

if TYPE_CHECKING:
    from modelregistry.comparison import Comparison, Recorded
    from modelregistry.comparisons import Comparisons
    from modelregistry.lineage.impact import Affected
    from modelregistry.project.declarationtexts import Declaration
    from modelregistry.search.fields import Row
    from modelregistry.search.query import Field
    from modelregistry.search.question import OneOf, Question, When
    from modelregistry.search.search import Direction, Found, Search
    from modelregistry.site.site import Source
    from modelregistry.site.writer import Site
    from modelregistry.trend import Trend


class ReadingVerbs(Hub):
    """The verbs that ask."""

    def get(
        self,
        reference: str | ModelVersion,
        *,
        version: str | ModelVersion | None = None,
        stage: str | None = None,
        as_of: datetime | None = None,
    ) -> ModelVersion:
        """The version that a reference names.

        Args:
            reference: ``churn`` or ``churn@latest`` (the greatest version that is not withdrawn, a pre-release only
                when there is nothing else), ``churn@v1.2.0``, ``churn#current``, ``models:/churn@current``. Or a version
                that was read earlier: it is read anew.
            version: Instead of a version in the reference.
            stage: Instead of a stage in the reference.
            as_of: As the log stood at that moment (with a time zone).

        Raises:
            InvalidReferenceError: The reference names no version, or more than one.
            InvalidInputError: A version of another registry, or a moment without a time zone.
            ModelNotFoundError: No such model.
            VersionNotFoundError: No such version.
            WithdrawnError: The version was withdrawn.
            StageEmptyError: No version holds the stage.
            SeveralHoldersError: A shared stage has several holders.
        """
        wanted = meant(reference, version=version, stage=stage)
        if wanted.given is not None:
            wanted.check(self._read(wanted.model).history)
        folded = self._read(wanted.model, as_of)
        return self._version(folded, choose(folded.history, wanted.reference, self._hint))

    def __getitem__(self, reference: str) -> ModelVersion:
        return self.get(reference)

    __iter__ = None
    """It is no list: ``models()`` is."""

    def _ipython_key_completions_(self) -> list[str]:
        """What IPython offers in ``registry["…"]``: every model, and every stage that somebody holds."""
        return [
            reference
            for model, found in sorted(self._summaries().items())
            for reference in (model, *(f"{model}#{stage}" for stage in found.stages))
        ]

    def _complete(self, begun: str) -> Sequence[str]:
        """The references that begin so, by what is on this machine: whoever types won't wait for the network."""
        return references(begun, self._backend.heads(), self._as_it_lies)

    def _as_it_lies(self, model: str) -> History:
        return History(model, self._backend.read(model).events, self._read_stages())

    @overload
    def compare(self, base: str | ModelVersion, candidate: str | ModelVersion) -> Comparison: ...

    @overload
    def compare(
        self, base: str | ModelVersion, candidate: str | ModelVersion, another: str | ModelVersion, /,
        *candidates: str | ModelVersion,
    ) -> Comparisons: ...  # fmt: skip

    @overload
    def compare(
        self, base: str | ModelVersion, candidate: str | ModelVersion, *candidates: str | ModelVersion
    ) -> Comparison | Comparisons: ...

    def compare(
        self, base: str | ModelVersion, candidate: str | ModelVersion, *candidates: str | ModelVersion
    ) -> Comparison | Comparisons:
        """Two versions side by side, and whether the second can stand in where the first is called; or several with one.

        There is a line for each fact of theirs: the stages, the signature, the metrics and parameters (those that the
        pipeline recorded, over them those that were declared, measured or said), what they were made from (``data.…``,
        ``code.…``, ``steps.…``), and the metadata. What can't be read is told in a warning; what is in a repository that
        can't be reached is no difference.

        Args:
            base: A version, as ``get`` takes or gives it: the holder of a stage, say.
            candidate: Another one.
            *candidates: More of them, each to be held against the base.

        Returns:
            A ``Comparison``; of several candidates ``Comparisons``, one for each.

        Raises:
            InvalidReferenceError: No version is named.
            InvalidInputError: A version of another registry, or one that is named twice.
            NotFoundError: No such model, version, or holder of the stage.
            WithdrawnError: A version was withdrawn.
        """
        from modelregistry.comparison import compare
        from modelregistry.comparisons import Comparisons
        from modelregistry.metadata.evaluation import known_metrics

        versions = [self._here(each) for each in (base, candidate, *candidates)]
        names = [each.reference for each in versions]
        twice = [name for name in names if names.count(name) > 1]
        if candidates and twice:
            raise InvalidInputError(f"{twice[0]} is named twice: compare it with others")
        recorded, problems = zip(*self._recorded(versions), strict=True)
        for version, found in zip(versions, problems, strict=True):
            if found:
                warn(
                    f"{version.reference} could not be read whole, and lines of it may be missing: {'; '.join(found)}",
                    RegistryWarning,
                )
        one, *others = versions
        compared = tuple(
            compare(
                one, other, (recorded[0], read),
                metrics=known_metrics(self._metadata_of(one.name), self._metadata_of(other.name)),
            )
            for other, read in zip(others, recorded[1:], strict=True)
        )  # fmt: skip
        return Comparisons(one, compared) if candidates else compared[0]

    def _recorded(self, versions: Sequence[ModelVersion]) -> Iterator[tuple[Recorded, Iterable[str]]]:
        """What was recorded where each was made, and why that may not be all."""
        from modelregistry.comparison import Recorded

        metrics, params = (self._content.measured(versions, kind) for kind in ("metrics", "params"))
        for version, measured, configured in zip(versions, metrics, params, strict=True):
            problems = dict.fromkeys(filter(None, (measured.problem, configured.problem)))
            lineage = None
            try:
                lineage = version.lineage
                problems |= {
                    f"{node.name}: {node.note}": None for node in lineage if node.status == "unreachable"
                }
            except RegistryError as error:
                problems[str(error)] = None
            yield Recorded(measured.values, configured.values, lineage), problems

    def _here(self, version: str | ModelVersion) -> ModelVersion:
        """A version by its reference; one that was read from this registry as it was read."""
        if not isinstance(version, ModelVersion):
            return self.get(version)
        meant(version).check(self._read(version.name).history)
        return version

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
        from modelregistry.search.question import Question

        question = Question.of(
            query, name=name, stage=stage, state=state, type=type, label=label, author=author, digest=digest,
            made_from=made_from, since=since, until=until, sort=sort, limit=limit,
        )  # fmt: skip
        found = self._found(question)
        warn_of(found.unread)
        return found

    def _found(self, question: Question) -> Found:
        """The same; what could not be read is left to the caller to tell."""
        search = self._search(question)
        return search.answer(self._candidates(search))

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
        from modelregistry.search.search import best, check_direction, direction_in, nothing_to_measure

        check_direction(direction)
        history, field, values, unread = self._measure(model, by, query)
        warn_of(unread)
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
        from modelregistry.search.search import nothing_to_measure
        from modelregistry.trend import trend

        _, field, values, unread = self._measure(model, metric, query)
        warn_of(unread)
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
            InvalidNameError: A stage that can be none.
            InvalidInputError: A moment without a time zone.
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
            names = history.holders(check_stage(stage))
        ordered = sorted(names, key=version_key, reverse=True)
        return Rows((self._version(folded, name) for name in ordered), VERSION_COLUMNS)

    def models(self, *, type: str | None = "model", deprecated: bool = False) -> Rows[Model]:  # noqa: A002
        """Every model with its latest version and the holders of its stages, by name.

        Artifacts that ``dvc.yaml`` declares at the head and nobody registered yet are there too, marked so. One that
        can't be read is warned of, and hides no other.

        Args:
            type: Only artifacts whose ``type`` in ``dvc.yaml`` is this, or that have none; None for all.
            deprecated: Deprecated models too.

        Raises:
            InvalidSettingsError: The team's settings can't be read.
            SignatureError: Events of a model fail a strict policy.
            RewoundError: A policy is in force, and events that counted are gone.
        """
        self._refresh()
        # One git lists the tags while another reads the declarations.
        with ThreadPoolExecutor(max_workers=1) as pool:
            declaring = pool.submit(self._declarations.all_at_head)
            known = {model: found for model, found in self._summaries().items() if found.known}
            declared, problems = declaring.result()
        elsewhere = [
            (found.rev, model) for model, found in known.items() if found.rev and model not in declared
        ]
        entries, more = self._declared_at(elsewhere)
        declared |= {model: entry for model, entry in entries.items() if entry}
        _warn_of_files(problems | more)
        rows = [
            model_row(model, found, declared.get(model), self._metadata_of)
            for model, found in known.items()
            if deprecated or not found.deprecated
        ]
        rows += [unregistered_row(model, entry) for model, entry in declared.items() if model not in known]
        chosen = [row for row in rows if type is None or row.type in (type, None)]
        return Rows(sorted(chosen, key=lambda row: row.name), MODEL_COLUMNS)

    def model(self, model: str) -> Model:
        """One model: its line of ``models()``, and its ``metadata``.

        Args:
            model: Its name.

        Raises:
            ModelNotFoundError: No such model.
        """
        history = self._read(check_model(model)).history
        check_there(history, self._hint)
        found = summarize(history)
        declared, problems = self._declared_at([(found.rev, model)] if found.rev is not None else [])
        _warn_of_files(problems)
        return model_row(model, found, declared.get(model), self._metadata_of)

    def _declared_at(
        self, wanted: Sequence[tuple[str, str]]
    ) -> tuple[dict[str, Declaration | None], dict[str, str]]:
        """What commits declare of models, by model; and which files can't be read, and why."""
        found = [
            (f"{declaring_file(model)} at {rev[:10]}", model, each)
            for (rev, model), each in zip(wanted, self._declarations.many_at(wanted), strict=True)
        ]
        problems = {place: each.problem for place, _, each in found if each.problem and each.entry is None}
        return {model: each.entry for _, model, each in found}, problems

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

    def impact(
        self, what: str | ModelVersion, *, registries: Iterable[Self] = (), progress: Progress = None
    ) -> Rows[Affected]:
        """Every version that was made from something, those that hold a stage first: which models ate that dataset?

        The versions of all models are looked at, withdrawn ones too, by what DVC recorded at their commits.

        Args:
            what: A digest (``md5:…``, ``sha256:…``, ``git:…``), a path in the repository, a URL, ``url@rev``, or the
                reference of a version of another registry. The md5 of a file in a folder that DVC tracks is found by the
                lists of files in DVC's cache on this machine. Or a version, of any registry, for what was made from it.
            registries: Other registries to look in, too.
            progress: Who is told how many versions were looked at, as of ``ModelVersion.local_path``.

        Raises:
            InvalidInputError: ``what`` is empty, or there is no registry in ``registries``.
        """
        if isinstance(registries, Hub) or not isinstance(registries, Iterable):
            raise InvalidInputError(f"registries={registries!r} must be a list of registries")
        every = (self, *registries)
        if not all(isinstance(each, Hub) for each in every):
            raise InvalidInputError(f"registries={[*every[1:]]!r} must be a list of registries")
        return impact_in([(without_secrets(each.target), each) for each in every], what, progress)

    def export_site(
        self,
        target: str | os.PathLike[str],
        *,
        title: str = "Model registry",
        url: str | None = None,
        progress: Progress = None,
    ) -> Site:
        """Write a static site: every model and version with its card, lineage, metrics and history, and an audit page.

        It needs no server and no network: ``index.html`` opens from a disk. The same registry gives the same bytes, and
        what is unchanged is not written again. Pages of an earlier export that nothing stands for any more are removed;
        files that no export wrote are left alone. Needs ``pip install 'modelregistry[site]'``.

        Args:
            target: A folder: empty, new, or one that ``export_site`` wrote.
            title: What the site is called.
            url: Where readers find the registry, for the code that loads a model; left out: the URL that this registry was
                opened by, or its remote's, without passwords.
            progress: Who is told how many models are written, as of ``ModelVersion.local_path``.

        Raises:
            InvalidInputError: The folder holds what no export put there.
            ExportError: It can't be written.
            MissingDependencyError: Jinja2 or markdown-it is not installed.
        """
        from modelregistry.site.site import export_site

        return export_site(target, [self._as_source(url)], title=title, progress=progress)

    def _as_source(self, url: str | None, name: str = "") -> Source:
        """What a site reads."""
        from modelregistry.site.site import Source

        return Source(
            reading=self._repo.reading, models=self._kept_models, bring=self._declarations.bring, declared=self._declarations.many_at,
            measured=self._content.measured, signers=self._signers_of, address=url or self._public_url(), name=name,
        )  # fmt: skip

    def _public_url(self) -> str | None:
        """Where others find it; None where it has no address but a path on this machine."""
        if self._url is not None:
            found: str | None = self._url
        else:
            remote = GitRemote.named(self._repo, self._remote_name) if self._remote_name else None
            found = remote.url if remote is not None else None
        return without_secrets(found) if found and is_url(found) and not found.startswith("file:") else None

    def _search(self, question: Question) -> Search:
        from modelregistry.search.search import Search

        return Search(question, self._declarations.many_at, self._content.measured)

    def _candidates(self, search: Search) -> Iterator[Row]:
        """The versions that a search may find: of the models that it names, where it names them."""
        models = search.models
        self._refresh()
        few = models is not None and len(models) <= FEW
        found = map(self._read, models or ()) if few else self._fold_again(search.may_be_in, search.clue)
        for folded in found:
            yield from search.candidates(folded.history, partial(self._version, folded))

    def _measure(
        self, model: str, by: str, query: str | None
    ) -> tuple[History, Field, list[tuple[ModelVersion, object]], Mapping[str, str]]:
        """A model, a field, what that is of its versions, the oldest first, and which could not be read, and why."""
        from modelregistry.search.question import Question, measure

        field = measure(by)
        question = Question.of(query)
        folded = self._read(check_model(model))
        check_there(folded.history, self._hint)
        search = self._search(question)
        rows = search.candidates(folded.history, partial(self._version, folded), deprecated=True)
        values, unread = search.values(rows, field)
        return folded.history, field, values, unread

    def _all_beside(self, model: str, field: Field) -> Iterator[object]:
        """All that the versions of a model say beside a field, such as all metrics."""
        from modelregistry.search.fields import FIELDS

        values = self._measure(model, field.name, None)[2] if FIELDS[field.name] == "tree" else ()
        return (value for _, value in values)

    def _summaries(self) -> dict[str, Summary]:
        """Every model in one line; only the logs that changed since this user last looked are read."""
        stages = self._read_stages()
        remembered = Summaries(self._cache / "summaries", self._log_name, stages)
        heads = self._backend.heads() if remembered else {}
        changed = [model for model, head in heads.items() if remembered.get(model, head) is None]
        one_by_one = bool(remembered) and len(changed) <= FEW
        for log in map(self._backend.read, changed) if one_by_one else self._backend.outlines():
            remembered.put(log.model, log.head, summarize(History(log.model, log.events, stages)))
            heads[log.model] = log.head
        if changed or (heads and not one_by_one):
            remembered.save(heads)
        found = {model: remembered.get(model, head) for model, head in heads.items()}
        return {model: summary for model, summary in found.items() if summary is not None}


def _warn_of_files(problems: Mapping[str, str]) -> None:
    """Tell the caller of a verb what it could not read of what is declared."""
    for place, why in [*problems.items()][:1]:
        warn(
            f"{len(problems)} files could not be read, and what they declare is missing: {place}, for one: {why}",
            RegistryWarning,
        )


def impact_in(
    registries: Collection[tuple[str, Hub]], what: str | ModelVersion, progress: Progress
) -> Rows[Affected]:
    """Every version of some registries, each with what it is called, that was made from something."""
    from modelregistry.lineage.impact import Affected, Folders, ordered, sought

    check_progress(progress)
    wanted = sought(what)
    folders = Folders(wanted)
    found: list[Affected] = []
    odd: list[str] = []
    for name, registry in registries:
        with registry._repo.reading():
            with naming(name) if len(registries) > 1 else nullcontext():
                versions = list(registry._kept_versions())
                registry._bring_records(versions)
            for version in counted(versions, progress, f"looking for {wanted[0]}", "versions"):
                if version == what:
                    continue
                listing = partial(registry._content.listing, version)
                try:
                    lineage = version.lineage
                    nodes = lineage.find_any([*wanted, *folders.holding(lineage, listing)])
                except RegistryError as error:
                    odd.append(f"{version.reference}: {error}")
                    continue
                if nodes:
                    found.append(Affected(version, nodes, name))
    if odd:
        warn(f"{len(odd)} versions could not be looked at, {odd[0]} for one", RegistryWarning)
    if folders.unlisted:
        warn(
            f"{count(folders.unlisted, 'folder')} could not be looked into, whose lists of files are not in the DVC cache on this "
            "machine: 'dvc fetch' brings them, and a path finds what was in them without",
            RegistryWarning,
        )
    return ordered(found)


def warn_of(unread: Mapping[str, str]) -> None:
    """Tell the caller of a verb what it could not read."""
    for reference, why in [*unread.items()][:1]:
        warn(
            f"{len(unread)} versions could not be read whole, and may be missing: {reference}, for one: {why}",
            RegistryWarning,
        )
