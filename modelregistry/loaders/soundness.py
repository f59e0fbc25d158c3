"""Whether the parts of what a file made fit together, so that native code that uses them stays in its memory.

Numpy, scipy and scikit-learn check what a caller passes to them and believe what they made themselves. A file can
make the same objects with other numbers in them: a node whose child is far outside its tree, support vectors that
are too short. Then ``predict`` reads or writes where nothing is theirs, and the process dies or worse. Here each
object that native code goes by is compared with itself and with the estimator that holds it, once all are made.
Whether an answer is right is not asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

from modelregistry.loaders.soundestimators import (
    check_centres,
    check_linear_classifiers,
    check_linkage,
    check_sparse,
    check_splines,
    check_support_vectors,
)
from modelregistry.loaders.soundneighbours import check_metrics, check_neighbour_trees, check_neighbours
from modelregistry.loaders.soundparts import lineage, need
from modelregistry.loaders.soundstates import STATES
from modelregistry.loaders.soundtrees import (
    check_gradient_boosting,
    check_histogram_boosting,
    check_tree_estimators,
    check_trees,
)

_Check = Callable[[list[Any]], None]
_CHECKS: Mapping[str, _Check] = MappingProxyType(
    {
        "scipy.interpolate._bsplines.BSpline": check_splines,
        "scipy.sparse._base._spbase": check_sparse,
        "sklearn.cluster._hdbscan.hdbscan.HDBSCAN": check_linkage,
        "sklearn.cluster._kmeans._BaseKMeans": check_centres,
        "sklearn.ensemble._gb.BaseGradientBoosting": check_gradient_boosting,
        "sklearn.ensemble._hist_gradient_boosting.gradient_boosting.BaseHistGradientBoosting": check_histogram_boosting,
        "sklearn.linear_model._base.LinearClassifierMixin": check_linear_classifiers,
        "sklearn.metrics._dist_metrics.DistanceMetric": check_metrics,
        "sklearn.neighbors._ball_tree.BinaryTree32": check_neighbour_trees,
        "sklearn.neighbors._ball_tree.BinaryTree64": check_neighbour_trees,
        "sklearn.neighbors._base.NeighborsBase": check_neighbours,
        "sklearn.neighbors._kd_tree.BinaryTree32": check_neighbour_trees,
        "sklearn.neighbors._kd_tree.BinaryTree64": check_neighbour_trees,
        "sklearn.svm._base.BaseLibSVM": check_support_vectors,
        "sklearn.tree._classes.BaseDecisionTree": check_tree_estimators,
        "sklearn.tree._tree.Tree": check_trees,
    }
)
"""What is compared once everything is made, of all instances of a class and its subclasses together."""


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
            need(id(target) not in self._given, f"a {kind.__name__} that is given its state twice")
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
        trees = {id(tree) for tree in self._made.get(check_trees, ())}
        held = {id(vars(each).get("tree_")) for each in self._made.get(check_tree_estimators, ())}
        need(trees <= held, "a tree that belongs to no estimator")


@cache
def _checks(kind: type) -> tuple[_Check, ...]:
    return tuple(check for name, check in _CHECKS.items() if name in lineage(kind))


@cache
def _sound_states(kind: type) -> tuple[Callable[[Any, Any], Any], ...]:
    return tuple(sound for name, sound in STATES.items() if name in lineage(kind))
