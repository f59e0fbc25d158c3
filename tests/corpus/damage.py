"""Honest models with one part changed to something that does not fit: native code would leave its memory with it."""

from __future__ import annotations

import io
import json
import os
import pickle
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import scipy.sparse
from scipy.interpolate import BSpline
from sklearn.cluster import HDBSCAN, BisectingKMeans, KMeans, MiniBatchKMeans
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
)
from sklearn.neighbors import BallTree, KDTree, KNeighborsClassifier, RadiusNeighborsClassifier
from sklearn.svm import SVC, SVR, OneClassSVM
from sklearn.tree import DecisionTreeClassifier

from tests.corpus.estimators import simple_data

FAR = 10**8
"""An index that leads far outside whatever it is an index of."""
WIDE = 150_000
"""As many features lead as far."""


class Damaged(NamedTuple):
    """A file whose parts don't fit, and what shows it when the file is read the usual way."""

    content: bytes
    ask: Callable[[Any], object]
    dies: bool
    """Whether it dies whenever it is asked. The others read or write beside their memory, or never end."""


class _Changing(pickle._Pickler):
    """Pickles an object, and changes the state of the first one of a class on the way, native ones too."""

    def __init__(self, file: Any, kind: type, change: Callable[[Any], Any]) -> None:
        super().__init__(file, 4)
        self.kind, self.change = kind, change
        self.done = False

    def reducer_override(self, value: Any) -> Any:
        if self.done or not isinstance(value, self.kind):
            return NotImplemented
        self.done = True
        reduced = value.__reduce_ex__(4)
        return (*reduced[:2], self.change(reduced[2]))


def changed(model: Any, kind: type, change: Callable[[Any], Any]) -> bytes:
    """A model as a pickle, in which the first object of a class gets another state."""
    file = io.BytesIO()
    pickler = _Changing(file, kind, change)
    pickler.dump(model)
    assert pickler.done
    return file.getvalue()


def with_attributes(model: Any, **attributes: Any) -> bytes:
    """A model as a pickle, with other attributes."""
    return changed(model, type(model), lambda state: {**state, **attributes})


def with_items(model: Any, kind: type, **items: Any) -> bytes:
    """A model as a pickle, in which the state of the first object of a class, a dictionary, has other items."""
    return changed(model, kind, lambda state: {**state, **items})


def _at(model: Any, kind: type, place: int, part: Any) -> bytes:
    return changed(model, kind, lambda state: (*state[:place], part, *state[place + 1 :]))


def _other(array: Any, value: Any, field: str | None = None, where: Any = slice(None)) -> Any:
    new = array.copy()
    (new[field] if field else new)[where] = value
    return new


def _predict(features: int = 4, method: str = "predict") -> Callable[[Any], object]:
    def ask(model: Any) -> object:
        wide = np.abs(np.random.RandomState(1).normal(size=(7, features)))
        return getattr(model, method)(wide)

    return ask


