"""Which loader reads an artifact, who is asked first, and how loaders of one's own come in."""

import logging
import shutil
import sys
import zipfile
from importlib import invalidate_caches
from pathlib import Path
from typing import ClassVar

import joblib
import numpy as np
import pytest
import safetensors.numpy
import skops.io
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import modelregistry as mr
from modelregistry import plugins
from modelregistry.errors import InvalidInputError, UnknownFormatError
from modelregistry.loaders.base import Inspection, Likeness, Loader, Permit, Tier
from modelregistry.loading.loaderchoice import choose, hinted_framework, wanted_loader
from modelregistry.plugins import LOADERS, load_class, loaders_for, register_loader
from tests.formatloading import load


@pytest.fixture(autouse=True)
def nothing_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "_registered", {})
    plugins._plugged_loaders.cache_clear()


class Greeting(Loader):
    """Reads text files that begin with a greeting."""

    name: ClassVar[str] = "greeting"

    def recognises(self, path: Path, name: str) -> Likeness:
        return Likeness.MAGIC if path.is_file() and path.read_bytes()[:5] == b"hello" else Likeness.NONE

    def inspect(self, path: Path) -> Inspection:
        return Inspection(Tier.DATA)

    def load(self, path: Path, permit: Permit) -> object:
        return f"{self.name}: {path.read_text()}"


