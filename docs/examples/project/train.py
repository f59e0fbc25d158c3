"""Fit a logistic regression on the logarithms of the measurements, and save it with joblib."""

from pathlib import Path

import joblib
import numpy as np
import yaml
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

params = yaml.safe_load(Path("params.yaml").read_text())["train"]
rows = np.loadtxt("data/train.csv", delimiter=",")
model = make_pipeline(FunctionTransformer(np.log1p), StandardScaler(), LogisticRegression(C=params["C"]))
model.fit(rows[:, :-1], rows[:, -1].astype(int))
Path("models").mkdir(exist_ok=True)
joblib.dump(model, "models/tumour.joblib")
