"""Whether support vectors, sparse matrices, splines, linear models and clusters have the sizes that their users believe."""

from __future__ import annotations

from typing import Any

from modelregistry.loaders.soundparts import UnsoundError, are, array, features_of, need, shape_of, whole

_DEEPEST_SPLINE = 100
"""Degrees of a spline: evaluating it takes memory and time in proportion."""


# -- support vectors -----------------------------------------------------------------------------------------


def check_support_vectors(estimators: list[Any]) -> None:
    """Check that vectors, factors, classes and intercepts are as many as each other says."""
    for each in estimators:
        held = vars(each)
        if "support_vectors_" not in held:
            continue
        need(not {"_impl", "_sparse_kernels"} & held.keys(), "support vectors of another kind")
        vectors, kernel, sparse = held["support_vectors_"], held.get("kernel"), held.get("_sparse")
        support, per_class = array(held.get("support_"), "i", 1), array(held.get("_n_support"), "i", 1)
        count, classes = len(support), len(per_class)
        given = held.get("shape_fit_")
        need(type(given) is tuple and whole(given[0]), "support vectors of unknown samples")
        need(((support >= 0) & (support < given[0])).all(), "support vectors that are not there")
        if type(each)._impl in {"c_svc", "nu_svc"}:
            need(
                classes > 1 and (per_class >= 0).all() and per_class.sum() == count,
                "support vectors of other classes",
            )
        else:
            need(classes == 2, "support vectors of other classes")
        pairs = classes * (classes - 1) // 2
        need(len(array(held.get("_intercept_"), "f", 1)) == pairs, "another number of intercepts")
        chances = {len(array(held.get(name), "f", 1)) for name in ("_probA", "_probB")}
        need(chances in ({0}, {pairs}), "another number of chances")
        plain = kernel == "precomputed" if isinstance(kernel, str) else callable(kernel)
        factors = held.get("_dual_coef_")
        if sparse:
            need(
                not plain and are([vectors, factors], "scipy.sparse._base", "_spbase"),
                "sparse support vectors",
            )
            need(
                vectors.format == factors.format == "csr" and len(factors.data) == (classes - 1) * count,
                "other factors",
            )
        else:
            need(array(factors, "f", 2).shape == (classes - 1, count), "other factors than support vectors")
            array(vectors, "f", 2)
        if not plain:
            need(vectors.shape == (count, features_of(each)), "support vectors of other features")


# -- sparse matrices and splines -----------------------------------------------------------------------------


def check_sparse(matrices: list[Any]) -> None:
    """Check that every index of a sparse matrix is within its shape."""
    import numpy as np

    for each in matrices:
        held = vars(each)
        for name in ("_has_sorted_indices", "_has_canonical_format", "has_canonical_format"):
            held.pop(name, None)  # they are worked out again
        shape = held.get("_shape")
        need(
            type(shape) is tuple and all(whole(length) and length >= 0 for length in shape),
            "a sparse matrix whose shape is none",
        )
        array(held.get("data"), "biufc")
        arrays_ = [held[name] for name in ("indices", "indptr", "row", "col", "offsets") if name in held]
        for indices in [*arrays_, *held.get("coords", ())]:
            array(indices, "iu", 1)
        try:
            if hasattr(each, "check_format"):
                each.check_format(full_check=True)
            elif hasattr(each, "_check"):
                each._check()
            else:  # of diagonals
                need(
                    each.data.ndim == 2
                    and len(each.offsets) == len(each.data) == len(np.unique(each.offsets)),
                    "",
                )
        except (ValueError, UnsoundError, IndexError, TypeError) as error:
            raise UnsoundError(f"a sparse matrix that is none: {error}") from error


def check_splines(splines: list[Any]) -> None:
    """Check that knots, factors and degree belong to one spline."""
    import numpy as np

    for each in splines:
        knots, factors, degree = array(each.t, "f", 1), each.c, each.k
        need(
            whole(degree)
            and 0 <= degree <= _DEEPEST_SPLINE
            and len(knots) >= 2 * degree + 2
            and np.isfinite(knots).all()
            and (np.diff(knots) >= 0).all()
            and array(factors, "fc").ndim >= 1
            and len(factors) >= len(knots) - degree - 1
            and vars(each).get("axis", 0) in range(factors.ndim),
            "a spline whose parts don't fit together",
        )


# -- linear models -------------------------------------------------------------------------------------------


def check_linear_classifiers(estimators: list[Any]) -> None:
    """Check that there is one answer a class: one-against-the-rest makes a sparse matrix of as many as it gets."""
    for each in estimators:
        held = vars(each)
        if {"coef_", "classes_"} <= held.keys():
            classes = len(array(held["classes_"], "biufOSU", 1))
            answers = 1 if getattr(held["coef_"], "ndim", 0) == 1 else shape_of(held["coef_"])[0]
            need(answers == (1 if classes == 2 else classes), "a linear model of other classes")
            constant = held.get("intercept_")
            need(
                isinstance(constant, float) or len(array(constant, "f", 1)) in {1, answers},
                "other constants than classes",
            )


# -- clusters ------------------------------------------------------------------------------------------------


def check_centres(estimators: list[Any]) -> None:
    """Check that each centre, also in a tree of them, has the features of its estimator."""
    for each in estimators:
        held = vars(each)
        if "cluster_centers_" in held:
            centres = array(held["cluster_centers_"], "f", 2)
            need(
                len(centres) and centres.shape[1] == features_of(each),
                "clusters of another number of features",
            )
            if "_counts" in held:
                need(len(array(held["_counts"], "f", 1)) == len(centres), "counts of other clusters")
        rest, seen = [held.get("_bisecting_tree")], set()
        while rest:
            node = rest.pop()
            if node is None or id(node) in seen:
                continue
            seen.add(id(node))
            need(
                are([node], "sklearn.cluster._bisect_k_means", "_BisectingTree"),
                "something else for a tree",
            )
            need(
                len(array(vars(node).get("center"), "f", 1)) == features_of(each),
                "a cluster of other features",
            )
            rest += [vars(node).get("left"), vars(node).get("right")]


def check_linkage(estimators: list[Any]) -> None:
    """Check that what is merged is there, and is merged once."""
    import numpy as np

    for each in estimators:
        if "_single_linkage_tree_" in vars(each):
            merges = array(vars(each)["_single_linkage_tree_"], "V", 1)
            known = len(merges) + 1 + np.arange(len(merges))
            for side in ("left_node", "right_node"):
                need(((merges[side] >= 0) & (merges[side] < known)).all(), "a cluster of what is not there")
            children = np.concatenate([merges["left_node"], merges["right_node"]])
            need(len(np.unique(children)) == len(children), "a cluster that is in two")
