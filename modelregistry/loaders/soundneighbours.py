"""Whether what nearest neighbours are looked up in holds them, each once."""

from __future__ import annotations

from typing import Any

from modelregistry.loaders.soundparts import UnsoundError, are, array, features_of, need, shape_of


def check_metrics(metrics: list[Any]) -> None:
    """Check that the matrix of a metric is square."""
    for each in metrics:
        square = each.__getstate__()[2]
        need(square.ndim == 2 and square.shape[0] == square.shape[1], "a metric whose matrix is not square")


def check_neighbour_trees(trees: list[Any]) -> None:
    """Check that the nodes of a tree share its points among them, each once."""
    import numpy as np

    for each in trees:
        data, index, nodes, bounds, leaf_size, levels, count, *_, metric, weights = each.__getstate__()
        data, index, nodes = array(data, "f", 2), array(index, "i", 1), array(nodes, "V", 1)
        samples, features = data.shape
        need(samples and features and leaf_size > 0, "a tree of neighbours without any")
        need(are([metric], "sklearn.metrics._dist_metrics", "DistanceMetric"), "a tree without a metric")
        try:
            metric._validate_data(data)
        except ValueError as error:
            raise UnsoundError(f"a metric for other data: {error}") from error
        need(
            len(index) == samples and ((index >= 0) & (index < samples)).all(),
            "a tree of neighbours that are not there",
        )
        need(weights is None or len(array(weights, "f", 1)) == samples, "other weights than neighbours")
        need(0 < levels < 64 and count == len(nodes) == 2**levels - 1, "a tree of neighbours of another size")
        sides = 2 if "KDTree" in type(each).__name__ else 1
        need(
            array(bounds, "f", 3).shape == (sides, count, features), "a tree of neighbours with other bounds"
        )
        start, end = nodes["idx_start"], nodes["idx_end"]
        parents = np.arange(count // 2)
        parents = parents[nodes["is_leaf"][parents] == 0]
        need((nodes["is_leaf"][count // 2 :] != 0).all(), "a leaf with a child")
        # Each node has the neighbours of its two children, once; no walk meets more than there are.
        need(
            start[0] == 0
            and end[0] == samples
            and (start[2 * parents + 1] == start[parents]).all()
            and (end[2 * parents + 1] == start[2 * parents + 2]).all()
            and (end[2 * parents + 2] == end[parents]).all()
            and (start[parents] <= end[2 * parents + 1]).all()
            and (end[2 * parents + 1] <= end[parents]).all(),
            "a tree of neighbours whose nodes overlap",
        )
        need((nodes["is_leaf"][parents] == 0).all(), "a leaf with a child")


def check_neighbours(estimators: list[Any]) -> None:
    """Check that tree, points and answers are as many as each other."""
    for each in estimators:
        held = vars(each)
        if "_fit_X" not in held:
            continue
        samples, features = shape_of(held["_fit_X"])
        need(samples > 0 and features == features_of(each), "neighbours of another number of features")
        need(held.get("n_samples_fit_") == samples, "another number of neighbours than it says")
        tree_ = held.get("_tree")
        if tree_ is not None:
            need(
                are([tree_], type(tree_).__module__, "BinaryTree64"),
                "something else for a tree of neighbours",
            )
            need(tree_.__getstate__()[0].shape == (samples, features), "a tree of other neighbours")
        if "_y" in held:
            need(shape_of(held["_y"])[0] == samples, "another number of answers than neighbours")
        if "classes_" in held:
            check_labels(held["_y"], held["classes_"])


def check_labels(labels: Any, classes: Any) -> None:
    """Check that each answer is one of the classes."""
    columns = array(labels, "iu").reshape(len(labels), -1)
    of_each = classes if type(classes) is list else [classes]
    need(columns.shape[1] == len(of_each), "answers to another number of questions")
    for column, known in zip(columns.T, of_each, strict=True):
        need(((column >= 0) & (column < len(known))).all(), "an answer that is no class")
