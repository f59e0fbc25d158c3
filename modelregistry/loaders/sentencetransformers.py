"""Folders of sentence-transformers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, cast

from modelregistry.errors import UnknownFormatError
from modelregistry.loaders import hubfolders
from modelregistry.loaders.base import (
    Description,
    Inspection,
    Likeness,
    Loader,
    Permit,
    Tier,
    UntrustedNamesError,
    is_of,
    is_own,
)
from modelregistry.loaders.folders import contained

_TRANSFORMER = frozenset(
    f"sentence_transformers.{each}.Transformer"
    for each in ("models", "models.Transformer", "base.modules.transformer")
)
_DENSE = frozenset(
    f"sentence_transformers.{each}.Dense" for each in ("models", "models.Dense", "base.modules.dense")
)
_OTHERS = frozenset(
    f"sentence_transformers.{place}"
    for class_ in ("Dropout", "LayerNorm", "Normalize", "Pooling")
    for place in (
        *(f"models.{class_}", f"models.{class_}.{class_}"),
        *(f"{each}.modules.{class_.lower()}.{class_}" for each in ("base", "sentence_transformer")),
    )
)
_ACTIVATIONS = frozenset(
    f"torch.nn.modules.activation.{each}"
    for each in ("ELU", "GELU", "LeakyReLU", "ReLU", "SiLU", "Sigmoid", "Softmax", "Softplus", "Tanh")
) | {"torch.nn.modules.linear.Identity"}
_DRESS = frozenset(
    {
        "do_lower_case",
        "max_seq_length",
        "message_format",
        "modality_config",
        "module_output_name",
        "transformer_task",
    }
)
"""Settings of a transformer in such a folder; others may lead to other files and readers."""


class SentenceTransformersLoader(Loader):
    """The folder that ``SentenceTransformer.save`` writes, with weights as safetensors."""

    name: ClassVar[str] = "sentence-transformers"
    library: ClassVar[str] = "sentence_transformers"
    requires: ClassVar[str] = "sentence-transformers>=4"
    extra: ClassVar[str] = "sentence-transformers"
    distributions: ClassVar[tuple[str, ...]] = ("sentence-transformers", "transformers", "torch")

    def recognises(self, path: Path, name: str) -> Likeness:
        """Whether the folder lists modules."""
        return Likeness.MARKER if (path / "modules.json").is_file() else Likeness.NONE

    def inspect(self, path: Path) -> Inspection:
        """Code, if a module is none of the listed ones, or brings or asks for code.

        Raises:
            UnknownFormatError: The folder is malformed.
        """
        with self.reading(path):
            asked = tuple(sorted(set(_code(path))))
        return Inspection(Tier.CODE if asked else Tier.CONFINED, asked)

    def describe(self, path: Path) -> Description:
        """The versions that wrote it."""
        versions = hubfolders.settings(path / "config_sentence_transformers.json").get("__version__")
        spelt: dict[str, str] = {"pytorch": "torch", "sentence_transformers": "sentence-transformers"}
        found = cast("dict[str, object]", versions).items() if isinstance(versions, dict) else ()
        return Description(
            packages={spelt.get(name, name): text for name, text in found if isinstance(text, str)}
        )

    def load(self, path: Path, permit: Permit) -> object:
        """The ``SentenceTransformer``, from this folder alone.

        Raises:
            UntrustedNamesError: It asks for code, which may not run.
            UnknownFormatError: The folder is malformed.
            MissingDependencyError: sentence-transformers is not installed.
        """
        if not permit.code and (asked := self.inspect(path).names):
            raise UntrustedNamesError(asked)
        with self.importing():
            import sentence_transformers
        with self.reading(path), hubfolders.quiet():
            model: object = sentence_transformers.SentenceTransformer(
                str(path),
                local_files_only=True,
                trust_remote_code=permit.code,
                model_kwargs={} if permit.code else {"use_safetensors": True},
            )
        return model

    def saves(self, model: object) -> bool:
        """A ``SentenceTransformer``."""
        return is_own(model, "sentence_transformers") and is_of(
            model, "sentence_transformers", "SentenceTransformer"
        )

    def save(self, model: object, path: Path) -> None:
        """Write it, with weights as safetensors."""
        trained: Any = model
        with hubfolders.quiet():
            trained.save(str(path), create_model_card=False, safe_serialization=True)


def _code(folder: Path) -> Iterator[str]:
    kind = hubfolders.settings(folder / "config_sentence_transformers.json").get("model_type")
    if kind not in {None, "SentenceTransformer"}:
        yield f"model_type {kind!r}"
    for type_, place in _modules(folder):
        if type_ in _TRANSFORMER:
            yield from hubfolders.code(place)
            for path in sorted(place.glob("sentence_*_config.json")):
                if odd := sorted(hubfolders.settings(path).keys() - _DRESS):
                    yield f"{path.name}: {odd[0]}"
        elif type_ in _DENSE:
            activation = hubfolders.settings(place / "config.json").get("activation_function")
            if activation is not None and activation not in _ACTIVATIONS:
                yield str(activation)
            if not hubfolders.has_weights(place):
                yield "weights other than safetensors"
        elif type_ not in _OTHERS:
            yield type_


def _modules(folder: Path) -> Iterator[tuple[str, Path]]:
    """The class of each module, and where it lies."""
    text = (folder / "modules.json").read_bytes()
    for module in cast("list[dict[str, Any]]", json.loads(text)):
        type_, place = module["type"], module["path"]
        if not isinstance(type_, str) or not isinstance(place, str):
            raise UnknownFormatError(f"{folder.name!r} lists a module without type or path")
        yield type_, contained(folder, place) if place else folder
