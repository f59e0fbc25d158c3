"""Writes an object from memory in the format that keeps it best: what everybody can load before what must be trusted."""

from __future__ import annotations

import logging
import posixpath
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from modelregistry.errors import ConversionError, InvalidInputError, MissingDependencyError, RegistryError
from modelregistry.loaders.base import Inspection, Loader, Permit, Tier, is_of
from modelregistry.loading.convert import alike, ask
from modelregistry.loading.loaderchoice import choose
from modelregistry.plugins import loaders_for, savers

_logger = logging.getLogger("modelregistry")
_TOLERANCE = 1e-6
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Saved:
    """An object that was written."""

    loader: Loader
    path: str
    """Where it belongs, from the Git root."""
    place: Path
    """Where it lies until then."""
    needed: Inspection
    """What loading it needs."""
    reason: str | None = None
    """Why it is not in the format that would have come first; None where it is."""
    recognised: bool = True
    """Whether its loader is found by looking at it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A loader to save with, and where its file or folder belongs, from the Git root."""

    loader: Loader
    path: str


def plan(
    model: object, name: str, *, wanted: str | None, path: str | None, declared: str | None
) -> list[Plan]:
    """What to try, best first.

    Args:
        model: The object.
        name: What it is registered as.
        wanted: The name of the loader whose format it is to have; None for the best.
        path: Where it is to be kept; None for where it is declared, else ``models/`` beside ``dvc.yaml``.
        declared: Where it is declared, if it is; left for another place where the format has another suffix.

    Raises:
        InvalidInputError: No such loader, none that saves such an object, or a path that is called like another format.
    """
    found = _candidates(model, name, wanted)
    if path is not None:
        fitting = [each for each in found if _fits(each, model, path)]
        if not fitting and (foreign := _foreign(model, path)):
            raise InvalidInputError(
                f"path={path!r} is called like a file of {foreign!r}: let it end in "
                f"{found[0].suffix_for(model)!r}, or pass loader={foreign!r}"
            )
        return [Plan(each, path) for each in fitting or found]
    folder, _, short = name.rpartition(":")
    folder = posixpath.dirname(declared) if declared is not None else posixpath.join(folder, "models")
    stays, moves = [], []
    for each in found:
        fits = declared is not None and (
            _fits(each, model, declared) or (wanted is not None and not _foreign(model, declared))
        )
        if fits and declared is not None:
            stays.append(Plan(each, declared))
        else:
            moves.append(Plan(each, posixpath.join(folder, f"{short}{each.suffix_for(model)}")))
    return [*stays, *moves]


def save(
    model: object, plans: Sequence[Plan], folder: Path, *, named: bool = False, example: object = None
) -> Saved:
    """Write the object into a folder.

    Args:
        model: The object.
        plans: What to try, best first.
        folder: The folder, which is empty.
        named: Whether somebody named the loader, so that the file need not tell it.
        example: Some rows of input, by which it is seen whether what was written answers as the object does.

    Raises:
        InvalidInputError: What was written would be taken for another format.
        ConversionError: It can't be written, or answers otherwise then.
        MissingDependencyError: The library of the format is not installed.
    """
    failures: list[tuple[Loader, Exception]] = []
    done: list[Saved] = []
    for number, each in enumerate(plans):
        place = folder / str(number) / posixpath.basename(each.path)
        place.parent.mkdir()
        try:
            each.loader.save(model, place)
            needed = each.loader.inspect(place)
        except Exception as error:  # each library has errors of its own
            _logger.debug("%s does not save it", each.loader.name, exc_info=True)
            failures.append((each.loader, error))
            continue
        done.append(Saved(each.loader, each.path, place, needed))
        if not needed.names and needed.tier < Tier.NAMED:
            break
    if not done:
        raise _failure(model, failures)
    best = min(done, key=lambda each: (each.needed.tier, done.index(each)))
    chosen = replace(best, reason=_reason(best, done, failures), recognised=_is_recognised(best))
    if not chosen.recognised and not named:
        raise InvalidInputError(
            f"a file called {posixpath.basename(chosen.path)!r} would not be taken for one of {chosen.loader.name!r}: "
            f"let it end in {chosen.loader.suffix_for(model)!r}, or pass loader={chosen.loader.name!r}"
        )
    if example is not None:
        _check_answers(model, chosen, example)
    return chosen


