"""A service: it loads what is in production, wherever it runs."""

from sklearn.datasets import load_breast_cancer

import modelregistry as mr

model = mr.load_model("tumour", stage="current", registry="../project")
measurements, benign = load_breast_cancer(return_X_y=True)
print("loaded   ", model)
print("predicted", model.predict(measurements[15:30]))
print("in truth ", benign[15:30])
