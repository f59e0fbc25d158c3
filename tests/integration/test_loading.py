"""One call from a reference to the object: the same object while the reference says the same, for every thread."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import modelregistry as mr
from modelregistry import Registry
from modelregistry.loading.loadedmodels import LoadedModels
from tests.integration.projects import commit, git, write

NAMES = ["sklearn.linear_model._logistic.LogisticRegression"]


def load(registry: Registry | Path, stage: str = "current", **options: object) -> object:
    return mr.load_model("churn", stage=stage, registry=registry, **{"trust": NAMES, **options})  # type: ignore[arg-type]


# -- the same object -----------------------------------------------------------------------------------------


def test_an_unchanged_reference_gives_the_same_object_by_registry_and_by_path(
    served: Registry, project: Path
) -> None:
    first = load(served)
    assert load(served) is first
    by_path = load(project)
    assert load(project) is by_path
    assert load(os.fspath(project)) is by_path


def test_a_copy_is_an_object_of_its_own(served: Registry) -> None:
    first = load(served)
    assert load(served, copy=True) is not first
    assert load(served) is first


def test_a_stage_that_moved_gives_the_other_object_and_back_the_first(served: Registry) -> None:
    first = load(served)
    served.promote("churn", "v0.2.0", "current")
    second = load(served)
    assert second is not first
    served.rollback("churn", "current")
    assert load(served) is first


def test_a_version_withdrawn_by_another_process_is_served_no_more(served: Registry, project: Path) -> None:
    load(served)
    Registry(project).withdraw("churn", "v0.1.0", then="v0.2.0")
    with pytest.raises(mr.WithdrawnError):
        mr.load_model("churn@v0.1.0", registry=served, trust=NAMES)


def test_what_one_caller_trusted_is_not_handed_to_one_who_does_not(
    served: Registry, project: Path, foreign: str
) -> None:
    assert mr.load_model(foreign, registry=served, trust="code") is not None
    with pytest.raises(mr.UntrustedModelError):
        mr.load_model(foreign, registry=served)


@pytest.fixture
def foreign(project: Path, served: Registry) -> str:
    """A version whose pickle runs code."""
    write(project / "plain" / "evil.pkl", b"cbuiltins\neval\n(S'{}'\ntR.")
    text = (project / "dvc.yaml").read_text()
    write(project / "dvc.yaml", f"{text}  evil: {{path: plain/evil.pkl, type: model}}\n")
    commit(project, "Somebody else's")
    with pytest.warns(mr.RegistryWarning, match=r"builtins\.eval"):
        return served.register("evil").reference


def test_the_last_two_versions_of_a_model_are_kept_and_no_more(project: Path) -> None:
    loaded = LoadedModels()
    calls: list[str] = []

    def make(key: str) -> object:
        return loaded.get("churn", key, lambda: calls.append(key) or object())

    one, two = make("1"), make("2")
    assert (make("1"), make("2")) == (one, two)
    make("3")
    assert make("2") is two
    assert make("1") is not one
    assert calls == ["1", "2", "3", "1"]


def test_models_do_not_push_each_other_out() -> None:
    loaded = LoadedModels()
    objects = {name: loaded.get(name, "key", object) for name in "abcdef"}
    assert {name: loaded.get(name, "key", object) for name in "abcdef"} == objects


# -- threads -------------------------------------------------------------------------------------------------


def test_concurrent_first_calls_load_once(served: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = 16
    barrier = threading.Barrier(at_once)
    loads = []
    reading = mr.ModelVersion.load

    def counted(self: mr.ModelVersion, **options: object) -> object:
        loads.append(self.reference)
        return reading(self, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(mr.ModelVersion, "load", counted)

    def call(_: int) -> object:
        barrier.wait()
        return load(served)

    with ThreadPoolExecutor(at_once) as pool:
        found = set(map(id, pool.map(call, range(at_once))))
    assert len(found) == 1
    assert loads == ["churn@v0.1.0"]


def test_who_waits_for_a_load_that_fails_gets_the_same_error_and_the_next_call_tries_again() -> None:
    loaded = LoadedModels()
    entered, go_on = threading.Event(), threading.Event()

    def fail() -> object:
        entered.set()
        go_on.wait()
        raise OSError("disk")

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(loaded.get, "m", "key", fail)
        entered.wait()
        second = pool.submit(loaded.get, "m", "key", object)
        go_on.set()
        assert {type(each.exception()) for each in (first, second)} <= {OSError, type(None)}
        assert isinstance(first.exception(), OSError)
    assert loaded.get("m", "key", lambda: 1) in (1, second.result() if not second.exception() else 1)


def test_the_current_folder_and_the_environment_are_looked_at_in_every_call(
    served: Registry, project: Path, plain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    first = mr.load_model("churn#current", trust=NAMES)
    assert mr.load_model("churn#current", trust=NAMES) is first
    monkeypatch.chdir(plain)
    with pytest.raises(mr.ModelNotFoundError):
        mr.load_model("churn#current", trust=NAMES)
    monkeypatch.setenv("MODELREGISTRY_URL", os.fspath(project))
    assert type(mr.load_model("churn#current", trust=NAMES)) is type(first)


# -- without the network -------------------------------------------------------------------------------------


def test_offline_and_with_a_lost_remote_the_last_verified_bytes_are_served(
    served: Registry, project: Path, fresh_cache: Path
) -> None:
    hub = project.parent / "hub.git"
    git(project, "clone", "--quiet", "--bare", os.fspath(project), os.fspath(hub))
    url = f"file://{hub}"
    storage = project.parent / "storage"
    assert load(Registry(url)) is not None
    hub.rename(project.parent / "gone.git")
    storage.rename(project.parent / "gone")
    assert load(Registry(url, offline=True)) is not None
    with pytest.warns(mr.PartialViewWarning):
        assert load(Registry(url, max_age=1e-9)) is not None


def test_offline_nothing_is_fetched_and_the_error_says_so(
    served: Registry, project: Path, fresh_cache: Path
) -> None:
    cached = project / ".dvc" / "cache"
    cached.rename(project.parent / "away")
    with pytest.raises(mr.MissingBytesError, match="offline=True"):
        load(Registry(project, offline=True))
    assert load(Registry(project)) is not None
    assert load(Registry(project, offline=True)) is not None, "it was fetched a moment ago"


# -- bad input -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"verify": "never"}, "verify="),
        ({"verify": True}, "verify="),
        ({"progress": "bar"}, "progress="),
        ({"progress": 1}, "progress="),
        ({"trust": "all"}, "trust="),
    ],
)
def test_an_argument_that_says_nothing_is_refused_before_anything_is_read(
    options: dict[str, object], words: str, served: Registry, fresh_cache: Path
) -> None:
    with pytest.raises(mr.InvalidInputError, match=words):
        load(served, **options)
    assert not fresh_cache.exists() or not (fresh_cache / "views").exists()
