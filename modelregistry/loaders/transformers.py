"""Folders of Hugging Face's transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, NamedTuple

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

_PROCESSORS = ("tokenizer*", "vocab.*", "*.model", "*processor_config.json")
"""What a folder has if it can turn text, images or sound into what the model takes."""


class Pretrained(NamedTuple):
    """What a folder of transformers' holds: ``model, tokenizer = load_model(…)``."""

    model: Any
    """A ``PreTrainedModel`` of the class that the folder names, in evaluation mode."""
    processor: Any
    """Its tokenizer; of a model that takes more than text, its processor; None if the folder has none."""


class TransformersLoader(Loader):
    """The folder that ``save_pretrained`` writes, with weights as safetensors."""

    name: ClassVar[str] = "transformers"
    library: ClassVar[str] = "transformers"
    requires: ClassVar[str] = "transformers>=4.50"
    extra: ClassVar[str] = "transformers"
    distributions: ClassVar[tuple[str, ...]] = ("transformers", "torch")

    def recognises(self, path: Path, name: str) -> Likeness:
        """Whether the folder has a configuration and weights, and is no folder of sentence-transformers."""
        marked = (path / "config.json").is_file() and not (path / "modules.json").exists()
        weighed = marked and (hubfolders.has_weights(path) or any(path.glob("pytorch_model*.bin")))
        return Likeness.MARKER if weighed else Likeness.NONE

    def inspect(self, path: Path) -> Inspection:
        """Code, if the folder brings some or asks for it; else a class of transformers' own.

        Raises:
            UnknownFormatError: The folder is malformed.
        """
        self._check(path)
        asked = tuple(sorted(set(hubfolders.code(path))))
        return Inspection(Tier.CODE if asked else Tier.CONFINED, asked)

    def describe(self, path: Path) -> Description:
        """The version of transformers that wrote it.

        Raises:
            UnknownFormatError: The folder is malformed.
        """
        self._check(path)
        version = hubfolders.settings(path / "config.json").get("transformers_version")
        return Description(packages={"transformers": version} if isinstance(version, str) else {})

    def load(self, path: Path, permit: Permit) -> Pretrained:
        """The model and its tokenizer or processor, from this folder alone.

        Raises:
            UntrustedNamesError: It asks for code, which may not run.
            UnknownFormatError: The folder is malformed.
            MissingDependencyError: transformers or PyTorch is not installed.
        """
        self._check(path)
        if not permit.code and (asked := self.inspect(path).names):
            raise UntrustedNamesError(asked)
        with self.importing():
            import torch
            import transformers
        del torch
        options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": permit.code}
        with self.reading(path), hubfolders.quiet():
            class_ = _class(transformers, hubfolders.settings(path / "config.json"), code=permit.code)
            model = class_.from_pretrained(path, use_safetensors=None if permit.code else True, **options)
            processor = None
            if any(next(path.glob(pattern), None) for pattern in _PROCESSORS):
                processor = transformers.AutoProcessor.from_pretrained(path, **options)
        return Pretrained(model, processor)

    def saves(self, model: object) -> bool:
        """A model of transformers' own, alone, with its tokenizer or processor (``(model, tokenizer)``), or in a pipeline."""
        trained, _ = _parts(model)
        return is_own(trained, "transformers") and is_of(trained, "transformers", "PreTrainedModel")

    def loses(self, model: object) -> str | None:
        """That it was a pipeline."""
        if not is_of(model, "transformers", "Pipeline"):
            return None
        task = getattr(model, "task", None)
        return (
            "that it is a pipeline: it loads as its model and what prepares the input, of which "
            f"transformers.pipeline({task!r}, model=…, tokenizer=…) makes one again"
        )

    def save(self, model: object, path: Path) -> None:
        """Write it, with weights as safetensors."""
        trained, processor = _parts(model)
        with hubfolders.quiet():
            trained.save_pretrained(path, safe_serialization=True)
            if processor is not None:
                processor.save_pretrained(path)

    def _check(self, path: Path) -> None:
        if not (path / "config.json").is_file():
            raise UnknownFormatError(f"{path.name!r} is no folder of transformers': it has no config.json")
        if (path / "adapter_config.json").exists():
            raise UnknownFormatError(
                f"{path.name!r} is an adapter, whose base model is elsewhere: merge the two and register that, or read "
                'it by hand with loader="path"'
            )


def _parts(model: Any) -> tuple[Any, Any]:
    """The model and what prepares its input, if that is there."""
    if isinstance(model, tuple) and len(model) == 2:
        return model[0], model[1]
    if not is_of(model, "transformers", "Pipeline"):
        return model, None
    prepares = ("processor", "tokenizer", "image_processor", "feature_extractor")
    found = (getattr(model, each, None) for each in prepares)
    return model.model, next((each for each in found if each is not None), None)


def _class(transformers: Any, config: dict[str, Any], *, code: bool) -> Any:
    """The class of the model: the one that wrote it, if it is transformers' own."""
    remote = config.get("auto_map")
    if code and isinstance(remote, dict):
        auto = next((each for each in remote if str(each).startswith("AutoModel")), "AutoModel")
        return getattr(transformers, auto)
    match config.get("architectures"):
        case [str(name), *_]:
            class_ = getattr(transformers, name, None)
            if not (isinstance(class_, type) and issubclass(class_, transformers.PreTrainedModel)):
                raise TypeError(f"{name!r} is no model of this version of transformers")
            return class_
        case _:
            return transformers.AutoModel
