"""What stands in for the functions that a file calls, and what a state must be before native code takes it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from modelregistry.loaders.soundparts import UnsoundError, array, need, whole

ELKAN, LLOYD = "sklearn.cluster._kmeans._kmeans_single_elkan", "sklearn.cluster._kmeans._kmeans_single_lloyd"
"""Stand for two functions that believe whatever they are called with, until the estimator is found that calls them."""

_TWISTER, _PHILOX = 624, 4
"""Numbers that two of numpy's sources of random bits make at a time."""


# -- what is called to make them --------------------------------------------------------------------------------


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

    need(kind is np.random.SeedSequence and state is None, "a seed sequence that numpy does not write")
    return module.__pyx_unpickle_SeedSequence(kind, checksum, state)  # type: ignore[attr-defined]


def tree(n_features: Any, n_classes: Any, n_outputs: Any) -> Any:
    """An empty tree. The real one reads as many numbers of classes as there are outputs, wherever they are."""
    from sklearn.tree._tree import Tree

    sizes = array(n_classes, "iu", 1)
    need(
        whole(n_features)
        and n_features > 0
        and whole(n_outputs)
        and len(sizes) == n_outputs
        and min(sizes, default=0) > 0,
        "a tree whose outputs and classes don't fit together",
    )
    return Tree(n_features, n_classes, n_outputs)


# -- states ----------------------------------------------------------------------------------------------------


def _tree_state(_tree: Any, state: Any) -> Any:
    need(
        isinstance(state, dict)
        and whole(state.get("node_count"))
        and state["node_count"] == len(array(state.get("nodes"), "V", 1)) > 0
        and len(array(state.get("values"), "f", 3)) == state["node_count"],
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
    fits = whole(place) and 0 <= place <= _TWISTER and whole(in_buffer) and 0 <= in_buffer <= _PHILOX
    need(fits, "random bits beyond their buffer")
    return state


def _partial_state(_partial: Any, state: Any) -> Any:
    # Its attributes would pass by what is asked of the states of other objects.
    need(type(state) is tuple and len(state) == 4 and not state[3], "a partial function with attributes")
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
        need(whole(state["_n_threads"]), "a number of threads that is none")
        state["_n_threads"] = max(1, min(state["_n_threads"], os.cpu_count() or 1))
    return state


def _bisecting_state(_estimator: Any, state: Any) -> Any:
    if isinstance(state, dict) and "_kmeans_single" in state:
        from sklearn.cluster import _kmeans

        known = {ELKAN: _kmeans._kmeans_single_elkan, LLOYD: _kmeans._kmeans_single_lloyd}
        need(state["_kmeans_single"] in known, "a k-means of another kind")
        state["_kmeans_single"] = known[state["_kmeans_single"]]
    return state


STATES: Mapping[str, Callable[[Any, Any], Any]] = MappingProxyType(
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
