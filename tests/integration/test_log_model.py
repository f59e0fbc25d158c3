"""Models logged from memory into a real DVC project with a real Git remote and a real DVC remote."""

from __future__ import annotations

import errno
import logging
import os
import pty
import shutil
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest
import xgboost
from dvc.repo import Repo
from onnx import TensorProto, helper
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import modelregistry as mr
from modelregistry import Registry, plugins
from modelregistry.artifacts import dvcadd
from modelregistry.git.repo import GitRepo
from modelregistry.loaders.base import Inspection, Likeness, Loader, Permit, Tier
from modelregistry.trust.trust import Ledger
from tests.integration.projects import TOP, commit, dvc, everything, git, init, visible, write

ROWS = np.random.default_rng(0).random((40, 3))
LABELS = (ROWS[:, 0] > 0.5).astype(int)


class Clipper(TransformerMixin, BaseEstimator):
    """A transformer of somebody's own."""

    def fit(self, X: Any, y: Any = None) -> Clipper:  # noqa: N803
        return self

    def transform(self, X: Any) -> Any:  # noqa: N803
        return X.clip(max=0.5)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("built")
    root = init(top / "project")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DVC_NO_ANALYTICS", "1")
        patch.setenv("DVC_SITE_CACHE_DIR", os.fspath(top / "site"))
        dvc(root, "init", "--quiet")
        dvc(root, "remote", "add", "--quiet", "--default", "storage", "../storage")
        write(root / "train.py", "print('train')\n")
        write(root / "dvc.yaml", "# The models of the team.\n")
        write(root / "prepared.txt", "made by a step\n")
        commit(root)
        git(top, "init", "--quiet", "--bare", "--initial-branch=main", "hub.git")
        git(root, "remote", "add", "origin", "../hub.git")
        git(root, "push", "--quiet", "--set-upstream", "origin", "main")
    return top


@pytest.fixture
def root(built: Path, tmp_path: Path) -> Path:
    shutil.copytree(built, tmp_path / "copy", symlinks=True)
    return tmp_path / "copy" / "project"


def fitted(C: float = 1.0) -> LogisticRegression:  # noqa: N803
    return LogisticRegression(C=C).fit(ROWS, LABELS)


def negation() -> Any:
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Neg", ["x"], ["y"])], "g", [x], [y])
    return helper.make_model(graph, ir_version=9, opset_imports=[helper.make_opsetid("", 17)])


def files_of(root: Path, rev: str = "HEAD") -> set[str]:
    """The files that a commit changed."""
    return set(git(root, "diff-tree", "-r", "--name-only", "--no-commit-id", rev).split())


def load_elsewhere(root: Path, folder: Path, **options: Any) -> object:
    """What somebody else loads, who has nothing but the two remotes."""
    git(folder, "clone", "--quiet", os.fspath(root.parent / "hub.git"), "theirs")
    theirs = folder / "theirs"
    write(theirs / ".dvc" / "config.local", f"['remote \"storage\"']\n    url = {root.parent / 'storage'}\n")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
            patch.setenv(name, os.fspath(folder / name))
        return Registry(theirs).get("churn").load(**options)


# -- the main road -----------------------------------------------------------------------------------------


def test_a_model_is_saved_kept_declared_committed_and_registered_and_others_load_it(
    root: Path, tmp_path: Path
) -> None:
    made = Registry(root).log_model(
        fitted(), "churn", message="Baseline", metadata={"auc": 0.9}, example=ROWS[:5]
    )

    assert (made.version, made.path, made.message) == ("v0.1.0", "models/churn.skops", "Baseline")
    assert made.metadata["auc"] == 0.9 and made.metadata["loader"] == "skops"
    assert "uncommitted" not in made.metadata
    assert made.rev == git(root, "rev-parse", "main")
    assert git(root, "log", "-1", "--format=%B") == "Log churn at models/churn.skops\n\nBaseline"
    assert files_of(root) == {"dvc.yaml", "models/.gitignore", "models/churn.skops.dvc"}
    assert git(root, "status", "--porcelain") == ""
    assert "up to date" in dvc(root, "status")
    assert "up to date" in dvc(root, "status", "--cloud") or "in sync" in dvc(root, "status", "--cloud")
    assert (root / "dvc.yaml").read_text().startswith("# The models of the team.\n")
    assert (root / "models" / "churn.skops").is_file()
    assert np.array_equal(made.load().predict(ROWS), fitted().predict(ROWS))  # type: ignore[attr-defined]
    theirs: Any = load_elsewhere(root, tmp_path)
    assert np.array_equal(theirs.predict(ROWS), fitted().predict(ROWS))


