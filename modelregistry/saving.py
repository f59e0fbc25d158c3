"""Writes an object from memory in the format that keeps it best: what everybody can load before what must be trusted."""

from __future__ import annotations

import logging
import posixpath
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from modelregistry.convert import alike, ask
from modelregistry.errors import ConversionError, InvalidInputError, MissingDependencyError, RegistryError
from modelregistry.loaderchoice import choose
from modelregistry.loaders.base import Inspection, Loader, Permit, Tier, is_of
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


def save(
    model: object,
    name: str,
    folder: Path,
    *,
    wanted: str | None,
    path: str | None,
    declared: str | None,
    example: object = None,
) -> Saved:
    """Write the object into a folder.

    Args:
        model: The object.
        name: What it is registered as.
        folder: The folder, which is empty.
        wanted: The name of the loader whose format it is to have; None for the best.
        path: Where it is to be kept, from the Git root; None for where it is declared, else ``models/`` beside
            ``dvc.yaml``.
        declared: Where it is declared, if it is; left for another place where the format has another suffix.
        example: Some rows of input, by which it is seen whether what was written answers as the object does.

    Raises:
        InvalidInputError: No such loader, none that saves such an object, or a path that is called like another format.
        ConversionError: It can't be written, or answers otherwise then.
        MissingDependencyError: The library of the format is not installed.
    """
    found = _candidates(model, name, wanted)
    called = path or declared
    fitting = [each for each in found if called is not None and _fits(each, model, called)]
    if path is not None:
        found = fitting or _unless_foreign(found, model, path)
    elif fitting:
        found = [*fitting, *(each for each in found if each not in fitting)]
    failures: list[tuple[Loader, Exception]] = []
    done: list[Saved] = []
    for number, loader in enumerate(found):
        where = path or _place(loader, model, name, declared if loader in fitting else None, declared)
        place = folder / str(number) / posixpath.basename(where)
        place.parent.mkdir()
        try:
            loader.save(model, place)
            needed = loader.inspect(place)
        except Exception as error:  # each library has errors of its own
            _logger.debug("%s does not save it", loader.name, exc_info=True)
            failures.append((loader, error))
            continue
        done.append(Saved(loader, where, place, needed))
        if not needed.names and needed.tier < Tier.NAMED:
            break
    if not done:
        raise _failure(model, failures)
    best = min(done, key=lambda each: (each.needed.tier, done.index(each)))
    chosen = Saved(
        best.loader, best.path, best.place, best.needed,
        reason=_reason(best, done, failures), recognised=_is_recognised(best),
    )  # fmt: skip
    if not chosen.recognised and wanted is None:
        raise InvalidInputError(
            f"a file called {posixpath.basename(chosen.path)!r} would not be taken for one of {chosen.loader.name!r}: "
            f"let it end in {chosen.loader.suffix_for(model)!r}, or pass loader={chosen.loader.name!r}"
        )
    if example is not None:
        _check_answers(model, chosen, example)
    return chosen


def default_path(
    model: object, name: str, *, wanted: str | None, path: str | None, declared: str | None
) -> str:
    """Where it will most likely be kept.

    Raises:
        InvalidInputError: As of ``save``.
    """
    found = _candidates(model, name, wanted)
    if path is not None:
        if not any(_fits(each, model, path) for each in found):
            _unless_foreign(found, model, path)
        return path
    fitting = [each for each in found if declared is not None and _fits(each, model, declared)]
    return declared if fitting and declared is not None else _place(found[0], model, name, None, declared)


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


def _unless_foreign(found: list[Loader], model: object, path: str) -> list[Loader]:
    """The loaders themselves, unless the path is called as the files of another one are."""
    suffix = posixpath.splitext(path)[1].lower()
    foreign = [
        each for each in savers() if suffix and (suffix in each.suffixes or suffix == each.suffix_for(model))
    ]
    if foreign:
        raise InvalidInputError(
            f"path={path!r} is called like a file of {foreign[0].name!r}: let it end in {found[0].suffix_for(model)!r}, "
            f"or pass loader={foreign[0].name!r}"
        )
    return found


def _place(loader: Loader, model: object, name: str, fitting: str | None, declared: str | None) -> str:
    if fitting is not None:
        return fitting
    folder, _, short = name.rpartition(":")
    folder = posixpath.dirname(declared) if declared is not None else posixpath.join(folder, "models")
    return posixpath.join(folder, f"{short}{loader.suffix_for(model)}")


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
