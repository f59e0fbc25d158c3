"""What is asked of a part of what a file made: is it an array, a whole number, an instance of what it should be."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any


class UnsoundError(Exception):
    """Parts of what a file made don't fit together."""


def need(fits: object, problem: str) -> None:
    """Raise if they don't.

    Raises:
        UnsoundError: With the problem.
    """
    if not fits:
        raise UnsoundError(problem)


def whole(value: Any) -> bool:
    """Whether it is a whole number, of Python or of numpy."""
    import numpy as np

    return type(value) is int or isinstance(value, np.integer)


def array(value: Any, kinds: str, dimensions: int | None = None) -> Any:
    """The value, which is an array of one of these kinds of dtype."""
    import numpy as np

    need(
        type(value) is np.ndarray and value.dtype.kind in kinds and dimensions in {None, value.ndim},
        f"a {type(value).__name__} where an array of another kind belongs",
    )
    return value


def features_of(estimator: Any) -> int:
    """The number of features that an estimator holds its input to: without it, it does not look."""
    number = vars(estimator).get("n_features_in_")
    need(whole(number), f"a {type(estimator).__name__} that does not say how many features it takes")
    return int(number)


def are(values: Iterable[Any], module: str, name: str) -> bool:
    """Whether all are instances of the class or of its subclasses."""
    kinds: set[type] = {type(value) for value in values}
    return all(f"{module}.{name}" in lineage(kind) for kind in kinds)


def shape_of(value: Any) -> tuple[int, int]:
    """Rows and columns of an array or a sparse matrix."""
    import numpy as np

    if type(value) is np.ndarray:
        need(value.dtype.kind in "biuf" and value.ndim in {1, 2}, "an array of another kind")
        return (*value.shape, 1)[:2]
    need(
        are([value], "scipy.sparse._base", "_spbase"),
        f"a {type(value).__name__} where an array belongs",
    )
    return value.shape  # type: ignore[no-any-return]


@cache
def lineage(kind: type) -> frozenset[str]:
    """The names of a class and of all that it comes from."""
    return frozenset(f"{each.__module__}.{each.__qualname__}" for each in kind.__mro__)