def _trees() -> Iterator[tuple[str, Damaged]]:
    from sklearn.tree._tree import Tree

    features, classes, _ = simple_data()
    model = DecisionTreeClassifier(random_state=0).fit(features, classes)
    nodes = model.tree_.__getstate__()["nodes"]
    for field in ("left_child", "right_child", "feature"):
        inner = nodes["left_child"] >= 0
        for name, value, dies in (("far", FAR, True), ("negative", -FAR, True)):
            yield (
                f"tree, {field} {name}",
                Damaged(with_items(model, Tree, nodes=_other(nodes, value, field, inner)), _predict(), dies),
            )
    root = _other(nodes, 0, "left_child", slice(0, 1))
    yield "tree, a child that is its parent", Damaged(with_items(model, Tree, nodes=root), _predict(), False)
    twice = nodes.copy()
    twice["right_child"][0] = twice["left_child"][0]
    yield "tree, one child twice", Damaged(with_items(model, Tree, nodes=twice), _predict(), False)
    leaf = _other(nodes, FAR, "right_child", nodes["left_child"] < 0)
    yield "tree, a leaf with a child", Damaged(with_items(model, Tree, nodes=leaf), _predict(), False)
    yield (
        "tree, less deep than it is",
        Damaged(with_items(model, Tree, max_depth=0), _predict(method="decision_path"), False),
    )
    yield (
        "tree, more nodes than it has",
        Damaged(with_items(model, Tree, node_count=FAR), lambda each: each.tree_.children_left.sum(), False),
    )
    yield (
        "tree, without nodes",
        Damaged(with_items(model, Tree, nodes=nodes[:0], node_count=0), _predict(), False),
    )
    yield "tree, without a state", Damaged(changed(model, Tree, lambda _: None), _predict(), True)
    far = DecisionTreeClassifier(random_state=0).fit(features, classes)
    far.tree_ = Tree(10**9, np.array([2]), 1)
    far.tree_.__setstate__(
        {**model.tree_.__getstate__(), "nodes": _other(nodes, FAR, "feature", nodes["feature"] >= 0)}
    )
    yield "tree, of more features than its estimator", Damaged(pickle.dumps(far), _predict(), True)
    yield "tree, an estimator that does not say its features", Damaged(
        changed(far, DecisionTreeClassifier, lambda state: {k: v for k, v in state.items() if k != "n_features_in_"}),
        _predict(), True,
    )  # fmt: skip
    yield "tree, alone", Damaged(pickle.dumps(model.tree_), lambda each: each.node_count, False)

    far.n_features_in_ = 10**9
    boosting = GradientBoostingClassifier(n_estimators=2, random_state=0).fit(features, classes)
    boosting.estimators_[1, 0] = far
    yield "gradient boosting, a tree of more features", Damaged(pickle.dumps(boosting), _predict(), True)
    one = boosting.estimators_[0, 0]
    boosting.estimators_ = np.array([[one] * 500_000], dtype=object)
    yield "gradient boosting, more trees than columns", Damaged(pickle.dumps(boosting), _predict(), False)
    boosting.n_trees_per_iteration_ = 500_000
    yield (
        "gradient boosting, a first guess of fewer columns",
        Damaged(pickle.dumps(boosting), _predict(), False),
    )
    one.tree_ = None
    boosting.estimators_ = np.array([[one]], dtype=object)
    yield "gradient boosting, no tree", Damaged(pickle.dumps(boosting), _predict(), True)


def _histograms() -> Iterator[tuple[str, Damaged]]:
    from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor

    features, classes, _ = simple_data()
    features = features.copy()
    features[:, 0] = np.round(features[:, 0] * 3)
    model = HistGradientBoostingClassifier(
        max_iter=2, categorical_features=[0], min_samples_leaf=2, random_state=0
    ).fit(features, classes)
    nodes = model._predictors[0][0].nodes
    inner = nodes["is_leaf"] == 0
    for field in ("left", "right", "feature_idx"):
        content = with_items(model, TreePredictor, nodes=_other(nodes, FAR, field, inner))
        yield f"histogram boosting, {field} far", Damaged(content, _predict(), True)
    sets = _other(_other(nodes, 1, "is_categorical", inner), FAR, "bitset_idx", inner)
    yield (
        "histogram boosting, categories far",
        Damaged(with_items(model, TreePredictor, nodes=sets), _predict(), True),
    )
    sets = _other(_other(nodes, 1, "is_categorical", inner), 0, "bitset_idx", inner)
    yield (
        "histogram boosting, categories of a number",
        Damaged(with_items(model, TreePredictor, nodes=sets), _predict(), False),
    )
    narrow = np.ascontiguousarray(model._predictors[0][0].raw_left_cat_bitsets[:, :1])
    yield (
        "histogram boosting, narrow categories",
        Damaged(with_items(model, TreePredictor, raw_left_cat_bitsets=narrow), _predict(), False),
    )
    yield (
        "histogram boosting, no nodes",
        Damaged(with_items(model, TreePredictor, nodes=nodes[:0]), _predict(), False),
    )
    yield (
        "histogram boosting, still being fitted",
        Damaged(with_attributes(model, _in_fit=True), _predict(), False),
    )
    encoder = model._preprocessor
    encoder.transformers_ = encoder.transformers_[:1]
    yield (
        "histogram boosting, another encoder",
        Damaged(with_attributes(model, _preprocessor=encoder), _predict(), False),
    )


