"""Whether the trees of an XGBoost model hang together: XGBoost believes every index that a file has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_OF_NODES = (
    "default_left",
    "left_children",
    "parents",
    "right_children",
    "split_conditions",
    "split_indices",
)


def check(model: Mapping[str, Any]) -> None:
    """Refuse a model with an index in it that leads nowhere.

    Raises:
        ValueError: It has one.
        LookupError: It lacks a field.
        TypeError: A field is of another type.
    """
    learner = model["learner"]
    parameters = learner["learner_model_param"]
    features = int(parameters["num_feature"])
    groups = max(1, int(parameters["num_class"]), int(parameters.get("num_target", 1)))
    booster = learner["gradient_booster"]
    if booster["name"] == "dart":
        if len(booster["weight_drop"]) != len(booster["gbtree"]["model"]["trees"]):
            raise ValueError("the weights of its trees are not as many as they are")
        booster = booster["gbtree"]
    if booster["name"] == "gbtree":
        _check_forest(booster["model"], features, groups)
    elif booster["name"] != "gblinear":
        raise ValueError(f"it is boosted by {booster['name']!r}")
    elif len(booster["model"]["weights"]) != (features + 1) * groups:
        raise ValueError("its weights are not as many as its features")


def _check_forest(forest: Mapping[str, Any], features: int, groups: int) -> None:
    trees, kinds = forest["trees"], forest["tree_info"]
    count = int(forest["gbtree_model_param"]["num_trees"])
    if not len(trees) == len(kinds) == count or int(forest["gbtree_model_param"]["num_parallel_tree"]) < 1:
        raise ValueError("its trees are not as many as it says")
    if not all(0 <= kind < groups for kind in kinds):
        raise ValueError("a tree is of a class that there is not")
    rounds = forest.get("iteration_indptr")
    if rounds and (rounds[0] != 0 or rounds[-1] != count or list(rounds) != sorted(rounds)):
        raise ValueError("its rounds of boosting are not in order")
    for number, tree in enumerate(trees):
        if tree["id"] != number:
            raise ValueError("its trees are not in order")
        _check_tree(tree, features, groups)


def _check_tree(tree: Mapping[str, Any], features: int, groups: int) -> None:
    parameters = tree["tree_param"]
    nodes = int(parameters["num_nodes"])
    if nodes < 1 or int(parameters["num_feature"]) > max(features, 0):
        raise ValueError("a tree without nodes, or of more features than the model")
    width = int(parameters.get("size_leaf_vector", 1))
    if width not in {0, 1} and (width != groups or "leaf_weights" not in tree):
        raise ValueError("a tree whose leaves are vectors, of a model whose answers are not")
    for field in _OF_NODES:
        # Of a tree whose leaves are vectors, some fields are longer.
        if len(tree[field]) != nodes and not (width > 1 and field == "split_conditions"):
            raise ValueError(f"the nodes of a tree and its {field!r} are not as many")
    left, right = tree["left_children"], tree["right_children"]
    parent = [-1] * nodes
    leaves = len(tree.get("leaf_weights", ())) // width if width > 1 else 0
    for node, children in enumerate(zip(left, right, strict=True)):
        if children[0] == -1 and (children[1] == -1 or 0 <= children[1] < leaves):
            continue
        if not 0 <= tree["split_indices"][node] < features:
            raise ValueError("a tree asks for a feature that there is not")
        for child in children:
            if not 0 < child < nodes or parent[child] >= 0:
                raise ValueError("a tree whose nodes are no tree")
            parent[child] = node
    for node, above in enumerate(parent):
        if above >= 0 and tree["parents"][node] != above:
            raise ValueError("a tree whose nodes disagree about their parents")
    _check_categories(tree, nodes)


def _check_categories(tree: Mapping[str, Any], nodes: int) -> None:
    """The sets of categories by which nodes split: each a stretch of one list."""
    categories: Sequence[int] = tree.get("categories", ())
    splits, starts, sizes = (tree.get(f"categories_{field}", ()) for field in ("nodes", "segments", "sizes"))
    if not len(splits) == len(starts) == len(sizes):
        raise ValueError("a tree whose sets of categories are not as many as its splits by them")
    for node, start, size in zip(splits, starts, sizes, strict=True):
        if not 0 <= node < nodes or min(start, size) < 0 or start + size > len(categories):
            raise ValueError("a tree that splits by categories that there are not")
    if any(not 0 <= category < 1 << 24 for category in categories):
        raise ValueError("a category that XGBoost does not write")
    by_category = {node for node, kind in enumerate(tree.get("split_type", ())) if kind}
    if by_category - set(splits):
        raise ValueError("a node that splits by categories without a set of them")
