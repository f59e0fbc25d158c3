"""Whether the parts of what a file made fit together, so that native code that uses them stays in its memory.

Numpy, scipy and scikit-learn check what a caller passes to them and believe what they made themselves. A file can
make the same objects with other numbers in them: a node whose child is far outside its tree, support vectors that
are too short. Then ``predict`` reads or writes where nothing is theirs, and the process dies or worse. Here each
object that native code goes by is compared with itself and with the estimator that holds it, once all are made.
Whether an answer is right is not asked.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from functools import cache, partial
from types import MappingProxyType
from typing import Any

ELKAN, LLOYD = "sklearn.cluster._kmeans._kmeans_single_elkan", "sklearn.cluster._kmeans._kmeans_single_lloyd"
"""Stand for two functions that believe whatever they are called with, until the estimator is found that calls them."""

_DEEPEST_SPLINE = 100
"""Degrees of a spline: evaluating it takes memory and time in proportion."""


_TWISTER, _PHILOX = 624, 4
"""Numbers that two of numpy's sources of random bits make at a time."""


class UnsoundError(Exception):
    """Parts of what a file made don't fit together."""


def _need(fits: object, problem: str) -> None:
    if not fits:
        raise UnsoundError(problem)


class Soundness:
    """What one file makes that native code goes by."""

    def __init__(self) -> None:
        self._made: dict[_Check, list[Any]] = {}
        self._given: dict[int, Any] = {}

    def add(self, made: Any) -> None:
        """Remember an object, if it has to be checked."""
        kind: type = type(made)
        for check in _checks(kind):
            self._made.setdefault(check, []).append(made)

    def state(self, target: Any, state: Any) -> Any:
        """The state that ``target`` may be given in place of ``state``; the same for most.

        Raises:
            UnsoundError: Native code would leave its memory while it takes the state.
        """
        kind: type = type(target)
        if _checks(kind):  # a second state may believe what it finds of the first
            _need(id(target) not in self._given, f"a {kind.__name__} that is given its state twice")
            self._given[id(target)] = target
        for sound in _sound_states(kind):
            state = sound(target, state)
        return state

    def check(self) -> None:
        """Compare what was remembered.

        Raises:
            UnsoundError: Parts don't fit together.
        """
        for check, made in self._made.items():
            check(made)
        trees = {id(tree) for tree in self._made.get(_check_trees, ())}
        held = {id(vars(each).get("tree_")) for each in self._made.get(_check_tree_estimators, ())}
        _need(trees <= held, "a tree that belongs to no estimator")


# ---------------------------------------------------------------- what is called to make them


def bit_generator(kind: Any = "MT19937") -> Any:
    """A source of random bits, whose state comes later."""
    import numpy as np

    if isinstance(kind, str):  # as numpy before 1.24 wrote it
        kind = getattr(np.random, kind, None)
    if not (isinstance(kind, type) and issubclass(kind, np.random.BitGenerator)):
        raise UnsoundError("a source of random bits that numpy does not write")
    return kind()


def generator(source: Any = "MT19937", _constructor: Any = None) -> Any:
    """A generator of random numbers."""
    import numpy as np

    return np.random.Generator(
        source if isinstance(source, np.random.BitGenerator) else bit_generator(source)
    )


def random_state(source: Any = "MT19937", _constructor: Any = None) -> Any:
    """A generator of random numbers, of the older kind."""
    import numpy as np

    return np.random.RandomState(
        source if isinstance(source, np.random.BitGenerator) else bit_generator(source)
    )


def seed_sequence(kind: Any, checksum: Any, state: Any) -> Any:
    """Where a generator got its seed, whose state comes later."""
    import numpy as np
    from numpy.random import bit_generator as module

    _need(kind is np.random.SeedSequence and state is None, "a seed sequence that numpy does not write")
    return module.__pyx_unpickle_SeedSequence(kind, checksum, state)  # type: ignore[attr-defined]


