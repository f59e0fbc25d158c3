"""A lineage as a list: what is known of each node, in words."""

from __future__ import annotations

from modelregistry.lineage.entries import entries
from modelregistry.lineage.node import Edge, Node

STEP = Node(
    "step", "step", "train", path="dvc.yaml", values={"cmd": ["python a.py", "python b.py"], "wdir": "models"}
)
DATA = Node(
    "data", "dataset", "data.csv", path="data.csv", digest="md5:1", size=1, status="stale", note="since then"
)
PARAMS = Node(
    "params", "params", "params.yaml", values={"depth": 3, "rate": 0.123456789, "deep": {"seed": [1, 2]}}
)
CODE = [Node(f"code:{n}", "code", f"{n}.py") for n in range(3)]


def test_each_fact_is_said_once_and_in_words() -> None:
    step, data, params = entries([STEP, DATA, PARAMS], [])
    assert step.facts == (("path", "dvc.yaml"), ("command", "python a.py\npython b.py"), ("folder", "models"))
    assert data.facts == (("digest", "md5:1"), ("size", "1 byte"), ("known", "stale"), ("note", "since then"))
    assert params.facts == (("depth", "3"), ("rate", "0.123457"), ("deep.seed", "1\n2"))


def test_what_a_thing_was_made_from_names_first_what_there_is_little_of() -> None:
    nodes = [STEP, *CODE, DATA]
    listed = entries(nodes, [Edge(STEP.id, each.id) for each in nodes[1:]])
    assert [listed[each].name for each in listed[0].sources] == ["data.csv", "0.py", "1.py", "2.py"]


def test_of_many_only_the_first_are_listed_and_none_leads_to_what_is_not() -> None:
    nodes = [STEP, *CODE]
    listed = entries(nodes, [Edge(STEP.id, each.id) for each in CODE], most=2)
    assert [each.name for each in listed] == ["train", "0.py"]
    assert listed[0].sources == (1,)


def test_many_values_and_long_ones_are_cut_and_it_is_said() -> None:
    (entry,) = entries([Node("p", "params", "p", values={f"k{n}": "x" * 9_999 for n in range(70)})], [])
    assert entry.facts[-1] == ("and", "10 more values")
    assert all(len(value) <= 501 for _, value in entry.facts)
    assert entry.facts[0][1].endswith("…")