def _neighbours() -> Iterator[tuple[str, Damaged]]:
    from sklearn.metrics import DistanceMetric
    from sklearn.metrics._dist_metrics import MahalanobisDistance64

    features, classes, _ = simple_data()

    def query(model: Any) -> object:
        return model.query(features[:5], k=3), model.query_radius(features[:5], 0.5)

    for kind in (KDTree, BallTree):
        model, name = kind(features, leaf_size=5), kind.__name__
        _, index, nodes, bounds, *_ = model.__getstate__()
        for title, place, part, dies in (
            ("neighbours far", 1, _other(index, FAR), True),
            ("starts far", 2, _other(nodes, -FAR, "idx_start"), True),
            ("ends far", 2, _other(nodes, FAR, "idx_end"), True),
            ("no leaves", 2, _other(nodes, 0, "is_leaf"), True),
            ("few bounds", 3, np.ascontiguousarray(bounds[:, :1, :1]), False),
            ("no neighbours", 0, np.zeros((0, 4)), False),
            ("leaves of nothing", 4, 0, False),
            ("more levels", 5, 40, False),
            ("no metric", 11, None, True),
            ("few weights", 12, np.ones(1), False),
        ):
            yield f"{name}, {title}", Damaged(_at(model, kind, place, part), query, dies)
        overlapping = nodes.copy()
        overlapping["idx_start"], overlapping["idx_end"] = 0, len(index)
        yield f"{name}, the same neighbours twice", Damaged(_at(model, kind, 2, overlapping), query, False)
        weighted = kind(features, metric="minkowski", p=3, w=np.ones(4))
        yield (
            f"{name}, a metric of fewer features",
            Damaged(
                _at(weighted, kind, 11, DistanceMetric.get_metric("minkowski", p=3, w=np.ones(2))),
                query,
                False,
            ),
        )
    tree = BallTree(features, metric="mahalanobis", VI=np.eye(4))
    yield (
        "BallTree, a matrix that is not square",
        Damaged(_at(tree, MahalanobisDistance64, 2, np.ones((4, 1))), query, False),
    )

    for algorithm in ("brute", "kd_tree"):
        model = KNeighborsClassifier(algorithm=algorithm, metric="minkowski", p=3).fit(features, classes)
        for title, attributes, dies in (
            ("no neighbours", {"_fit_X": model._fit_X[:0]}, algorithm == "brute"),
            (
                "more neighbours than answers",
                {"_fit_X": np.concatenate([model._fit_X] * 9000)},
                algorithm == "brute",
            ),
            ("answers far", {"_y": _other(model._y, FAR)}, algorithm == "brute"),
            ("negative answers", {"_y": _other(model._y, -FAR)}, algorithm == "brute"),
            ("more neighbours than it has", {"n_samples_fit_": FAR}, False),
            ("something else for a tree", {"_tree": features}, False),
        ):
            yield (
                f"neighbours by {algorithm}, {title}",
                Damaged(with_attributes(model, **attributes), _predict(), dies),
            )
    model = KNeighborsClassifier(algorithm="brute").fit(features, classes)
    yield (
        "neighbours by brute, other features",
        Damaged(with_attributes(model, n_features_in_=WIDE), _predict(WIDE), True),
    )
    model = RadiusNeighborsClassifier(algorithm="brute", radius=9.0, metric="manhattan").fit(
        features, classes
    )
    yield (
        "neighbours in a radius, answers far",
        Damaged(with_attributes(model, _y=_other(model._y, FAR)), _predict(), True),
    )


