"""Checkpoints are read by PyTorch's confined unpickler; programs and whole pickles are code."""

import io
import os
import zipfile
from argparse import Namespace
from collections import OrderedDict
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest
import torch

from modelregistry.errors import UnknownFormatError, UntrustedModelError
from modelregistry.loaders.base import Likeness, Permit, Tier, UntrustedNamesError
from modelregistry.loaders.torch import TorchLoader

LOADER = TorchLoader()
Load = Callable[..., object]


class Touching:
    """Runs a program when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, (f"touch {self.mark}",)


def saved(folder: Path, value: object, name: str = "model.pt", *, zipped: bool = True) -> Path:
    path = folder / name
    torch.save(value, path, _use_new_zipfile_serialization=zipped)
    return path


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("name", ["model.pt", "model.pth", "pytorch_model.bin", "model"])
def test_a_state_dict_loads_whatever_it_is_called(
    zipped: bool, name: str, tmp_path: Path, load: Load
) -> None:
    if not zipped and name == "model":
        return  # the first bytes of the old format are a pickle's too: see below
    model = torch.nn.Linear(3, 2)
    path = saved(tmp_path, model.state_dict(), name, zipped=zipped)
    loaded = load(path)
    assert isinstance(loaded, OrderedDict)
    assert torch.equal(loaded["weight"], model.weight)


def test_an_old_checkpoint_without_a_suffix_may_be_a_pickle_and_says_so(tmp_path: Path, load: Load) -> None:
    path = saved(tmp_path, {"a": torch.ones(1)}, "model", zipped=False)
    with pytest.raises(UnknownFormatError, match="'pickle' and 'torch' each recognise"):
        load(path)
    assert load(path, loader="torch") == {"a": torch.ones(1)}


def test_tensors_come_to_the_cpu_wherever_they_were(tmp_path: Path, load: Load) -> None:
    loaded = load(saved(tmp_path, {"a": torch.ones(2)}))
    assert isinstance(loaded, dict)
    assert loaded["a"].device.type == "cpu"


@pytest.mark.parametrize("zipped", [True, False])
def test_a_hostile_pickle_runs_only_with_code(zipped: bool, tmp_path: Path, load: Load) -> None:
    mark = tmp_path / "mark"
    path = saved(tmp_path, Touching(mark), zipped=zipped)
    system = f"{os.system.__module__}.system"
    assert LOADER.inspect(path).names == ((system,) if zipped else ())
    with pytest.raises(UntrustedModelError) as caught:
        load(path)
    assert caught.value.names == (system,)
    # The word of the caller does not help: PyTorch has this module on a list of its own.
    with pytest.raises(UnknownFormatError, match="is blocked"):
        load(path, trust=[system])
    assert not mark.exists()
    load(path, trust="code")
    assert mark.exists()


def test_a_whole_module_names_its_classes_and_loads_with_each_of_them(tmp_path: Path, load: Load) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU())
    path = saved(tmp_path, model)
    found = LOADER.inspect(path)
    assert found.tier is Tier.NAMED
    assert "torch.nn.modules.linear.Linear" in found.names
    with pytest.raises(UntrustedModelError) as caught:
        load(path, trust=found.names[:1])
    assert caught.value.names == found.names[1:]
    for trust in (list(found.names), "code"):
        loaded = load(path, trust=trust)
        assert isinstance(loaded, torch.nn.Sequential)
        assert torch.equal(loaded(torch.ones(1, 3)), model(torch.ones(1, 3)))


def test_names_allowed_for_one_file_are_not_allowed_for_the_next(tmp_path: Path, load: Load) -> None:
    path = saved(tmp_path, torch.nn.ReLU())
    names = list(LOADER.inspect(path).names)
    load(path, trust=names)
    with pytest.raises(UntrustedModelError):
        load(path)


def test_names_of_an_old_checkpoint_turn_up_one_by_one_and_load_when_all_are_given(
    tmp_path: Path, load: Load
) -> None:
    value = {"a": Namespace(b=1), "c": Fraction(1, 3)}
    path = saved(tmp_path, value, zipped=False)
    for trust, missing in (([], "argparse.Namespace"), (["argparse.Namespace"], "fractions.Fraction")):
        with pytest.raises(UntrustedModelError) as caught:
            load(path, trust=trust)
        assert caught.value.names == (missing,)
    assert load(path, trust=["argparse.Namespace", "fractions.Fraction"]) == value


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_torchscript_is_code(tmp_path: Path, load: Load) -> None:
    path = tmp_path / "model.pt"
    torch.jit.save(torch.jit.script(torch.nn.Linear(3, 2)), path)
    assert LOADER.inspect(path).tier is Tier.CODE
    with pytest.raises(UntrustedModelError) as caught:
        load(path, trust=["torch.jit.load"])
    assert (caught.value.tier, caught.value.names) == ("code", ())
    loaded = load(path, trust="code")
    assert isinstance(loaded, torch.jit.ScriptModule)
    assert loaded(torch.ones(1, 3)).shape == (1, 2)


def test_an_exported_program_is_code_and_comes_as_a_module(tmp_path: Path, load: Load) -> None:
    model = torch.nn.Linear(3, 2)
    path = tmp_path / "model.pt2"
    torch.export.save(torch.export.export(model, (torch.ones(1, 3),)), path)
    assert LOADER.inspect(path).tier is Tier.CODE
    with pytest.raises(UntrustedNamesError):
        LOADER.load(path, Permit(frozenset({"torch.export.load"})))
    loaded = load(path, trust="code")
    assert isinstance(loaded, torch.nn.Module)
    assert torch.equal(loaded(torch.ones(1, 3)), model(torch.ones(1, 3)))


def test_a_hostile_pickle_in_the_weights_of_an_exported_program_does_not_run(
    tmp_path: Path, load: Load
) -> None:
    path, mark = tmp_path / "model.pt2", tmp_path / "mark"
    torch.export.save(torch.export.export(torch.nn.Linear(3, 2), (torch.ones(1, 3),)), path)
    buffer = io.BytesIO()
    torch.save(Touching(mark), buffer)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("model/data/weights/hostile.pt", buffer.getvalue())
    with pytest.raises(UntrustedModelError):
        load(path)
    assert not mark.exists()


def rewritten(
    path: Path, change: Callable[[str, bytes], bytes], compression: int = zipfile.ZIP_STORED
) -> Path:
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, change(name, content))
    return path


def test_a_bomb_is_refused_before_pytorch_sees_it(tmp_path: Path, load: Load) -> None:
    path = saved(tmp_path, {"a": torch.ones(4)})
    rewritten(
        path,
        lambda name, content: bytes(200 << 20) if name.endswith("data/0") else content,
        zipfile.ZIP_DEFLATED,
    )
    with pytest.raises(UnknownFormatError, match="says it unpacks to"):
        load(path)


def test_a_file_cut_anywhere_is_one_clear_error(tmp_path: Path, load: Load) -> None:
    for zipped in (True, False):
        content = saved(tmp_path, {"a": torch.ones(4)}, zipped=zipped).read_bytes()
        for size in range(0, len(content) - 1, 37):
            path = tmp_path / "cut.pt"
            path.write_bytes(content[:size])
            # Where the cut is within a name, that is another name.
            with pytest.raises(
                (UnknownFormatError, UntrustedModelError) if not zipped else UnknownFormatError
            ):
                load(path)


def test_other_formats_are_not_recognised_and_refused(tmp_path: Path, load: Load) -> None:
    path = tmp_path / "model.skops"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("schema.json", "{}")
    assert LOADER.recognises(path, path.name) is Likeness.NONE
    with pytest.raises(UnknownFormatError, match=r"'model\.skops' can't be read by loader 'torch'"):
        load(path, loader="torch")
    with pytest.raises(UnknownFormatError, match="folder"):
        load(tmp_path, loader="torch")
