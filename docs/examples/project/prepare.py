"""Split the data that comes with scikit-learn: 30 measurements of a tumour, and whether it is benign (1) or not (0)."""

from pathlib import Path

import numpy as np
import yaml
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

params = yaml.safe_load(Path("params.yaml").read_text())["prepare"]
measurements, benign = load_breast_cancer(return_X_y=True)
rows = np.column_stack([measurements, benign])
train, test = train_test_split(
    rows, test_size=params["test_size"], random_state=params["seed"], stratify=benign
)
Path("data").mkdir(exist_ok=True)
np.savetxt("data/train.csv", train, delimiter=",", fmt="%.8g")
np.savetxt("data/test.csv", test, delimiter=",", fmt="%.8g")