def tree(n_features: Any, n_classes: Any, n_outputs: Any) -> Any:
    """An empty tree. The real one reads as many numbers of classes as there are outputs, wherever they are."""
    from sklearn.tree._tree import Tree

    sizes = _array(n_classes, "iu", 1)
    _need(
        _whole(n_features)
        and n_features > 0
        and _whole(n_outputs)
        and len(sizes) == n_outputs
        and min(sizes, default=0) > 0,
        "a tree whose outputs and classes don't fit together",
    )
    return Tree(n_features, n_classes, n_outputs)


# ---------------------------------------------------------------- states that must be sound before they are taken


def _tree_state(_tree: Any, state: Any) -> Any:
    _need(
        isinstance(state, dict)
        and _whole(state.get("node_count"))
        and state["node_count"] == len(_array(state.get("nodes"), "V", 1)) > 0
        and len(_array(state.get("values"), "f", 3)) == state["node_count"],
        "a tree with another number of nodes than it says",
    )
    return state


def _random_state(_source: Any, state: Any) -> Any:
    """Refuse a place in a source of random bits that is outside it."""
    place: Any = 0
    in_buffer: Any = 0
    if isinstance(state, tuple) and len(state) > 2:  # as numpy wrote it long ago: name, key, place, …
        place = state[2]
    elif state is not None:
        held = state[0] if isinstance(state, tuple) else state  # a seed sequence may come with it
        inner, in_buffer = held.get("state"), held.get("buffer_pos", 0)
        place = inner.get("pos", 0) if isinstance(inner, dict) else 0
    fits = _whole(place) and 0 <= place <= _TWISTER and _whole(in_buffer) and 0 <= in_buffer <= _PHILOX
    _need(fits, "random bits beyond their buffer")
    return state


def _partial_state(_partial: Any, state: Any) -> Any:
    # Its attributes would pass by what is asked of the states of other objects.
    _need(type(state) is tuple and len(state) == 4 and not state[3], "a partial function with attributes")
    return state


def _distribution_state(distribution: Any, _state: Any) -> Any:
    """The state of scipy's own instance: a distribution compiles text that it finds in its state."""
    from scipy import stats

    for module in (stats._continuous_distns, stats._discrete_distns):
        for own in vars(module).values():
            if type(own) is type(distribution):
                return own.__getstate__()
    raise UnsoundError(f"a {type(distribution).__name__}, of which scipy has none")


def _threads_state(_estimator: Any, state: Any) -> Any:
    if isinstance(state, dict) and "_n_threads" in state:  # those of the machine that it was fitted on
        _need(_whole(state["_n_threads"]), "a number of threads that is none")
        state["_n_threads"] = max(1, min(state["_n_threads"], os.cpu_count() or 1))
    return state


def _bisecting_state(_estimator: Any, state: Any) -> Any:
    if isinstance(state, dict) and "_kmeans_single" in state:
        from sklearn.cluster import _kmeans

        known = {ELKAN: _kmeans._kmeans_single_elkan, LLOYD: _kmeans._kmeans_single_lloyd}
        _need(state["_kmeans_single"] in known, "a k-means of another kind")
        state["_kmeans_single"] = known[state["_kmeans_single"]]
    return state


# ---------------------------------------------------------------- small questions


def _whole(value: Any) -> bool:
    import numpy as np

    return type(value) is int or isinstance(value, np.integer)


def _array(value: Any, kinds: str, dimensions: int | None = None) -> Any:
    """The value, which is an array of one of these kinds of dtype."""
    import numpy as np

    _need(
        type(value) is np.ndarray and value.dtype.kind in kinds and dimensions in {None, value.ndim},
        f"a {type(value).__name__} where an array of another kind belongs",
    )
    return value


def _features(estimator: Any) -> int:
    """The number of features that an estimator holds its input to: without it, it does not look."""
    number = vars(estimator).get("n_features_in_")
    _need(_whole(number), f"a {type(estimator).__name__} that does not say how many features it takes")
    return int(number)


def _instances(values: Iterable[Any], module: str, name: str) -> bool:
    kinds: set[type] = {type(value) for value in values}
    return all(f"{module}.{name}" in _lineage(kind) for kind in kinds)


