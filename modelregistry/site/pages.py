"""What the pages of a site say of a model and its versions, as plain data."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import JsonValue

from modelregistry.comparison import Recorded, compare
from modelregistry.display.markdown import block
from modelregistry.display.words import number
from modelregistry.errors import RegistryError
from modelregistry.lineage.lineage import Lineage
from modelregistry.lineage.node import flat
from modelregistry.log.events import Event
from modelregistry.log.history import History
from modelregistry.metadata.evaluation import Metric, better, known_metrics
from modelregistry.names import WITHDRAWN, version_key
from modelregistry.project.declarationtexts import Declaration
from modelregistry.site.writer import file_name
from modelregistry.trend import Trend, trend
from modelregistry.version import ModelVersion, metrics_of

_MOST_TRENDS = 4
_MOST_TEXT = 2_000
_SAID_ELSEWHERE = ("card", "environment", "evaluation", "metrics", "signature", "usage")
"""Metadata that the page shows in a section of its own."""
_CARD = {
    "summary": "What it is", "intended_use": "Intended use", "limits": "Limits", "training_data": "Training data",
    "evaluation": "Evaluation", "usage": "How to use it", "contact": "Contact", "text": "More",
}  # fmt: skip
_VERBS = {
    "register": "registered", "withdraw": "withdrawn", "deregister": "deregistered", "assign": "put on",
    "unassign": "taken off", "annotate": "annotated", "deprecate": "deprecated",
}  # fmt: skip
Row = tuple[str, str]


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """A model and all that is to be read of it."""

    history: History
    versions: Sequence[ModelVersion]
    """The greatest first, withdrawn ones too."""
    declared: Declaration | None
    """What ``dvc.yaml`` says of it at the commit of its latest version."""
    measured: Mapping[str, Mapping[str, JsonValue]] = field(default_factory=dict)
    """What DVC recorded of the versions' metrics, by version."""
    params: Mapping[str, Mapping[str, JsonValue]] = field(default_factory=dict)
    unmeasured: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Why there may be more of both, by version."""
    prefix: str = ""
    """Where the pages of its registry lie."""
    registry: str = ""
    """What the registry is called, where a site has several."""
    address: str | None = None
    """Where it is read from by others."""
    _metrics: dict[str, dict[str, float]] = field(default_factory=dict, init=False, repr=False, compare=False)
    _events: dict[str | None, list[Event]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @property
    def name(self) -> str:
        """The model's name."""
        return self.history.model

    @property
    def folder(self) -> str:
        """Of its pages."""
        return f"{self.prefix}models/{file_name(self.name)}"

    @property
    def page(self) -> str:
        """Its page."""
        return f"{self.folder}/index.html"

    @property
    def pages(self) -> Iterator[str]:
        """All of its pages."""
        yield self.page
        for version in self.versions:
            yield self.page_of(version.version)

    def page_of(self, version: str) -> str:
        """The page of a version."""
        return f"{self.folder}/{file_name(version)}.html"

    @property
    def shown_events(self) -> list[Event]:
        """What happened to it, the oldest first."""
        return [event for event in self.history.events if event.echo_of is None]

    def events_about(self, version: str) -> Sequence[Event]:
        """Those of them that are about a version, the oldest first."""
        if not self._events:
            for event in self.shown_events:
                self._events.setdefault(version_in(self, event), []).append(event)
        return self._events.get(version, ())

    @property
    def top(self) -> str | None:
        """The version that holds its highest stage, with which the others are compared."""
        for stage in self.history.stages.order[-1:]:
            for holder in self.history.holders(stage):
                return holder
        return None

    def metrics_of(self, version: ModelVersion) -> Mapping[str, float]:
        """What the version reached; its page asks, and the model's for all, and the catalogue."""
        found = self._metrics.get(version.version)
        if found is None:
            found = metrics_of(version, self.measured.get(version.version, {}))
            self._metrics[version.version] = found
        return found