def arrays(path: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    safetensors.numpy.save_file({"a": np.arange(3)}, path)
    return path


# ------------------------------------------------------------------ the order of the choice


def test_what_is_wanted_comes_before_what_the_bytes_say(tmp_path: Path) -> None:
    path = arrays(tmp_path / "model.safetensors")
    assert isinstance(load(path), dict)
    assert load(path, loader="path") == path
    assert load(tmp_path, loader="path") == tmp_path
    with pytest.raises(UnknownFormatError, match="can't be read by loader 'onnx'"):
        load(path, loader="onnx")


def test_bytes_come_before_the_suffix(tmp_path: Path) -> None:
    assert isinstance(load(arrays(tmp_path / "model.onnx")), dict)


def test_a_name_that_is_no_loader_lists_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(UnknownFormatError, match=r"no loader is called 'tensor'.*'safetensors'"):
        load(arrays(tmp_path / "model.safetensors"), loader="tensor")


def test_meta_names_a_loader_and_hints_at_a_framework() -> None:
    assert wanted_loader({"loader": "skops", "framework": "sklearn"}) == "skops"
    assert hinted_framework({"loader": "skops", "framework": "sklearn"}) == "sklearn"
    assert wanted_loader({}) is hinted_framework({}) is hinted_framework({"framework": ["sklearn"]}) is None
    with pytest.raises(UnknownFormatError, match=r"meta: loader: \['skops'\]"):
        wanted_loader({"loader": ["skops"]})


@pytest.mark.parametrize(
    ("framework", "loaded"),
    [("scikit-learn", "joblib"), ("Scikit_Learn", "joblib"), ("safetensors", "arrays"), ("joblib", "joblib")],
)
def test_a_framework_decides_among_those_that_know_it(framework: str, loaded: str, tmp_path: Path) -> None:
    joblib.dump("joblib", tmp_path / "model.joblib")
    arrays(tmp_path / "model.safetensors")
    with pytest.raises(UnknownFormatError, match="each recognise"):
        load(tmp_path)
    found = load(tmp_path, framework=framework)
    assert ("arrays" if isinstance(found, dict) else found) == loaded


@pytest.mark.parametrize("framework", ["sklearn", "pytorch", "of our own", ""])
def test_a_framework_that_does_not_fit_or_is_unknown_says_nothing(framework: str, tmp_path: Path) -> None:
    assert isinstance(load(arrays(tmp_path / "model.safetensors"), framework=framework), dict)


# ------------------------------------------------------------------ folders


def test_of_a_folder_with_one_model_that_is_the_model(tmp_path: Path) -> None:
    joblib.dump({"a": 1}, tmp_path / "model.joblib")
    for name in ("README.md", "metrics.json", "requirements.txt", ".gitignore"):
        (tmp_path / name).write_text('{"accuracy": 0.9}')
    assert load(tmp_path) == {"a": 1}
    assert load(tmp_path, loader="joblib") == {"a": 1}


def test_a_folder_with_several_says_what_it_saw_and_how_to_go_on(tmp_path: Path) -> None:
    joblib.dump(1, tmp_path / "first.joblib")
    skops.io.dump(2, tmp_path / "second.skops")
    with pytest.raises(UnknownFormatError) as caught:
        load(tmp_path, name="models/churn")
    text = str(caught.value)
    for part in (
        "'models/churn'", "is a folder of 'first.joblib', 'second.skops'", "'joblib' ('first.joblib' in it)",
        "'skops' ('second.skops' in it)", 'loader="path"', "register_loader", "meta:",
    ):  # fmt: skip
        assert part in text, part
    assert load(tmp_path, loader="skops") == 2


def test_a_folder_of_unknown_files_lists_some(tmp_path: Path) -> None:
    for number in range(12):
        (tmp_path / f"{number:02}.png").write_bytes(b"\x89PNG")
    with pytest.raises(UnknownFormatError, match=r"no loader .*is a folder of '00\.png'.*'07\.png', …"):
        load(tmp_path)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(UnknownFormatError, match="is a folder of nothing"):
        load(empty)


def test_a_folder_of_very_many_files_is_not_searched(tmp_path: Path) -> None:
    joblib.dump(1, tmp_path / "model.joblib")
    for number in range(300):
        (tmp_path / f"{number}.txt").touch()
    with pytest.raises(UnknownFormatError, match="is a folder"):
        load(tmp_path)
    assert load(tmp_path / "model.joblib") == 1


# ------------------------------------------------------------------ what no format is safe from


def ours() -> list[Loader]:
    return [load_class(target)() for target in LOADERS.values()]


def test_the_table_names_each_loader_as_it_names_itself() -> None:
    assert list(LOADERS) == sorted(LOADERS) == [loader.name for loader in ours()]
    for loader in ours():
        assert loader.__doc__
        assert not loader.requires or loader.extra or loader.name == "joblib", loader.name


def test_every_extra_that_a_loader_names_is_there() -> None:
    import tomllib

    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"]
    for loader in ours():
        assert not loader.extra or loader.requires in extras[loader.extra], loader.name


def test_a_library_that_is_missing_is_named_with_its_extra(tmp_path: Path) -> None:
    for file, content, extra in (
        ("model.cbm", b"CBM1", "catboost"),
        ("model.pt", b"PK\x03\x04", "torch"),
    ):
        (tmp_path / file).write_bytes(content)
        with pytest.raises(mr.MissingDependencyError, match=rf"pip install 'modelregistry\[{extra}\]'"):
            load(tmp_path / file)


def test_a_library_that_is_too_old_is_refused_with_both_versions(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import importlib.metadata

    path = tmp_path / "model.skops"
    skops.io.dump([1], path)
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0.11.0")
    with pytest.raises(mr.MissingDependencyError, match=r"needs skops>=0.12, found 0.11.0: pip install"):
        load(path)


@settings(max_examples=300, suppress_health_check=list(HealthCheck))
@given(
    content=st.one_of(
        st.binary(max_size=300),
        st.sampled_from([b"PK\x03\x04", b"tree\n", b'{"learner":{', b"{L" + bytes(7) + b"\x07learner", b"GGUF", b"CBM1",
                         b"\x08\x09:", b"\x80\x04\x95", b"PK\x05\x06"]).flatmap(
            lambda start: st.binary(max_size=200).map(start.__add__)
        ),
    ),
    name=st.sampled_from(["model", "model.onnx", "model.pt", "model.keras", "model.safetensors", "MLmodel"]),
)  # fmt: skip
def test_no_bytes_make_a_loader_raise_while_it_looks(
    content: bytes, name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp() / "looked-at"
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(content)
    for loader in ours():
        for path in (folder / name, folder):
            assert loader.recognises(path, path.name) in Likeness
    (folder / name).unlink()


def test_nothing_heavy_is_imported_to_choose() -> None:
    import subprocess

    code = (
        "import sys\nfrom pathlib import Path\nfrom modelregistry.plugins import loaders_for\n"
        "loaders_for(Path('nothing'), 'nothing', None)\n"
        "heavy = {'numpy', 'onnxruntime', 'xgboost', 'lightgbm', 'safetensors', 'skops', 'torch', 'joblib', 'yaml'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert ran.stdout.strip() in {"[]", "['yaml']"}


# ------------------------------------------------------------------ loaders of one's own


def test_a_registered_loader_is_asked(tmp_path: Path) -> None:
    (tmp_path / "model.txt").write_text("hello")
    with pytest.raises(UnknownFormatError):
        load(tmp_path / "model.txt")
    assert mr.register_loader(Greeting) is Greeting
    assert load(tmp_path / "model.txt") == "greeting: hello"
    assert load(tmp_path / "model.txt", loader="greeting") == "greeting: hello"


def test_the_last_one_registered_under_a_name_counts(tmp_path: Path) -> None:
    class Shouting(Greeting):
        def load(self, path: Path, permit: Permit) -> object:
            return path.read_text().upper()

    (tmp_path / "model.txt").write_text("hello")
    mr.register_loader(Greeting)
    mr.register_loader(Shouting())
    assert load(tmp_path / "model.txt") == "HELLO"


def test_a_loader_that_ships_gives_way_only_when_told_to(tmp_path: Path) -> None:
    class OwnSkops(Greeting):
        name: ClassVar[str] = "skops"

    skops.io.dump([1], tmp_path / "model.skops")
    with pytest.raises(InvalidInputError, match=r"'skops' ships with modelregistry.*replace=True"):
        mr.register_loader(OwnSkops)
    assert load(tmp_path / "model.skops") == [1]
    mr.register_loader(OwnSkops, replace=True)
    (tmp_path / "model.txt").write_text("hello")
    assert load(tmp_path / "model.txt") == "skops: hello"
    with pytest.raises(UnknownFormatError):
        load(tmp_path / "model.skops")


@pytest.mark.parametrize("loader", [object(), object, "skops", Loader, None])
def test_what_is_no_loader_is_refused(loader: object) -> None:
    with pytest.raises((InvalidInputError, TypeError)):
        register_loader(loader)  # type: ignore[type-var]


def test_a_loader_without_a_name_is_refused() -> None:
    class Nameless(Greeting):
        name: ClassVar[str] = ""

    with pytest.raises(InvalidInputError, match="has no name"):
        register_loader(Nameless)


PLUGIN = """
from pathlib import Path
from modelregistry.loaders.base import Inspection, Likeness, Loader, Permit, Tier

class LoaderOfPoems(Loader):
    name = "poems"

    def recognises(self, path, name):
        return Likeness.SUFFIX if name.endswith(".poem") else Likeness.NONE

    def inspect(self, path):
        return Inspection(Tier.DATA)

    def load(self, path, permit):
        return path.read_text().splitlines()
"""


def installed(site: Path, package: str, entries: str) -> None:
    """A distribution, as pip leaves it."""
    info = site / f"{package}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[modelregistry.loaders]\n{entries}\n")
    (site / f"{package}.py").write_text(PLUGIN)


def test_an_installed_package_brings_a_loader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model.poem").write_text("so much depends\nupon")
    with pytest.raises(UnknownFormatError):
        load(tmp_path / "model.poem")
    installed(tmp_path / "site", "poetry_of_models", "poems = poetry_of_models:LoaderOfPoems")
    monkeypatch.syspath_prepend(tmp_path / "site")
    invalidate_caches()
    plugins._plugged_loaders.cache_clear()
    for wanted in (None, "poems"):
        assert load(tmp_path / "model.poem", loader=wanted) == ["so much depends", "upon"]


def test_a_broken_package_stops_no_other_loader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    entries = "broken = no_such_module:Loader\nworse = poetry_of_others:missing\npoems = poetry_of_others:LoaderOfPoems"
    installed(tmp_path / "site", "poetry_of_others", entries)
    monkeypatch.syspath_prepend(tmp_path / "site")
    invalidate_caches()
    plugins._plugged_loaders.cache_clear()
    (tmp_path / "model.poem").write_text("upon")
    with caplog.at_level(logging.ERROR, logger="modelregistry"):
        assert load(tmp_path / "model.poem") == ["upon"]
    assert [record.args for record in caplog.records] == [("broken",), ("worse",)]


def test_loaders_that_ship_come_before_those_of_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(tmp_path / "site", "poetry_of_impostors", "skops = poetry_of_impostors:LoaderOfPoems")
    source = (tmp_path / "site" / "poetry_of_impostors.py").read_text()
    (tmp_path / "site" / "poetry_of_impostors.py").write_text(source.replace('"poems"', '"skops"'))
    monkeypatch.syspath_prepend(tmp_path / "site")
    invalidate_caches()
    plugins._plugged_loaders.cache_clear()
    names = [loader.name for loader in loaders_for(tmp_path / "model.poem", "model.poem", None)]
    assert names.count("skops") == 1
    assert "poems" not in names


# ------------------------------------------------------------------ zips that lie


def lying(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_a_bomb_is_refused_by_what_it_says_of_itself(tmp_path: Path) -> None:
    path = lying(tmp_path / "model.skops", {"schema.json": b"{}", "0.npy": bytes(100 << 20)})
    with pytest.raises(UnknownFormatError, match=r"is a zip of .* says it unpacks to 104,857,602"):
        load(path)


def test_a_bomb_that_says_it_is_small_is_read_no_further_than_it_says(tmp_path: Path) -> None:
    path = lying(tmp_path / "model.skops", {"schema.json": b" " * (100 << 20)})
    content = path.read_bytes()
    path.write_bytes(content.replace((100 << 20).to_bytes(4, "little"), (10).to_bytes(4, "little")))
    with pytest.raises(UnknownFormatError, match=r"'model\.skops'"):
        load(path)


def test_members_that_share_bytes_or_a_name_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.skops"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("schema.json", "{}")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("schema.json", "[]")
    with pytest.raises(UnknownFormatError, match="two members of one name"):
        load(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("schema.json", "{}" + " " * 3000)
        twin = zipfile.ZipInfo("other.json")
        for field in ("header_offset", "compress_size", "file_size", "CRC"):
            setattr(twin, field, getattr(archive.infolist()[0], field))
        archive.filelist.append(twin)
    with pytest.raises(UnknownFormatError, match=r"share their bytes|no sound zip"):
        load(path)


def test_a_choice_says_where_the_model_lies_in_a_folder(tmp_path: Path) -> None:
    shutil.copy(arrays(tmp_path / "made" / "model.safetensors"), tmp_path / "a.safetensors")
    choice = choose(tmp_path, "folder", ours())
    assert (choice.loader.name, choice.path, choice.around) == (
        "safetensors",
        tmp_path / "a.safetensors",
        None,
    )
