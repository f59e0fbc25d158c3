"""A model card: what a registry knows of a version and what its team says of it, as one Markdown page."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import TypeVar

import yaml
from pydantic import JsonValue

from modelregistry.cards.text import PARTS, CardText
from modelregistry.display.markdown import block, code, fenced, inline, paragraph, table
from modelregistry.display.shown import Shown
from modelregistry.display.view import Listing, Note, View
from modelregistry.metadata.evaluation import Metric
from modelregistry.metadata.signature import Column, ModelSignature

_Item = TypeVar("_Item")
_LIBRARIES: Mapping[str, str] = {
    "catboost": "catboost", "joblib": "sklearn", "keras": "keras", "lightgbm": "lightgbm", "onnx": "onnx",
    "pickle": "sklearn", "sentence-transformers": "sentence-transformers", "skops": "sklearn", "spacy": "spacy",
    "torch": "pytorch", "transformers": "transformers", "xgboost": "xgboost",
}  # fmt: skip
"""What Hugging Face calls the libraries behind the loaders."""
_WORDS: Mapping[str, str] = {
    "summary": "what it is", "intended_use": "the intended use", "limits": "the limits",
    "training_data": "the training data", "metrics": "metrics", "baseline": "metrics of another version to compare with",
    "usage": "an example of its input, or how it is called", "environment": "what it was made with",
    "contact": "whom to ask", "license": "the license", "language": "the language",
}  # fmt: skip
_MOST_ROWS = 200


@dataclass(frozen=True, slots=True, repr=False)
class Source(Shown):
    """One thing that the model was made from."""

    name: str
    digest: str | None = None
    repository: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class CardFacts(Shown):
    """What is known of a version."""

    name: str
    version: str
    state: str
    rev: str
    digest: str | None
    size: int | None
    created_at: datetime
    author: str
    path: str | None = None
    type: str | None = None
    labels: tuple[str, ...] = ()
    description: str | None = None
    text: CardText = field(default_factory=CardText)
    datasets: tuple[Source, ...] = ()
    metrics: Mapping[str, float] = field(default_factory=dict, hash=False)
    directions: Mapping[str, Metric] = field(default_factory=dict, hash=False)
    evaluated: Mapping[str, JsonValue] = field(default_factory=dict, hash=False)
    """How the metrics were measured, where this library did it."""
    baseline: str | None = None
    """The version that it is compared with."""
    baseline_metrics: Mapping[str, float] = field(default_factory=dict, hash=False)
    usage: str | None = None
    evaluation: str | None = None
    example: str | None = None
    signature: ModelSignature | None = None
    environment: Mapping[str, str] = field(default_factory=dict, hash=False)
    loader: str | None = None
    origin: str | None = None
    """Where it was brought in from."""
    said_there: tuple[str, ...] = ()
    """What of its metadata came along from there, and nobody has said otherwise since."""


@dataclass(frozen=True, slots=True, repr=False)
class ModelCard(Shown):
    """A model card: its text is Markdown, with the front matter of the cards of Hugging Face."""

    facts: CardFacts = field(hash=False)

    @property
    def reference(self) -> str:
        """The version, as ``name@version``."""
        return f"{self.facts.name}@{self.facts.version}"

    @property
    def missing(self) -> tuple[str, ...]:
        """The parts of a card that nobody has said anything of, in the card's order."""
        facts, text = self.facts, self.facts.text
        there = {
            "summary": text.summary or facts.description,
            "intended_use": text.intended_use,
            "limits": text.limits,
            "training_data": text.training_data or facts.datasets,
            "metrics": facts.metrics,
            "baseline": facts.metrics.keys() & facts.baseline_metrics.keys(),
            "usage": text.usage or facts.usage or facts.example,
            "environment": facts.environment,
            "contact": text.contact,
            "license": text.license,
            "language": text.language,
        }
        return tuple(part for part in PARTS if not there[part])

    @property
    def front_matter(self) -> dict[str, JsonValue]:
        """What stands at the head of the card, by the keys of Hugging Face; what is not known is left out."""
        facts, text = self.facts, self.facts.text
        sources = text.datasets or tuple(dict.fromkeys(source.name for source in facts.datasets))
        found: dict[str, JsonValue] = {
            **text.other,
            "license": text.license,
            "language": _plain(text.language),
            "library_name": text.library_name or _LIBRARIES.get(facts.loader or ""),
            "pipeline_tag": text.pipeline_tag,
            "base_model": _plain(text.base_model),
            "tags": [*dict.fromkeys([*(text.tags or ()), *facts.labels])],
            "datasets": [sources] if isinstance(sources, str) else [*sources],
            "metrics": [*facts.metrics],
            "version": facts.version,
        }
        if facts.metrics and text.pipeline_tag and "model-index" not in text.other:
            found["model-index"] = [{"name": facts.name, "results": [_result(facts, text.pipeline_tag)]}]
        joined = ((_in_one_line(key), _lines_joined(value)) for key, value in found.items())
        return {key: value for key, value in joined if value not in (None, [], "")}

    @property
    def data(self) -> dict[str, JsonValue]:
        """Everything that the card says, as JSON."""
        facts, text = self.facts, self.facts.text
        said = text.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
        metrics: dict[str, JsonValue] = {name: _metric(facts, name) for name in facts.metrics}
        return {
            "name": facts.name, "version": facts.version, "state": facts.state, "rev": facts.rev,
            "digest": facts.digest, "size": facts.size, "created_at": facts.created_at.isoformat(),
            "author": facts.author, "path": facts.path, "type": facts.type, "labels": [*facts.labels],
            "description": facts.description, "text": said,
            "datasets": [{"name": each.name, "digest": each.digest, "repository": each.repository} for each in facts.datasets],
            "metrics": metrics, "baseline": facts.baseline, "evaluated": dict(facts.evaluated),
            "usage": facts.usage, "evaluation": facts.evaluation, "example": facts.example, "loader": facts.loader,
            "signature": facts.signature.to_dict() if facts.signature is not None else None,
            "environment": dict(facts.environment), "origin": facts.origin, "said_there": [*facts.said_there],
            "front_matter": self.front_matter, "missing": [*self.missing],
        }  # fmt: skip

    def to_markdown(self) -> str:
        """The page."""
        front = yaml.safe_dump(
            self.front_matter, sort_keys=False, allow_unicode=True, default_flow_style=False, width=1 << 16
        )
        parts = [f"---\n{front}---", f"# {inline(self.facts.name)} {inline(self.facts.version)}"]
        for title, body in self._sections():
            if body:
                parts.append(f"## {title}\n\n{body}" if title else body)
        return "\n\n".join(parts) + "\n"

    def __str__(self) -> str:
        return self.to_markdown()

    def _line(self) -> str:
        return f"ModelCard({self.reference!r}, missing={self.missing!r})"

    def _view(self) -> View:
        missing = [Note(f"Nobody said: {', '.join(self.missing)}", "warn")] if self.missing else []
        return View(
            f"Card of {self.reference}", blocks=[*missing, Listing("Markdown", self._repr_markdown_())]
        )

    _repr_html_ = None  # type: ignore[assignment]  # a notebook sets the Markdown better

    def _repr_markdown_(self) -> str:
        page = self.to_markdown()
        return page[page.index("\n---\n", 3) + len("\n---\n") :].lstrip("\n")

    def _sections(self) -> Iterator[tuple[str, str]]:
        facts, text = self.facts, self.facts.text
        yield "", block(text.summary) if text.summary else paragraph(facts.description or "")
        yield "", table(["", ""], [(title, value) for title, value in _facts(facts) if value])
        yield "Intended use", block(text.intended_use or "")
        yield "Limits", block(text.limits or "")
        yield "Training data", _joined(block(text.training_data or ""), _datasets(facts.datasets))
        yield "Metrics", _joined(_metrics(facts), block(text.evaluation or facts.evaluation or ""))
        yield (
            "How to load it",
            _joined(_snippet(facts), block(text.usage or facts.usage or ""), _inputs(facts)),
        )
        yield (
            "Environment",
            _joined(
                *[f"- {inline(name)} {inline(version)}" for name, version in _cut(facts.environment.items())],
                between="\n",
            ),
        )
        yield "Contact", block(text.contact or "")
        yield "More", block(text.text or "")
        missing = [f"- {_WORDS[part]}" for part in self.missing]
        yield "Not known", "Nobody has said yet:\n\n" + "\n".join(missing) if missing else ""


