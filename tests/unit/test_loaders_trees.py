"""XGBoost and LightGBM: models answer as they did, and what a file says of its trees is checked before they believe it."""

import json
import os
import random
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest
import sklearn.base
import xgboost

from modelregistry.errors import UnknownFormatError
from modelregistry.loaders import lightgbmtrees, ubjson
from modelregistry.loaders.base import Likeness, Tier
from modelregistry.loaders.lightgbm import LightGBMLoader
from modelregistry.loaders.xgboost import XGBoostLoader
from modelregistry.metadata.signature import Column
from tests.formatloading import load

RANDOM = np.random.default_rng(0)
ROWS = RANDOM.random((200, 3))
FRAME = pd.DataFrame(
    {"age": ROWS[:, 0], "kind": pd.Categorical(RANDOM.choice(list("xyzuvw"), 200)), "income": ROWS[:, 2]}
)
LABELS = (ROWS[:, 0] > 0.5).astype(int) + FRAME["kind"].isin(list("xzv")).to_numpy()
BOOSTED: dict[str, Callable[[], Any]] = {
    "classifier": lambda: xgboost.XGBClassifier(n_estimators=3).fit(ROWS, LABELS),
    "regressor": lambda: xgboost.XGBRegressor(n_estimators=3, gamma=5, tree_method="exact").fit(ROWS, LABELS),
    "ranker": lambda: xgboost.XGBRanker(n_estimators=3).fit(ROWS, LABELS, qid=np.repeat([0, 1], 100)),
    "forest": lambda: xgboost.XGBRFRegressor(n_estimators=3).fit(ROWS, LABELS),
    "dart": lambda: xgboost.XGBRegressor(n_estimators=3, booster="dart", rate_drop=0.5).fit(ROWS, LABELS),
    "linear": lambda: xgboost.XGBRegressor(n_estimators=3, booster="gblinear").fit(ROWS, LABELS),
    "several answers": lambda: xgboost.XGBRegressor(n_estimators=3).fit(ROWS, np.c_[LABELS, LABELS]),
    "vectors": lambda: xgboost.XGBRegressor(n_estimators=3, multi_strategy="multi_output_tree").fit(
        ROWS, np.c_[LABELS, LABELS]
    ),
    "booster": lambda: xgboost.train({"max_depth": 3}, xgboost.DMatrix(ROWS, LABELS), 3),
}


def answers(model: Any, rows: Any = ROWS) -> Any:
    if isinstance(model, xgboost.Booster):
        return model.predict(xgboost.DMatrix(rows))
    return model.predict(rows)


# Later versions of XGBoost warn of these; they still read them.
@pytest.mark.filterwarnings("ignore:.*deprecated")
@pytest.mark.parametrize("title", BOOSTED)
@pytest.mark.parametrize("name", ["model.json", "model.ubj"])
def test_an_xgboost_model_answers_as_it_did(title: str, name: str, tmp_path: Path) -> None:
    model = BOOSTED[title]()
    model.save_model(tmp_path / name)
    path = (tmp_path / name).rename(tmp_path / "model")
    assert XGBoostLoader().recognises(path, "model") is Likeness.MAGIC
    assert XGBoostLoader().inspect(path).tier is Tier.DATA
    loaded = load(path)
    kind = {"forest": xgboost.XGBRegressor}.get(title, type(model))
    assert type(loaded) is kind
    assert np.array_equal(answers(loaded), answers(model))


