"""Measure the model."""

import json
from pathlib import Path

import numpy as np
import skops.io

customers = np.loadtxt("data/customers.csv", delimiter=",")
model = skops.io.load("models/churn.skops")
accuracy = model.score(customers[:, :2], customers[:, 2])
Path("metrics.json").write_text(json.dumps({"accuracy": accuracy}) + "\n")
