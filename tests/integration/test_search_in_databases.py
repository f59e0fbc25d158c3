"""A search asks a database which logs can hold an answer, reads those, and finds what it finds in memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import modelregistry as mr
from modelregistry import Registry
from modelregistry.backends.base import Backend, Entry, Log
from modelregistry.backends.memory import MemoryBackend
from modelregistry.backends.sql import SqlBackend
from modelregistry.log.tags import render
from modelregistry.search.clues import clue_of
from modelregistry.search.fields import FIELDS
from modelregistry.search.parser import parse
from tests.integration.projects import commit, init, write

if TYPE_CHECKING:
    from tests.postgres import Postgres

MODELS = 30
OWNERS = (
    "risk", "ops", 'the "old" team', "back\\slash", "línea", "a/b", "日本", "line\nbreak", "risk\N{REPLACEMENT CHARACTER}",
    "\N{FOX FACE}", "", "null", "%", "_", "x'y",
)  # fmt: skip
KEYS = ("owner", "a.b", "nested", "ключ", 'k"ey')


def say(number: int) -> dict[str, Any]:
    """What is said of a model's version: every owner, by every key."""
    owner = OWNERS[number % len(OWNERS)]
    key = KEYS[number // 3 % len(KEYS)]
    said: dict[str, Any] = {key: {"deep": owner} if key == "nested" else owner, "count": number}
    return said | ({"teams": [owner, "all"]} if number % 3 == 0 else {})


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = init(tmp_path_factory.mktemp("databases") / "project")
    names = [f"m{number}" for number in range(MODELS)]
    write(root / "dvc.yaml", "artifacts:\n" + "".join(f"  {name}: {{path: model.bin}}\n" for name in names))
    write(root / "model.bin", "1")
    write(root / "metrics.json", '{"auc": 0.5}')
    commit(root)
    return root


@pytest.fixture(scope="module")
def memory(project: Path) -> MemoryBackend:
    """The log that the others are copies of."""
    log = MemoryBackend()
    registry = Registry(project, backend=log, remote=None)
    for number in range(MODELS):
        name = f"m{number}"
        registry.register(
            name, message=f"Round {number} of {OWNERS[number % len(OWNERS)]}", metadata=say(number)
        )
        if number % 4 == 0:
            registry.promote(name, "v0.1.0", ("current", "shadow")[number % 8 == 0])
        if number % 5 == 0:
            registry.annotate(name, "v0.1.0", say(number + 7))
        if number % 9 == 0:
            registry.withdraw(name, "v0.1.0", then=mr.EMPTY)
    return log


def spelled_otherwise(log: Log) -> Iterator[Entry]:
    """The same log, as another writer would spell its JSON."""
    for event in sorted(log.events, key=lambda event: event.order):
        text = render(event)
        head, _, trailer = text[:-1].rpartition(b"Model-Registry: ")
        facts = json.loads(trailer)
        plain = json.dumps(facts, ensure_ascii=False).replace("/", "\\/")
        if log.model.endswith(("1", "5")):
            plain = plain.replace("risk", "\\u0072isk").replace("owner", "o\\u0077ner")
        yield Entry(event, head + b"Model-Registry: " + plain.encode() + b"\n")


def filled(address: str, memory: MemoryBackend) -> str:
    """A database with the log, half of it as another writer spells it."""
    mr.migrate(address)
    backend = mr.open_backend(address)
    for number, log in enumerate(memory.read_all()):
        backend.extend(log.model, [*spelled_otherwise(log)] if number % 2 else log.entries())
    return address


@pytest.fixture(scope="module")
def databases(
    memory: MemoryBackend, postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> list[Backend]:
    sqlite = f"sqlite:///{tmp_path_factory.mktemp('sqlite') / 'log.db'}"
    return [mr.open_backend(filled(address, memory)) for address in (sqlite, postgres.create())]


Told = Mapping[str, Any]
Leaf = tuple[str, Callable[[Told], bool]]
texts = st.sampled_from(
    [*OWNERS, "all", "nobody", "Ann Author", "ann@example.com", "current", "shadow", "isk", "Round 3 of "]
)
said_keys = st.sampled_from(["owner", "a.b", "ключ", 'k"ey', "nothing"])


def quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def is_text(value: object) -> bool:
    return isinstance(value, str)


@st.composite
def comparisons(draw: st.DrawFn) -> Leaf:
    """An expression, and what it means in plain Python."""
    text, key = draw(texts), draw(said_keys)
    field = f"metadata[{quoted(key)}]"
    listed = draw(st.lists(texts, max_size=2))
    number = draw(st.integers(0, MODELS))
    plain = draw(st.sampled_from(["author", "email", "message", "state", "rev", "digest"]))
    return draw(
        st.sampled_from([
            (f"{field} == {quoted(text)}", lambda row: row["metadata"].get(key) == text),
            (f"{quoted(text)} == {field}", lambda row: row["metadata"].get(key) == text),
            (f"{field} != {quoted(text)}", lambda row: is_text(row["metadata"].get(key)) and row["metadata"][key] != text),
            (f"{field} in {json.dumps(listed, ensure_ascii=False)}", lambda row: row["metadata"].get(key) in listed),
            (f"{field} not in {json.dumps(listed, ensure_ascii=False)}", lambda row: is_text(row["metadata"].get(key)) and row["metadata"][key] not in listed),
            (f"{field} like '*is*'", lambda row: is_text(row["metadata"].get(key)) and "is" in row["metadata"][key]),
            (f"{field} == null", lambda row: row["metadata"].get(key) is None),
            (f"{field}", lambda row: row["metadata"].get(key) is True),
            (f"metadata.nested.deep == {quoted(text)}", lambda row: row["metadata"].get("nested", {}).get("deep") == text),
            (f"metadata.count > {number}", lambda row: row["metadata"]["count"] > number),
            (f"{number} > metadata.count", lambda row: row["metadata"]["count"] < number),
            (f"{quoted(text)} in metadata.teams", lambda row: text in row["metadata"].get("teams", ())),
            (f"{quoted(key)} in metadata", lambda row: key in row["metadata"]),
            (f"metrics.auc > 0.{number}", lambda row: False),
            (f"stage == {quoted(text)}", lambda row: text in row["stage"]),
            (f"stage != {quoted(text)}", lambda row: text not in row["stage"]),
            (f"{plain} == {quoted(text)}", lambda row: row[plain] == text),
            (f"{plain} in {json.dumps(listed, ensure_ascii=False)}", lambda row: row[plain] in listed),
            (f"{quoted(text)} in message", lambda row: text in row["message"]),
            (f"name like 'm*{number}'", lambda row: row["name"].endswith(str(number))),
            ("latest", lambda row: True),
        ])
    )  # fmt: skip


def joined(inner: st.SearchStrategy[Leaf]) -> st.SearchStrategy[Leaf]:
    def both(one: Leaf, other: Leaf) -> Leaf:
        return f"({one[0]}) and ({other[0]})", lambda row: one[1](row) and other[1](row)

    def either(one: Leaf, other: Leaf) -> Leaf:
        return f"({one[0]}) or ({other[0]})", lambda row: one[1](row) or other[1](row)

    return (
        st.builds(both, inner, inner)
        | st.builds(either, inner, inner)
        | inner.map(lambda leaf: (f"not ({leaf[0]})", lambda row: not leaf[1](row)))
    )


def test_what_is_found_by_way_of_a_database_is_what_plain_python_finds_in_memory(
    project: Path, memory: MemoryBackend, databases: list[Backend]
) -> None:
    rows = [
        {
            "name": each.name, "stage": each.stages, "state": each.state, "author": each.author, "message": each.message,
            "email": "ann@example.com", "rev": each.rev, "digest": each.digest, "metadata": dict(each.metadata),
        }
        for each in Registry(project, backend=memory, remote=None).search()
    ]  # fmt: skip
    assert len(rows) == MODELS - len(range(0, MODELS, 9))
    registries = [Registry(project, backend=each, remote=None) for each in databases]

    @settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.recursive(comparisons(), joined, max_leaves=4))
    @example(("metadata.owner == 'risk'", lambda row: row["metadata"].get("owner") == "risk"))
    @example(("metadata.owner == 'ops'", lambda row: row["metadata"].get("owner") == "ops"))
    @example(("metadata['a.b'] == 'a/b'", lambda row: row["metadata"].get("a.b") == "a/b"))
    @example((f"rev == '{rows[0]['rev']}'", lambda row: row["rev"] == rows[0]["rev"]))
    @example((f"digest == '{rows[0]['digest']}'", lambda row: True))
    def check(leaf: Leaf) -> None:
        text, meant = leaf
        expected = [row["name"] for row in rows if meant(row)]
        for registry in registries:
            registry._folded.clear()  # nothing is known before
            assert [each.name for each in registry.search(text)] == expected, (text, registry._backend)

    check()


def asked_of(backend: Backend, query: str) -> Collection[str] | None:
    clue = clue_of(parse(query, FIELDS))
    return backend.candidates(clue) if clue is not None else None


@pytest.mark.parametrize(
    ("query", "models"),
    [
        ("author == 'Nobody'", []),
        ("metadata.teams == 5 and stage == 'current'", ["m12", "m20"]),
        (
            "stage in ['shadow'] or metadata['a.b'] == 'a/b'",
            ["m0", "m16", "m20", "m24", "m5", "m8"],
        ),
        ("message == 'Round 3 of back\\\\slash' and metrics.auc > 0.5", ["m3"]),
        (f"digest == 'sha256:{'0' * 64}'", []),
    ],
)
def test_a_database_tells_which_models_can_hold_an_answer(
    memory: MemoryBackend, tmp_path: Path, query: str, models: list[str]
) -> None:
    address = f"sqlite:///{tmp_path / 'log.db'}"
    mr.migrate(address)
    backend = mr.open_backend(address)
    for log in memory.read_all():
        backend.extend(log.model, log.entries())
    assert sorted(asked_of(backend, query) or ()) == models


@pytest.mark.parametrize(
    "query",
    ["metrics.auc > 0.5", "not stage == 'current'", "stage == 'current' or type == 'model'", "state == 'inactive'",
     "metadata.owner == null", "metadata.owner not like 'a*'", "made_from == 'a'", "author == 'A\\ufffd'", "message == ''"],
)  # fmt: skip
def test_what_files_say_or_what_is_not_there_gives_no_clue(query: str) -> None:
    assert clue_of(parse(query, FIELDS)) is None


def test_only_logs_that_can_hold_an_answer_are_read_and_only_once(
    project: Path, databases: list[Backend], monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    read_some = SqlBackend._read_some

    def listen(self: SqlBackend, models: Collection[str], records: bool) -> Iterator[Log]:
        read.extend(models)
        return read_some(self, models, records)

    monkeypatch.setattr(SqlBackend, "_read_some", listen)
    for backend in databases:
        registry = Registry(project, backend=backend, remote=None)
        read.clear()
        assert [each.name for each in registry.search("message == 'Round 13 of x'")] == []
        assert read == []
        assert [each.name for each in registry.search("name like 'm1*' and metadata.count == 13")] == ["m13"]
        assert sorted(read) == sorted(f"m{number}" for number in (1, *range(10, 20)))
        read.clear()
        assert [each.name for each in registry.search("metadata.count == 13")] == ["m13"]
        assert len(read) == MODELS - 11
        read.clear()
        assert [each.name for each in registry.search("metadata.count == 13")] == ["m13"]
        assert read == []


def test_a_mirror_in_a_database_is_asked_too(project: Path, memory: MemoryBackend, tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path / 'mirror.db'}"
    mr.migrate(address)
    registry = Registry(project, backend=memory, remote=None)
    registry.mirror(address)
    mirror = Registry(project, backend=address, remote=None)
    expected = [each.reference for each in registry.search("metadata.owner == 'risk'")]
    assert [each.reference for each in mirror.search("metadata.owner == 'risk'")] == expected != []