def test_features_and_categories_survive_and_are_told(tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    model = xgboost.XGBClassifier(n_estimators=3, enable_categorical=True, max_cat_to_onehot=1).fit(
        FRAME, LABELS
    )
    model.save_model(path)
    described = XGBoostLoader().describe(path)
    assert described.signature is not None
    assert described.signature.inputs == (Column("age"), Column("kind"), Column("income"))
    assert list(described.packages.values()) == [xgboost.__version__]
    assert np.array_equal(answers(load(path), FRAME), model.predict(FRAME))


def test_without_names_the_features_are_counted(tmp_path: Path) -> None:
    BOOSTED["booster"]().save_model(tmp_path / "model.ubj")
    signature = XGBoostLoader().describe(tmp_path / "model.ubj").signature
    assert signature is not None
    assert signature.inputs == (Column(), Column(), Column())


def test_other_json_is_not_taken_for_xgboost(tmp_path: Path) -> None:
    for content in (b"{}", b'{"accuracy": 1}', b"[]", b"binf\0\0", b'{"learners": {}}'):
        (tmp_path / "model.json").write_bytes(content)
        assert XGBoostLoader().recognises(tmp_path / "model.json", "model.json") is Likeness.NONE
        with pytest.raises(UnknownFormatError, match="neither JSON nor UBJSON"):
            load(tmp_path / "model.json", loader="xgboost")


# ------------------------------------------------------------------ what a file says of its trees


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = tmp_path_factory.mktemp("made") / "model.json"
    model = xgboost.XGBClassifier(n_estimators=3, enable_categorical=True, max_cat_to_onehot=1).fit(
        FRAME, LABELS
    )
    model.save_model(path)
    return json.loads(path.read_text())


def forest(document: Any) -> Any:
    return document["learner"]["gradient_booster"]["model"]


def tree(document: Any) -> Any:
    return forest(document)["trees"][0]


LIES: dict[str, Callable[[Any], object]] = {
    "a child that is not there": lambda d: tree(d)["left_children"].__setitem__(0, 10**6),
    "a child before the first": lambda d: tree(d)["right_children"].__setitem__(0, -5),
    "a child of two": lambda d: tree(d)["left_children"].__setitem__(0, tree(d)["right_children"][0]),
    "a circle": lambda d: tree(d)["left_children"].__setitem__(1, 0),
    "another parent": lambda d: tree(d)["parents"].__setitem__(1, 2),
    "a feature that is not there": lambda d: tree(d)["split_indices"].__setitem__(0, 3),
    "too few nodes": lambda d: tree(d)["left_children"].pop(),
    "too many nodes": lambda d: tree(d)["tree_param"].__setitem__("num_nodes", "1000000"),
    "no nodes": lambda d: tree(d)["tree_param"].__setitem__("num_nodes", "0"),
    "leaves that are vectors": lambda d: tree(d)["tree_param"].__setitem__("size_leaf_vector", "100000"),
    "leaves of less than nothing": lambda d: tree(d)["tree_param"].__setitem__("size_leaf_vector", "-5"),
    "a class that is not there": lambda d: forest(d)["tree_info"].__setitem__(0, 3),
    "fewer trees": lambda d: forest(d)["gbtree_model_param"].__setitem__("num_trees", "1"),
    "more rounds": lambda d: forest(d)["iteration_indptr"].append(100),
    "no forests": lambda d: forest(d)["gbtree_model_param"].__setitem__("num_parallel_tree", "0"),
    "a tree of another place": lambda d: tree(d).__setitem__("id", 7),
    "categories that are not there": lambda d: categorical(d)["categories_sizes"].__setitem__(0, 1 << 40),
    "a category without end": lambda d: categorical(d)["categories"].__setitem__(0, 1 << 40),
    "a set of categories too few": lambda d: categorical(d)["categories_nodes"].pop(),
    "categories of a node that is not there": lambda d: categorical(d)["categories_nodes"].__setitem__(
        0, 10**6
    ),
    "a booster that is not there": lambda d: d["learner"]["gradient_booster"].__setitem__("name", "gbmagic"),
    "fewer features": lambda d: d["learner"]["learner_model_param"].__setitem__("num_feature", "1"),
    "no features": lambda d: d["learner"].pop("learner_model_param"),
}


def categorical(document: Any) -> Any:
    """The first tree that splits by categories."""
    return next(tree for tree in forest(document)["trees"] if tree["categories_nodes"])


@pytest.mark.parametrize("lie", LIES)
def test_a_tree_that_does_not_hang_together_is_refused_before_xgboost_sees_it(
    lie: str, document: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied = json.loads(json.dumps(document))
    path = tmp_path / "model.json"
    path.write_text(json.dumps(copied))
    load(path)
    LIES[lie](copied)
    path.write_text(json.dumps(copied))
    monkeypatch.setattr(xgboost.Booster, "load_model", lambda *_: pytest.fail("XGBoost saw it"))
    with pytest.raises(UnknownFormatError, match=r"'model\.json' can't be read"):
        load(path)


def test_a_key_that_stands_twice_is_refused(document: Any, tmp_path: Path) -> None:
    text = json.dumps(document).replace('"left_children"', '"left_children": [], "left_children"', 1)
    (tmp_path / "model.json").write_text(text)
    with pytest.raises(UnknownFormatError, match="'left_children' stands twice"):
        load(tmp_path / "model.json")


def text(value: str) -> bytes:
    return b"L" + len(value).to_bytes(8, "big") + value.encode()


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (b"{" + text("a") + b"S" + text("b") + b"}", {"a": "b"}),
        (b"{" + text("a") + b"[i\x01T]}", {"a": [1, True]}),
        (b"{" + text("a") + b"[$l#L" + bytes(7) + b"\x02" + struct.pack(">2i", 5, -1) + b"}", {"a": [5, -1]}),
        (b"{" + text("a") + b"[#L" + bytes(7) + b"\x01d" + struct.pack(">f", 0.5) + b"}", {"a": [0.5]}),
        (b"{" + text("a") + b"{" + text("b") + b"Z}}", {"a": {"b": None}}),
    ],
)
def test_ubjson_is_read(content: bytes, value: dict[str, Any]) -> None:
    found = ubjson.parse(content)
    assert {
        key: list(item) if not isinstance(item, str | dict) else item for key, item in found.items()
    } == value
    for size in range(len(content)):
        with pytest.raises(ValueError, match=r"."):
            ubjson.parse(content[:size])
    with pytest.raises(ValueError, match="follows its end"):
        ubjson.parse(content + b"}")


