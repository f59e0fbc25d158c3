"""The graph of what made a model: its questions, its differences, its JSON and its pictures."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import fields, replace
from html.parser import HTMLParser
from typing import get_args
from xml.etree import ElementTree

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelregistry.errors import InvalidInputError
from modelregistry.lineage.lineage import SCHEMA, CodeChanges, FileChange, Lineage
from modelregistry.lineage.node import KINDS, Edge, Node, Status, merged
from tests import lineageschema

HOSTILE = "<script>alert(1)</script>\"'&]]>\x00\x1b[31m\n--> n0; %%"


def artifact(path: str, kind: str = "artifact", digest: str = "0") -> Node:
    return Node(f"artifact:{path}", kind, path, path=path, digest=f"md5:{digest * 32}", size=1)  # type: ignore[arg-type]


MODEL = artifact("models/churn.skops", "model", "a")
TRAIN = Node("step:train", "step", "train", values={"cmd": ["python train.py"]})
PREPARE = Node("step:prepare", "step", "prepare", values={"cmd": ["python prepare.py"]})
FEATURES = artifact("data/features.csv")
RAW = artifact("data/raw", "dataset", "b")
PARAMS = Node("params:train", "params", "params.yaml", values={"train": {"C": 0.1, "seed": 1}})
METRICS = Node("metrics:m", "metrics", "metrics.json", values={"auc": 0.9})
CODE = Node("code:train.py", "code", "train.py", path="train.py", digest="git:" + "c" * 40)
RUN = Node("run", "run", "1234567", rev="1" * 40)
SOURCE = Node(
    "source:data", "repository", "https://git.example.com/data", "https://git.example.com/data", "2" * 40,
    version="raw@v1.0.0",
)  # fmt: skip
NEAR = Node("source:near", "repository", "../data", "/srv/data", "2" * 40)
NODES = [MODEL, TRAIN, PREPARE, FEATURES, RAW, PARAMS, METRICS, CODE, RUN, SOURCE]
EDGES = [
    Edge(made.id, source.id)
    for made, source in [
        (MODEL, TRAIN), (METRICS, TRAIN), (TRAIN, FEATURES), (TRAIN, CODE), (TRAIN, PARAMS), (FEATURES, PREPARE),
        (PREPARE, RAW), (RAW, SOURCE), (MODEL, RUN),
    ]
]  # fmt: skip


@pytest.fixture
def lineage() -> Lineage:
    return Lineage(NODES, EDGES, ["a note"])


def names(nodes: tuple[Node, ...]) -> list[str]:
    return [node.name for node in nodes]


# -- questions -----------------------------------------------------------------------------------------------


def test_each_question_finds_its_kind(lineage: Lineage) -> None:
    assert lineage.subject == MODEL
    assert lineage.datasets == (RAW,)
    assert lineage.code == (CODE,)
    assert lineage.params == (PARAMS,)
    assert lineage.metrics == (METRICS,)
    assert lineage.steps == (TRAIN, PREPARE)
    assert lineage.sources == (SOURCE,)
    assert lineage.run == RUN
    assert lineage.plots == ()
    assert set(lineage.roots) == {CODE, PARAMS, RUN, SOURCE}


def test_upstream_is_everything_it_was_made_from_and_downstream_the_reverse(lineage: Lineage) -> None:
    assert names(lineage.upstream(FEATURES)) == ["prepare", "data/raw", "https://git.example.com/data"]
    assert set(lineage.downstream(RAW.id)) == {PREPARE, FEATURES, TRAIN, MODEL, METRICS}
    assert lineage.upstream(SOURCE) == ()
    assert set(lineage.upstream(MODEL)) == set(NODES) - {MODEL, METRICS}


def test_a_circle_is_walked_once() -> None:
    a, b = artifact("a", "model"), artifact("b")
    circle = Lineage([a, b], [Edge(a.id, b.id), Edge(b.id, a.id)])
    assert circle.upstream(a) == (b,)
    assert circle.downstream(a) == (b,)
    ElementTree.fromstring(circle.to_svg())
    assert "see above" in str(circle)


@pytest.mark.parametrize(
    ("what", "found"),
    [
        ("md5:" + "b" * 32, [RAW]),
        ("data/raw", [RAW]),
        ("data/raw/part-1.csv", [RAW]),
        ("data", [FEATURES, RAW]),
        ("https://git.example.com/data", [SOURCE]),
        ("https://git.example.com/data@" + "2" * 40, [SOURCE]),
        ("../data@" + "2" * 40, [NEAR]),
        ("../data", [NEAR]),
        ("raw@v1.0.0", [SOURCE]),
        ("da", []),
        ("data/ra", []),
    ],
)
def test_things_are_found_by_digest_path_folder_url_and_reference(what: str, found: list[Node]) -> None:
    assert set(Lineage([*NODES, NEAR], EDGES).find(what)) == set(found)


def looked_for(node: Node, what: str) -> bool:
    """Whether a node is, holds or is in ``what``, by looking at it."""
    if what in (node.id, node.digest, node.path, node.name, node.version, node.repository):
        return True
    if node.repository is not None and node.kind == "repository" and what == f"{node.name}@{node.rev}":
        return True
    if what == f"{node.repository}@{node.rev}" or (
        node.kind == "model" and what == node.values.get("address")
    ):
        return True
    of_bytes = node.path is not None and node.kind in (
        "model",
        "dataset",
        "artifact",
        "code",
        "metrics",
        "plots",
    )
    files = node.values.get("files")
    if of_bytes and isinstance(files, dict) and what in files.values():
        return True
    return of_bytes and (what.startswith(f"{node.path}/") or str(node.path).startswith(f"{what}/"))


PATHS = st.lists(st.sampled_from("ab"), min_size=1, max_size=3).map("/".join)


@given(
    st.lists(
        st.builds(
            lambda kind, path, digest, version, repository, files: Node(
                f"{kind}:{path}", kind, path, repository, "1", path, digest,
                values={"address": "md5:3", "files": files}, version=version,
            ),
            st.sampled_from(KINDS), PATHS, st.sampled_from([None, "md5:1", "git:4"]), st.sampled_from([None, "a@v1.0.0"]),
            st.sampled_from([None, "https://x/y"]),
            st.dictionaries(st.sampled_from("xy"), st.sampled_from(["git:4", "git:5"])) | st.none(),
        ),
        min_size=1, max_size=6, unique_by=lambda node: node.id,
    ),
    PATHS | st.sampled_from(["git:4", "git:5", "git:6", "md5:1", "md5:3", "a@v1.0.0", "https://x/y", "https://x/y@1", "b", "b@1", "a/", "/a", "dataset:a"]),
)  # fmt: skip
def test_what_is_found_is_what_a_look_at_every_node_finds(nodes: list[Node], what: str) -> None:
    assert Lineage(nodes, []).find(what) == tuple(node for node in nodes if looked_for(node, what))


def test_what_is_not_there_is_an_error(lineage: Lineage) -> None:
    with pytest.raises(InvalidInputError, match="is not in the lineage"):
        lineage.upstream("nothing")
    with pytest.raises(InvalidInputError, match="an edge without its node"):
        Lineage([MODEL], [Edge(MODEL.id, "nothing")])
    with pytest.raises(InvalidInputError, match="at least"):
        Lineage([], [])


def test_values_of_files_that_say_otherwise_stand_there_with_the_file() -> None:
    other = replace(
        PARAMS, id="params:x", name="x.yaml", values={"train": {"C": 0.1, "seed": 2}, "list": [1]}
    )
    assert merged([PARAMS, other]) == {
        "train.C": 0.1,
        "params.yaml:train.seed": 1,
        "x.yaml:train.seed": 2,
        "list": [1],
    }


def test_values_are_those_of_the_models_own_commit() -> None:
    own = replace(MODEL, rev="1")
    nodes = [
        own,
        replace(PARAMS, rev="1"),
        replace(PARAMS, id="a", rev="2", values={"other": 1}),
        replace(PARAMS, id="b", rev="1", repository="https://x/y", values={"other": 1}),
        replace(PARAMS, id="params:base/declared", rev="1", status="declared", values={"other": 1}),
        replace(PARAMS, id="params:/declared", rev="1", status="declared", values={"said": 1}),
    ]
    assert Lineage(nodes, []).values("params") == {"train.C": 0.1, "train.seed": 1, "said": 1}
    assert Lineage(nodes, []).values("metrics") == {}


# -- differences ---------------------------------------------------------------------------------------------


def test_a_difference_says_what_was_added_removed_and_changed(lineage: Lineage) -> None:
    other = Lineage(
        [
            replace(MODEL, digest="md5:" + "f" * 32), TRAIN, PREPARE, FEATURES, replace(RAW, digest="md5:" + "e" * 32),
            replace(PARAMS, values={"train": {"C": 1.0, "seed": 1, "new": [1]}}), replace(METRICS, values={}), CODE,
            replace(RUN, rev="3" * 40), artifact("new.csv", "dataset"),
        ],
        [],
    )  # fmt: skip
    found = lineage.diff(other)
    assert names(found.added) == ["new.csv"]
    assert names(found.removed) == ["https://git.example.com/data"]
    assert [after.name for _, after in found.changed] == [
        "models/churn.skops",
        "data/raw",
        "params.yaml",
        "metrics.json",
    ]
    assert [(each.key, each.before, each.after) for each in found.params] == [
        ("train.C", 0.1, 1.0),
        ("train.new", None, [1]),
    ]
    assert [(each.key, each.before, each.after) for each in found.metrics] == [("auc", 0.9, None)]
    assert [node.name for node in found.of_kind("dataset").added] == ["new.csv"]
    json.dumps(found.to_dict())
    assert "+ new.csv" in str(found)
    assert "~ models/churn.skops" in str(found)


def test_two_models_are_one_thing_that_changed_even_where_their_paths_differ(lineage: Lineage) -> None:
    moved = replace(MODEL, id="artifact:moved", name="moved", path="moved", digest="md5:" + "f" * 32)
    found = lineage.diff(Lineage([moved, *NODES[1:]], []))
    assert (found.added, found.removed, [each[1].name for each in found.changed]) == ((), (), ["moved"])


def test_the_code_between_is_what_git_says(lineage: Lineage) -> None:
    asked = []

    def compare(old: str, new: str, paths: object, /) -> CodeChanges:
        asked.append((old, new, paths))
        return CodeChanges((FileChange("train.py", 3, 1),), ("abc Better",))

    other = Lineage([*NODES[:-2], replace(RUN, rev="3" * 40)], [], compare=compare)
    assert lineage.diff(other).code.files == (FileChange("train.py", 3, 1),)
    assert asked == [("1" * 40, "3" * 40, ["train.py"])]
    assert lineage.diff(lineage).code == CodeChanges()


GRAPHS = st.builds(
    lambda nodes, joins: Lineage(
        [MODEL, *nodes],
        [
            Edge([MODEL, *nodes][made].id, source.id)
            for position, (made, source) in enumerate(zip(joins, nodes, strict=False))
            if made <= position
        ],
    ),
    st.lists(
        st.builds(
            lambda kind, name, digest: Node(f"{kind}:{name}", kind, name, path=name, digest=digest),
            st.sampled_from([kind for kind in KINDS if kind != "model"]),
            st.sampled_from("abc"),
            st.sampled_from([None, "md5:1", "md5:2"]),
        ),
        max_size=8,
        unique_by=lambda node: node.id,
    ),
    st.lists(st.integers(0, 8), max_size=8),
)


@given(GRAPHS)
def test_nothing_differs_from_itself(graph: Lineage) -> None:
    assert not graph.diff(graph)
    assert str(graph.diff(graph)) == "no difference"


@given(GRAPHS, GRAPHS)
def test_the_other_way_round_added_is_removed_and_before_is_after(one: Lineage, other: Lineage) -> None:
    there, back = one.diff(other), other.diff(one)
    assert set(there.added) == set(back.removed)
    assert set(there.removed) == set(back.added)
    assert {(a.id, a.digest, b.digest) for a, b in there.changed} == {
        (a.id, b.digest, a.digest) for a, b in back.changed
    }


@given(GRAPHS)
def test_it_survives_json(graph: Lineage) -> None:
    assert Lineage.from_dict(json.loads(json.dumps(graph.to_dict()))) == graph
    lineageschema.check(graph)


@given(GRAPHS, GRAPHS)
def test_a_difference_is_as_the_schema_says(one: Lineage, other: Lineage) -> None:
    lineageschema.check(one.diff(other))


def test_the_schema_names_every_fact_kind_and_status_and_no_others() -> None:
    node = lineageschema.published()["$defs"]["node"]["properties"]
    assert list(node) == [each.name for each in fields(Node)]
    assert tuple(node["kind"]["enum"]) == KINDS
    assert tuple(node["status"]["enum"]) == get_args(Status)
    assert lineageschema.published()["$defs"]["lineage"]["properties"]["schema"]["const"] == SCHEMA


def test_the_schema_refuses_what_it_does_not_name(lineage: Lineage, monkeypatch: pytest.MonkeyPatch) -> None:
    lineageschema.check(lineage)
    more = {**lineage.to_dict(), "more": 1}
    monkeypatch.setattr(Lineage, "to_dict", lambda self: more)
    with pytest.raises(jsonschema.ValidationError):
        lineageschema.check(lineage)


def test_what_a_later_version_added_is_passed_by(lineage: Lineage) -> None:
    later = lineage.to_dict() | {"more": 1}
    later["nodes"][0]["more"] = 1
    assert Lineage.from_dict(later) == lineage


@pytest.mark.parametrize("value", [{}, {"schema": 2}, {"schema": 1, "nodes": [{}], "edges": [], "notes": []}])
def test_other_json_is_refused(value: dict[str, object]) -> None:
    with pytest.raises(InvalidInputError):
        Lineage.from_dict(value)


# -- pictures ------------------------------------------------------------------------------------------------


def texts(svg: str) -> str:
    return "\n".join(ElementTree.fromstring(svg).itertext())


def test_every_picture_shows_every_node_and_edge(lineage: Lineage) -> None:
    svg = lineage.to_svg()
    for node in NODES:
        assert node.name in texts(svg)
        assert node.name in str(lineage)
    assert svg.count('class="e"') == len(EDGES)
    assert lineage.to_mermaid().count("-->") == len(EDGES)
    assert lineage.to_dot().count("->") == len(EDGES)
    assert set(lineage._repr_mimebundle_()) == {"image/svg+xml", "text/vnd.mermaid", "text/plain"}


def test_boxes_stand_apart_and_arrows_go_from_left_to_right(lineage: Lineage) -> None:
    top = ElementTree.fromstring(lineage.to_svg())
    boxes = [
        tuple(float(rect.attrib[key]) for key in ("x", "y", "width", "height"))
        for rect in top.iter("{http://www.w3.org/2000/svg}rect")
    ]
    assert len(boxes) == len(NODES)
    width, height = float(top.attrib["width"]), float(top.attrib["height"])
    for position, (x, y, w, h) in enumerate(boxes):
        assert x >= 0 and y >= 0 and x + w <= width + 1 and y + h <= height + 1
        for ox, oy, ow, oh in boxes[position + 1 :]:
            assert x + w <= ox or ox + ow <= x or y + h <= oy or oy + oh <= y
    for path in top.iter("{http://www.w3.org/2000/svg}path"):
        ways = re.findall(r"[MH](\d+)|(\d+) [\d.]+(?=[HC]|$)", path.attrib["d"])
        places = [int(straight or curved) for straight, curved in ways]
        assert places == sorted(places) and places[-1] > places[0]


def test_many_files_of_one_step_are_one_box_that_names_them() -> None:
    files = [replace(CODE, id=f"code:{n}", name=f"src/{n}.py") for n in range(100)]
    lineage = Lineage(
        [MODEL, TRAIN, *files], [Edge(MODEL.id, TRAIN.id), *(Edge(TRAIN.id, f.id) for f in files)]
    )
    assert "100 code nodes" in texts(lineage.to_svg())
    assert "src/57.py" in texts(lineage.to_svg()), "in the tooltip"
    assert lineage.to_svg().count("<rect") == 3
    assert lineage.to_svg(fold=None).count("<rect") == 102
    assert lineage.to_mermaid().count("-->") == 2


def test_a_picture_of_very_many_values_and_files_is_small_and_says_what_it_leaves_out() -> None:
    measured = Node("m", "metrics", "m.json", values={f"metric{n}": n for n in range(100_000)})
    files = [replace(CODE, id=f"code:{n}", name=f"src/{n}.py") for n in range(10_000)]
    command = replace(TRAIN, values={"cmd": "python train.py " * 10_000})
    edges = [Edge(MODEL.id, TRAIN.id), *(Edge(TRAIN.id, each.id) for each in files)]
    lineage = Lineage([MODEL, command, measured, *files], edges)
    for shown in (lineage.to_svg(), lineage.to_svg(opened=True), lineage._repr_html_()):
        assert len(shown) < 100_000
    drawn = texts(lineage.to_svg())
    assert "and 99,996 more" in drawn, "in the box"
    assert "and 99,940 more" in drawn and "and 9,800 more" in drawn, "in the tooltips"


FILES = [
    replace(CODE, id=f"code:src/{n}.py", name=f"src/{n}.py", path=f"src/{n}.py", digest=f"git:{n:040}")
    for n in range(60)
]
TABLES = [artifact(f"data/{n}.csv", "dataset") for n in range(10)]


@pytest.fixture
def large() -> Lineage:
    """A model that one step made from 60 files of code and 10 of data."""
    return Lineage(
        [MODEL, TRAIN, *FILES, *TABLES],
        [Edge(MODEL.id, TRAIN.id), *(Edge(TRAIN.id, each.id) for each in (*FILES, *TABLES))],
    )


def drawn_texts(svg: str) -> list[str]:
    """What a picture says without its tooltips."""
    return [str(each.text) for each in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def test_all_folded_boxes_open_and_name_everything_in_them(large: Lineage) -> None:
    names = {node.name for node in (*FILES, *TABLES)}
    assert len(names & {*drawn_texts(large.to_svg())}) < 5
    opened = large.to_svg(opened=True)
    assert names <= {*drawn_texts(opened)}
    assert opened.count("<rect") == 4, "they are still one box, with one arrow"
    for text in (large.to_mermaid(opened=True), large.to_dot(opened=True)):
        assert all(name in text for name in names)


@pytest.mark.parametrize("what", ["src/7.py", ["src/7.py"], FILES[7].digest, "src"])
def test_only_the_box_that_holds_what_is_named_opens(large: Lineage, what: str | list[str]) -> None:
    shown = drawn_texts(large.to_svg(opened=what))
    assert {each.name for each in FILES} <= {*shown}
    assert "data/5.csv" not in shown


def test_what_is_not_there_can_not_be_opened(large: Lineage) -> None:
    with pytest.raises(
        InvalidInputError, match=r"'other\.py' is not in the lineage of 'models/churn\.skops'"
    ):
        large.to_svg(opened=["src/7.py", "other.py"])
    with pytest.raises(InvalidInputError, match="no box of it to open"):
        large.diff(large).to_dot(opened="other.py")


def test_the_names_in_an_open_box_do_not_cover_each_other_and_stay_in_it(large: Lineage) -> None:
    top = ElementTree.fromstring(large.to_svg(opened="src/7.py"))
    (box,) = [each for each in top if "code" in each.attrib.get("class", "").split()]
    rect, *lines = (each for each in box if each.tag.endswith(("rect", "text")))
    x, y, width, height = (float(rect.attrib[key]) for key in ("x", "y", "width", "height"))
    places = [(float(line.attrib["x"]), float(line.attrib["y"])) for line in lines]
    assert len({*places}) == len(places) == 61
    assert all(x < left < x + width and y < bottom < y + height for left, bottom in places)
    assert len({left for left, _ in places}) == 3, (
        "60 names are in three columns, and not one that has no end"
    )


def test_of_very_many_an_open_box_says_how_many_it_leaves_out() -> None:
    files = [replace(CODE, id=f"code:{n}", name=f"{n}.py") for n in range(1_000)]
    lineage = Lineage([TRAIN, *files], [Edge(TRAIN.id, each.id) for each in files])
    shown = drawn_texts(lineage.to_svg(opened=True))
    assert "199.py" in shown and "200.py" not in shown and "and 800 more" in shown


def test_wide_letters_fit_into_their_box() -> None:
    def width(name: str) -> float:
        top = ElementTree.fromstring(Lineage([replace(MODEL, name=name)], []).to_svg())
        return float(next(top.iter("{http://www.w3.org/2000/svg}rect")).attrib["width"])

    assert width("数据处理特征工程模型训练脚本文件" * 2) > 1.5 * width("a" * 32)


def test_strangers_text_is_shown_and_never_markup() -> None:
    node = replace(MODEL, name=HOSTILE, values={HOSTILE: HOSTILE}, note=HOSTILE)
    lineage = Lineage([node, TRAIN], [Edge(node.id, TRAIN.id)])
    svg = lineage.to_svg()
    ElementTree.fromstring(svg)
    assert "<script" not in svg

    class Tags(HTMLParser):
        def handle_starttag(self, tag: str, attributes: object) -> None:
            assert tag in {"svg", "title", "style", "path", "g", "rect", "text"}

    Tags().feed(svg)
    mermaid = lineage.to_mermaid()
    assert len(mermaid.splitlines()) == len(Lineage([MODEL, TRAIN], lineage.edges).to_mermaid().splitlines())
    assert "<script" not in mermaid
    assert "\x1b" not in str(lineage) + mermaid + svg + lineage.to_dot()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_dot_is_one_that_graphviz_could_read(lineage: Lineage) -> None:
    import pydot  # DVC brings it

    (graph,) = pydot.graph_from_dot_data(lineage.to_dot())
    assert len(graph.get_edges()) == len(EDGES)


def test_a_difference_is_a_picture_with_marks(lineage: Lineage) -> None:
    other = Lineage(
        [replace(MODEL, digest="md5:1"), *NODES[1:-1], artifact("new.csv", "dataset")], EDGES[:-2]
    )
    svg = lineage.diff(other).to_svg()
    for mark in ("added", "removed", "changed"):
        assert f" {mark}" in svg
        assert f"{mark}:" in texts(svg)
        assert any(line.endswith(f" {mark}") for line in drawn_texts(svg)), "by word, not by colour alone"
        assert mark in lineage.diff(other).to_mermaid() and mark in lineage.diff(other).to_dot()


def test_it_is_drawn_alike_every_time(lineage: Lineage) -> None:
    code = "from tests.unit.test_lineage import *; print(Lineage(NODES, EDGES).to_svg())"
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, env={"PYTHONHASHSEED": seed}
        ).stdout
        for seed in "12"
    }
    assert len(outputs) == 1