# ---------------------------------------------------------------- trees and forests


def _check_trees(trees: list[Any]) -> None:
    import numpy as np

    counts = np.array([each.node_count for each in trees])
    _need(counts.min() > 0, "a tree without a node")
    _check_nodes(
        counts,
        left=np.concatenate([each.children_left for each in trees]),
        right=np.concatenate([each.children_right for each in trees]),
        feature=np.concatenate([each.feature for each in trees]),
        features=np.array([each.n_features for each in trees]),
        deepest=np.array([each.max_depth for each in trees]),
    )


def _check_nodes(
    counts: Any, *, left: Any, right: Any, feature: Any, features: Any, leaf: Any = None, deepest: Any = None
) -> None:
    """Check the nodes of trees, one tree after the other; all trees at once, for forests have hundreds."""
    import numpy as np

    starts = np.cumsum(counts) - counts
    inner = np.flatnonzero(left != -1 if leaf is None else ~leaf)
    _need(leaf is not None or (np.delete(right, inner) == -1).all(), "a leaf with a child")
    own = np.repeat(np.arange(len(counts)), counts)[inner]
    start, count = starts[own], counts[own]
    children = np.stack([left[inner], right[inner]]).astype(np.int64)
    # A child comes after its parent and has one parent only, so every walk ends.
    _need(((children > inner - start) & (children < count)).all(), "a child outside its tree")
    children += start
    _need(np.bincount(children.ravel(), minlength=1).max() <= 1, "a node with two parents")
    chosen = feature[inner]
    _need(
        ((chosen >= 0) & (chosen < features[own])).all(), "a node that asks for a feature that is not there"
    )
    if deepest is not None:
        depths = np.zeros(len(left), np.int64)
        links = np.full((2, len(left)), -1)
        links[:, inner] = children
        level = links[:, starts].ravel()
        depth = 0
        while (level := level[level >= 0]).size:
            depth += 1
            depths[level] = depth
            level = links[:, level].ravel()
        _need((np.maximum.reduceat(depths, starts) <= deepest).all(), "a tree that is deeper than it says")


def _check_tree_estimators(estimators: list[Any]) -> None:
    for each in estimators:
        held = vars(each).get("tree_")
        if "tree_" in vars(each):
            _need(
                _instances([held], "sklearn.tree._tree", "Tree"),
                "an estimator with something else for a tree",
            )
            _need(
                held.n_features == _features(each), "a tree of another number of features than its estimator"
            )


def _check_gradient_boosting(estimators: list[Any]) -> None:
    """Check the stages, whose trees take what the first one takes and write each into a column of the first guess."""
    import numpy as np

    for each in estimators:
        if "estimators_" not in vars(each):
            continue
        stages, guess = vars(each)["estimators_"], vars(each).get("init_")
        _need(
            type(stages) is np.ndarray and stages.ndim == 2 and stages.size,
            "a gradient boosting without stages",
        )
        members, width = list(stages.ravel()), stages.shape[1]
        _need(
            _instances(members, "sklearn.tree._classes", "BaseDecisionTree")
            and all("tree_" in vars(member) for member in members)
            and len({_features(member) for member in members}) == 1,
            "a gradient boosting whose stages are no trees, or take different features",
        )
        _need(
            vars(each).get("n_trees_per_iteration_", width) == width, "a gradient boosting of other classes"
        )
        if width > 1 and not (isinstance(guess, str) and guess == "zero"):
            _need(
                _instances([guess], "sklearn.dummy", "DummyClassifier"), "a first guess that is not its own"
            )
            _need(
                vars(guess).get("strategy") == "prior"
                and len(_array(vars(guess).get("class_prior_"), "f", 1)) == width,
                "a first guess of other classes",
            )