@dataclass(slots=True)
class VersionFacts:
    """What is read of one version alone."""

    version: ModelVersion
    lineage: Lineage | None = None
    declared: Declaration | None = None
    sections: list[Row] = field(default_factory=list)
    """Of its card: a title, and Markdown."""
    missing: tuple[str, ...] = ()
    signer: str | None = None
    problems: list[str] = field(default_factory=list)


def read_version(version: ModelVersion, signer: str | None) -> VersionFacts:
    """What there is to be read of a version that somebody may have signed; what can't be read is told."""
    found = VersionFacts(version, signer=signer)

    def attempt(read: Callable[[], None]) -> None:
        try:
            read()
        except RegistryError as error:
            if str(error) not in found.problems:
                found.problems.append(str(error))

    def lineage() -> None:
        found.lineage = version.lineage

    def card() -> None:
        made = version.card
        text = made.facts.text
        said = {key: getattr(text, key) or "" for key in _CARD}
        said["summary"] = said["summary"] or ""
        found.sections = [(title, block(said[key])) for key, title in _CARD.items() if said[key]]
        if text.license:
            found.sections.append(("License", block(text.license)))
        found.missing = made.missing

    for read in (lineage, card):
        attempt(read)
    return found


# -- pages -------------------------------------------------------------------------------------------------


def index_row(model: ModelFacts) -> dict[str, Any]:
    """A model in the list of all."""
    history, declared = model.history, model.declared
    latest = history.latest
    events = model.shown_events
    return {
        "name": model.name, "registry": model.registry, "page": model.page, "latest": latest,
        "latest_page": model.page_of(latest) if latest else None,
        "stages": [
            {"stage": stage, "holders": [{"version": each, "page": model.page_of(each)} for each in holders]}
            for stage, holders in history.assignments.items()
        ],
        "type": (declared.type if declared else None) or "", "labels": [*declared.labels] if declared else [],
        "description": (declared.description if declared else None) or "",
        "versions": len(history.served), "deprecated": history.deprecated is not None,
        "changed": stamp(events[-1]) if events else "", "authors": sorted({event.author for event in events}),
    }  # fmt: skip


def model_page(model: ModelFacts) -> dict[str, Any]:
    """The page of a model."""
    trends = [*_trends(model)]
    names = [each.metric for each in trends]
    versions = [
        {
            "version": each.version, "page": f"{file_name(each.version)}.html", "state": each.state,
            "stages": each.stages, "at": f"{each.created_at:%Y-%m-%d}", "author": each.author,
            "message": _cut(each.message),
            "metrics": {name: _said(model.metrics_of(each).get(name)) for name in names},
        }
        for each in model.versions
    ]  # fmt: skip
    return {
        **index_row(model), "rows": versions, "trends": trends, "metric_names": names,
        "events": [event_row(model, event) for event in reversed(model.shown_events)],
        "snippet": snippet(_served(model), model.address),
        "metadata": _other(model.history.metadata()),
    }  # fmt: skip


def version_page(model: ModelFacts, facts: VersionFacts, best: VersionFacts | None) -> dict[str, Any]:
    """The page of a version, beside the one that holds the highest stage."""
    version = facts.version
    top = best.version if best is not None else None
    directions = known_metrics(
        model.history.metadata(), *(each.metadata for each in (top, version) if each is not None)
    )
    unmeasured = model.unmeasured.get(version.version, ()) if facts.lineage is not None else ()
    return {
        "name": model.name, "version": version.version, "reference": version.reference, "state": version.state,
        "stages": version.stages, "author": version.author, "at": f"{version.created_at:%Y-%m-%d %H:%M} UTC",
        "message": version.message, "rev": version.rev, "source_rev": version.source_rev, "digest": version.digest,
        "size": version.size, "deprecated": version.deprecated, "served": version.state != WITHDRAWN,
        "metrics": [*_metric_rows(model, version, top, directions)], "top": top.version if top else None,
        "top_page": f"{file_name(top.version)}.html" if top else None,
        "params": rows_of(model.params.get(version.version, {})),
        "metadata": _other(version.metadata),
        "environment": sorted((version.environment or {}).items()),
        "files": [*_files(version)], "inputs": _columns(version, "inputs"), "outputs": _columns(version, "outputs"), "signer": facts.signer,
        "sections": facts.sections, "missing": [each.replace("_", " ") for each in facts.missing],
        "lineage": None, "problems": [*unmeasured, *facts.problems], "diff": _diff(model, facts, best),
        "snippet": snippet(version.reference, model.address),
        "events": [event_row(model, event) for event in reversed(model.events_about(version.version))],
    }  # fmt: skip


