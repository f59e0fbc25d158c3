"""A model in another format: written, loaded again and asked the same, and only then given its name."""

from __future__ import annotations

import math
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from modelregistry.errors import ConversionError, InvalidInputError, MissingDependencyError, RegistryError
from modelregistry.loaders.base import Permit, is_of
from modelregistry.loading.example import column_of, rows_of
from modelregistry.plugins import LOADERS, load_class

_Answer = TypeVar("_Answer")
_TOLERANCES = {"skops": 1e-9, "onnx": 1e-4}
"""The formats, and how far an answer may be off in parts of itself: ONNX counts in 32 bits unless the example has 64."""
_SHOWN = 3


def convert(model: object, name: str, to: Path, *, format: str, example: object = None) -> Path:  # noqa: A002
    """Write the model in that format; returns the file.

    Args:
        model: What was loaded.
        name: What its file or folder is called in the repository.
        to: The folder to write to.
        format: The format.
        example: Some rows of input, as ``rows_of`` takes them; None for no comparison.

    Raises:
        ConversionError: It can't be written so, or answers otherwise then; nothing was left behind.
        InvalidInputError: No such format, no such folder, or an example that is no rows.
        MissingDependencyError: The library of the format is not installed.
    """
    check_wish(format, to)
    example = None if example is None else rows_of(example)
    write = _write_onnx if format == "onnx" else _write_skops
    target = to / f"{PurePosixPath(name).stem}.{format}"
    scratch = to / f".{secrets.token_hex(8)}.{format}"
    what = f"{type(model).__name__} as {format!r}"
    try:
        _attempt(what, lambda: write(model, scratch, example))
        # What this process has just written can do no more than the object it was written from.
        again = _attempt(what, lambda: load_class(LOADERS[format])().load(scratch, Permit(code=True)))
        if example is not None:
            wanted = _attempt(what, lambda: ask(model, example))
            given = _attempt(what, lambda: ask(again, example))
            if not alike(wanted, given, _TOLERANCES[format]):
                raise ConversionError(
                    f"{what} answers otherwise than the model: {given[:_SHOWN]!r} and not {wanted[:_SHOWN]!r}, to begin with"
                )
        scratch.replace(target)
    finally:
        scratch.unlink(missing_ok=True)
    return target


def check_wish(format: str, to: Path) -> None:  # noqa: A002
    """Refuse what can't be, before the model is loaded.

    Raises:
        InvalidInputError: No such format, or no such folder.
    """
    if not isinstance(format, str) or format not in _TOLERANCES:
        raise InvalidInputError(
            f"format={format!r}: a model is converted to {' or '.join(map(repr, _TOLERANCES))}"
        )
    if not to.is_dir():
        raise InvalidInputError(f"to={os.fspath(to)!r} is no folder")


def _attempt(what: str, attempt: Callable[[], _Answer]) -> _Answer:
    try:
        return attempt()
    except RegistryError:
        raise
    except Exception as error:  # each library has errors of its own
        reason = f"{type(error).__name__}: {error}"[:300]
        raise ConversionError(f"{what} does not work: {reason!r}") from error


def _write_skops(model: object, path: Path, example: object) -> None:
    del example
    load_class(LOADERS["skops"])().save(model, path)


def _write_onnx(model: Any, path: Path, example: Any) -> None:
    try:
        import skl2onnx
        from skl2onnx.common.data_types import FloatTensorType
    except ImportError as error:
        raise MissingDependencyError(
            "ONNX is written by skl2onnx: pip install 'modelregistry[convert]'"
        ) from error
    types = None
    if example is None:
        count = getattr(model, "n_features_in_", None)
        if count is None:
            raise ConversionError(
                f"{type(model).__name__} does not say how many features it takes: pass an example="
            )
        types = [("X", FloatTensorType([None, int(count)]))]
    options = {id(model): {"zipmap": False}} if hasattr(model, "predict_proba") else None
    example = column_of(example)
    try:
        graph = skl2onnx.to_onnx(model, example, initial_types=types, options=options)
    except Exception:
        if not hasattr(example, "columns"):
            raise
        # An input for each column is what a model takes that picks columns; the others take one array.
        graph = skl2onnx.to_onnx(model, example.to_numpy(), options=options)
    path.write_bytes(graph.SerializeToString())


def ask(model: Any, example: Any) -> list[Any]:
    """What a model answers to the example, as one list."""
    if hasattr(model, "get_inputs"):  # a session of ONNX Runtime
        example = column_of(example)
        names = [each.name for each in model.get_inputs()]
        if hasattr(example, "columns") and {*names} <= {*example.columns}:
            feed = {name: example[[name]].to_numpy() for name in names}
        else:
            feed = {names[0]: example.to_numpy() if hasattr(example, "columns") else example}
        answer = model.run(None, feed)[0]
    else:
        quiet = {"verbose": 0} if is_of(model, "keras", "Model") else {}
        answer = model.predict(example, **quiet) if hasattr(model, "predict") else model.transform(example)
    for dense in ("toarray", "to_numpy"):
        if hasattr(answer, dense):
            answer = getattr(answer, dense)()
    return list(_flat(answer.tolist()))


def _flat(values: Any) -> Iterator[Any]:
    for value in values if isinstance(values, list) else [values]:
        if isinstance(value, list):
            yield from _flat(value)
        else:
            yield value


def alike(wanted: list[Any], given: list[Any], tolerance: float) -> bool:
    """Whether two answers are the same: numbers but for that part of them, and all else exactly."""
    return len(wanted) == len(given) and all(
        math.isclose(one, other, rel_tol=tolerance, abs_tol=tolerance)
        or (math.isnan(one) and math.isnan(other))
        if isinstance(one, int | float) and isinstance(other, int | float)
        else one == other
        for one, other in zip(wanted, given, strict=True)
    )