def _support_vectors() -> Iterator[tuple[str, Damaged]]:
    features, classes, number = simple_data()
    dense, sparse = SVC().fit(features, classes), SVC().fit(scipy.sparse.csr_array(features), classes)
    for title, attributes, dies in (
        ("more of them", {"support_": np.tile(dense.support_, 3000)}, True),
        ("none", {"support_vectors_": dense.support_vectors_[:0]}, True),
        ("no factors", {"_dual_coef_": dense._dual_coef_[:0]}, True),
        ("narrow", {"support_vectors_": np.ascontiguousarray(dense.support_vectors_[:, :1])}, False),
        ("no intercept", {"_intercept_": dense._intercept_[:0]}, False),
        ("one class", {"_n_support": dense._n_support[:1]}, False),
        ("other samples", {"support_": _other(dense.support_, FAR)}, False),
        ("half a chance", {"_probA": np.ones(1)}, False),
        ("another kind", {"_impl": "nu_svr"}, False),
    ):
        yield f"support vectors, {title}", Damaged(with_attributes(dense, **attributes), _predict(), dies)
    vectors = sparse.support_vectors_
    for title, attributes, dies in (
        ("none", {"support_vectors_": vectors[:0]}, False),
        ("other classes", {"_n_support": _other(sparse._n_support, FAR)}, True),
        ("more classes", {"_n_support": np.tile(sparse._n_support, 3000)}, True),
        ("no factors", {"_dual_coef_": scipy.sparse.csr_array((1, len(sparse.support_)))}, True),
        ("a kernel that is known", {"kernel": "precomputed"}, False),
    ):
        yield (
            f"sparse support vectors, {title}",
            Damaged(with_attributes(sparse, **attributes), _predict(), dies),
        )
    known = SVC(kernel="precomputed").fit(features @ features.T, classes)
    yield (
        "support vectors of a kernel, far",
        Damaged(with_attributes(known, support_=_other(known.support_, FAR)), _predict(60), True),
    )
    regressor = SVR().fit(features, number)
    yield (
        "support vectors of a regressor, more classes",
        Damaged(with_attributes(regressor, _n_support=np.tile(regressor._n_support, 3000)), _predict(), True),
    )
    one = OneClassSVM().fit(features)
    yield (
        "support vectors of one class, none",
        Damaged(with_attributes(one, support_vectors_=one.support_vectors_[:0]), _predict(), True),
    )