def test_its_dvc_file_is_what_dvc_itself_would_write(root: Path) -> None:
    made = Registry(root).log_model(fitted(), "churn")
    assert made.message == git(root, "log", "-1", "--format=%B") == "Log churn at models/churn.skops"
    ours = (root / "models" / "churn.skops.dvc").read_bytes()
    (root / "models" / "churn.skops.dvc").unlink()
    (root / "models" / ".gitignore").unlink()
    dvc(root, "add", "--quiet", "models/churn.skops")
    assert (root / "models" / "churn.skops.dvc").read_bytes() == ours
    assert git(root, "status", "--porcelain") == ""  # its line in .gitignore too


def test_the_next_one_is_the_next_version_and_what_its_dvc_file_said_stays(root: Path) -> None:
    registry = Registry(root)
    registry.log_model(fitted(), "churn")
    text = (root / "models" / "churn.skops.dvc").read_text()
    write(root / "models" / "churn.skops.dvc", f"# ours\n{text}desc: who leaves\n")
    commit(root)

    made = registry.log_model(fitted(C=0.1), "churn", bump="minor")

    assert made.version == "v0.2.0"
    assert files_of(root) == {"models/churn.skops.dvc"}
    said = (root / "models" / "churn.skops.dvc").read_text()
    assert said.startswith("# ours\n") and "desc: who leaves" in said
    assert git(root, "status", "--porcelain") == ""
    assert "up to date" in dvc(root, "status")
    assert registry.get("churn@v0.1.0").load().C == 1.0  # type: ignore[attr-defined]
    assert registry.get("churn@v0.2.0").load().C == 0.1  # type: ignore[attr-defined]


def test_work_that_has_nothing_to_do_with_it_stays_and_is_told_of(root: Path) -> None:
    write(root / "train.py", "print('edited')\n")
    write(root / "notes.txt", "untracked")
    write(root / "prepared.txt", "staged\n")
    git(root, "add", "prepared.txt")

    with pytest.warns(mr.RegistryWarning, match=r"'prepared.txt' and 1 more differ from the commit"):
        made = Registry(root).log_model(fitted(), "churn")

    assert list(made.metadata["uncommitted"]) == ["prepared.txt", "train.py"]  # type: ignore[arg-type]
    assert files_of(root) == {"dvc.yaml", "models/.gitignore", "models/churn.skops.dvc"}
    status = git(root, "status", "--porcelain").splitlines()
    assert [line.strip() for line in status] == ["M  prepared.txt", "M train.py", "?? notes.txt"]


def test_the_same_bytes_again_are_no_commit_and_no_version(root: Path) -> None:
    registry, arrays = Registry(root), {"w": np.arange(3.0)}
    first = registry.log_model(arrays, "weights")
    before = visible(root)
    with pytest.warns(mr.RegistryWarning, match=r"weights@v0\.1\.0 has these bytes already"):
        again = registry.log_model(arrays, "weights")
    assert again.version == first.version
    assert {name for name, data in visible(root).items() if before.get(name) != data} <= {
        ".dvc/tmp/btime", ".dvc/tmp/lock", ".dvc/tmp/rwlock", ".dvc/tmp/rwlock.lock"
    }  # fmt: skip


def test_training_again_in_the_same_way_is_no_version(root: Path) -> None:
    registry = Registry(root)
    registry.log_model(fitted(), "churn")
    with pytest.warns(mr.RegistryWarning, match="has these bytes already"):
        assert registry.log_model(fitted(), "churn").version == "v0.1.0"
    assert len(git(root, "rev-list", "HEAD").split()) == 2


def test_a_model_of_a_folder_is_kept_and_declared_there(root: Path) -> None:
    made = Registry(root).log_model(fitted(), "teams/eu:churn")
    assert made.path == "teams/eu/models/churn.skops"
    assert "models/churn.skops" in (root / "teams" / "eu" / "dvc.yaml").read_text()
    assert git(root, "status", "--porcelain") == ""