def event_row(model: ModelFacts, event: Event) -> dict[str, Any]:
    """What happened once."""
    version, stage = version_in(model, event), getattr(event, "stage", None)
    there = version in model.history.versions
    return {
        "at": stamp(event), "model": model.name, "registry": model.registry, "page": model.page, "kind": event.kind,
        "verb": _VERBS.get(event.kind, event.kind), "version": version, "stage": stage, "author": event.author,
        "version_page": model.page_of(version) if version and there else None,
        "before": model.history.holders_before.get(event.id), "message": _cut(event.message),
    }  # fmt: skip


def version_in(model: ModelFacts, event: Event) -> str | None:
    """The version that an event is about."""
    version = getattr(event, "version", None)
    if version is None and event.kind in ("assign", "unassign"):
        return model.history.version_of(event)  # type: ignore[arg-type]
    return version


def stamp(event: Event) -> str:
    """When it happened."""
    return f"{event.at:%Y-%m-%d %H:%M}"


def model_json(model: ModelFacts, facts: Iterable[VersionFacts]) -> dict[str, Any]:
    """All that is known of a model, for programs."""
    return {
        **{key: value for key, value in index_row(model).items() if key not in ("authors", "registry", "latest_page", "stages")},
        **({"registry": model.registry} if model.registry else {}),
        "stages": {stage: [*holders] for stage, holders in model.history.assignments.items()},
        "metadata": finite(model.history.metadata()),
        "versions": [
            {
                "version": each.version.version, "state": each.version.state, "stages": [*each.version.stages],
                "rev": each.version.rev, "source_rev": each.version.source_rev, "digest": each.version.digest,
                "size": each.version.size, "created_at": each.version.created_at.isoformat(),
                "author": each.version.author, "message": each.version.message,
                "metadata": finite(dict(each.version.metadata)), "metrics": model.metrics_of(each.version),
                "params": finite(dict(model.params.get(each.version.version, {}))), "signed_by": each.signer,
                "files": [file.model_dump(mode="json", exclude_none=True) for file in each.version.registered.files],
                "made_from": [
                    {
                        "kind": node.kind, "name": node.name, "digest": node.digest, "repository": node.repository,
                        "version": node.version,
                    }
                    for node in (each.lineage.nodes if each.lineage is not None else ())
                    if each.lineage is not None and node is not each.lineage.subject
                ],
                "page": model.page_of(each.version.version),
            }
            for each in facts
        ],
        "events": [
            {key: value for key, value in event_row(model, event).items() if key not in ("verb", "registry", "page", "version_page")}
            | {"at": event.at.isoformat(), "message": event.message}
            for event in model.shown_events
        ],
    }  # fmt: skip


# -- parts -------------------------------------------------------------------------------------------------


def snippet(reference: str, address: str | None) -> str:
    """How it is loaded."""
    where = f", registry={json.dumps(address, ensure_ascii=False)}" if address else ""
    return f'import modelregistry as mr\n\nmodel = mr.load_model("{reference}"{where})'


def _served(model: ModelFacts) -> str:
    """The reference that most want: what holds the highest stage. Of several holders, which no reference names, the newest."""
    for stage, holders in model.history.assignments.items():
        return (
            f"{model.name}#{stage}" if len(holders) == 1 else f"{model.name}@{max(holders, key=version_key)}"
        )
    return model.name


