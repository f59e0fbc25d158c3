"""Measure the model on data that it has not seen."""

import json
from pathlib import Path

import joblib
import numpy as np
from sklearn.metrics import accuracy_score, roc_auc_score

rows = np.loadtxt("data/test.csv", delimiter=",")
measurements, benign = rows[:, :-1], rows[:, -1].astype(int)
model = joblib.load("models/tumour.joblib")
metrics = {
    "accuracy": round(accuracy_score(benign, model.predict(measurements)), 4),
    "auc": round(roc_auc_score(benign, model.predict_proba(measurements)[:, 1]), 4),
}
Path("metrics.json").write_text(json.dumps(metrics) + "\n")
