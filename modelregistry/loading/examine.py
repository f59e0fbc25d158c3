"""What a registration learns of a model from its verified bytes, running nothing of them.

How it loads, what it was made with, what goes in and what comes out, and what others will have to vouch for.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from pydantic import JsonValue

from modelregistry.errors import UnknownFormatError
from modelregistry.loaders.base import (
    Description,
    Inspection,
    Loader,
    Permit,
    Tier,
    UntrustedNamesError,
)
from modelregistry.loading.deserialize import escaped
from modelregistry.loading.environment import PYTHON, installed
from modelregistry.loading.loaderchoice import Choice, choose
from modelregistry.metadata.signature import ModelSignature

_logger = logging.getLogger("modelregistry")
_Answer = TypeVar("_Answer")

MOST_TRIED = 512 << 20
"""Bytes of a file or folder that is looked through and tried; of a larger one its head is read and nothing else."""
_MOST_METADATA = 16 << 10
"""Bytes of JSON that what was learned may take in the registration's metadata, which has 64 KiB in all."""


@dataclass(frozen=True, slots=True)
class Examined:
    """What the bytes of a version told."""

    loader: str
    """The name of the loader that recognises them."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """What the model was made with: Python and distributions, and their versions."""
    signature: ModelSignature | None = None
    needed: Inspection | None = None
    """What loading needs; None where that was not looked into."""

    def to_metadata(self) -> dict[str, JsonValue]:
        """The entries for the registration's metadata; what is large is left out."""
        found: dict[str, JsonValue] = {"loader": self.loader}
        if self.environment:
            found["environment"] = dict(self.environment)
        if self.signature is not None:
            found["signature"] = self.signature.to_dict()
        return {name: value for name, value in found.items() if _fits(value)}

    def obstacle(self, reference: str) -> str | None:
        """What keeps others from loading the version, in one line; None where nothing does."""
        needed = self.needed
        if needed is None or needed.tier < Tier.NAMED:
            return None
        if needed.tier is Tier.CODE or not needed.names:
            why = "it can run any code (tier 'code')"
        else:
            first = escaped(needed.names[0])
            several = f"{len(needed.names)} names, {first} for one" if len(needed.names) > 1 else first
            why = f"it uses what nobody vouches for (tier 'named'): {several}"
        return (
            f"{reference} is not loaded by others unless they trust it, since {why}; "
            f'registry.trust("{reference}", dry_run=True) shows all that they will see'
        )


def examine(
    bring: Callable[[], Path | None], name: str, *, size: int, loaders: Callable[[Path], Sequence[Loader]]
) -> Examined | None:
    """What can be learned; None where the bytes are not here, or no loader recognises them.

    An object is built where the list of names that this library vouches for suffices, and nowhere else. Whatever goes
    wrong is logged, and no error: no registration fails by it.

    Args:
        bring: Gives the place where the verified bytes lie.
        name: What the file or folder is called in the repository.
        size: Bytes in all.
        loaders: Gives the loaders to choose from.
    """
    path = _tried(bring)
    choice = _tried(lambda: choose(path, name, loaders(path))) if path is not None else None
    if path is None or choice is None:
        return None
    chosen = choice.loader
    described = _described(choice, path)
    signature, needed = described.signature, None
    if size <= MOST_TRIED:
        needed = _tried(lambda: chosen.inspect(choice.path))
    if needed is not None and needed.tier is Tier.CONFINED:
        needed, told = _tried(lambda: _try_out(chosen, choice.path)) or (needed, None)
        signature = signature or told
    return Examined(chosen.name, _environment(described, chosen), signature, needed)


def what_it_needs(path: Path, name: str, *, loaders: Sequence[Loader]) -> tuple[str, Inspection]:
    """The loader for the bytes, and what loading them needs; any code, where that can't be seen without running it.

    Raises:
        UnknownFormatError: No loader or more than one recognises the file.
        MissingDependencyError: The library that reads it is not installed.
    """
    choice = choose(path, name, loaders)
    chosen = choice.loader
    try:
        return chosen.name, chosen.inspect(choice.path)
    except UnknownFormatError:
        return chosen.name, Inspection(Tier.CODE)


def _described(choice: Choice, whole: Path) -> Description:
    """What the model tells; of a folder that another loader knows as well, what that tells comes first."""
    described = _tried(lambda: choice.loader.describe(choice.path)) or Description()
    around = choice.around
    told = (_tried(lambda: around.describe(whole)) if around is not None else None) or Description()
    return Description(told.signature or described.signature, {**described.packages, **told.packages})


def _try_out(loader: Loader, path: Path) -> tuple[Inspection, ModelSignature | None]:
    """What loading really needs, and what the object tells."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they are for who loads it
            model = loader.load(path, Permit())
    except UntrustedNamesError as error:
        return Inspection(Tier.NAMED, error.names), None
    return Inspection(Tier.CONFINED), loader.describe_object(model)


def _environment(described: Description, loader: Loader) -> dict[str, str]:
    """What the file says; and what is installed here, unless the file was clearly made elsewhere."""
    told = described.packages
    here = installed([PYTHON, *loader.distributions, *told])
    if not here.keys() - {PYTHON} or any(here.get(name) != version for name, version in told.items()):
        return dict(told)
    return here


def _tried(attempt: Callable[[], _Answer]) -> _Answer | None:
    try:
        return attempt()
    except Exception:  # libraries raise anything
        _logger.debug("a model could not be examined at its registration", exc_info=True)
        return None


def _fits(value: JsonValue) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except ValueError:  # text that no UTF-8 can hold
        return False
    return len(json.dumps(value)) <= _MOST_METADATA
