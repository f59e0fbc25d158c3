"""Fit the model and save it in a format that holds no code."""

from pathlib import Path

import numpy as np
import skops.io
import yaml
from sklearn.linear_model import LogisticRegression

strength = yaml.safe_load(Path("params.yaml").read_text())["train"]["C"]
customers = np.loadtxt("data/customers.csv", delimiter=",")
model = LogisticRegression(C=strength).fit(customers[:, :2], customers[:, 2])
Path("models").mkdir(exist_ok=True)
skops.io.dump(model, "models/churn.skops")
