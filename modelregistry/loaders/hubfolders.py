"""Folders in the manner of the Hugging Face Hub: what their JSON asks for beyond data."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from modelregistry.errors import UnknownFormatError
from modelregistry.loaders.folders import contained

_MOST = 64 << 20
"""Bytes of a file of settings."""
_SETTINGS = ("config.json", "*_config.json", "*_processor.json")
_WEIGHTS = ("*.safetensors", "*.safetensors.index.json")
_CODE = frozenset(
    {"auto_map", "custom_pipelines", "quantization_config", "trust_remote_code", "weights_only"}
)
"""Settings that name code, or choose other readers of the weights."""
_ATTENTION = frozenset({"eager", "flash_attention_2", "flash_attention_3", "flex_attention", "sdpa"})
"""The implementations that come with the library; any other is the name of code on the Hub."""
_OTHER_FILES = frozenset({"merges_file", "spm_file", "tokenizer_file", "vocab_file", "vocabulary_file"})


def settings(path: Path) -> dict[str, Any]:
    """The object in a file of JSON; an empty one if there is no such file.

    Raises:
        UnknownFormatError: There is no object in it.
    """
    if not path.is_file():
        return {}
    with path.open("rb") as file:
        text = file.read(_MOST + 1)
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnknownFormatError(f"{path.name!r} is no JSON: {str(error)!r}") from error
    if not isinstance(found, dict):
        raise UnknownFormatError(f"{path.name!r} holds no object")
    return cast("dict[str, Any]", found)


def has_weights(folder: Path) -> bool:
    """Whether there are weights as safetensors."""
    return any(next(folder.glob(pattern), None) for pattern in _WEIGHTS)


def code(folder: Path) -> Iterator[str]:
    """What a folder of a model asks for that may run code, by file and setting.

    Raises:
        UnknownFormatError: A file is malformed, or names weights outside the folder.
    """
    if not has_weights(folder):
        yield "weights other than safetensors"
    for pattern in _SETTINGS:
        for path in sorted(folder.glob(pattern)):
            for key, value in _walk(settings(path)):
                elsewhere = key in _OTHER_FILES and isinstance(value, str)
                kernel = key.endswith("attn_implementation") and not _is_known(value)
                if (key in _CODE and value) or elsewhere or kernel:
                    yield f"{path.name}: {key}"
    for path in folder.glob("*.index.json"):
        shards = settings(path).get("weight_map")
        for shard in set(map(str, shards.values())) if isinstance(shards, dict) else ():
            contained(folder, shard)


def _is_known(value: object) -> bool:
    values = value.values() if isinstance(value, dict) else [value]
    return all(each is None or each in _ATTENTION for each in values)


def _walk(value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        for key, item in cast("dict[str, object]", value).items():
            yield key, item
            yield from _walk(item)
    elif isinstance(value, list):
        for item in cast("list[object]", value):
            yield from _walk(item)


@contextmanager
def quiet() -> Iterator[None]:
    """Without the progress bars of transformers, which must be installed."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