def _others() -> Iterator[tuple[str, Damaged]]:
    features, _, _ = simple_data()
    matrix = scipy.sparse.csr_matrix(features)
    for title, attributes, dies in (
        ("columns far", {"indices": _other(matrix.indices, FAR)}, True),
        ("columns negative", {"indices": _other(matrix.indices, -FAR)}, True),
        ("rows far", {"indptr": _other(matrix.indptr, FAR, where=slice(1, None))}, True),
        ("few rows", {"indptr": matrix.indptr[:2].copy()}, True),
        ("little data", {"data": matrix.data[:2].copy()}, False),
        ("a shape of text", {"_shape": ("60", "4")}, False),
    ):
        yield (
            f"sparse matrix, {title}",
            Damaged(with_attributes(matrix, **attributes), lambda each: each @ np.ones(4), dies),
        )
    for form in ("csc", "coo", "bsr", "dia"):
        other = matrix.asformat(form)
        part = "coords" if form == "coo" else "offsets" if form == "dia" else "indices"
        value = getattr(other, part)
        wrong = (
            tuple(_other(each, FAR) for each in value) if form == "coo" else np.tile(_other(value, FAR), 9)
        )
        yield (
            f"sparse matrix in {form}, far",
            Damaged(with_attributes(other, **{part: wrong}), lambda each: each @ np.ones(4), form != "dia"),
        )
    spline = BSpline(np.arange(8.0), np.arange(4.0), 3)
    for title, change, dies in (
        ("of a high degree", {"k": 10**6}, False),
        ("of a negative degree", {"k": -1}, True),
        ("with few knots", {"_t": np.arange(2.0)}, False),
        ("with few factors", {"_c": np.arange(1.0)}, False),
        ("with knots in no order", {"_t": np.arange(8.0)[::-1].copy()}, False),
    ):
        yield (
            f"spline {title}",
            Damaged(with_attributes(spline, **change), lambda each: each(np.arange(4.0)), dies),
        )
    for kind in (KMeans, BisectingKMeans):
        model = kind(3, random_state=0).fit(features)
        yield (
            f"{kind.__name__}, wide centres",
            Damaged(with_attributes(model, cluster_centers_=np.ones((3, WIDE))), _predict(), False),
        )
        yield (
            f"{kind.__name__}, other features",
            Damaged(with_attributes(model, n_features_in_=WIDE), _predict(WIDE), False),
        )
    model = BisectingKMeans(3, random_state=0).fit(features)
    model._bisecting_tree.left.center = np.ones(1)
    yield "BisectingKMeans, a narrow centre", Damaged(pickle.dumps(model), _predict(), False)
    model = MiniBatchKMeans(3, random_state=0).fit(features)
    yield (
        "MiniBatchKMeans, few counts",
        Damaged(with_attributes(model, _counts=np.zeros(0)), _predict(method="partial_fit"), False),
    )
    model = HDBSCAN(copy=True).fit(features)
    merges = model._single_linkage_tree_
    yield "HDBSCAN, clusters far", Damaged(
        with_attributes(model, _single_linkage_tree_=_other(merges, FAR, "left_node")),
        lambda each: each.dbscan_clustering(0.5), True,
    )  # fmt: skip
    yield "HDBSCAN, a cluster in two", Damaged(
        with_attributes(model, _single_linkage_tree_=_other(merges, 0, "left_node")),
        lambda each: each.dbscan_clustering(0.5), False,
    )  # fmt: skip
    random = np.random.RandomState(0)
    state = random.__getstate__()
    far = {**state, "state": {**state["state"], "pos": FAR}}
    yield (
        "random numbers from afar",
        Damaged(changed(random, np.random.RandomState, lambda _: far), lambda each: each.rand(), True),
    )
    twister = np.random.MT19937(0)
    yield "random bits from afar", Damaged(
        changed(twister, np.random.MT19937, lambda parts: ({**parts[0], "state": far["state"]}, parts[1])),
        lambda each: np.random.Generator(each).random(), True,
    )  # fmt: skip
    philox = np.random.Philox(0)
    yield "random bits from another place", Damaged(
        changed(philox, np.random.Philox, lambda parts: ({**parts[0], "buffer_pos": -FAR}, parts[1])),
        lambda each: np.random.Generator(each).random(), True,
    )  # fmt: skip


@cache
def damaged() -> dict[str, Damaged]:
    """Every damaged file, by what is wrong with it."""
    return dict(
        each for family in (_trees, _histograms, _neighbours, _support_vectors, _others) for each in family()
    )


def died() -> dict[str, str]:
    """The files that end a process of their own when they are read the usual way and asked, and by which signal."""
    command = [sys.executable, "-W", "ignore", "-m", "tests.corpus.damage"]
    # Threads of OpenMP do not survive a fork: one would wait for ever.
    alone = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    ran = subprocess.run(
        command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2], env=alone
    )
    return cast("dict[str, str]", json.loads(ran.stdout))


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ended = {}
    for title, (content, ask, _) in damaged().items():
        if not (child := os.fork()):
            signal.alarm(5)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            try:
                ask(pickle.loads(content))
            finally:
                os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) != signal.SIGALRM:
            ended[title] = signal.Signals(os.WTERMSIG(status)).name
    json.dump(ended, sys.stdout)
