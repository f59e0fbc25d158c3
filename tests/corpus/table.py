"""What loads by default and what is refused, as a page: `python -m tests.corpus.table docs/reference/loads.md`."""

from __future__ import annotations

import pickle
import platform
import sys
import tempfile
import warnings
from collections import Counter
from importlib.metadata import version
from pathlib import Path

import joblib

from modelregistry.errors import RegistryError
from modelregistry.loading.deserialize import deserialize
from modelregistry.plugins import loaders_for
from modelregistry.trust.trust import Vouching
from tests.corpus.bombs import outcomes
from tests.corpus.damage import damaged, died
from tests.corpus.estimators import answers, differing, fitted, kinds
from tests.corpus.hostile import TECHNIQUES, build, live
from tests.corpus.pipelines import pipelines

HEAD = """\
# What loads by default, and what is refused

Both halves of one question, by the files that the tests make. `python -m tests.corpus.table docs/reference/loads.md` in the
environment of the tests makes this page anew; `tests/corpus` holds each line of it.
"""


def load(path: Path) -> object:
    return deserialize(
        path, path.name, digest=f"sha256:{'0' * 64}", reference="model@v1.0.0",
        loaders=loaders_for(path, path.name, None), loader=None, trust=Vouching(),
    )  # fmt: skip


def refused(path: Path) -> bool:
    try:
        load(path)
    except RegistryError:
        return True
    return False


def hostile(folder: Path) -> list[str]:
    """Each file is shown to do its harm, then a fresh copy of it is loaded."""
    harmful = live(build(folder / "shown"))
    by_wrapping: Counter[str] = Counter()
    stopped: Counter[str] = Counter()
    for file in build(folder / "loaded"):
        by_wrapping[file.wrapping] += 1
        stopped[file.wrapping] += refused(Path(file.path)) and not Path(file.mark).exists()
    assert len(harmful) == by_wrapping.total()
    return [
        "## Files that would run something",
        (
            f"{len(TECHNIQUES)} techniques; each file did what it says when it was read the usual way in another process, "
            "and then was loaded with no trust given. None of them ran anything."
        ),
        table(
            ["wrapped as", "files", "refused"],
            [[wrapping, count, stopped[wrapping]] for wrapping, count in by_wrapping.items()]
            + [["together", by_wrapping.total(), stopped.total()]],
        ),
    ]


def unsound(folder: Path) -> list[str]:
    titles = damaged()
    ended = died()
    count = 0
    for number, each in enumerate(titles.values()):
        path = folder / f"damaged{number}.pkl"
        path.write_bytes(each.content)
        count += refused(path)
    bombs = outcomes(folder)
    held = sum(not bomb.how.startswith("SIG") and bomb.how != "loaded" for bomb in bombs)
    return [
        "## Files that would break the process",
        (
            "Models of scikit-learn whose parts don't fit together: read the usual way and asked, native code leaves its "
            f"memory ({len(ended)} of them end the process by a signal). And files that ask for far more memory, or time, than "
            "they are worth, each read under a limit of one gigabyte."
        ),
        table(
            ["", "files", "refused"],
            [
                ["parts that don't fit together", len(titles), count],
                ["bombs", len(bombs), held],
            ],
        ),
        f"The slowest bomb took {max(bomb.seconds for bomb in bombs):.1f} s.",
    ]


def harmless(folder: Path) -> list[str]:
    counts: Counter[str] = Counter()
    names = kinds()
    for name in names:
        model, rows = fitted(name)
        before = answers(model, rows)
        for suffix in ("joblib", "pkl"):
            path = folder / f"model.{suffix}"
            if suffix == "joblib":
                joblib.dump(model, path)
            else:
                path.write_bytes(pickle.dumps(model))
            counts[suffix] += not refused(path) and not differing(before, answers(load(path), rows))
    loads, reasons = 0, []
    for title, make in pipelines():
        model, _, reason = make()
        path = folder / "pipeline.joblib"
        joblib.dump(model, path)
        if refused(path):
            reasons.append(f"* {title}: {reason}")
        else:
            loads += 1
    return [
        "## Files that load without a word",
        (
            "Estimators that `sklearn.utils.all_estimators` names and that can be fitted with simple data, each answering as "
            "before; and realistic pipelines."
        ),
        table(
            ["", "made", "load"],
            [
                ["estimators, by joblib", len(names), counts["joblib"]],
                ["estimators, by pickle", len(names), counts["pkl"]],
                ["pipelines of scikit-learn's own parts", loads, loads],
            ],
        ),
        "Pipelines with a part of one's own are refused until that part is trusted by name:",
        "\n".join(reasons),
    ]


def table(head: list[str], rows: list[list[object]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def main(target: Path) -> None:
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folder = Path(name)
        for each in ("shown", "loaded"):
            (folder / each).mkdir()
        used = ", ".join(f"{each} {version(each)}" for each in ("scikit-learn", "numpy", "scipy", "joblib"))
        parts = [
            HEAD, f"Made with Python {platform.python_version()}, {used}.",
            *hostile(folder), *unsound(folder), *harmless(folder),
        ]  # fmt: skip
    target.write_text("\n\n".join(part.strip("\n") for part in parts) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
