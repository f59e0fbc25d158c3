"""PyTorch's checkpoints, read by its own confined unpickler; its programs, which are code."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from threading import Lock
from typing import Any, ClassVar

from modelregistry.loaders import zips
from modelregistry.loaders.base import (
    Inspection,
    Likeness,
    Loader,
    Permit,
    Tier,
    UntrustedNamesError,
    head,
    is_of,
)

_ZIP = b"PK\x03\x04"
_BEFORE_ZIP = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""The pickled number that a checkpoint of before PyTorch 1.6 begins with."""
_REFUSED = re.compile(r"GLOBAL (\S+) (?:was not|whose module)")
_PROGRAMS = {"script": "torch.jit.load", "export": "torch.export.load"}
_ALLOWING = Lock()
"""Held while names are allowed: PyTorch keeps them for the whole process."""


class TorchLoader(Loader):
    """Checkpoints (``.pt``, ``.pth``), TorchScript, and exported programs (``.pt2``)."""

    name: ClassVar[str] = "torch"
    suffixes: ClassVar[tuple[str, ...]] = (".pt", ".pth", ".pt2")
    library: ClassVar[str] = "torch"
    requires: ClassVar[str] = "torch>=2.6"  # before, a file could run code past the confined unpickler
    extra: ClassVar[str] = "torch"
    distributions: ClassVar[tuple[str, ...]] = ("torch",)

    def recognises(self, path: Path, name: str) -> Likeness:
        """Whether it is a zip with PyTorch's members, begins as old checkpoints did, or is called so."""
        if head(path, len(_BEFORE_ZIP)) == _BEFORE_ZIP or _kind(path) is not None:
            return Likeness.MAGIC
        return self.by_name(path, name)

    def inspect(self, path: Path) -> Inspection:
        """The names in a checkpoint that PyTorch does not vouch for; code, if it is a program.

        Raises:
            UnknownFormatError: The file is malformed.
            MissingDependencyError: PyTorch is not installed, or too old to be safe.
        """
        torch = self._library()
        self.check_file(path)
        if head(path, len(_ZIP)) != _ZIP:  # its names turn up while it loads
            return Inspection(Tier.CONFINED)
        zips.check(path)
        # What an exported program calls is looked up by name, and its weights may be any pickle.
        if (reader := _PROGRAMS.get(_kind(path) or "")) is not None:
            return Inspection(Tier.CODE, (reader,))
        with self.reading(path):
            names = tuple(sorted(torch.serialization.get_unsafe_globals_in_checkpoint(path)))
        return Inspection(Tier.NAMED if names else Tier.CONFINED, names)

    def load(self, path: Path, permit: Permit) -> object:
        """What the checkpoint holds, on the CPU; a module for TorchScript and exported programs.

        Raises:
            UntrustedNamesError: The checkpoint asks for a name that is not permitted.
            UnknownFormatError: The file is malformed.
            MissingDependencyError: PyTorch is not installed, or too old to be safe.
        """
        torch = self._library()
        self.check_file(path)
        if permit.code:
            return self._freely(torch, path)
        needed = self.inspect(path)
        if needed.tier is Tier.CODE or not permit.names.issuperset(needed.names):
            raise UntrustedNamesError(tuple(name for name in needed.names if name not in permit.names))
        allowed = set(needed.names)
        with self.reading(path), _ALLOWING:
            while True:
                try:
                    with torch.serialization.safe_globals([(_found(name), name) for name in sorted(allowed)]):
                        loaded: object = torch.load(path, map_location="cpu", weights_only=True)
                    return loaded
                except Exception as error:
                    refused = _REFUSED.search(str(error))
                    if refused is None or refused[1] in allowed:
                        raise ValueError(_reason(error)) from error
                    if refused[1] not in permit.names:
                        raise UntrustedNamesError((refused[1],)) from error
                    allowed.add(refused[1])

    def saves(self, model: object) -> bool:
        """Exported programs, and tensors by their names."""
        if is_of(model, "torch", "ExportedProgram"):
            return True
        return isinstance(model, dict) and bool(model) and all(map(_is_tensor, model.items()))

    def suffix_for(self, model: object) -> str:
        """``.pt2`` of a program, ``.pt`` of tensors."""
        return ".pt2" if is_of(model, "torch", "ExportedProgram") else ".pt"

    def save(self, model: object, path: Path) -> None:
        """Write it.

        Raises:
            MissingDependencyError: PyTorch is not installed, or too old to be safe.
        """
        torch = self._library()
        if is_of(model, "torch", "ExportedProgram"):
            torch.export.save(model, path)
        else:
            torch.save(model, path)

    def _freely(self, torch: Any, path: Path) -> object:
        kind = _kind(path)
        program: object
        if kind == "script":
            program = torch.jit.load(path, map_location="cpu")
        elif kind == "export":
            program = torch.export.load(path).module()
        else:
            program = torch.load(path, map_location="cpu", weights_only=False)
        return program

    def _library(self) -> Any:
        with self.importing():
            import torch
        return torch


def _is_tensor(item: tuple[object, object]) -> bool:
    return isinstance(item[0], str) and is_of(item[1], "torch", "Tensor")


def _kind(path: Path) -> str | None:
    """What a zip of PyTorch's is, by the names of its members; None if it is none."""
    names = {member.rpartition("/")[2] for member in zips.members(path)}
    if "archive_format" in names:
        return "export"
    if "constants.pkl" in names:
        return "script"
    return "checkpoint" if "data.pkl" in names else None


def _reason(error: Exception) -> str:
    """What PyTorch says, without its advice to load whatever it is."""
    text = str(error)
    return text.partition("trusted source.")[2].strip() or text


def _found(name: str) -> Any:
    module, _, attribute = name.rpartition(".")
    return getattr(import_module(module), attribute)