def rows_of(values: Mapping[str, JsonValue]) -> list[Row]:
    """Nested values, one row a leaf."""
    return [(key, shown(value)) for key, value in flat(values)]


def _other(metadata: Mapping[str, JsonValue]) -> list[Row]:
    return rows_of({key: value for key, value in metadata.items() if key not in _SAID_ELSEWHERE})


def shown(value: object) -> str:
    """A value as a reader sees it."""
    if isinstance(value, float):
        return number(value)
    if isinstance(value, str):
        return _cut(value)
    return _cut(json.dumps(finite(value), ensure_ascii=False, default=str))


def finite(value: Any) -> Any:
    """The value as JSON has it, which has no NaN and no infinity."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): finite(item) for key, item in value.items()}
    return [finite(item) for item in value] if isinstance(value, list | tuple) else value


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_TEXT else f"{text[:_MOST_TEXT]}…"


def _trends(model: ModelFacts) -> Iterator[Trend]:
    """Of the metrics that most of its versions have."""
    counts: dict[str, int] = {}
    for version in model.versions:
        for name in model.metrics_of(version):
            counts[name] = counts.get(name, 0) + 1
    oldest_first = sorted(model.versions, key=lambda each: (each.created_at, version_key(each.version)))
    for name in sorted(counts, key=lambda name: (-counts[name], name))[:_MOST_TRENDS]:
        yield trend(model.name, name, [(each, model.metrics_of(each).get(name)) for each in oldest_first])


def _metric_rows(
    model: ModelFacts, version: ModelVersion, top: ModelVersion | None, directions: Mapping[str, Metric]
) -> Iterator[dict[str, Any]]:
    base = model.metrics_of(top) if top is not None else {}
    for name, value in sorted(model.metrics_of(version).items()):
        known, other = directions.get(name), base.get(name)
        verdict = better(known.direction, other, value) if known and other is not None else None
        here, there = _told_apart(value, other)
        yield {
            "name": name, "value": here, "base": there,
            "direction": known.direction if known else "", "better": verdict,
        }  # fmt: skip


def _files(version: ModelVersion) -> Iterator[dict[str, Any]]:
    for file in version.registered.files:
        digest = f"sha256:{file.sha256}" if file.sha256 else f"md5:{file.md5}" if file.md5 else ""
        yield {"path": file.path, "digest": digest, "size": file.size}


def _columns(version: ModelVersion, way: str) -> list[Row]:
    signature = version.signature
    found = getattr(signature, way) if signature is not None else ()
    return [
        (column.name or f"({number})", " ".join(str(part) for part in (column.type, column.shape) if part is not None))
        for number, column in enumerate(found)
    ]  # fmt: skip


def _diff(model: ModelFacts, facts: VersionFacts, top: VersionFacts | None) -> dict[str, Any] | None:
    """What is other than in the version that holds the highest stage."""
    if top is None or top is facts:
        return None
    recorded = [
        Recorded(model.measured.get(each.version.version, {}), model.params.get(each.version.version, {}), each.lineage)
        for each in (top, facts)
    ]  # fmt: skip
    found = compare(
        top.version,
        facts.version,
        (recorded[0], recorded[1]),
        metrics=known_metrics(model.history.metadata()),
    )
    rows = [row for row in found.differences if row.what not in ("version", "created_at", "author", "state")]
    lines = [(row.what, *_told_apart(row.base, row.candidate)) for row in rows]
    return {"verdict": found.verdict, "rows": lines, "picture": None}


def _told_apart(one: object, other: object) -> tuple[str, str]:
    """Two values; in full, where they would look alike and are not."""
    told = _said(one), _said(other)
    is_unlike = one != other and None not in (one, other)
    return (_cut(repr(one)), _cut(repr(other))) if is_unlike and told[0] == told[1] else told


def _said(value: object) -> str:
    return "" if value is None else shown(value)