@pytest.mark.parametrize(
    "content",
    [
        b"[]",
        b"{" * 100,
        b"{" + text("a") + b"[" * 100,
        b"{" + text("a") + b"?}",
        b"{" + text("a") + b"[$SL}",
        b"{" + text("a") + b"[$l#L" + b"\x7f" + b"\xff" * 7 + b"}",
        b"{L" + b"\xff" * 8 + b"}",
        b"{" + text("a") + b"T" + text("a") + b"F}",
        b"{i\x01aT}",
    ],
)
def test_ubjson_that_lies_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        ubjson.parse(content)


# ------------------------------------------------------------------ LightGBM


def fitted(class_: type, **options: Any) -> Any:
    more = {"group": [100, 100]} if class_ is lightgbm.LGBMRanker else {}
    return class_(n_estimators=3, verbose=-1, **options).fit(FRAME, LABELS, **more).booster_


LIGHT: dict[str, Callable[[], Any]] = {
    "classifier": lambda: fitted(
        lightgbm.LGBMClassifier, min_data_per_group=1, cat_smooth=1, max_cat_to_onehot=1
    ),
    "one against all": lambda: fitted(lightgbm.LGBMClassifier, objective="multiclassova"),
    "regressor": lambda: fitted(lightgbm.LGBMRegressor),
    "ranker": lambda: fitted(lightgbm.LGBMRanker),
    "dart": lambda: fitted(lightgbm.LGBMRegressor, boosting_type="dart"),
    "forest": lambda: fitted(lightgbm.LGBMRegressor, boosting_type="rf", subsample=0.5, subsample_freq=1),
    "linear": lambda: fitted(lightgbm.LGBMRegressor, linear_tree=True),
    "monotone": lambda: fitted(lightgbm.LGBMRegressor, monotone_constraints=[1, 0, -1]),
    "constant": lambda: lightgbm.LGBMRegressor(n_estimators=2, verbose=-1).fit(FRAME, LABELS * 0).booster_,
}