def _check_histogram_boosting(estimators: list[Any]) -> None:
    import numpy as np

    for each in estimators:
        stages = vars(each).get("_predictors", [])
        _need(
            type(stages) is list and all(type(stage) is list for stage in stages), "a boosting without stages"
        )
        predictors = [one for stage in stages for one in stage]
        if not predictors:
            continue
        _need(
            _instances(predictors, "sklearn.ensemble._hist_gradient_boosting.predictor", "TreePredictor")
            and not vars(each).get("_in_fit"),
            "a boosting that holds something else than trees",
        )
        features, mapper = _features(each), vars(each).get("_bin_mapper")
        _need(
            _instances([mapper], "sklearn.ensemble._hist_gradient_boosting.binning", "_BinMapper"), "no bins"
        )
        categorical = _array(vars(mapper).get("is_categorical_"), "bui", 1) != 0
        _need(len(categorical) == features, "bins of another number of features")
        _check_preprocessor(vars(each).get("_preprocessor"), features)
        nodes = [_array(vars(one).get("nodes"), "V", 1) for one in predictors]
        counts = np.array([len(one) for one in nodes])
        _need(counts.min() > 0, "a tree without a node")
        joined = np.concatenate(nodes)
        _check_nodes(
            counts,
            left=joined["left"],
            right=joined["right"],
            feature=joined["feature_idx"].astype(np.int64),
            features=np.full(len(nodes), features),
            leaf=joined["is_leaf"] != 0,
        )
        bits = [_array(vars(one).get("raw_left_cat_bitsets"), "u", 2) for one in predictors]
        _need(all(one.shape[1] == 8 for one in bits), "categories of another width")
        asks = (joined["is_categorical"] != 0) & (joined["is_leaf"] == 0)
        held = np.repeat([len(one) for one in bits], counts)
        _need(
            (joined["bitset_idx"] < held)[asks].all() and categorical[joined["feature_idx"][asks]].all(),
            "a node that asks for categories that are not there",
        )


def _check_preprocessor(preprocessor: Any, features: int) -> None:
    """Refuse to put categories into numbers in another way than the estimator itself: what comes out is not checked."""
    if preprocessor is None:
        return
    _need(
        _instances([preprocessor], "sklearn.compose._column_transformer", "ColumnTransformer"),
        "another encoder",
    )
    steps = vars(preprocessor).get("transformers_")
    _need(type(steps) is list and len(steps) > 1, "another encoder")
    (_, encoder, encoded), (_, checker, passed), *rest = steps
    _need(all(type(step) is str and step == "drop" for _, step, _ in rest), "another encoder")
    _need(
        _instances([encoder], "sklearn.preprocessing._encoders", "OrdinalEncoder")
        and _instances([checker], "sklearn.preprocessing._function_transformer", "FunctionTransformer")
        and len(_array(encoded, "b", 1)) == features
        and (encoded != _array(passed, "b", 1)).all(),
        "another encoder",
    )
    function = vars(checker).get("func")
    _need(
        isinstance(function, partial)
        and function.func.__module__ == "sklearn.utils.validation"
        and not function.args
        and vars(checker).get("kw_args") is None,
        "another encoder",
    )


# ---------------------------------------------------------------- neighbours


def _check_metrics(metrics: list[Any]) -> None:
    for each in metrics:
        square = each.__getstate__()[2]
        _need(square.ndim == 2 and square.shape[0] == square.shape[1], "a metric whose matrix is not square")


