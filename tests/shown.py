"""One of everything that a caller gets to see, made of one text, and texts that mean harm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from modelregistry.backends.base import Synced
from modelregistry.bundles.bundling import Bundled
from modelregistry.bundles.unbundling import Unbundled
from modelregistry.cards.card import CardFacts, ModelCard, Source
from modelregistry.cards.text import CardText
from modelregistry.catalog import Hit, Hits
from modelregistry.comparison import Difference, compare
from modelregistry.comparisons import Beside, Comparisons
from modelregistry.content.cache import COLUMNS as CACHED_COLUMNS
from modelregistry.content.cache import Cached, Damaged
from modelregistry.display.listing import (
    MODEL_COLUMNS,
    PROBLEM_COLUMNS,
    VERSION_COLUMNS,
    Events,
    Model,
    event_columns,
)
from modelregistry.display.tables import Rows
from modelregistry.exports.manifest import Exported, ExportManifest, ManifestFile
from modelregistry.intake.imports import Import, ImportUpdate
from modelregistry.lineage.declared import Input
from modelregistry.lineage.impact import Affected, ordered
from modelregistry.lineage.lineage import CodeChanges, FileChange, Lineage, ValueChange
from modelregistry.lineage.node import Edge, Node
from modelregistry.lineage.reproduced import COLUMNS as COMPARED_COLUMNS
from modelregistry.lineage.reproduced import Compared, Reproduction
from modelregistry.loading.following import Serving
from modelregistry.log.checks import Problem
from modelregistry.log.copying import Copied
from modelregistry.log.events import (
    Annotated,
    Assigned,
    Bytes,
    DeclaredInput,
    DeclaredLineage,
    Deprecated,
    Deregistered,
    Event,
    FileDigest,
    Judged,
    Registered,
    Unassigned,
    Withdrawn,
)
from modelregistry.metadata.evaluating import Evaluated
from modelregistry.metadata.evaluation import Evaluation, Metric
from modelregistry.metadata.signature import Column, ModelSignature
from modelregistry.metadata.usage import Usage
from modelregistry.mlflow.migration import Migration, MigrationStep
from modelregistry.names import Reference
from modelregistry.refevent import RefEvent
from modelregistry.search.search import Found
from modelregistry.site.writer import Site
from modelregistry.trend import Measure, Trend
from modelregistry.trust.grant import Grant
from modelregistry.trust.pins import PinnedDigest
from modelregistry.version import ModelVersion

HOSTILE = (
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>'",
    "</style></svg></table></div><script>alert(1)</script>",
    "]]><!--<b>",
    "{{7*7}} {% raw %} ${x} [bold red]x[/] :smile: [link=javascript:alert(1)]x[/link]",
    "\x1b[31mred\x1b[0m\x1b]0;title\x07\r\x08\x9b2J",
    "\u202egnp.exe\u2066\u2069\u200f",
    "\x00\ud800\ufffe\u2028\u2029\x85",
    "two\nlines\r\nand\ta tab\x0b\x0c",
    "&lt;b&gt; &amp;#60; &#x3c;script&#x3e;",
    "نموذج العملاء",
    "模型 🦊👩\u200d👩\u200d👧 e\u0301",
    "x" * 5_000,
    " ",
)
"""Names and messages that a stranger may choose."""
START = datetime(2026, 11, 1, 12, 30, tzinfo=UTC)
DIGEST = f"sha256:{'ab' * 32}"


def version_of(text: str, number: int = 0, *, metadata: Mapping[str, Any] | None = None) -> ModelVersion:
    stages = ("current", text) if number == 1 else ()
    return ModelVersion(
        name=text, version=f"v0.{number}.0", state="current" if stages else "inactive", stages=stages, rev="ab" * 20,
        source_rev="ab" * 20, digest=DIGEST, size=1_234_567, created_at=START + timedelta(days=number), author=text,
        message=text, metadata=metadata if metadata is not None else {text: text, "metrics": {"auc": 0.9, text: 0.123456789}},
        head=text, deprecated=number == 1, registered=registered(text),
    )  # fmt: skip


def registered(text: str) -> Registered:
    return _event(Registered, text, version="v0.1.0", digest=text, metadata={text: text})


def _event(kind: type[Any], text: str, **facts: Any) -> Any:
    # As a log gives them: text of strangers is not validated as names are.
    return kind.model_construct(
        kind=kind.kind_name, model=text, id=text, at=START, author=text, email=text, message=text, rev=text,
        number=1, source=text, **facts,
    )  # fmt: skip


def lineage_of(text: str, depth: int = 1) -> Lineage:
    nodes = [
        Node("model:m", "model", text, digest=DIGEST, rev="a" * 40),
        Node("step:s", "step", text, values={"cmd": text}),
        Node("dataset:d", "dataset", text, digest=DIGEST, status="stale", note=text),
        Node("params:p", "params", text, values={text: depth, "other": text}),
        Node(f"code:{depth}", "code", text),
    ]
    edges = [Edge("model:m", "step:s"), *(Edge("step:s", node.id) for node in nodes[2:])]
    return Lineage(nodes, edges, [text])


def events_of(text: str) -> list[Event]:
    return [
        registered(text), _event(Withdrawn, text, version=text), _event(Deregistered, text, version=text),
        _event(Assigned, text, stage=text, version=text, leaves=(text,), judged=(Judged(figure=text, wish=text),)),
        _event(Unassigned, text, stage=text), _event(Annotated, text, metadata={text: [text, {text: 1}]}), _event(Deprecated, text),
    ]  # fmt: skip


def lists_of(text: str, count: int) -> list[Rows[Any]]:
    """One of every list, of so many rows."""
    versions = [version_of(text, number % 9) for number in range(count)]
    models = [
        Model(text, text, "v0.1.0", {"current": ("v0.1.0",), text: (text, text)}, description=text)
        for _ in versions
    ]
    events = [events_of(text)[number % 7] for number in range(count)]
    steps = [
        MigrationStep(text, ("rename", "register", "lose", "skip")[number % 4], text, text)
        for number in range(count)
    ]  # type: ignore[arg-type]
    metric = {text: lambda row: row.metadata["metrics"], "auc": lambda row: 0.5}
    return [
        Rows(models, MODEL_COLUMNS), Rows(versions, VERSION_COLUMNS), Rows(events, event_columns({text: text})),
        Events(events, event_columns({}), cursor=text), Rows([Problem(text, text, text, text)] * count, PROBLEM_COLUMNS),
        Found(versions, {**VERSION_COLUMNS, **metric}, total=count + 12_345, unread={text: text} if count else {}),
        Hits([Hit(text, each, {text: text, "auc": 1.0}) for each in versions], total=count, unread={}),
        ordered([Affected(each, lineage_of(text).nodes, text) for each in versions]),
        Migration(steps, dry_run=True), Migration(steps, dry_run=False),
        Rows([Compared(text, "model", "different", text, text, text)] * count, COMPARED_COLUMNS),
        Rows([Cached(text, text, 1, 10**9, 0, START, (text,), (text,))] * count, CACHED_COLUMNS),
        Rows([(text, None)] * count, {text: lambda row: row[0], f"{text} ": lambda row: row[1]}),
    ]  # fmt: skip


def examples(text: str) -> list[Any]:
    """One of everything."""
    one, other = version_of(text), version_of(text, 1)
    lineage = lineage_of(text)
    changed = lineage.diff(lineage_of(text, 2))
    signature = ModelSignature((Column(text, text, (None, 3)),), (Column(),))
    card = CardText.model_construct(
        **dict.fromkeys(("summary", "limits", "contact", "license", "text"), text), other={}
    )
    facts = CardFacts(
        name=text, version=text, state=text, rev=text, digest=text, size=1, created_at=START, author=text, path=text,
        labels=(text,), description=text, text=card, datasets=(Source(text, text, text),), metrics={text: 0.5}, usage=text,
        signature=signature, environment={text: text},
    )  # fmt: skip
    grant = Grant(
        text,
        text,
        True,
        text,
        text,
        text,
        text,
        "named",
        (text, "b"),
        PinnedDigest(text, True, text, text, text),
    )
    evaluated = Evaluated(
        text, {text: 0.25}, (text,), text, text, (text, text), {text: text}, 1.5, False, text
    )
    rows = Rows([Compared(text, "model", "identical", text, text, text)], COMPARED_COLUMNS)
    file = ManifestFile.model_construct(path=text, size=1, sha256=text)
    manifest = ExportManifest.model_construct(
        format=text, name=text, version=text, digest=text, size=1, state=text, stages=(text,), contents=(file,), files=(file,),
        message=text, metadata={text: text}, artifact=text,
    )  # fmt: skip
    trend = Trend(
        text,
        text,
        (Measure(text, 0.5, START, (text,), text, text), Measure("v2", 0.7, START, (), text, text)),
        (text,),
    )
    return [
        one, other, replace(one, state="withdrawn", digest=None, size=None), replace(one, message="", author="", metadata={}),
        Model(text, text, text, {text: (text,)}, path=text, labels=(text,)), lineage, changed, lineage.diff(lineage),
        *lineage.nodes, *lineage.edges, ValueChange(text, text, text, {text: text}), FileChange(text, 1, None),
        CodeChanges((FileChange(text, 1, 2),), (text,)), compare(one, other), compare(one, one), Difference(text, text, one),
        Comparisons(one, (compare(one, other), compare(one, one))), Beside(text, one, (text, other), (None, True), differs=True),
        trend, *trend.points, *events_of(text), FileDigest(path=text, sha256=text), Judged(figure=text, wish=text),
        DeclaredInput(path=text, name=text), DeclaredLineage(params={text: text}), Bytes(text, text),
        signature, *signature.inputs, facts, *facts.datasets, card, ModelCard(facts), grant, replace(grant, granted=False, before=None),
        PinnedDigest(text, True, names=(text,)), evaluated, Evaluation(text=text, metrics={text: Metric(direction="lower")}),
        Metric(direction="higher", threshold=0.5), Usage(text=text), Reproduction(text, rows, 2.5, text),
        Reproduction(text, Rows([Compared(text, "metrics", "missing", text, None)], COMPARED_COLUMNS), 2.5, ""), *rows,
        Problem(text, text, text, text), Hit(text, one, {text: text}), Affected(one, lineage.nodes, text), Site(Path("x"), (text,), (text,), ()),
        file, manifest, Exported(text, manifest, (text,)), Import(text, text, as_name=text, metadata={text: text}),
        ImportUpdate(True, one, text, text), Input(url=f"https://example.com/{'x' * 300}", name="n"), Reference(text, text),
        Migration([], dry_run=True), MigrationStep(text, "lose", text, text), Cached(text, text, 1, 10**9, 0, START, (text,), (text,)),
        Damaged(text, text, text), Bundled(Path("x"), 10**9, (text,) * 50, 3, (text,)), Unbundled(Path("x"), (text,), (text,)),
        Copied(1, 2, (text,)), Synced((text,), (text,)), Serving(one, text),
        RefEvent("registration", text, text, text, text, text, text, text, text, text, text, START, True),
        *lists_of(text, 2),
    ]  # fmt: skip