def _candidates(model: object, name: str, wanted: str | None) -> list[Loader]:
    """The loaders to try, best first."""
    if wanted is not None:
        named = [each for each in savers() if each.name == wanted]
        if not named:
            known = ", ".join(repr(each.name) for each in savers())
            raise InvalidInputError(f"loader={wanted!r} saves nothing; those that do: {known}")
        # Pickles hold anything; the others are for what they know.
        if not (named[0].confines or named[0].saves(model)):
            raise InvalidInputError(
                f"loader {wanted!r} does not save a {_kind(model)}; leave loader= out for the one that does"
            )
        return named
    found = [each for each in savers() if each.saves(model)]
    if not found:
        raise InvalidInputError(f"no loader saves a {_kind(model)}: {_advice(model, name)}")
    return found


def _advice(model: object, name: str) -> str:
    if is_of(model, "numpy", "ndarray") or is_of(model, "torch", "Tensor"):
        return 'pass arrays of numbers by their names, {"weights": …}, which are kept as safetensors'
    if is_of(model, "keras", "Layer"):
        return "put it into a keras.Model, which is kept whole"
    if isinstance(model, dict) and any(is_of(each, "numpy", "ndarray") for each in model.values()):
        return (
            "of a dict, arrays of numbers under names that are texts are kept, as safetensors; put anything else into "
            "metadata=, or pass loader='pickle' or loader='joblib', which others load only where they trust it"
        )
    if is_of(model, "torch", "Module"):
        return (
            "pass its state_dict() to keep the weights alone, or torch.export.export(model, (example,)) to keep a "
            "program of it"
        )
    if isinstance(model, str | Path):
        return f"it is a path: 'dvc add' the file, commit, and registry.register({name!r}, path=…)"
    return (
        f"save it yourself, 'dvc add' the file, commit, and registry.register({name!r}, path=…); or pass "
        "loader='joblib' or loader='pickle' to make a pickle of it, which others load only where they trust it"
    )


def _kind(model: object) -> str:
    return f"{type(model).__module__}.{type(model).__qualname__}".removeprefix("builtins.")


def _fits(loader: Loader, model: object, path: str) -> bool:
    """Whether the path is called as the loader's files are."""
    suffix = posixpath.splitext(path)[1].lower()
    return suffix == loader.suffix_for(model) or (bool(suffix) and suffix in loader.suffixes)


def _foreign(model: object, path: str) -> str | None:
    """The loader whose files are called so, if there is one."""
    suffix = posixpath.splitext(path)[1].lower()
    return next(
        (
            each.name
            for each in savers()
            if suffix and (suffix in each.suffixes or suffix == each.suffix_for(model))
        ),
        None,
    )


def _reason(chosen: Saved, done: Sequence[Saved], failures: Sequence[tuple[Loader, Exception]]) -> str | None:
    for loader, error in failures:
        if loader is not chosen.loader:
            return f"{loader.name} can't write it ({_said(error)})"
    for other in done:
        if other is not chosen:
            listed = ", ".join(other.needed.names[:_SHOWN])
            return f"{other.loader.name} does not vouch for {listed or 'all of it'}"
    return None


def _failure(model: object, failures: Sequence[tuple[Loader, Exception]]) -> RegistryError:
    for _, error in failures:
        if isinstance(error, MissingDependencyError):
            return error
    loader, error = failures[0]
    failure = ConversionError(f"{_kind(model)} can't be written by {loader.name!r}: {_said(error)}")
    failure.__cause__ = error
    return failure


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]


def _is_recognised(saved: Saved) -> bool:
    name = saved.place.name
    try:
        return (
            choose(saved.place, name, loaders_for(saved.place, name, None)).loader.name == saved.loader.name
        )
    except RegistryError:
        return False


def _check_answers(model: object, saved: Saved, example: object) -> None:
    def attempt(what: str, do: Callable[[], list[object]]) -> list[object]:
        try:
            return do()
        except Exception as error:
            raise ConversionError(f"{what} can't be asked with the example: {_said(error)}") from error

    if saved.loader.loses(model) is not None:
        return
    # What this process has just written can do no more than the object it was written from.
    again = saved.loader.load(saved.place, Permit(code=True))
    wanted = attempt(f"a {_kind(model)}", lambda: ask(model, example))
    given = attempt(f"what {saved.loader.name!r} wrote", lambda: ask(again, example))
    if not alike(wanted, given, _TOLERANCE):
        raise ConversionError(
            f"what {saved.loader.name!r} wrote answers otherwise than the model: {given[:_SHOWN]!r} and not "
            f"{wanted[:_SHOWN]!r}, to begin with"
        )
