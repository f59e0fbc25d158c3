"""A model registry of MLflow's, with all that one may hold; run as a script in an empty folder, by another Python.

It prints, as JSON, what each version predicts for the rows of ``ROWS``.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
warnings.simplefilter("ignore")

import lightgbm  # noqa: E402
import mlflow  # noqa: E402
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import xgboost  # noqa: E402
from mlflow.models import infer_signature  # noqa: E402
from sklearn.datasets import load_iris  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402

FEATURES = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
DATA, TARGET = load_iris(return_X_y=True)
FRAME = pd.DataFrame(DATA, columns=FEATURES)
ROWS = FRAME.iloc[::15]


def log(save: Callable[..., Any], model: Any, name: str, requirement: str, **more: Any) -> Any:
    """Register a model from a run of its own; a list of requirements spares MLflow to find them out."""
    with mlflow.start_run(run_name=f"train {name}"):
        mlflow.log_params({"C": 0.5, "solver": "lbfgs"})
        mlflow.log_metrics({"accuracy": 0.9, "loss": float("nan")})
        mlflow.log_input(mlflow.data.from_pandas(FRAME.head(), name="iris"), context="training")
        mlflow.set_tag("mlflow.user", "grace@example.com")
        mlflow.set_tag("mlflow.source.git.commit", "c0ffee" * 6 + "c0ff")
        return save(
            model, name="model", registered_model_name=name, pip_requirements=[requirement],
            signature=infer_signature(FRAME, model.predict(FRAME) if hasattr(model, "classes_") else DATA[:, 0]), **more,
        )  # fmt: skip


class Cautious(LogisticRegression):
    """Of nobody's library: it goes along as code."""


def booster() -> lightgbm.Booster:
    dataset = lightgbm.Dataset(FRAME, DATA[:, 0])
    return lightgbm.train({"objective": "regression", "verbose": -1}, dataset, 5)


def fill() -> None:
    client = mlflow.MlflowClient()
    for strength in (0.1, 1.0, 10.0, 100.0):
        log(mlflow.sklearn.log_model, LogisticRegression(C=strength, max_iter=400).fit(FRAME, TARGET), "churn", "scikit-learn",
            serialization_format="pickle", pyfunc_predict_fn="predict_proba")  # fmt: skip
    client.update_registered_model("churn", "Who leaves.")
    client.set_registered_model_tag("churn", "team", "risk")
    client.update_model_version("churn", "2", "Less regularised.\nBetter on the young.")
    client.set_model_version_tag("churn", "2", "validated", "yes")
    client.delete_model_version("churn", "3")
    client.set_registered_model_alias("churn", "champion", "2")
    client.set_registered_model_alias("churn", "challenger", "4")
    client.set_registered_model_alias("churn", "canary", "4")
    client.transition_model_version_stage("churn", "1", "Production")

    scaled = make_pipeline(StandardScaler(), LogisticRegression(max_iter=400)).fit(FRAME, TARGET)
    made = log(
        mlflow.sklearn.log_model, scaled, "Iris, scaled (2024)", "scikit-learn", serialization_format="skops"
    )
    client.transition_model_version_stage("Iris, scaled (2024)", "1", "Staging")
    mlflow.register_model(made.model_uri, "Iris, scaled (2024)")  # the same bytes again

    trees = xgboost.XGBClassifier(n_estimators=5).fit(FRAME, TARGET)
    log(mlflow.xgboost.log_model, trees, "trees", "xgboost")
    log(mlflow.lightgbm.log_model, booster(), "leaves", "lightgbm")

    cautious = Cautious(max_iter=400).fit(FRAME, TARGET)
    log(mlflow.sklearn.log_model, cautious, "cautious", "scikit-learn", serialization_format="cloudpickle")

    for name in ("caf\u00e9", "caf\u00ea", "!!!"):
        client.create_registered_model(name)
    lost = log(mlflow.lightgbm.log_model, booster(), "lost", "lightgbm")
    place = client.get_logged_model(lost.model_id).artifact_location
    shutil.rmtree(place.removeprefix("file://"))


def predictions() -> dict[str, list[float]]:
    found = {}
    for version in mlflow.MlflowClient().search_model_versions():
        if version.name != "lost":
            model = mlflow.pyfunc.load_model(f"models:/{version.name}/{version.version}")
            found[f"{version.name}/{version.version}"] = np.asarray(model.predict(ROWS), dtype=float).tolist()
    return found


def main() -> None:
    folder = Path.cwd()
    match sys.argv[1:]:
        case ["little", uri]:
            mlflow.set_tracking_uri(uri)
            mlflow.set_experiment("a little")
            log(mlflow.lightgbm.log_model, booster(), "little", "lightgbm")
            mlflow.MlflowClient().set_registered_model_alias("little", "champion", "1")
        case _:
            mlflow.set_tracking_uri(f"sqlite:///{folder / 'mlflow.db'}")
            mlflow.create_experiment("training", artifact_location=(folder / "artifacts").as_uri())
            mlflow.set_experiment("training")
            fill()
    Path("predictions.json").write_text(json.dumps(predictions()))
    Path("rows.json").write_text(json.dumps(ROWS.to_dict("list")))


main()
