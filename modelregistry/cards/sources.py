"""Where the facts of a model card come from: the log, the commit, the lineage, and the version it is compared with."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pydantic import JsonValue

from modelregistry.cards.card import CardFacts, ModelCard, Source
from modelregistry.cards.text import CardText, card_in_markdown, card_of
from modelregistry.errors import InvalidFileError, RegistryError
from modelregistry.lineage.lineage import Lineage
from modelregistry.metadata.evaluation import Evaluation, evaluation_in, known_metrics
from modelregistry.metadata.usage import usage_in
from modelregistry.project.declarationtexts import Declaration
from modelregistry.project.dvcfiles import resolve
from modelregistry.project.yamltext import parse, typed
from modelregistry.version import ModelVersion, metrics_of

MOST_BYTES = 1 << 20
"""Of a file with the text of a card."""
_FILE = re.compile(r"[^\n]{1,1000}\.(md|markdown|yaml|yml|json)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the log says besides a version."""

    metadata: Mapping[str, JsonValue] = field(default_factory=dict, hash=False)
    """Of the model as a whole."""
    baseline: ModelVersion | None = None
    """The version that it is compared with: the holder of the highest stage; for that one, who held it before."""


def card(
    version: ModelVersion,
    around: Surroundings,
    *,
    declared: Declaration | None,
    file: str,
    read: Callable[[str], bytes | None],
) -> ModelCard:
    """The card of a version.

    Args:
        version: The version.
        around: What the log says besides.
        declared: Its entry in ``dvc.yaml``.
        file: That ``dvc.yaml``.
        read: Gives the content of a file at the version's commit.

    Raises:
        InvalidFileError: What the team says of it has an unknown field, or one of the wrong type.
    """
    lineage = _lineage(version)
    metrics, evaluated = _metrics(version, lineage)
    baseline = around.baseline
    usage = usage_in(version.metadata) or usage_in(around.metadata)
    evaluation = evaluation_in(version.metadata) or evaluation_in(around.metadata) or Evaluation()
    loader = version.metadata.get("loader")
    facts = CardFacts(
        name=version.name, version=version.version, state=version.state, rev=version.rev, digest=version.digest,
        size=version.size, created_at=version.created_at, author=version.author,
        path=declared.path if declared else None, type=declared.type if declared else None,
        labels=declared.labels if declared else (), description=declared.description if declared else None,
        text=_text(version, around.metadata, declared, file, read), datasets=_datasets(lineage),
        metrics=metrics, directions=known_metrics(around.metadata, version.metadata), evaluated=evaluated,
        baseline=baseline.reference if baseline else None,
        baseline_metrics=_metrics(baseline, _lineage(baseline))[0] if baseline else {},
        usage=usage.text if usage else None, evaluation=evaluation.text, example=usage.example if usage else None,
        signature=version.signature, environment=version.environment or {},
        loader=loader if isinstance(loader, str) else None,
        origin=_origin(version.metadata), said_there=_said_there(version),
    )  # fmt: skip
    return ModelCard(facts)


def text_of(
    version: ModelVersion | None,
    said_of_model: Mapping[str, JsonValue],
    *,
    declared: Declaration | None,
    rev: str,
    file: str,
    read: Callable[[str], bytes | None],
) -> CardText:
    """What people say in the card of a version; of what is none, what its commit says.

    Args:
        version: The version, if it is one.
        said_of_model: The metadata of the model as a whole.
        declared: Its entry in ``dvc.yaml``.
        rev: Its commit.
        file: That ``dvc.yaml``.
        read: Gives the content of a file at the commit.

    Raises:
        InvalidFileError: It has an unknown field, or one of the wrong type, or its file is not there.
    """
    if version is not None:
        return _text(version, said_of_model, declared, file, read)
    return _entry(declared, rev, file, read) if declared is not None else CardText()


def check_declared(declared: Declaration, rev: str, file: str, read: Callable[[str], bytes | None]) -> None:
    """Read what an entry in ``dvc.yaml`` says for a card, if it says anything.

    Args:
        declared: The entry.
        rev: The commit.
        file: That ``dvc.yaml``.
        read: Gives the content of a file at the commit.

    Raises:
        InvalidFileError: It has an unknown field, or one of the wrong type, or its file is not there.
    """
    _entry(declared, rev, file, read)