def test_a_dry_run_writes_nothing_and_says_what_would_be(root: Path) -> None:
    dvc(root, "status")  # DVC makes files of its own when it is opened
    before = everything(root)
    would = Registry(root).log_model(fitted(), "churn", bump="major", dry_run=True)
    assert (would.name, would.version) == ("churn", "v0.1.0")
    after = everything(root)
    assert {name for name in {*before, *after} if before.get(name) != after.get(name)} <= {
        name for name in {*before, *after} if name.startswith(".dvc/tmp/")
    }
    assert would.digest not in Ledger()


def test_push_false_keeps_all_of_it_in_this_clone(root: Path) -> None:
    Registry(root, push=False).log_model(fitted(), "churn")
    assert git(root.parent / "hub.git", "tag") == ""
    assert not (root.parent / "storage").exists()
    assert Registry(root, push=False).get("churn").load()


# -- formats -----------------------------------------------------------------------------------------------


@pytest.fixture
def quick(root: Path) -> Callable[..., mr.ModelVersion]:
    """Logs into a registry that shares nothing."""
    return Registry(root, remote=None).log_model


MODELS: dict[str, tuple[Callable[[], object], str, str]] = {
    "a logistic regression": (fitted, "skops", "m.skops"),
    "a forest": (lambda: RandomForestClassifier(3).fit(ROWS, LABELS), "joblib", "m.joblib"),
    "XGBoost": (lambda: xgboost.XGBClassifier(n_estimators=2).fit(ROWS, LABELS), "xgboost", "m.ubj"),
    "LightGBM": (
        lambda: lightgbm.train({"verbose": -1}, lightgbm.Dataset(ROWS, LABELS), 2), "lightgbm", "m.txt"
    ),
    "arrays": (lambda: {"w": np.arange(3.0)}, "safetensors", "m.safetensors"),
    "a graph": (negation, "onnx", "m.onnx"),
}  # fmt: skip


@pytest.mark.parametrize("kind", MODELS)
def test_each_kind_is_kept_in_a_format_that_loads_without_a_word(
    kind: str, quick: Callable[..., mr.ModelVersion], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    make, loader, name = MODELS[kind]
    made = quick(make(), "m")
    assert (made.metadata["loader"], made.path) == (loader, f"models/{name}")
    monkeypatch.setenv("XDG_DATA_HOME", os.fspath(tmp_path / "nobody"))  # who made nothing here
    made.load()


class FolderLoader(Loader):
    """Dictionaries of text, a file for each."""

    name = "texts"

    def recognises(self, path: Path, name: str) -> Likeness:
        return Likeness.MARKER if (path / "TEXTS").is_file() else Likeness.NONE

    def inspect(self, path: Path) -> Inspection:
        return Inspection(Tier.DATA)

    def load(self, path: Path, permit: Permit) -> object:
        return {
            file.relative_to(path).as_posix(): file.read_text()
            for file in path.rglob("*")
            if file.is_file() and file.name != "TEXTS"
        }

    def saves(self, model: object) -> bool:
        return isinstance(model, dict) and all(isinstance(each, str) for each in model.values())

    def save(self, model: Any, path: Path) -> None:
        for name, text in {"TEXTS": "", **model}.items():
            write(path / name, text)


@pytest.fixture
def _texts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "_registered", {"texts": FolderLoader()})


@pytest.mark.usefixtures("_texts")
def test_a_folder_is_kept_as_dvc_itself_would_and_the_next_one_takes_its_place(
    root: Path, tmp_path: Path
) -> None:
    registry, texts = Registry(root), {"a.txt": "one", "deep/b.txt": "two"}
    made = registry.log_model(texts, "churn")
    assert made.path == "models/churn"
    ours = (root / "models" / "churn.dvc").read_bytes()
    dvc(root, "add", "--quiet", "models/churn")
    assert (root / "models" / "churn.dvc").read_bytes() == ours
    assert git(root, "status", "--porcelain") == ""
    assert load_elsewhere(root, tmp_path) == texts

    registry.log_model({"a.txt": "three"}, "churn")
    assert sorted(path.name for path in (root / "models" / "churn").iterdir()) == ["TEXTS", "a.txt"]
    assert "up to date" in dvc(root, "status")
    assert registry.get("churn").load() == {"a.txt": "three"}
    assert registry.get("churn@v0.1.0").load() == texts

    write(root / "models" / "churn" / "c.txt", "of the user's own")
    with pytest.raises(mr.WorkingCopyError, match="move it away"):
        registry.log_model(texts, "churn", bump="major")
    assert (root / "models" / "churn" / "c.txt").read_text() == "of the user's own"