def _check_neighbour_trees(trees: list[Any]) -> None:
    import numpy as np

    for each in trees:
        data, index, nodes, bounds, leaf_size, levels, count, *_, metric, weights = each.__getstate__()
        data, index, nodes = _array(data, "f", 2), _array(index, "i", 1), _array(nodes, "V", 1)
        samples, features = data.shape
        _need(samples and features and leaf_size > 0, "a tree of neighbours without any")
        _need(
            _instances([metric], "sklearn.metrics._dist_metrics", "DistanceMetric"), "a tree without a metric"
        )
        try:
            metric._validate_data(data)
        except ValueError as error:
            raise UnsoundError(f"a metric for other data: {error}") from error
        _need(
            len(index) == samples and ((index >= 0) & (index < samples)).all(),
            "a tree of neighbours that are not there",
        )
        _need(weights is None or len(_array(weights, "f", 1)) == samples, "other weights than neighbours")
        _need(
            0 < levels < 64 and count == len(nodes) == 2**levels - 1, "a tree of neighbours of another size"
        )
        sides = 2 if "KDTree" in type(each).__name__ else 1
        _need(
            _array(bounds, "f", 3).shape == (sides, count, features), "a tree of neighbours with other bounds"
        )
        start, end = nodes["idx_start"], nodes["idx_end"]
        parents = np.arange(count // 2)
        parents = parents[nodes["is_leaf"][parents] == 0]
        _need((nodes["is_leaf"][count // 2 :] != 0).all(), "a leaf with a child")
        # Each node has the neighbours of its two children, once; no walk meets more than there are.
        _need(
            start[0] == 0
            and end[0] == samples
            and (start[2 * parents + 1] == start[parents]).all()
            and (end[2 * parents + 1] == start[2 * parents + 2]).all()
            and (end[2 * parents + 2] == end[parents]).all()
            and (start[parents] <= end[2 * parents + 1]).all()
            and (end[2 * parents + 1] <= end[parents]).all(),
            "a tree of neighbours whose nodes overlap",
        )
        _need((nodes["is_leaf"][parents] == 0).all(), "a leaf with a child")


def _check_neighbours(estimators: list[Any]) -> None:
    for each in estimators:
        held = vars(each)
        if "_fit_X" not in held:
            continue
        samples, features = _shape(held["_fit_X"])
        _need(samples > 0 and features == _features(each), "neighbours of another number of features")
        _need(held.get("n_samples_fit_") == samples, "another number of neighbours than it says")
        tree_ = held.get("_tree")
        if tree_ is not None:
            _need(
                _instances([tree_], type(tree_).__module__, "BinaryTree64"),
                "something else for a tree of neighbours",
            )
            _need(tree_.__getstate__()[0].shape == (samples, features), "a tree of other neighbours")
        if "_y" in held:
            _need(_shape(held["_y"])[0] == samples, "another number of answers than neighbours")
        if "classes_" in held:
            _check_labels(held["_y"], held["classes_"])


def _check_labels(labels: Any, classes: Any) -> None:
    columns = _array(labels, "iu").reshape(len(labels), -1)
    of_each = classes if type(classes) is list else [classes]
    _need(columns.shape[1] == len(of_each), "answers to another number of questions")
    for column, known in zip(columns.T, of_each, strict=True):
        _need(((column >= 0) & (column < len(known))).all(), "an answer that is no class")


def _shape(value: Any) -> tuple[int, int]:
    """Rows and columns of an array or a sparse matrix."""
    import numpy as np

    if type(value) is np.ndarray:
        _need(value.dtype.kind in "biuf" and value.ndim in {1, 2}, "an array of another kind")
        return (*value.shape, 1)[:2]
    _need(
        _instances([value], "scipy.sparse._base", "_spbase"),
        f"a {type(value).__name__} where an array belongs",
    )
    return value.shape  # type: ignore[no-any-return]


# ---------------------------------------------------------------- support vectors


def _check_support_vectors(estimators: list[Any]) -> None:

    for each in estimators:
        held = vars(each)
        if "support_vectors_" not in held:
            continue
        _need(not {"_impl", "_sparse_kernels"} & held.keys(), "support vectors of another kind")
        vectors, kernel, sparse = held["support_vectors_"], held.get("kernel"), held.get("_sparse")
        support, per_class = _array(held.get("support_"), "i", 1), _array(held.get("_n_support"), "i", 1)
        count, classes = len(support), len(per_class)
        given = held.get("shape_fit_")
        _need(type(given) is tuple and _whole(given[0]), "support vectors of unknown samples")
        _need(((support >= 0) & (support < given[0])).all(), "support vectors that are not there")
        if type(each)._impl in {"c_svc", "nu_svc"}:
            _need(
                classes > 1 and (per_class >= 0).all() and per_class.sum() == count,
                "support vectors of other classes",
            )
        else:
            _need(classes == 2, "support vectors of other classes")
        pairs = classes * (classes - 1) // 2
        _need(len(_array(held.get("_intercept_"), "f", 1)) == pairs, "another number of intercepts")
        chances = {len(_array(held.get(name), "f", 1)) for name in ("_probA", "_probB")}
        _need(chances in ({0}, {pairs}), "another number of chances")
        plain = kernel == "precomputed" if isinstance(kernel, str) else callable(kernel)
        factors = held.get("_dual_coef_")
        if sparse:
            _need(
                not plain and _instances([vectors, factors], "scipy.sparse._base", "_spbase"),
                "sparse support vectors",
            )
            _need(
                vectors.format == factors.format == "csr" and len(factors.data) == (classes - 1) * count,
                "other factors",
            )
        else:
            _need(_array(factors, "f", 2).shape == (classes - 1, count), "other factors than support vectors")
            _array(vectors, "f", 2)
        if not plain:
            _need(vectors.shape == (count, _features(each)), "support vectors of other features")


# ---------------------------------------------------------------- sparse matrices and splines


def _check_sparse(matrices: list[Any]) -> None:
    import numpy as np

    for each in matrices:
        held = vars(each)
        for name in ("_has_sorted_indices", "_has_canonical_format", "has_canonical_format"):
            held.pop(name, None)  # they are worked out again
        shape = held.get("_shape")
        _need(
            type(shape) is tuple and all(_whole(length) and length >= 0 for length in shape),
            "a sparse matrix whose shape is none",
        )
        _array(held.get("data"), "biufc")
        arrays_ = [held[name] for name in ("indices", "indptr", "row", "col", "offsets") if name in held]
        for indices in [*arrays_, *held.get("coords", ())]:
            _array(indices, "iu", 1)
        try:
            if hasattr(each, "check_format"):
                each.check_format(full_check=True)
            elif hasattr(each, "_check"):
                each._check()
            else:  # of diagonals
                _need(
                    each.data.ndim == 2
                    and len(each.offsets) == len(each.data) == len(np.unique(each.offsets)),
                    "",
                )
        except (ValueError, UnsoundError, IndexError, TypeError) as error:
            raise UnsoundError(f"a sparse matrix that is none: {error}") from error


def _check_splines(splines: list[Any]) -> None:
    import numpy as np

    for each in splines:
        knots, factors, degree = _array(each.t, "f", 1), each.c, each.k
        _need(
            _whole(degree)
            and 0 <= degree <= _DEEPEST_SPLINE
            and len(knots) >= 2 * degree + 2
            and np.isfinite(knots).all()
            and (np.diff(knots) >= 0).all()
            and _array(factors, "fc").ndim >= 1
            and len(factors) >= len(knots) - degree - 1
            and vars(each).get("axis", 0) in range(factors.ndim),
            "a spline whose parts don't fit together",
        )


# ---------------------------------------------------------------- linear models


def _check_linear_classifiers(estimators: list[Any]) -> None:
    """Check that there is one answer a class: one-against-the-rest makes a sparse matrix of as many as it gets."""
    for each in estimators:
        held = vars(each)
        if {"coef_", "classes_"} <= held.keys():
            classes = len(_array(held["classes_"], "biufOSU", 1))
            answers = 1 if getattr(held["coef_"], "ndim", 0) == 1 else _shape(held["coef_"])[0]
            _need(answers == (1 if classes == 2 else classes), "a linear model of other classes")
            constant = held.get("intercept_")
            _need(
                isinstance(constant, float) or len(_array(constant, "f", 1)) in {1, answers},
                "other constants than classes",
            )


# ---------------------------------------------------------------- clusters


def _check_centres(estimators: list[Any]) -> None:
    for each in estimators:
        held = vars(each)
        if "cluster_centers_" in held:
            centres = _array(held["cluster_centers_"], "f", 2)
            _need(
                len(centres) and centres.shape[1] == _features(each), "clusters of another number of features"
            )
            if "_counts" in held:
                _need(len(_array(held["_counts"], "f", 1)) == len(centres), "counts of other clusters")
        rest, seen = [held.get("_bisecting_tree")], set()
        while rest:
            node = rest.pop()
            if node is None or id(node) in seen:
                continue
            seen.add(id(node))
            _need(
                _instances([node], "sklearn.cluster._bisect_k_means", "_BisectingTree"),
                "something else for a tree",
            )
            _need(
                len(_array(vars(node).get("center"), "f", 1)) == _features(each),
                "a cluster of other features",
            )
            rest += [vars(node).get("left"), vars(node).get("right")]


def _check_linkage(estimators: list[Any]) -> None:
    import numpy as np

    for each in estimators:
        if "_single_linkage_tree_" in vars(each):
            merges = _array(vars(each)["_single_linkage_tree_"], "V", 1)
            known = len(merges) + 1 + np.arange(len(merges))
            for side in ("left_node", "right_node"):
                _need(((merges[side] >= 0) & (merges[side] < known)).all(), "a cluster of what is not there")
            children = np.concatenate([merges["left_node"], merges["right_node"]])
            _need(len(np.unique(children)) == len(children), "a cluster that is in two")


# ---------------------------------------------------------------- which is asked of which


_Check = Callable[[list[Any]], None]
_CHECKS: Mapping[str, _Check] = MappingProxyType(
    {
        "scipy.interpolate._bsplines.BSpline": _check_splines,
        "scipy.sparse._base._spbase": _check_sparse,
        "sklearn.cluster._hdbscan.hdbscan.HDBSCAN": _check_linkage,
        "sklearn.cluster._kmeans._BaseKMeans": _check_centres,
        "sklearn.ensemble._gb.BaseGradientBoosting": _check_gradient_boosting,
        "sklearn.ensemble._hist_gradient_boosting.gradient_boosting.BaseHistGradientBoosting": _check_histogram_boosting,
        "sklearn.linear_model._base.LinearClassifierMixin": _check_linear_classifiers,
        "sklearn.metrics._dist_metrics.DistanceMetric": _check_metrics,
        "sklearn.neighbors._ball_tree.BinaryTree32": _check_neighbour_trees,
        "sklearn.neighbors._ball_tree.BinaryTree64": _check_neighbour_trees,
        "sklearn.neighbors._base.NeighborsBase": _check_neighbours,
        "sklearn.neighbors._kd_tree.BinaryTree32": _check_neighbour_trees,
        "sklearn.neighbors._kd_tree.BinaryTree64": _check_neighbour_trees,
        "sklearn.svm._base.BaseLibSVM": _check_support_vectors,
        "sklearn.tree._classes.BaseDecisionTree": _check_tree_estimators,
        "sklearn.tree._tree.Tree": _check_trees,
    }
)
"""What is compared once everything is made, of all instances of a class and its subclasses together."""

_STATES: Mapping[str, Callable[[Any, Any], Any]] = MappingProxyType(
    {
        "functools.partial": _partial_state,
        "numpy.random._generator.Generator": _random_state,
        "numpy.random.bit_generator.BitGenerator": _random_state,
        "numpy.random.mtrand.RandomState": _random_state,
        "scipy.stats._distn_infrastructure.rv_generic": _distribution_state,
        "sklearn.cluster._bisect_k_means.BisectingKMeans": _bisecting_state,
        "sklearn.cluster._kmeans._BaseKMeans": _threads_state,
        "sklearn.tree._tree.Tree": _tree_state,
    }
)
"""What is asked of a state before an instance of a class and its subclasses is given it."""


@cache
def _lineage(kind: type) -> frozenset[str]:
    return frozenset(f"{each.__module__}.{each.__qualname__}" for each in kind.__mro__)


@cache
def _checks(kind: type) -> tuple[_Check, ...]:
    return tuple(check for name, check in _CHECKS.items() if name in _lineage(kind))


@cache
def _sound_states(kind: type) -> tuple[Callable[[Any, Any], Any], ...]:
    return tuple(sound for name, sound in _STATES.items() if name in _lineage(kind))
