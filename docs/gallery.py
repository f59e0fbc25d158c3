"""What the pages show of a registry: the library makes it when the pages are built."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sklearn.datasets import load_diabetes, load_wine
from sklearn.linear_model import Ridge
from sklearn.tree import DecisionTreeClassifier

import modelregistry as mr

TUMOUR = {
    "summary": "Tells a benign tumour from a malignant one by 30 measurements.",
    "intended_use": "A second opinion, beside that of a doctor.",
    "limits": "Trained on 398 patients of one clinic.",
    "license": "apache-2.0",
    "contact": "mira@example.com",
}
BETTER = {"accuracy": {"direction": "higher"}, "auc": {"direction": "higher"}}


@contextmanager
def apart(folder: Path) -> Iterator[None]:
    """Nothing of the user's is read or written, here and by the kernels of notebooks; Python's programs are found."""
    before = dict(os.environ)
    os.environ.update(
        DVC_GLOBAL_CONFIG_DIR=f"{folder}/home",
        DVC_NO_ANALYTICS="1",
        DVC_SITE_CACHE_DIR=f"{folder}/dvc",
        GIT_CONFIG_GLOBAL=os.devnull,
        GIT_CONFIG_NOSYSTEM="1",
        IPYTHONDIR=f"{folder}/ipython",
        JUPYTER_RUNTIME_DIR=f"{folder}/jupyter",
        MODELREGISTRY_CACHE=f"{folder}/cache",
        MODELREGISTRY_HOME=f"{folder}/home",
        PATH=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
    )
    profile = Path(os.environ["IPYTHONDIR"], "profile_default")
    profile.mkdir(parents=True)
    # A kernel warns that it talks over this machine's own network.
    (profile / "ipython_kernel_config.py").write_text("c.IPKernelApp.log_level = 'ERROR'\n")
    for name in ("modelregistry", "traitlets"):
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def fill(project: Path) -> mr.Registry:
    """A registry of three models, in the project of the tour."""
    registry = mr.Registry(project)
    registry.register("tumour", rev="HEAD~3", bump="minor", message="baseline")
    registry.promote("tumour", "v0.1.0", "current", message="the first one")
    registry.register("tumour", rev="HEAD~2", bump="minor", message="regularised less")
    registry.promote("tumour", "v0.2.0", "shadow", message="watch it for a week")
    registry.promote("tumour", "v0.2.0", "current", expected="v0.1.0", message="fewer mistakes")
    registry.register("tumour", rev="HEAD~1", bump="minor", message="regularised less still")
    registry.promote("tumour", "v0.3.0", "current", expected="v0.2.0", message="fewer mistakes again")
    registry.register("tumour", rev="HEAD", bump="minor", message="hardly regularised")
    registry.promote("tumour", "v0.4.0", "shadow", message="watch it for a week")
    registry.annotate("tumour", None, {"evaluation": {"metrics": BETTER}, "card": TUMOUR})
    rows, kinds = load_wine(return_X_y=True)
    for depth in (2, 4):
        tree = DecisionTreeClassifier(max_depth=depth, random_state=1).fit(rows, kinds)
        registry.log_model(tree, "wine", bump="minor", message=f"a tree of depth {depth}")
    registry.promote("wine", "v0.1.0", "current", message="small and readable")
    registry.withdraw("wine", "v0.2.0", message="learned the test set by heart")
    registry.log_model(Ridge().fit(*load_diabetes(return_X_y=True)), "diabetes", message="a first try")
    return registry


def draw(registry: mr.Registry, into: Path) -> None:
    """Write what the pages show, as pictures (SVG) and as parts of pages (HTML)."""
    current, shadow = registry.get("tumour#current"), registry.get("tumour#shadow")
    first = registry.get("tumour@v0.1.0")
    shown = {
        "versions.html": html(registry.versions("tumour")),
        "comparison.html": html(registry.compare(current, shadow)),
        "trend.svg": registry.trend("tumour", "accuracy").to_svg(),
        "lineage.svg": current.lineage.to_svg(),
        "difference.svg": first.lineage.diff(current.lineage).to_svg(),
    }
    into.mkdir(parents=True, exist_ok=True)
    for name, text in shown.items():
        (into / name).write_text(text, encoding="utf-8")


def html(shown: object) -> str:
    """As a notebook shows it, which can stand in any page."""
    bundle = getattr(shown, "_repr_mimebundle_", None)
    return bundle()["text/html"] if bundle else shown._repr_html_()  # type: ignore[attr-defined]