def _facts(facts: CardFacts) -> Iterator[tuple[str, str]]:
    yield "state", inline(facts.state)
    yield "registered", f"{facts.created_at:%Y-%m-%d %H:%M} UTC by {inline(facts.author)}"
    yield "commit", code(facts.rev)
    yield "path", code(facts.path or "")
    yield "digest", code(facts.digest or "")
    yield "bytes", f"{facts.size:,}" if facts.size is not None else ""
    yield "type", inline(facts.type or "")
    yield "labels", ", ".join(map(inline, facts.labels))
    yield "from", inline(facts.origin or "")
    yield "as said there", ", ".join(map(inline, facts.said_there))


def _datasets(datasets: Sequence[Source]) -> str:
    lines = []
    for source in _cut(datasets):
        where = f" of {inline(source.repository)}" if source.repository else ""
        digest = f" ({code(source.digest)})" if source.digest else ""
        lines.append(f"- {code(source.name)}{where}{digest}")
    return "\n".join(lines)


def _metrics(facts: CardFacts) -> str:
    if not facts.metrics:
        return ""
    titles = ["metric", "value", *([code(facts.baseline)] if facts.baseline else []), "better", "wanted"]
    rows = []
    for name, value in _cut(facts.metrics.items()):
        known = facts.directions.get(name)
        row = [inline(name), _number(value)]
        if facts.baseline:
            row.append(_number(facts.baseline_metrics.get(name)))
        sign = "≥" if known is not None and known.direction == "higher" else "≤"
        limit = f"{sign} {_number(known.threshold)}" if known and known.threshold is not None else ""
        rows.append([*row, known.direction if known else "", limit])
    shown = table(titles, rows)
    data, digest = facts.evaluated.get("data"), facts.evaluated.get("digest")
    if isinstance(digest, str):
        shown += f"\n\nMeasured on {code(data if isinstance(data, str) else 'data')} ({code(digest)})."
    return shown