@pytest.mark.parametrize("title", LIGHT)
def test_a_lightgbm_model_answers_as_it_did(
    title: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model = LIGHT[title]()
    path = tmp_path / "model.lgb"
    model.save_model(path)
    capfd.readouterr()
    loaded = load(path)
    assert isinstance(loaded, lightgbm.Booster)
    assert np.array_equal(loaded.predict(FRAME), model.predict(FRAME))
    if title != "linear":  # of which LightGBM explains nothing
        assert np.array_equal(
            loaded.predict(FRAME, pred_contrib=True), model.predict(FRAME, pred_contrib=True)
        )
    assert loaded.feature_name() == model.feature_name()
    assert loaded.feature_importance().tolist() == model.feature_importance().tolist()
    assert capfd.readouterr() == ("", "")


TEXTS = np.array(["stays", "leaves", "asks"])[np.arange(len(LABELS)) % 3]
ESTIMATORS: dict[str, Callable[[], Any]] = {
    "two numbers": lambda: lightgbm.LGBMClassifier(n_estimators=3, verbose=-1).fit(FRAME, (ROWS[:, 0] > 0.5) * 5),
    "two texts": lambda: lightgbm.LGBMClassifier(n_estimators=3, verbose=-1).fit(FRAME, TEXTS == "asks"),
    "three texts": lambda: lightgbm.LGBMClassifier(n_estimators=3, num_leaves=7, verbose=-1).fit(FRAME, TEXTS),
    "objects": lambda: lightgbm.LGBMClassifier(n_estimators=3, verbose=-1).fit(FRAME, TEXTS.astype(object)),
    "an equals sign": lambda: lightgbm.LGBMClassifier(n_estimators=3, verbose=-1).fit(FRAME, np.char.add("=", TEXTS)),
    "one against all": lambda: lightgbm.LGBMClassifier(n_estimators=3, verbose=-1, objective="multiclassova").fit(ROWS, TEXTS),
    "a number": lambda: lightgbm.LGBMRegressor(n_estimators=3, verbose=-1, random_state=3).fit(FRAME, ROWS[:, 0]),
    "a rank": lambda: lightgbm.LGBMRanker(n_estimators=3, verbose=-1).fit(FRAME, LABELS, group=[len(LABELS)]),
}  # fmt: skip


@pytest.mark.parametrize("title", ESTIMATORS)
def test_a_lightgbm_estimator_comes_back_as_it_was(
    title: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model = ESTIMATORS[title]()
    rows = ROWS if title == "one against all" else FRAME
    path = tmp_path / "model.txt"
    loader = LightGBMLoader()
    loader.save(model, path)
    assert loader.loses(model) is None
    capfd.readouterr()
    loaded = load(path)
    assert type(loaded) is type(model)
    answers = loaded.predict(rows)
    assert answers.dtype == model.predict(rows).dtype
    assert answers.tolist() == model.predict(rows).tolist()
    kept = {name: value for name, value in model.get_params().items() if name not in ("verbose", "n_jobs")}
    assert {name: loaded.get_params()[name] for name in kept} == kept
    assert loaded.n_features_in_ == model.n_features_in_
    outputs = ["predict"]
    if hasattr(model, "classes_"):
        assert loaded.predict_proba(rows).tolist() == model.predict_proba(rows).tolist()
        assert (loaded.classes_.tolist(), loaded.n_classes_) == (model.classes_.tolist(), model.n_classes_)
        outputs.append("predict_proba")
    signature = loader.describe(path).signature
    assert signature is not None
    assert ([each.name for each in signature.outputs], len(signature.inputs)) == (outputs, 3)
    assert capfd.readouterr() == ("", "")
    # Whoever has nothing but LightGBM reads it all the same.
    plain = lightgbm.Booster(model_file=path)
    assert np.array_equal(plain.predict(rows), model.booster_.predict(rows))
    sklearn.base.clone(loaded).set_params(verbose=-1)


def test_an_estimator_with_a_function_of_its_own_is_a_booster_and_says_so(tmp_path: Path) -> None:
    def objective(wanted: Any, given: Any) -> tuple[Any, Any]:
        return given - wanted, np.ones(len(wanted))

    model = lightgbm.LGBMRegressor(n_estimators=2, verbose=-1, objective=objective).fit(FRAME, ROWS[:, 0])
    loader = LightGBMLoader()
    loader.save(model, tmp_path / "model.txt")
    assert "loads as a Booster" in str(loader.loses(model))
    assert isinstance(load(tmp_path / "model.txt"), lightgbm.Booster)


@pytest.mark.parametrize(
    "note",
    [
        "{}", "[]", "nonsense", '{"class": "Booster", "parameters": {}}',
        '{"class": "LGBMClassifier", "parameters": {}, "objective": "binary"}',
        '{"class": "LGBMRegressor", "parameters": {"machines": "10.0.0.1"}, "objective": "l2"}',
        '{"class": "LGBMRegressor", "parameters": {"num_leaves": "7"}, "objective": "l2"}',
        '{"class": "LGBMRegressor", "parameters": {"num_leaves": 4294967296}, "objective": "l2"}',
        '{"class": "LGBMRegressor", "parameters": {"learning_rate": NaN}, "objective": "l2"}',
        '{"class": "LGBMRegressor", "parameters": {}, "objective": {"a": 1}}',
        '{"class": "LGBMClassifier", "parameters": {}, "objective": "l2", "labels": [1, 2, 3]}',
        '{"class": "LGBMClassifier", "parameters": {}, "objective": "l2", "labels": [2, 1], "label_type": "int64"}',
        '{"class": "LGBMClassifier", "parameters": {}, "objective": "l2", "labels": [[1], 2]}',
        '{"class": "LGBMClassifier", "parameters": {}, "objective": "l2", "labels": [1, 2], "label_type": "O"}',
    ],
)  # fmt: skip
def test_a_note_that_lies_is_refused(note: str, tmp_path: Path) -> None:
    path = tmp_path / "model.txt"
    LIGHT["regressor"]().save_model(path)
    head, blank, rest = path.read_text().partition("\n\n")
    path.write_text(f"{head}\nmodelregistry_estimator={note}{blank}{rest}")
    with pytest.raises(UnknownFormatError):
        load(path)


def test_its_features_are_told(tmp_path: Path) -> None:
    LIGHT["regressor"]().save_model(tmp_path / "model.txt")
    signature = LightGBMLoader().describe(tmp_path / "model.txt").signature
    assert signature is not None
    assert signature.inputs == (Column("age"), Column("kind"), Column("income"))
    model = lightgbm.train({"verbose": -1}, lightgbm.Dataset(ROWS, LABELS), 2)
    model.save_model(tmp_path / "model.txt")
    signature = LightGBMLoader().describe(tmp_path / "model.txt").signature
    assert signature is not None
    assert signature.inputs == (Column(), Column(), Column())


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("made") / "model.txt"
    LIGHT["classifier"]().save_model(path)
    return path.read_text()


def field(lines: str, name: str) -> str:
    """The first line with the field that is not empty."""
    return next(line for line in lines.splitlines() if line.startswith(f"{name}=") and not line.endswith("="))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("left_child", "1 2 3"),
        ("left_child", None),
        ("right_child", "100000 {rest}"),
        ("right_child", "-100000 {rest}"),
        ("left_child", "0 {rest}"),
        ("split_feature", "3 {rest}"),
        ("split_feature", "-1 {rest}"),
        ("threshold", "a {rest}"),
        ("threshold", "1_0 {rest}"),
        ("leaf_value", "1"),
        ("leaf_value", None),
        ("num_leaves", "1000000"),
        ("num_leaves", "0"),
        ("num_leaves", "1 2"),
        ("num_cat", "5"),
        ("cat_boundaries", "0 1000"),
        ("cat_threshold", "1 1 1 1 1 1 1"),
        ("decision_type", "1 1 1 1 1 1 1"),
        ("leaf_count", "1"),
        ("num_class", "2"),
        ("num_class", "0"),
        ("num_tree_per_iteration", "2"),
        ("objective", "multiclass num_class:100000"),
        ("max_feature_idx", "1000000"),
        ("max_feature_idx", "-1"),
        ("feature_names", "a"),
        ("label_index", None),
    ],
)
def test_a_count_or_an_index_that_is_wrong_is_refused_before_lightgbm_sees_it(
    name: str, value: str | None, lines: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.txt"
    path.write_text(lines)
    load(path)
    line = field(lines, name)
    rest = line.partition("=")[2].partition(" ")[2]
    path.write_text(lines.replace(line, f"{name}={value.format(rest=rest)}" if value else "x=1", 1))
    monkeypatch.setattr(lightgbm, "Booster", lambda **_: pytest.fail("LightGBM saw it"))
    with pytest.raises(UnknownFormatError, match=r"'model\.txt' can't be read by loader 'lightgbm'"):
        load(path)


def test_a_field_that_stands_twice_is_refused(lines: str, tmp_path: Path) -> None:
    line = field(lines, "left_child")
    (tmp_path / "model.txt").write_text(lines.replace(line, f"{line}\n{line}", 1))
    with pytest.raises(UnknownFormatError, match="twice"):
        load(tmp_path / "model.txt")


def test_a_tree_that_is_one_long_chain_is_refused(lines: str) -> None:
    nodes = 10_100
    chain = {
        "num_leaves": nodes + 1, "num_cat": 0, "split_feature": " ".join("0" * nodes), "threshold": " ".join("0" * nodes),
        "decision_type": " ".join("2" * nodes), "left_child": " ".join(str(~leaf) for leaf in range(nodes)),
        "right_child": " ".join([*map(str, range(1, nodes)), str(~nodes)]), "leaf_value": " ".join("0" * (nodes + 1)),
    }  # fmt: skip
    head, _, _ = lines.partition("\n\n")
    head = head.replace("num_class=3", "num_class=1").replace("per_iteration=3", "per_iteration=1")
    head = head.replace("num_class:3", "num_class:1")
    body = "\n".join(f"{name}={value}" for name, value in chain.items())
    with pytest.raises(ValueError, match="whose nodes are no tree"):
        lightgbmtrees.checked(f"{head}\n\nTree=0\n{body}\n\n\nend of trees\n".encode())


def test_only_the_model_reaches_lightgbm(
    lines: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    odd = lines.replace("[learning_rate: 0.1]", "[machine_list_filename: /etc/passwd]\n[no_such_thing: 1]")
    (tmp_path / "model.txt").write_text(odd)
    loaded = load(tmp_path / "model.txt")
    assert isinstance(loaded, lightgbm.Booster)
    assert loaded.params == {}
    assert capfd.readouterr() == ("", "")


# ------------------------------------------------------------------ damage, in a process of its own

DAMAGED = """
import random, sys
from pathlib import Path
import numpy as np
from modelregistry.errors import UnknownFormatError
from tests.formatloading import load

source, loader = Path(sys.argv[1]), sys.argv[2]
content, draw = source.read_bytes(), random.Random(0)
path = source.with_name("damaged")
for number in range(150):
    damaged = bytearray(content[: draw.choice([len(content), draw.randrange(1, len(content))])])
    for _ in range(draw.choice([1, 1, 4])):
        damaged[draw.randrange(len(damaged))] = draw.choice([0, 57, 127, 255, draw.randrange(256)])
    path.write_bytes(damaged)
    try:
        model = load(path, loader=loader)
        if loader == "lightgbm":
            model.predict(np.ones((4, 3)))
    except UnknownFormatError:
        pass
    print(number)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "loader"), [("model.json", "xgboost"), ("model.ubj", "xgboost"), ("model.txt", "lightgbm")]
)
def test_no_damage_ends_the_process(name: str, loader: str, tmp_path: Path) -> None:
    if loader == "xgboost":
        BOOSTED["classifier"]().save_model(tmp_path / name)
    else:
        model = lightgbm.LGBMClassifier(n_estimators=3, verbose=-1).fit(ROWS, LABELS).booster_
        model.save_model(tmp_path / name)
    command = [sys.executable, "-c", DAMAGED, str(tmp_path / name), loader]
    root = Path(__file__).parents[2]
    ran = subprocess.run(
        command,
        check=False,
        cwd=root,
        capture_output=True,
        text=True,
        timeout=200,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert (ran.returncode, ran.stdout.split()[-1]) == (0, "149"), ran.stderr[-2000:]


def test_a_file_cut_anywhere_is_one_clear_error(tmp_path: Path) -> None:
    BOOSTED["classifier"]().save_model(tmp_path / "made.ubj")
    LIGHT["regressor"]().save_model(tmp_path / "made.txt")
    draw = random.Random(0)
    for name, loader in (("made.ubj", "xgboost"), ("made.txt", "lightgbm")):
        content = (tmp_path / name).read_bytes()
        end = len(content) if loader == "xgboost" else content.index(b"end of trees")
        for _ in range(60):
            (tmp_path / "cut").write_bytes(content[: draw.randrange(end)])
            with pytest.raises(UnknownFormatError, match="'cut'"):
                load(tmp_path / "cut", loader=loader)
