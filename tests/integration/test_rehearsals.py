"""What a call with ``dry_run=True`` gives is what the call without it makes, as far as it can be known before."""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

import modelregistry as mr
from modelregistry import ModelVersion, Registry
from tests.integration.makers import seen
from tests.integration.projects import commit, dvc, git, init, write

ROWS = np.random.default_rng(0).random((40, 3))
LABELS = (ROWS[:, 0] > 0.5).astype(int)
DECLARED = (
    "artifacts:\n  churn: {path: models/churn.skops, type: model, desc: who leaves, labels: [tabular]}\n"
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A team's project that declares a model it does not have, and a maker's that has one and registered it."""
    top = tmp_path_factory.mktemp("built")
    for name in ("team", "maker"):
        root = init(top / name)
        dvc(root, "init", "--quiet")
        dvc(root, "remote", "add", "--quiet", "--default", "storage", f"../{name}-storage")
        write(root / "dvc.yaml", DECLARED)
        commit(root, "Begin")
    Registry(top / "maker").log_model(
        LogisticRegression().fit(ROWS, LABELS), "churn", metadata={"license": "mit", "metrics": {"auc": 0.9}}
    )
    return top


def log(registry: Registry, dry_run: bool) -> ModelVersion:
    model = LogisticRegression().fit(ROWS, LABELS)
    return registry.log_model(
        model, "churn", bump="major", message="m", metadata={"rows": 40}, dry_run=dry_run
    )


def bring(registry: Registry, dry_run: bool) -> ModelVersion:
    maker = Path(registry.target).parent / "maker"
    return registry.import_model(maker, "churn@latest", as_name="theirs", message="m", dry_run=dry_run)


def track(registry: Registry, dry_run: bool) -> ModelVersion:
    folder = Path(registry.target).parent / "net"
    write(folder / "deep" / "b.bin", b"b")
    write(folder / "a.bin", b"a")
    return registry.track(
        folder, "net", license="mit", description="a net", labels=["vision"], message="m", dry_run=dry_run
    )


@pytest.fixture
def registry(built: Path, tmp_path: Path) -> Registry:
    for name in ("team", "maker"):
        shutil.copytree(built / name, tmp_path / name, symlinks=True)
    return Registry(tmp_path / "team")


@pytest.mark.parametrize("call", [log, bring, track])
def test_a_rehearsal_tells_what_will_be_and_changes_nothing(
    call: Callable[[Registry, bool], ModelVersion], registry: Registry
) -> None:
    call(registry, True)  # DVC makes files of its own when it is opened
    before = seen(Path(registry.target))
    would = call(registry, True)
    assert seen(Path(registry.target)) == before
    made = call(registry, False)
    for fact in (
        *(
            "name",
            "version",
            "state",
            "path",
            "type",
            "description",
            "labels",
            "digest",
            "size",
            "message",
            "author",
        ),
        *("metadata", "signature", "environment", "usage", "evaluation", "reference", "metrics"),
    ):
        assert getattr(would, fact) == getattr(made, fact), fact
    assert would.files() == made.files()
    assert (would.dry_run, made.dry_run, would.rev, would.source_rev) == (True, False, "", "")
    assert repr(would) == f"ModelVersion({made.name!r}, {made.version!r}, state='inactive', dry_run=True)"
    assert (would.card.facts.path, would.card.facts.labels) == (made.path, made.labels)


def test_what_can_not_be_known_before_is_one_clear_error(registry: Registry, tmp_path: Path) -> None:
    would = log(registry, True)
    asked: list[Callable[[], object]] = [
        would.load, would.local_path, would.verify, would.open, lambda: os.fspath(would), lambda: would.lineage,
        lambda: would.params, would.reproduce, would.to_cyclonedx, lambda: would.download(tmp_path / "out"),
        lambda: would.export(tmp_path / "out"), lambda: would.convert(tmp_path, format="onnx"),
    ]  # fmt: skip
    for ask in asked:
        with pytest.raises(mr.errors.VersionNotFoundError, match=r"'?churn@v0.1.0.*dry_run=True"):
            ask()
    assert not (tmp_path / "out").exists()


def test_a_rehearsal_warns_of_what_keeps_others_from_loading_as_the_registration_would(
    registry: Registry,
) -> None:
    forest = RandomForestClassifier(2, random_state=0).fit(ROWS, LABELS)
    said = []
    for dry_run in (True, False):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("ignore")
            warnings.simplefilter("always", mr.RegistryWarning)
            found = registry.log_model(forest, "forest", loader="pickle", dry_run=dry_run)
        said.append([str(each.message) for each in caught])
        assert found.metadata["loader"] == "pickle"
    assert said[0] == said[1]


def test_bytes_that_are_there_already_are_the_version_that_has_them(registry: Registry) -> None:
    made = log(registry, False)
    with pytest.warns(mr.RegistryWarning, match="these bytes already"):
        again = log(registry, True)
    assert (again, again.dry_run) == (made, False)
    assert again.load() is not None


def test_a_registration_is_rehearsed_with_all_that_its_commit_tells(registry: Registry) -> None:
    log(registry, False)
    root = Path(registry.target)
    git(root, "tag", "--delete", "churn@v0.1.0")
    would = Registry(root).register("churn", dry_run=True)
    assert (would.dry_run, would.path) == (True, "models/churn.skops")
    assert would.load() is not None
