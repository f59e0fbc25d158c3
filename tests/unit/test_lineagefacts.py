"""What the nodes of a lineage say."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelregistry.lineage.facts import (
    closing_edges,
    commit_values,
    kind_in_git,
    measured,
    public_facts,
    public_url,
    source_values,
)
from modelregistry.lineage.node import Edge
from modelregistry.project.dvcfiles import Dep


@pytest.mark.parametrize("path", ["a.csv", "x/A.PARQUET", "labels.json", "words.txt", "m.pkl", "a.tar.gz"])
def test_a_file_with_the_name_of_data_is_a_dataset(path: str) -> None:
    assert kind_in_git([path]) == "dataset"


@pytest.mark.parametrize(
    "path",
    [
        "train.py",
        "Makefile",
        "requirements-dev.txt",
        "conf.yaml",
        "run.sh",
        "csv",
        "a.ipynb",
        "constraints.txt",
    ],
)
def test_all_else_is_code(path: str) -> None:
    assert kind_in_git([path]) == "code"


def test_a_folder_is_a_dataset_where_all_of_it_is_data() -> None:
    assert kind_in_git(["d/a.csv", "d/b.json"]) == "dataset"
    assert kind_in_git(["d/a.csv", "d/load.py"]) == "code"
    assert kind_in_git([]) == "code"


@pytest.mark.parametrize(
    ("url", "public"),
    [
        ("https://user:pass@example.com/a?b=1#c", "https://example.com/a?b=1#c"),
        ("https://token@example.com:80/a", "https://example.com:80/a"),
        ("https://s3.example.com/a?X-Amz-Signature=x&y=1", "https://s3.example.com/a"),
        ("https://h/a?sv=1&sig=abc", "https://h/a"),
        ("https://h/a?page=2", "https://h/a?page=2"),
        ("s3://bucket/key", "s3://bucket/key"),
        ("remote://store/a", "remote://store/a"),
        ("git@example.com:team/repo.git", "git@example.com:team/repo.git"),
        ("/srv/a?b", "/srv/a?b"),
        ("https://user:p@[bad/x?token=1", "[bad/x"),
        ("memory:///net/a.bin", "memory:///net/a.bin"),
        ("sqlite:///m.db?token=t", "sqlite:///m.db"),
        ("no scheme://u:p@h/a?token=t", "h/a"),
    ],
)
def test_a_url_shows_no_secret(url: str, public: str) -> None:
    assert public_url(url) == public


def test_facts_show_no_secret() -> None:
    facts = {
        "url": "https://u:p@h/x",
        "password": "p",
        "list": [{"api_key": "k", "n": 1}],
        "ok": None,
        "d": object,
    }
    found = public_facts(facts)
    assert isinstance(found, dict)
    assert found["url"] == "https://h/x"
    assert found["list"] == [{"n": 1}]
    assert "password" not in found
    json.dumps(found)


def test_a_source_says_what_is_recorded_of_it() -> None:
    assert source_values(Dep("s3://b/k", etag="e", version_id="v", nfiles=2)) == {
        "etag": "e", "version_id": "v", "nfiles": 2,
    }  # fmt: skip
    assert source_values(Dep("", facts={"query": "SELECT 1"})) == {"query": "SELECT 1"}


def test_metrics_are_what_dvc_shows_of_them() -> None:
    document = {"auc": 0.9, "deep": {"n": 1, "list": [1], "none": None, "t": "x"}, "empty": {"l": []}}
    assert measured(document) == {"auc": 0.9, "deep": {"n": 1, "t": "x"}}
    assert measured(0.5) == {"value": 0.5}
    assert measured([1]) == {}


def test_a_commit_says_who_and_when() -> None:
    data = b"tree 1\nauthor Ann <a@b> 1700000000 +0130\ncommitter Bob <b@c> 1 +0000\n\nSubject\n\nauthor X <y> 1 +0000\n"
    assert commit_values(data) == {"author": "Ann", "time": "2023-11-14T23:43:20+01:30", "message": "Subject"}
    assert commit_values(b"author Ann <a@b> 999999999999 +9999\n\n") == {"author": "Ann"}
    assert commit_values(b"") == {}


NODES = st.integers(0, 7).map(str)


@given(st.lists(st.builds(Edge, NODES, NODES)))
def test_without_the_closing_edges_nothing_is_made_of_itself(edges: list[Edge]) -> None:
    closing = set(closing_edges("0", edges))
    left = {edge for edge in edges if edge not in closing}
    nodes = {node for edge in left for node in (edge.made, edge.source)}
    while nodes:
        roots = {node for node in nodes if not any(edge.made == node for edge in left)}
        assert roots
        nodes -= roots
        left = {edge for edge in left if edge.source not in roots}


def test_edges_without_a_circle_stay() -> None:
    edges = [Edge("m", "a"), Edge("m", "b"), Edge("a", "c"), Edge("b", "c")]
    assert closing_edges("m", edges) == []
    assert closing_edges("m", [*edges, Edge("c", "m")]) == [Edge("c", "m")]


def test_a_long_chain_is_no_matter() -> None:
    chain = [Edge(str(number), str(number + 1)) for number in range(50_000)]
    assert closing_edges("0", chain) == []
