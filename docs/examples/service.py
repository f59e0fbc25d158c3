"""A service that answers with the model that holds a stage, and takes the next one when that moves."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from pydantic import BaseModel

import modelregistry as mr

MODEL = os.environ.get("MODEL", "churn")
STAGE = os.environ.get("STAGE", "current")
EVERY = float(os.environ.get("EVERY", "30"))


class Question(BaseModel):
    rows: list[list[float]]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    # The first model is loaded before the first request is taken.
    with mr.follow(MODEL, stage=STAGE, every=EVERY) as app.state.followed:
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/predict")
def predict(question: Question) -> dict[str, object]:
    version, model = app.state.followed.serving  # both of one moment
    return {"version": version.version, "predictions": model.predict(question.rows).tolist()}


@app.get("/version")
def version() -> dict[str, object]:
    serving = app.state.followed.version
    return {"model": serving.name, "version": serving.version, "digest": serving.digest, "rev": serving.rev}


@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "ok", "serving": app.state.followed.version.reference}
