"""Safetensors, GGUF and files that are handed out as they lie."""

import json
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from modelregistry.errors import UnknownFormatError
from modelregistry.loaders.base import Likeness, Tier
from modelregistry.loaders.paths import GGUFLoader
from modelregistry.loaders.safetensors import SafetensorsLoader
from tests.formatloading import load

ARRAYS = {"a": np.arange(6.0).reshape(2, 3), "b": np.array([True])}


def written(folder: Path, name: str = "model.safetensors") -> Path:
    safetensors.numpy.save_file(ARRAYS, folder / name, metadata={"format": "np"})
    return folder / name


@pytest.mark.parametrize("name", ["model.safetensors", "model", "weights.bin"])
def test_arrays_load_whatever_the_file_is_called(name: str, tmp_path: Path) -> None:
    path = written(tmp_path, name)
    assert SafetensorsLoader().recognises(path, name) is Likeness.MAGIC
    assert SafetensorsLoader().inspect(path).tier is Tier.DATA
    loaded = load(path)
    assert isinstance(loaded, dict)
    assert loaded.keys() == ARRAYS.keys()
    assert all(np.array_equal(loaded[key], ARRAYS[key]) for key in ARRAYS)


def made(folder: Path, header: object, data: bytes = b"", length: int | None = None) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path = folder / "model.safetensors"
    path.write_bytes((len(text) if length is None else length).to_bytes(8, "little") + text + data)
    return path


def tensor(start: int, end: int, shape: object = (2,), dtype: str = "F32") -> dict[str, object]:
    return {"a": {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}}


@pytest.mark.parametrize(
    ("header", "length"),
    [
        (b"", None),
        (b"{", None),
        (b"[]", None),
        (b"{}", 1 << 62),
        (b"{}", 1000),
        (tensor(0, 1 << 60), None),
        (tensor(8, 0), None),
        (tensor(0, 4), None),
        (tensor(0, 8, [-1]), None),
        (tensor(0, 8, [1 << 62, 4]), None),
        (tensor(0, 8, dtype="O"), None),
        ({"a": tensor(0, 8)["a"], "b": tensor(4, 12)["a"]}, None),
    ],
)
def test_a_header_that_lies_is_one_clear_error(header: object, length: int | None, tmp_path: Path) -> None:
    with pytest.raises(UnknownFormatError, match=r"'model\.safetensors' can't be read by loader"):
        load(made(tmp_path, header, bytes(8), length), loader="safetensors")


def test_numbers_that_numpy_lacks_say_how_to_go_on(tmp_path: Path) -> None:
    path = made(tmp_path, tensor(0, 4, dtype="BF16"), bytes(4))
    with pytest.raises(UnknownFormatError, match=r"BF16.*safetensors\.torch\.load_file"):
        load(path)


def test_a_file_cut_anywhere_is_one_clear_error(tmp_path: Path) -> None:
    path = written(tmp_path)
    content = path.read_bytes()
    for size in range(len(content) - 1):
        path.write_bytes(content[:size])
        with pytest.raises(UnknownFormatError, match=r"'model\.safetensors'"):
            load(path)


def test_gguf_and_what_is_asked_for_as_a_path_are_handed_out(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF\x03\0\0\0")
    assert load(path) == path
    assert GGUFLoader().recognises(path, "model") is Likeness.MAGIC
    path.write_bytes(b"GGU")
    with pytest.raises(UnknownFormatError, match="does not begin with 'GGUF'"):
        load(path)
    assert load(path, loader="path") == path