def _text(
    version: ModelVersion,
    said_of_model: Mapping[str, JsonValue],
    declared: Declaration | None,
    file: str,
    read: Callable[[str], bytes | None],
) -> CardText:
    """What was said of the version since, over what its commit says, over what was said of the model."""
    found = _said(said_of_model, f"the metadata of {version.name!r}")
    if declared is not None:
        found = _entry(declared, version.rev, file, read).over(found)
    found = _said(version.metadata, f"the metadata of {version.reference}").over(found)
    license_ = version.metadata.get("license")  # what track(license=…) recorded
    return found.over(CardText(license=license_[:500])) if isinstance(license_, str) and license_ else found


def _said(metadata: Mapping[str, JsonValue], where: str) -> CardText:
    value = metadata.get("card")
    return card_of(value, where, where) if value is not None else CardText()


def _entry(declared: Declaration, rev: str, file: str, read: Callable[[str], bytes | None]) -> CardText:
    value = declared.meta.get("card")
    where = f"{file} at {rev[:10]}, artifact {declared.name!r}, meta: card"
    return _declared(value, where, file, read) if value is not None else CardText()


def _declared(value: object, where: str, file: str, read: Callable[[str], bytes | None]) -> CardText:
    if not isinstance(value, str) or not _FILE.fullmatch(value):
        return card_of(value, where, file)
    path = resolve(file, value)
    data = read(path) if path is not None else None
    if path is None or data is None:
        raise InvalidFileError(
            f"{where}: {value!r} is not in Git at that commit, relative to {file}, or larger than {MOST_BYTES:,} bytes",
            path=file,
        )
    where = f"{path} at that commit"
    if path.lower().endswith((".md", ".markdown")):
        return card_in_markdown(data.decode("utf-8", "replace"), where, path)
    if not path.lower().endswith(".json"):
        return card_of(typed(parse(data, path)), where, path)
    try:
        return card_of(json.loads(data), where, path)
    except (ValueError, RecursionError) as error:
        raise InvalidFileError(f"{path!r} is no JSON: {error}", path=path) from error


def _lineage(version: ModelVersion) -> Lineage | None:
    try:
        return version.lineage
    except RegistryError:  # nothing declares it, or the commit is not here: the card lacks what it would tell
        return None


def _metrics(
    version: ModelVersion, lineage: Lineage | None
) -> tuple[Mapping[str, float], Mapping[str, JsonValue]]:
    """What it reached, and how that was measured."""
    evaluated = version.metadata.get("evaluated")
    return (
        metrics_of(version, lineage.values("metrics") if lineage is not None else {}),
        evaluated if isinstance(evaluated, dict) else {},
    )


def _origin(metadata: Mapping[str, JsonValue]) -> str | None:
    """Where a version was brought in from, in one line."""
    origin = metadata.get("origin")
    if not isinstance(origin, dict):
        return None
    told = {key: value for key, value in origin.items() if isinstance(value, str)}
    place = told.get("said") or told.get("url") or told.get("file")
    if "rev_lock" not in told:
        return place
    what = (
        f"{told['model']}@{told['version']}" if {"model", "version"} <= told.keys() else told.get("path", "")
    )
    event = f", event {told['event']}" if "event" in told else ""
    return f"{what} of {place} at commit {told['rev_lock'][:10]}{event}"


def _said_there(version: ModelVersion) -> tuple[str, ...]:
    """What came along when it was imported, and is as it came."""
    origin = version.metadata.get("origin")
    words = origin.get("brought") if isinstance(origin, dict) else None
    came = version.registered.metadata if version.registered is not None else {}
    return tuple(
        word
        for word in (words if isinstance(words, list) else ())
        if isinstance(word, str) and word in came and version.metadata.get(word) == came[word]
    )


def _datasets(lineage: Lineage | None) -> tuple[Source, ...]:
    nodes = lineage.datasets if lineage is not None else ()
    return tuple(Source(node.name, node.digest, node.repository) for node in nodes)