def _snippet(facts: CardFacts) -> str:
    reference = json.dumps(f"{facts.name}@{facts.version}")
    return fenced(f"import modelregistry as mr\n\nmodel = mr.load_model({reference})", "python")


def _inputs(facts: CardFacts) -> str:
    example = f"An example of the input: {code(facts.example)}" if facts.example else ""
    signature = facts.signature
    if signature is None:
        return example
    columns = [("in", column) for column in signature.inputs] + [
        ("out", column) for column in signature.outputs
    ]
    rows = [(way, inline(column.name or ""), inline(_type(column))) for way, column in _cut(columns)]
    return _joined(table(["", "name", "type"], rows) if rows else "", example)


def _type(column: Column) -> str:
    shape = f" {list(column.shape)}" if column.shape is not None else ""
    return f"{column.type or ''}{shape}{'' if column.required else ' (may be left out)'}".strip()


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


def _metric(facts: CardFacts, name: str) -> JsonValue:
    known = facts.directions.get(name)
    return {
        "value": facts.metrics[name],
        "baseline": facts.baseline_metrics.get(name),
        "direction": known.direction if known else None,
        "threshold": known.threshold if known else None,
    }


def _result(facts: CardFacts, task: str) -> JsonValue:
    """What Hugging Face calls a result: a task, the data, and metrics."""
    data = facts.evaluated.get("data")
    name = data if isinstance(data, str) else "the data that the pipeline measured it with"
    digest = facts.evaluated.get("digest")
    dataset: dict[str, JsonValue] = {"type": "other", "name": name}
    if isinstance(digest, str):
        dataset["revision"] = digest
    metrics: list[JsonValue] = [
        {"type": metric, "name": metric, "value": value} for metric, value in facts.metrics.items()
    ]
    return {"task": {"type": task}, "dataset": dataset, "metrics": metrics}


def _plain(words: str | tuple[str, ...] | None) -> JsonValue:
    return [*words] if isinstance(words, tuple) else words


def _lines_joined(value: JsonValue) -> JsonValue:
    """The value with each text in one line, so that none can end the front matter."""
    if isinstance(value, str):
        return _in_one_line(value)
    if isinstance(value, list):
        return [_lines_joined(item) for item in value]
    if isinstance(value, dict):
        return {_in_one_line(key): _lines_joined(item) for key, item in value.items()}
    return value


def _in_one_line(text: str) -> str:
    return " ".join(text.encode("utf-8", "replace").decode().split())


def _joined(*parts: str, between: str = "\n\n") -> str:
    return between.join(part for part in parts if part)


def _cut(items: Iterable[_Item]) -> list[_Item]:
    return list(islice(items, _MOST_ROWS))
