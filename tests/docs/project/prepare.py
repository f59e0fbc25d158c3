"""Make up customers: two numbers, and whether they left."""

from pathlib import Path

import numpy as np

rng = np.random.default_rng(0)
calls = rng.poisson(2.0, 200)
months = rng.integers(1, 60, 200)
left = (calls - months / 12 + rng.normal(0, 1, 200) > 0).astype(int)
Path("data").mkdir(exist_ok=True)
np.savetxt("data/customers.csv", np.column_stack([calls, months, left]), fmt="%d", delimiter=",")
