"""Whether trees, and the forests and boosted stages that hold them, can be walked without leaving them."""

from __future__ import annotations

from functools import partial
from typing import Any

from modelregistry.loaders.soundparts import are, array, features_of, need


def check_trees(trees: list[Any]) -> None:
    """Check the nodes of all trees at once."""
    import numpy as np

    counts = np.array([each.node_count for each in trees])
    need(counts.min() > 0, "a tree without a node")
    check_nodes(
        counts,
        left=np.concatenate([each.children_left for each in trees]),
        right=np.concatenate([each.children_right for each in trees]),
        feature=np.concatenate([each.feature for each in trees]),
        features=np.array([each.n_features for each in trees]),
        deepest=np.array([each.max_depth for each in trees]),
    )


def check_nodes(
    counts: Any, *, left: Any, right: Any, feature: Any, features: Any, leaf: Any = None, deepest: Any = None
) -> None:
    """Check the nodes of trees, one tree after the other; all trees at once, for forests have hundreds."""
    import numpy as np

    starts = np.cumsum(counts) - counts
    inner = np.flatnonzero(left != -1 if leaf is None else ~leaf)
    need(leaf is not None or (np.delete(right, inner) == -1).all(), "a leaf with a child")
    own = np.repeat(np.arange(len(counts)), counts)[inner]
    start, count = starts[own], counts[own]
    children = np.stack([left[inner], right[inner]]).astype(np.int64)
    # A child comes after its parent and has one parent only, so every walk ends.
    need(((children > inner - start) & (children < count)).all(), "a child outside its tree")
    children += start
    need(np.bincount(children.ravel(), minlength=1).max() <= 1, "a node with two parents")
    chosen = feature[inner]
    need(((chosen >= 0) & (chosen < features[own])).all(), "a node that asks for a feature that is not there")
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
        need((np.maximum.reduceat(depths, starts) <= deepest).all(), "a tree that is deeper than it says")


def check_tree_estimators(estimators: list[Any]) -> None:
    """Check that an estimator has a tree, and one that takes the same features."""
    for each in estimators:
        held = vars(each).get("tree_")
        if "tree_" in vars(each):
            need(
                are([held], "sklearn.tree._tree", "Tree"),
                "an estimator with something else for a tree",
            )
            need(
                held.n_features == features_of(each),
                "a tree of another number of features than its estimator",
            )


def check_gradient_boosting(estimators: list[Any]) -> None:
    """Check the stages, whose trees take what the first one takes and write each into a column of the first guess."""
    import numpy as np

    for each in estimators:
        if "estimators_" not in vars(each):
            continue
        stages, guess = vars(each)["estimators_"], vars(each).get("init_")
        need(
            type(stages) is np.ndarray and stages.ndim == 2 and stages.size,
            "a gradient boosting without stages",
        )
        members, width = list(stages.ravel()), stages.shape[1]
        need(
            are(members, "sklearn.tree._classes", "BaseDecisionTree")
            and all("tree_" in vars(member) for member in members)
            and len({features_of(member) for member in members}) == 1,
            "a gradient boosting whose stages are no trees, or take different features",
        )
        need(vars(each).get("n_trees_per_iteration_", width) == width, "a gradient boosting of other classes")
        if width > 1 and not (isinstance(guess, str) and guess == "zero"):
            need(are([guess], "sklearn.dummy", "DummyClassifier"), "a first guess that is not its own")
            need(
                vars(guess).get("strategy") == "prior"
                and len(array(vars(guess).get("class_prior_"), "f", 1)) == width,
                "a first guess of other classes",
            )


def check_histogram_boosting(estimators: list[Any]) -> None:
    """Check the nodes of all trees, and the bins and categories that they ask for."""
    import numpy as np

    for each in estimators:
        stages = vars(each).get("_predictors", [])
        need(
            type(stages) is list and all(type(stage) is list for stage in stages), "a boosting without stages"
        )
        predictors = [one for stage in stages for one in stage]
        if not predictors:
            continue
        need(
            are(predictors, "sklearn.ensemble._hist_gradient_boosting.predictor", "TreePredictor")
            and not vars(each).get("_in_fit"),
            "a boosting that holds something else than trees",
        )
        features, mapper = features_of(each), vars(each).get("_bin_mapper")
        need(are([mapper], "sklearn.ensemble._hist_gradient_boosting.binning", "_BinMapper"), "no bins")
        categorical = array(vars(mapper).get("is_categorical_"), "bui", 1) != 0
        need(len(categorical) == features, "bins of another number of features")
        check_preprocessor(vars(each).get("_preprocessor"), features)
        nodes = [array(vars(one).get("nodes"), "V", 1) for one in predictors]
        counts = np.array([len(one) for one in nodes])
        need(counts.min() > 0, "a tree without a node")
        joined = np.concatenate(nodes)
        check_nodes(
            counts,
            left=joined["left"],
            right=joined["right"],
            feature=joined["feature_idx"].astype(np.int64),
            features=np.full(len(nodes), features),
            leaf=joined["is_leaf"] != 0,
        )
        bits = [array(vars(one).get("raw_left_cat_bitsets"), "u", 2) for one in predictors]
        need(all(one.shape[1] == 8 for one in bits), "categories of another width")
        asks = (joined["is_categorical"] != 0) & (joined["is_leaf"] == 0)
        held = np.repeat([len(one) for one in bits], counts)
        need(
            (joined["bitset_idx"] < held)[asks].all() and categorical[joined["feature_idx"][asks]].all(),
            "a node that asks for categories that are not there",
        )


def check_preprocessor(preprocessor: Any, features: int) -> None:
    """Refuse to put categories into numbers in another way than the estimator itself: what comes out is not checked."""
    if preprocessor is None:
        return
    need(
        are([preprocessor], "sklearn.compose._column_transformer", "ColumnTransformer"),
        "another encoder",
    )
    steps = vars(preprocessor).get("transformers_")
    need(type(steps) is list and len(steps) > 1, "another encoder")
    (_, encoder, encoded), (_, checker, passed), *rest = steps
    need(all(type(step) is str and step == "drop" for _, step, _ in rest), "another encoder")
    need(
        are([encoder], "sklearn.preprocessing._encoders", "OrdinalEncoder")
        and are([checker], "sklearn.preprocessing._function_transformer", "FunctionTransformer")
        and len(array(encoded, "b", 1)) == features
        and (encoded != array(passed, "b", 1)).all(),
        "another encoder",
    )
    function = vars(checker).get("func")
    need(
        isinstance(function, partial)
        and function.func.__module__ == "sklearn.utils.validation"
        and not function.args
        and vars(checker).get("kw_args") is None,
        "another encoder",
    )
