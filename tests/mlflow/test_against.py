"""What the page "Against others" says of MLflow, each cell an experiment with a registry of MLflow's on SQLite."""

from __future__ import annotations

import inspect
import os
import pickle
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest
from mlflow import MlflowClient, MlflowException
from sklearn.linear_model import LogisticRegression

X = np.random.default_rng(0).normal(size=(60, 2))


class Theirs:
    """A registry, and what logs versions of ``churn`` into it."""

    def __init__(self, folder: Path) -> None:
        self.database = folder / "mlflow.db"
        mlflow.set_tracking_uri(f"sqlite:///{self.database}")
        mlflow.set_registry_uri(f"sqlite:///{self.database}")
        self.experiment = mlflow.create_experiment("churn", artifact_location=(folder / "files").as_uri())
        self.files = folder / "files"
        self.client = MlflowClient()

    def log(self, answers: np.ndarray[Any, Any], *, auc: float = 0.9, **more: Any) -> Path:
        """Register a version from a run; returns the file of its model."""
        before = set(self.files.rglob("model.*"))
        with mlflow.start_run(experiment_id=self.experiment):
            mlflow.log_metric("auc", auc)
            mlflow.log_input(mlflow.data.from_numpy(X, name="customers"), context="training")
            mlflow.sklearn.log_model(
                LogisticRegression().fit(X, answers), name="model", registered_model_name="churn",
                pip_requirements=["scikit-learn"], **more,
            )  # fmt: skip
        (made,) = set(self.files.rglob("model.*")) - before
        return made

    def versions(self) -> list[int]:
        return sorted(int(each.version) for each in self.client.search_model_versions("name='churn'"))


@pytest.fixture
def theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Theirs]:
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
        monkeypatch.setenv(
            name, ""
        )  # as it was afterwards: MLflow tells the processes that others start by these
    yield Theirs(tmp_path)
    mlflow.set_tracking_uri(None)
    mlflow.set_registry_uri(None)


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")
class TestMlflow:
    def test_an_alias_forgets_who_held_it_before(self, theirs: Theirs) -> None:
        for _ in range(2):
            theirs.log(X[:, 0] > 0)
        for version in "12":
            theirs.client.set_registered_model_alias("churn", "current", version)
        with sqlite3.connect(theirs.database) as database:
            rows = database.execute("SELECT alias, version FROM registered_model_aliases").fetchall()
            tables = {
                name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type='table'")
            }
        assert rows == [("current", 2)]
        assert not [name for name in tables if "alias" in name and "history" in name]

    def test_an_alias_is_moved_by_whoever_comes_last(self) -> None:
        assert [*inspect.signature(MlflowClient.set_registered_model_alias).parameters] == ["self", "name", "alias", "version"]  # fmt: skip

    def test_a_deleted_version_takes_its_alias_along_and_its_number_is_not_used_again(
        self, theirs: Theirs
    ) -> None:
        for _ in range(2):
            theirs.log(X[:, 0] > 0)
        theirs.client.set_registered_model_alias("churn", "current", "2")
        theirs.client.delete_model_version("churn", "2")
        theirs.log(X[:, 0] > 0)
        assert theirs.versions() == [1, 3]
        with pytest.raises(MlflowException, match="alias current not found"):
            theirs.client.get_model_version_by_alias("churn", "current")

    def test_other_bytes_than_the_registered_ones_are_loaded(self, theirs: Theirs) -> None:
        first, second = theirs.log(X[:, 0] > 0), theirs.log(X[:, 0] < 0)
        shutil.copy(second, first)
        assert (mlflow.sklearn.load_model("models:/churn/1").predict(X) == (X[:, 0] < 0)).mean() > 0.9

    def test_a_pickle_in_it_runs_its_code_when_it_is_loaded(self, theirs: Theirs, tmp_path: Path) -> None:
        class Hostile:
            def __reduce__(self) -> object:
                return os.mkdir, (os.fspath(tmp_path / "ran"),)

        file = theirs.log(X[:, 0] > 0, serialization_format="cloudpickle")
        file.write_bytes(pickle.dumps(Hostile()))
        mlflow.sklearn.load_model("models:/churn/1")
        assert (tmp_path / "ran").is_dir()

    def test_versions_are_not_found_by_a_metric_and_logged_models_are(self, theirs: Theirs) -> None:
        theirs.log(X[:, 0] > 0, auc=0.9)
        theirs.log(X[:, 0] > 0, auc=0.7)
        with pytest.raises(MlflowException, match="Invalid entity type 'metrics'"):
            theirs.client.search_model_versions("metrics.auc > 0.8")
        found = mlflow.search_logged_models(
            experiment_ids=[theirs.experiment], filter_string="metrics.auc > 0.8", output_format="list"
        )
        assert len(found) == 1

    def test_runs_are_found_by_the_digest_of_a_dataset_that_was_logged(self, theirs: Theirs) -> None:
        theirs.log(X[:, 0] > 0)
        run = mlflow.get_run(theirs.client.get_model_version("churn", "1").run_id)
        digest = run.inputs.dataset_inputs[0].dataset.digest
        assert len(mlflow.search_runs([theirs.experiment], f"dataset.digest = '{digest}'")) == 1

    def test_there_are_permissions_webhooks_pages_and_more_formats(self) -> None:
        package = Path(mlflow.__file__).parent
        roles = (package / "server" / "auth" / "client.py").read_text()
        assert "def grant_user_permission(" in roles and "def add_role_permission(" in roles
        assert (package / "server" / "js" / "build" / "index.html").is_file()
        assert hasattr(MlflowClient, "create_webhook")
        modules = [*package.glob("*/__init__.py"), *package.glob("*/model.py")]
        assert len({path.parent for path in modules if "\ndef load_model(" in path.read_text()}) > 20
