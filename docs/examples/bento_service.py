"""A BentoML service that answers with the model that holds a stage: `bentoml serve bento_service:Churn`."""

import os

import bentoml

import modelregistry as mr


@bentoml.service(traffic={"timeout": 30})
class Churn:
    def __init__(self) -> None:
        self.followed = mr.follow("churn", stage="current", every=float(os.environ.get("EVERY", "30")))

    @bentoml.api
    def predict(self, rows: list[list[float]]) -> dict[str, object]:
        version, model = self.followed.serving  # both of one moment
        return {"version": version.version, "predictions": model.predict(rows).tolist()}
