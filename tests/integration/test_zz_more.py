"""One question has one answer, wherever the log is kept: any field, any operator, any argument."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import modelregistry as mr
from modelregistry import Registry
from modelregistry.backends.memory import MemoryBackend
from tests.integration.projects import commit, git, init, write

if TYPE_CHECKING:
    from tests.postgres import Postgres

OWNERS = ("risk", "ops", 'the "old" team', "back\\slash", "日本", "a/b", "", "Ann Author", "current")
DECLARED = """\
artifacts:
  churn: {path: churn.bin, type: model, labels: [tabular, "a b"], desc: Who leaves}
  risk: {path: risk.bin, type: dataset}
  old: {path: old.bin}
metrics: [m.json]
params: [p.yaml]
"""


@pytest.fixture(scope="module")
def registries(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> list[Registry]:
    """One log in memory, Git, SQLite, PostgreSQL, in a mirror in a database, and in a copy of a Git URL."""
    folder = tmp_path_factory.mktemp("everywhere")
    root = init(folder / "project")
    source = Registry(root, remote=None)
    for number in range(6):
        write(root / "dvc.yaml", DECLARED)
        write(root / "nlp" / "dvc.yaml", "artifacts: {deep: {path: deep.bin, type: model}}\n")
        write(
            root / "m.json",
            json.dumps({"auc": number / 8 if number != 2 else float("nan"), "by": {"l/v": number}}),
        )
        write(root / "p.yaml", f"depth: {number}\nlayers: [1, {number}]\n")
        for name in ("churn", "risk", "old", "nlp/deep"):
            write(root / f"{name}.bin", f"{name}{number // 2}" * (number + 1))
        commit(root, f"Round {number}")
        said = {
            "owner": OWNERS[number],
            "count": number,
            "x-y": {"deep": [OWNERS[-number], number]},
            "ok": number > 2,
        }
        source.register("churn", message=f"round {number}\n{OWNERS[-number]}", metadata=said)
        if number % 2:
            source.register("risk", version=f"v1.0.0-rc.{number}", metadata={"owner": OWNERS[-number]})
    source.register("old", rev="HEAD~2")
    source.register("nlp:deep", metrics={"auc": 0.9})
    git(root, "tag", "--annotate", "--message=by GTO, for risk", "churn@v3.0.0", "HEAD~1")
    git(root, "tag", "--annotate", "--message=by GTO", "churn#canary#1", "HEAD~1")
    source = Registry(root, remote=None)
    source.promote("churn", "v0.1.0", "current", message="first")
    source.promote("churn", "v0.1.2", "current", message="then")
    source.promote("churn", "v0.1.2", "shadow", keep=True)
    source.promote("churn", "v0.1.3", "shadow")
    source.demote("churn", "shadow")
    source.promote("risk", "v1.0.0-rc.1", "shadow")
    source.withdraw("churn", "v0.1.1")
    source.annotate("churn", "v0.1.4", {"owner": "ops", "metrics": {"f1": 1}})
    source.annotate("risk", "v1.0.0-rc.3", {"owner": None})
    source.deprecate("old")
    memory = MemoryBackend()
    source.copy_log(memory)
    places: list[Any] = [memory]
    for address in (f"sqlite:///{folder / 'log.db'}", postgres.create()):
        mr.migrate(address)
        source.copy_log(address)
        places.append(address)
    mirror = f"sqlite:///{folder / 'mirror.db'}"
    mr.migrate(mirror)
    source.mirror(mirror)
    git(folder, "clone", "--quiet", "--bare", os.fspath(root), "hub.git")
    found = [Registry(root, backend=place, remote=None) for place in [*places, mirror]]
    return [*found, source, Registry((folder / "hub.git").as_uri())]


ODD = ("x", "", "current", "inactive", "withdrawn", "NaN", "git:", "null", "2026-01-01")
PATTERNS = ("*", "?hurn", "*s*", "[cn]*", "", "*\\*", "v0.*", "sha256:*", "round*", "*GTO*", "*'*")
TIMES = ("2020-01-01", "2030-01-01T12:00", "2026-01-01T00:00:00+05:30", "9999-12-31")
FIELDS = (
    "name", "state", "author", "email", "message", "rev", "source_rev", "type", "description", "path", "stage", "labels", "digest",
    "repository", "size", "latest", "deprecated", "version", "created_at", "metadata", "metrics", "params", "metadata.owner",
    "metadata.count", "metadata.ok", "metadata.nothing", 'metadata["x-y"]', 'metadata["x-y"].deep', 'metadata["x-y"].deep[0]',
    "metrics.auc", "metrics.f1", "metrics.by", 'metrics.by["l/v"]', "metrics.nothing.at.all", "params.depth", "params.layers",
    "params.layers[1]",
)  # fmt: skip
STANDING = ("latest", "deprecated", "metadata.ok", "true")
Said = Mapping[str, Sequence[str]]
"""What the versions say of each field, as a query has it."""


def spelt(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def values_in(value: object) -> Iterator[object]:
    match value:
        case datetime():
            yield from (value.isoformat(), f"{value:%Y-%m-%d}", f"{value:%Y-%m-%dT%H:%MZ}")
        case list() | dict():
            yield from (each for each in value if isinstance(each, str | int))
        case str() | int() | float():
            yield value


def said_in(rows: Sequence[Mapping[str, object]]) -> Said:
    return {
        field: sorted({spelt(each) for row in rows for each in values_in(row[field])}) for field in FIELDS
    }


@st.composite
def comparisons(draw: st.DrawFn, said: Said) -> str:
    field, other = draw(st.sampled_from(FIELDS)), draw(st.sampled_from(FIELDS))
    strict = field in ("version", "created_at", "stage")
    odd = st.sampled_from([*map(spelt, ODD), "0", "1.5", "true"])
    known = st.sampled_from(said[field] or ["1"])
    value = known if strict else st.one_of(known, known, odd)
    listed = st.lists(value, max_size=3).map(lambda items: f"[{', '.join(items)}]")
    sign = draw(st.sampled_from(["==", "==", "!=", "<", "<=", ">", ">="]))
    word = draw(st.sampled_from(["", "not "]))
    forms = [
        value.map(lambda found: f"{field} {sign} {found}"), value.map(lambda found: f"{found} {sign} {field}"),
        listed.map(lambda found: f"{field} {word}in {found}"), st.sampled_from(STANDING), st.just(f"{field} {sign} {other}"),
        st.sampled_from(PATTERNS).map(lambda found: f"{field} {word}like {spelt(found)}"),
        st.sampled_from([f"{field} == null", f"null != {field}"]),
        st.sampled_from([*said["path"], '"p.yaml"', *said["digest"]]).map(lambda found: f"made_from {word}in [{found}]"),
    ]  # fmt: skip
    if field not in ("version", "created_at"):
        forms.append(value.map(lambda found: f"{found} {word}in {field}"))
    return draw(st.one_of(forms))


def expressions(said: Said) -> st.SearchStrategy[str]:
    def joined(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        return st.one_of(
            st.builds("({}) and ({})".format, inner, inner),
            st.builds("({}) or ({})".format, inner, inner),
            st.builds("not ({})".format, inner),
        )

    return st.recursive(comparisons(said), joined, max_leaves=4)


@st.composite
def options(draw: st.DrawFn, said: Said) -> dict[str, Any]:
    """Two arguments at most, or nothing would be left; an order, and a limit."""
    fields = {"name": "name", "stage": "stage", "state": "state", "type": "type", "label": "labels", "author": "email", "digest": "digest"}  # fmt: skip
    found: dict[str, Any] = {}
    for argument in draw(st.lists(st.sampled_from([*fields, "made_from", "since", "until"]), max_size=2)):
        if argument in ("since", "until"):
            found[argument] = draw(st.sampled_from(TIMES))
            continue
        known = [
            each for each in map(json.loads, said[fields.get(argument, "path")]) if isinstance(each, str)
        ]
        text = st.sampled_from([*known, *known, *ODD, *(PATTERNS if argument in ("name", "author") else ())])
        found[argument] = draw(st.one_of(text, st.lists(text, max_size=2)))
    keys = st.builds("{}{}".format, st.sampled_from(["", "-"]), st.sampled_from(FIELDS))
    return found | {
        "sort": draw(st.lists(keys, max_size=3)),
        "limit": draw(st.sampled_from([None, None, 0, 1, 5])),
    }


@pytest.mark.filterwarnings("ignore:.*could not be read whole")
def test_one_question_has_one_answer_wherever_the_log_is_kept(
    registries: list[Registry], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "modelregistry.registry.hub.FEW", 0
    )  # a database is asked for candidates, though they are few
    everything = "state == 'withdrawn' or deprecated or not deprecated"
    rows = registries[0].search(everything, sort=FIELDS)
    assert len(rows) == 12
    said = said_in(rows.to_dicts())

    @settings(max_examples=2500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.one_of(st.none(), expressions(said)), st.one_of(st.just({}), options(said)))
    def check(query: str | None, asked: dict[str, Any]) -> None:
        answers = []
        for registry in registries:
            registry._folded.clear()  # nothing is known before
            found = registry.search(query, **asked)
            answers.append(
                ([each.reference for each in found], found.total, found.unread, repr(found.to_dicts()))
            )
        for registry, answer in zip(registries, answers, strict=True):
            assert answer == answers[0], (registry, query, asked)

    check()