def test_why_it_is_no_skops_file_is_in_the_log(
    quick: Callable[..., mr.ModelVersion], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "modelregistry")
    quick(RandomForestClassifier(3).fit(ROWS, LABELS), "m")
    assert "with joblib, because skops does not vouch for sklearn.tree._tree.Tree" in caplog.text


def test_a_class_of_one_s_own_loads_here_and_others_are_told_what_to_trust(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make_pipeline(Clipper(), LogisticRegression()).fit(ROWS, LABELS)
    with pytest.warns(mr.RegistryWarning, match=r"not loaded by others unless they trust it.*Clipper"):
        made = Registry(root).log_model(model, "churn")
    assert made.metadata["loader"] == "skops"  # both need the word, and this runs less
    assert made.digest in Ledger()
    made.load()
    with pytest.raises(mr.UntrustedModelError, match="Clipper"):
        load_elsewhere(root, tmp_path)


@pytest.mark.parametrize("loader", ["pickle", "joblib"])
def test_a_pickle_is_made_of_anything_on_purpose(loader: str, quick: Callable[..., mr.ModelVersion]) -> None:
    made = quick({"words": ["a", "b"]}, "m", loader=loader)
    assert made.path == {"pickle": "models/m.pkl", "joblib": "models/m.joblib"}[loader]
    assert made.load() == {"words": ["a", "b"]}


def test_what_a_format_does_not_keep_is_a_warning(quick: Callable[..., mr.ModelVersion]) -> None:
    def objective(wanted: Any, given: Any) -> tuple[Any, Any]:
        return given - wanted, np.ones(len(wanted))

    dressed = lightgbm.LGBMRegressor(
        n_estimators=2, verbose=-1, min_child_samples=1, objective=objective
    ).fit(ROWS, ROWS[:, 0])
    with pytest.warns(
        mr.RegistryWarning, match="does not keep that it is a LGBMRegressor.*loads as a Booster"
    ):
        made = quick(dressed, "m")
    assert isinstance(made.load(), lightgbm.Booster)


def test_an_estimator_of_another_library_comes_back_as_what_it_was(
    quick: Callable[..., mr.ModelVersion],
) -> None:
    texts = np.where(LABELS, "stays", "leaves")
    for name, model, labels in (
        ("light", lightgbm.LGBMClassifier(n_estimators=2, verbose=-1), texts),
        ("boosted", xgboost.XGBClassifier(n_estimators=2), LABELS),
    ):
        made = quick(model.fit(ROWS, labels), name, example=ROWS[:5])
        loaded: Any = made.load()
        assert type(loaded) is type(model)
        assert loaded.predict(ROWS).tolist() == model.predict(ROWS).tolist()
        assert np.array_equal(loaded.predict_proba(ROWS), model.predict_proba(ROWS))
        assert made.signature is not None
        assert [each.name for each in made.signature.outputs] == ["predict", "predict_proba"]


def test_a_loader_that_dvc_yaml_names_is_the_one_and_a_path_that_tells_nothing_is_noted(
    root: Path, quick: Callable[..., mr.ModelVersion]
) -> None:
    made = quick(fitted(), "m", loader="pickle", path="models/m.bin")
    assert "loader: pickle" in (root / "dvc.yaml").read_text()
    assert made.load().C == 1.0  # type: ignore[attr-defined]
    again = quick(fitted(C=0.5), "m")
    assert again.path == "models/m.bin"
    assert again.load().C == 0.5  # type: ignore[attr-defined]


def test_a_model_that_needs_another_format_moves_to_another_path(
    quick: Callable[..., mr.ModelVersion],
) -> None:
    quick(fitted(), "m", path="ours/best.skops")
    assert quick(fitted(C=0.5), "m").path == "ours/best.skops"
    moved = quick({"w": np.arange(3.0)}, "m")
    assert moved.path == "ours/m.safetensors"
    assert list(moved.load()) == ["w"]  # type: ignore[call-overload]


def test_an_answer_that_is_not_the_model_s_is_an_error_and_nothing_is_written(
    root: Path, quick: Callable[..., mr.ModelVersion]
) -> None:
    class Fickle(LogisticRegression):
        def predict(self, X: Any) -> Any:  # noqa: N803
            return np.random.default_rng().random(len(X))

    Fickle.__qualname__, Fickle.__module__ = "Fickle", __name__
    globals()["Fickle"] = Fickle
    head = git(root, "rev-parse", "HEAD")
    with pytest.raises(mr.ConversionError, match="answers otherwise"):
        quick(Fickle().fit(ROWS, LABELS), "m", example=ROWS[:3])
    assert git(root, "status", "--porcelain") == ""
    assert git(root, "rev-parse", "HEAD") == head
    assert not (root / "models" / "m.skops").exists()


# -- what is refused ---------------------------------------------------------------------------------------


def _by_a_step(root: Path) -> None:
    write(
        root / "dvc.yaml",
        "stages:\n  make:\n    cmd: mkdir -p models && cp prepared.txt models/churn.skops\n    outs: [models/churn.skops]\n",
    )
    dvc(root, "repro", "--quiet")
    commit(root)


def _in_git(root: Path) -> None:
    write(root / "models" / "churn.skops", "in Git")
    commit(root)


def _imported(root: Path) -> None:
    write(root.parent / "elsewhere.skops", "theirs")
    (root / "models").mkdir()
    dvc(root, "import-url", "--quiet", os.fspath(root.parent / "elsewhere.skops"), "models/churn.skops")
    commit(root)


def _overlapping(root: Path) -> None:
    write(root / "models" / "x", "x")
    dvc(root, "add", "--quiet", "models")
    commit(root)


REFUSED: dict[str, tuple[Callable[[Path], object], type[mr.RegistryError], str, dict[str, Any]]] = {
    "no such kind": (lambda r: None, mr.InvalidInputError, "loader='joblib' or loader='pickle'", {"model": object()}),
    "a path": (lambda r: None, mr.InvalidInputError, "it is a path", {"model": "models/churn.skops"}),
    "no such loader": (lambda r: None, mr.InvalidInputError, "saves nothing", {"loader": "jobilb"}),
    "not of that loader": (lambda r: None, mr.InvalidInputError, "does not save", {"loader": "xgboost"}),
    "called like a pickle": (lambda r: None, mr.InvalidInputError, "pass loader='pickle'", {"path": "churn.pkl"}),
    "a path outside": (lambda r: None, mr.InvalidInputError, "relative to the Git root", {"path": "../churn.skops"}),
    "a name": (lambda r: None, mr.InvalidNameError, "Churn!", {"name": "Churn!"}),
    "a bump": (lambda r: None, mr.InvalidInputError, "bump", {"bump": "huge"}),
    "a version": (lambda r: None, mr.InvalidNameError, "1.0", {"version": "1.0"}),
    "metadata": (lambda r: None, mr.InvalidInputError, "metadata", {"metadata": {"a": object()}}),
    "dvc.yaml edited": (
        lambda r: write(r / "dvc.yaml", "artifacts: {}\n"), mr.WorkingCopyError, "commit them first", {}
    ),
    "a file of the user's there": (
        lambda r: write(r / "models/churn.skops", "precious"), mr.WorkingCopyError, "move it away", {}
    ),
    "detached": (lambda r: git(r, "checkout", "--quiet", "--detach"), mr.WorkingCopyError, "git switch", {}),
    "made by a step": (_by_a_step, mr.RefusedError, "overlaps with an output of", {}),
    "kept in Git": (_in_git, mr.WorkingCopyError, "git rm --cached", {}),
    "imported": (_imported, mr.RefusedError, "comes from elsewhere", {}),
    "in a folder that DVC keeps": (_overlapping, mr.RefusedError, "keeps as one", {}),
    "ignored by Git": (
        lambda r: (write(r / ".gitignore", "models/\n"), commit(r)), mr.RefusedError, "git-ignored", {}
    ),
    "no DVC project": (lambda r: shutil.rmtree(r / ".dvc"), mr.WorkingCopyError, "dvc init", {}),
    "no remote": (lambda r: write(r / ".dvc/config", ""), mr.RefusedError, "dvc remote add", {}),
    "a remote that is none": (
        lambda r: write(r / ".dvc/config.local", "[core]\n    remote = gone\n"), mr.RefusedError, "no remote 'gone'", {}
    ),
    "a project that can't be written": (
        lambda r: (shutil.rmtree(r / ".dvc/tmp"), write(r / ".dvc/tmp", "")), mr.WorkingCopyError, "can't be opened", {}
    ),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::modelregistry.RegistryWarning")
@pytest.mark.parametrize("why", REFUSED)
def test_what_can_t_be_is_refused_before_anything_is_written(why: str, root: Path) -> None:
    spoil, error, words, options = REFUSED[why]
    spoil(root)
    before = visible(root)
    model, name = options.pop("model", None) or fitted(), options.pop("name", "churn")
    with pytest.raises(error, match=words):
        Registry(root).log_model(model, name, **options)
    after = visible(root)
    changed = {name for name in {*before, *after} if before.get(name) != after.get(name)}
    assert {name for name in changed if not name.startswith(".dvc/tmp/")} <= {".git/index"}
    assert "modelregistry" not in "".join(os.listdir(root / ".git"))


def test_a_withdrawn_model_is_refused_before_anything_is_written(root: Path) -> None:
    registry, arrays = Registry(root), {"w": np.arange(3.0)}
    registry.withdraw("weights", registry.log_model(arrays, "weights").version)
    head = git(root, "rev-parse", "HEAD")
    with pytest.raises(mr.WithdrawnError):
        registry.log_model(arrays, "weights")
    assert git(root, "rev-parse", "HEAD") == head


def test_a_model_that_lies_there_and_that_dvc_knows_gives_way(root: Path) -> None:
    registry = Registry(root)
    registry.log_model(fitted(), "churn")
    registry.log_model(fitted(C=0.5), "churn")
    git(root, "checkout", "--quiet", "HEAD~1")
    dvc(root, "checkout", "--quiet")
    git(root, "checkout", "--quiet", "main")  # and what lies there is the older one still
    registry.log_model(fitted(C=0.25), "churn")
    assert "up to date" in dvc(root, "status")


def test_a_push_that_fails_says_what_stands_and_the_next_call_goes_on(root: Path) -> None:
    write(root.parent / "storage", "a file where the folder should be")
    registry = Registry(root)
    with pytest.raises(mr.RegistryError) as caught:
        registry.log_model(fitted(), "churn")
    note = "".join(caught.value.__notes__)
    made = git(root, "rev-parse", "HEAD")
    assert f"commit {made[:10]} stands" in note and f"registry.register('churn', rev='{made[:10]}'" in note
    assert git(root, "status", "--porcelain") == ""
    (root.parent / "storage").unlink()
    assert registry.register("churn", rev=made[:10], push_data=True).rev == made
    assert registry.get("churn").load()


@pytest.mark.parametrize("kind", ["a file", "a folder"])
def test_a_cache_that_is_full_is_told_before_anything_is_committed(
    kind: str, root: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    cache, opened = os.fspath(root / ".dvc" / "cache" / "files"), os.open

    def full(path: Any, flags: int, *arguments: Any, **options: Any) -> int:
        if flags & os.O_CREAT and os.fspath(path).startswith(cache):
            raise OSError(errno.ENOSPC, "No space left on device", os.fspath(path))
        return opened(path, flags, *arguments, **options)

    place = write(root.parent / "big", "bytes")
    if kind == "a folder":
        place = write(root.parent / "folder" / "deep" / "big", "bytes").parents[1]
    adder = dvcadd.DvcAdder(GitRepo.discover(root))
    before = visible(root)
    monkeypatch.setattr(os, "open", full)
    with pytest.raises(mr.CacheError, match="No space left"):
        adder.add("models/big", place)
    with pytest.raises(mr.CacheError, match="No space left"):
        Registry(root).log_model(fitted(), "churn")
    monkeypatch.undo()
    assert "Traceback" not in capfd.readouterr().err
    assert {name for name in visible(root).keys() ^ before.keys() if not name.startswith(".dvc/")} == set()
    assert git(root, "status", "--porcelain") == ""


# -- killed ------------------------------------------------------------------------------------------------

SCRIPT = """
import os, signal, sys, warnings
import numpy as np
from modelregistry import Registry
from modelregistry.artifacts import dvcadd
from modelregistry.git import indexlock, workingcopy
from modelregistry.intake import logmodel, saving
from modelregistry.trust import trust
warnings.simplefilter("ignore")

left, seed = int(sys.argv[1]), int(sys.argv[2])

def counted(place, name):
    real = getattr(place, name)
    def call(*arguments, **options):
        global left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1
        return real(*arguments, **options)
    setattr(place, name, call)

from dvc.output import Output
from modelregistry.git.repo import GitRepo
from pathlib import Path
for place, name in [
    (saving, "choose"), (Output, "transfer"), (GitRepo, "write_tag"), (trust.Ledger, "add"), (Path, "replace"),
    (logmodel, "commit_arrivals"), (dvcadd.DvcAdder, "check"), (dvcadd.DvcAdder, "place"), (os, "link"),
    (Registry, "register"), (workingcopy, "_put"),
]:
    counted(place, name)
weights = {"w": np.random.default_rng(seed).random(1000)}
print(Registry(".").log_model(weights, "weights").version)
"""


@pytest.mark.slow
def test_a_call_that_is_killed_anywhere_is_gone_on_with_by_the_next(root: Path, tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": os.fspath(TOP)}
    step = 0
    while True:
        copy = tmp_path / f"at{step}"
        shutil.copytree(root.parent, copy, symlinks=True)
        project = copy / "project"
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, str(step), "0"],
            cwd=project, env=environment, check=False, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode in (0, -signal.SIGKILL), done.stderr

        registry = Registry(project)
        before = len(git(project, "rev-list", "HEAD").split())
        arrays = {"w": np.random.default_rng(step % 2).random(1000)}  # the same training, or another
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", mr.RegistryWarning)
            made = registry.log_model(arrays, "weights")
        assert np.array_equal(made.load()["w"], arrays["w"])  # type: ignore[index]
        assert git(project, "status", "--porcelain") == ""
        with Repo(os.fspath(project)) as opened:
            assert opened.status() == {}
        assert len(git(project, "rev-list", "HEAD").split()) <= before + 1
        assert not [*(project / ".dvc" / "tmp").glob("modelregistry-*")]
        if done.returncode == 0:
            break
        step += 3
    assert step > 10


# -- with others -------------------------------------------------------------------------------------------

AT_ONCE = """
import sys, warnings
import numpy as np
from modelregistry import Registry
warnings.simplefilter("ignore")
sys.stdin.readline()
for turn in range(2):
    Registry(".").log_model({"w": np.array([float(turn)])}, sys.argv[1])
"""


def test_models_that_are_logged_at_once_in_one_clone_are_all_there(root: Path) -> None:
    names = ["ann", "bob", "cid"]
    started = [
        subprocess.Popen(
            [sys.executable, "-c", AT_ONCE, name], cwd=root, stdin=subprocess.PIPE, stderr=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": os.fspath(TOP)},
        )
        for name in names
    ]  # fmt: skip
    for process in started:
        assert process.stdin
        process.stdin.write(b"go\n")
        process.stdin.flush()
    for process in started:
        _, complaints = process.communicate()
        assert process.returncode == 0, complaints.decode()
    registry = Registry(root)
    for name in names:
        assert [each.version for each in registry.versions(name)] == ["v0.1.1", "v0.1.0"]
        assert registry.get(name).load()["w"] == [1.0]  # type: ignore[index]
    assert git(root, "status", "--porcelain") == ""
    assert len(git(root, "rev-list", "HEAD").split()) == 1 + 2 * len(names)


def test_another_dvc_that_never_ends_is_told_of(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dvcadd, "_PATIENCE", 0)
    with Repo(os.fspath(root)) as other, other.lock:
        before = visible(root)
        with pytest.raises(mr.RefusedError, match="another DVC"):
            Registry(root).log_model(fitted(), "churn")
        assert visible(root) == before


def test_nothing_is_said_on_a_terminal_either(root: Path) -> None:
    code = (
        "import numpy as np; from modelregistry import Registry\n"
        "Registry('.').log_model({'w': np.random.default_rng(0).random(1 << 20)}, 'weights')"
    )
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, stdout=theirs, stderr=theirs, check=False,
        env=os.environ | {"PYTHONPATH": os.fspath(TOP)},
    )  # fmt: skip
    os.set_blocking(ours, False)
    with pytest.raises(BlockingIOError):
        print(os.read(ours, 1 << 16))  # where there is something
    os.close(theirs)
    os.close(ours)
    assert done.returncode == 0


def test_a_url_is_told_that_it_takes_a_clone(root: Path) -> None:
    with pytest.raises(mr.WorkingCopyError, match="open a clone"):
        Registry((root.parent / "hub.git").as_uri()).log_model(fitted(), "churn")


@pytest.fixture(autouse=True)
def _nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    yield
    printed = capfd.readouterr()
    assert printed.out == "" and "Adding" not in printed.err
