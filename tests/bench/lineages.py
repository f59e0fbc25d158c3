"""Lineage: of one version of a long pipeline, beside the bare reading of the same files and DVC; and of every version there is."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import yaml

from modelregistry import ModelVersion, Registry
from modelregistry.backends.memory import MemoryBackend
from modelregistry.log import changes
from modelregistry.log.events import Bytes, FileDigest
from modelregistry.log.history import History, Stages
from modelregistry.log.tags import render
from modelregistry.project.dvcfiles import ListedFile, listing_md5
from tests.bench.measure import Row, in_turn
from tests.bench.processes import run
from tests.bench.registries import add_tags, commit, git

CHAINS = 9
"""Of three steps each; with what merges, trains and evaluates them, the pipeline has thirty."""
_BARE = 3.0
_DVC = 1 / 20
_AGAIN = 1e-3
_COLD = 2.0
_WARM = 0.1
_DATE = "1767225600 +0000"

PLAN = """\
vars:
- settings.yaml
stages:
  part:
    foreach: ${parts}
    do:
      cmd: python scripts/part.py ${item} data/raw.csv build/part-${item}.csv
      deps: [data/raw.csv, scripts/part.py]
      outs: ['build/part-${item}.csv']
  feature:
    matrix:
      part: ${parts}
      kind: [counts, means]
    cmd: python scripts/feature.py ${item.part} ${item.kind}
    deps: ['build/part-${item.part}.csv', scripts/feature.py]
    params: [features]
    outs: ['build/${item.part}-${item.kind}.csv']
  merge:
    cmd: python scripts/merge.py
    deps: [build, scripts/merge.py]
    outs: [merged.csv]
  train:
    cmd: python scripts/train.py
    deps: [merged.csv, scripts/train.py, src]
    params: [train, seed]
    outs: [models/churn.skops]
  evaluate:
    cmd: python scripts/evaluate.py
    deps: [models/churn.skops, merged.csv, scripts/evaluate.py]
    metrics:
    - metrics.json: {cache: false}
artifacts:
  churn: {path: models/churn.skops, type: model}
"""
MODEL_PLAN = """\
stages:
  prepare:
    cmd: python prepare.py
    deps: [../shared/{shared}.csv, prepare.py]
    params: [prepare]
    outs: [table.csv]
  train:
    cmd: python train.py
    deps: [table.csv, train.py]
    params: [train]
    outs: [model.skops]
    metrics:
    - metrics.json: {{cache: false}}
artifacts:
  model: {{path: model.skops, type: model}}
"""


def measure(
    folder: Path, *, models: int, versions: int, repeats: int, say: Callable[[str], None]
) -> list[Row]:
    """Every row.

    Args:
        folder: An empty place.
        models: How many there are, where all of them are asked about.
        versions: How many each of them has.
        repeats: How often each thing is done.
        say: Tells someone who waits.
    """
    folder.mkdir(parents=True, exist_ok=True)
    say("making pipelines")
    pipeline = make_pipeline(folder / "pipeline")
    every = make_models(folder / "models", models, versions)
    before = os.environ.get("MODELREGISTRY_CACHE")
    try:
        say("asking where one model came from")
        rows = one(pipeline, repeats=repeats)
        say(f"asking {models * versions:,} versions")
        return [*rows, *all_of_them(every, models, versions, repeats=max(3, repeats // 3))]
    finally:
        os.environ.pop("MODELREGISTRY_CACHE")
        if before is not None:
            os.environ["MODELREGISTRY_CACHE"] = before


# -- what is asked about -----------------------------------------------------------------------------------


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _entry(path: str, text: str) -> dict[str, object]:
    return {"path": path, "hash": "md5", "md5": _md5(text), "size": len(text)}


def make_pipeline(folder: Path) -> Path:
    """A project of thirty steps, as DVC writes it once they have run, with one version of its model."""
    parts = [f"p{number}" for number in range(CHAINS)]
    code = {
        f"scripts/{name}.py": f"# {name}\n{'print()' * 40}\n"
        for name in ("part", "feature", "merge", "train", "evaluate")
    }
    code["src/net.py"] = "layers = 3\n" * 50
    raw = "1,2,3\n" * 100
    made = {f"build/part-{part}.csv": f"part {part}" for part in parts}
    made |= {
        f"build/{part}-{kind}.csv": f"{kind} of {part}" for part in parts for kind in ("counts", "means")
    }
    merged, model, metrics = "merged", "model", json.dumps({"auc": 0.9, "by": dict.fromkeys(parts, 0.5)})
    listing = listing_md5(
        [ListedFile(path.removeprefix("build/"), _md5(text)) for path, text in made.items()]
    )
    source = listing_md5([ListedFile("net.py", _md5(code["src/net.py"]))])
    stages: dict[str, dict[str, object]] = {}
    for part in parts:
        stages[f"part@{part}"] = {
            "cmd": f"python scripts/part.py {part} data/raw.csv build/part-{part}.csv",
            "deps": [_entry("data/raw.csv", raw), _entry("scripts/part.py", code["scripts/part.py"])],
            "outs": [_entry(f"build/part-{part}.csv", made[f"build/part-{part}.csv"])],
        }
        for kind in ("counts", "means"):
            stages[f"feature@{part}-{kind}"] = {
                "cmd": f"python scripts/feature.py {part} {kind}",
                "deps": [
                    _entry(f"build/part-{part}.csv", made[f"build/part-{part}.csv"]),
                    _entry("scripts/feature.py", code["scripts/feature.py"]),
                ],
                "params": {"params.yaml": {"features": {"width": 7, "columns": ["age", "plan"]}}},
                "outs": [_entry(f"build/{part}-{kind}.csv", made[f"build/{part}-{kind}.csv"])],
            }
    folder_of_parts = {
        "path": "build",
        "hash": "md5",
        "md5": listing,
        "size": 1,
        "nfiles": len(made),
    }
    src = {"path": "src", "hash": "md5", "md5": source, "size": 1, "nfiles": 1}
    stages["merge"] = {
        "cmd": "python scripts/merge.py",
        "deps": [folder_of_parts, _entry("scripts/merge.py", code["scripts/merge.py"])],
        "outs": [_entry("merged.csv", merged)],
    }
    stages["train"] = {
        "cmd": "python scripts/train.py",
        "deps": [_entry("merged.csv", merged), _entry("scripts/train.py", code["scripts/train.py"]), src],
        "params": {"params.yaml": {"train": {"C": 0.1, "rounds": 300}, "seed": 42}},
        "outs": [_entry("models/churn.skops", model)],
    }
    stages["evaluate"] = {
        "cmd": "python scripts/evaluate.py",
        "deps": [
            _entry("models/churn.skops", model), _entry("merged.csv", merged),
            _entry("scripts/evaluate.py", code["scripts/evaluate.py"]),
        ],
        "outs": [_entry("metrics.json", metrics)],
    }  # fmt: skip
    assert len(stages) == 3 * CHAINS + 3
    files = {
        **code,
        "dvc.yaml": PLAN,
        "dvc.lock": yaml.safe_dump({"schema": "2.0", "stages": stages}, sort_keys=False),
        "params.yaml": "features: {width: 7, columns: [age, plan]}\ntrain: {C: 0.1, rounds: 300}\nseed: 42\n",
        "settings.yaml": yaml.safe_dump({"parts": parts}),
        "metrics.json": metrics,
        "data/raw.csv.dvc": yaml.safe_dump({"outs": [_entry("raw.csv", raw)]}),
        "data/.gitignore": "/raw.csv\n",
        ".dvc/config": "",
        ".dvcignore": "# Add patterns of files dvc should ignore.\n",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    git(folder, "init", "--quiet")
    commit(folder, "Train")
    Registry(folder).register("churn", allow_missing=True)
    return folder


def make_models(folder: Path, models: int, versions: int) -> Path:
    """A repository with a folder, a pipeline and as many versions for each model, each version from a commit of its own."""
    folder.mkdir()
    git(folder, "init", "--quiet")
    git(folder, "fast-import", "--quiet", stdin="".join(_history(models, versions)).encode())
    revs = git(folder, "rev-list", "--reverse", "main").decode().split()[1:]
    log, start = MemoryBackend(), datetime.now(UTC).replace(microsecond=0) - timedelta(days=300)
    texts = []
    for number, rev in enumerate(revs):
        name, version = f"m{number % models:03}:model", f"v0.1.{number // models}"
        read = log.read(name)
        writer = changes.Writer(
            author="Ann Author", email="ann@example.com", now=start + timedelta(minutes=number), registry="5b" * 16,
            next_number=read.next_number, message="Trained on the customers of last month.",
        )  # fmt: skip
        file = FileDigest(path="model.skops", sha256=hashlib.sha256(rev.encode()).hexdigest(), size=9)
        content = Bytes(f"sha256:{file.sha256}", f"md5:{_md5(f'model {number}')}", 9, (file,))
        history = History(name, read.events, Stages())
        for event in changes.register(history, writer, rev=rev, content=content, version=version).events:
            kept = log.append(event)
            assert kept is not None
            texts.append(render(kept))
    add_tags(folder, texts)
    git(folder, "pack-refs", "--all", "--prune")
    git(folder, "reset", "--quiet", "--hard")
    return folder


def _history(models: int, versions: int) -> Iterator[str]:
    """Commands for ``git fast-import``: everything at first, then the models in turn, one in each commit."""
    mark = count(1)

    def stored(files: Mapping[str, str], message: str) -> str:
        marks = {name: next(mark) for name in files}
        blobs = "".join(
            f"blob\nmark :{marks[name]}\ndata {len(text)}\n{text}\n" for name, text in files.items()
        )
        changed = "".join(f"M 100644 :{at} {name}\n" for name, at in marks.items())
        who = f"committer Ann Author <ann@example.com> {_DATE}\ndata {len(message)}\n{message}\n"
        return f"{blobs}commit refs/heads/main\n{who}{changed}\n"

    first: dict[str, str] = {".dvc/config": "", ".dvcignore": ""}
    for number in range(max(models // 10, 1)):
        first[f"shared/s{number}.csv.dvc"] = yaml.safe_dump(
            {"outs": [_entry(f"s{number}.csv", f"shared {number}")]}
        )
    for model in range(models):
        at = f"m{model:03}"
        first[f"{at}/dvc.yaml"] = MODEL_PLAN.format(shared=f"s{model // 10}")
        first[f"{at}/prepare.py"] = "# prepare\n" * 20
        first[f"{at}/train.py"] = "# train\n" * 20
    yield stored(first, "Begin")
    for number in range(models * versions):
        yield stored(_trained(number % models, number), f"Train {number}")


def _trained(model: int, number: int) -> Mapping[str, str]:
    """What a run of a model's pipeline commits."""
    at, shared = f"m{model:03}", f"s{model // 10}"
    metrics = json.dumps({"auc": number / 1e6})
    stages = {
        "prepare": {
            "cmd": "python prepare.py",
            "deps": [
                _entry(f"../shared/{shared}.csv", f"shared {model // 10}"), _entry("prepare.py", "# prepare\n" * 20),
            ],
            "params": {"params.yaml": {"prepare": {"rows": number}}},
            "outs": [_entry("table.csv", f"table {number}")],
        },
        "train": {
            "cmd": "python train.py",
            "deps": [_entry("table.csv", f"table {number}"), _entry("train.py", "# train\n" * 20)],
            "params": {"params.yaml": {"train": {"C": 0.1}}},
            "outs": [_entry("metrics.json", metrics), _entry("model.skops", f"model {number}")],
        },
    }  # fmt: skip
    return {
        f"{at}/dvc.lock": yaml.safe_dump({"schema": "2.0", "stages": stages}, sort_keys=False),
        f"{at}/params.yaml": f"prepare:\n  rows: {number}\ntrain:\n  C: 0.1\n",
        f"{at}/metrics.json": metrics,
    }


# -- one version -------------------------------------------------------------------------------------------


class _Fresh:
    """A version of a registry that was just opened, by a user who has, or has not, asked before."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._number = count()
        self.new: ModelVersion
        self.known: ModelVersion

    def make(self) -> None:
        self.new = self._get(f"cache-{next(self._number)}")
        self.known = self._get("cache-kept")

    def _get(self, cache: str) -> ModelVersion:
        os.environ["MODELREGISTRY_CACHE"] = os.fspath(self._place.with_name(cache))
        return Registry(self._place).get("churn")


def bare(place: Path, rev: str) -> list[Any]:
    """Read what a lineage is read from by one ``git cat-file --batch``, and parse it."""
    names = [
        "dvc.yaml",
        "dvc.lock",
        "params.yaml",
        "settings.yaml",
        "metrics.json",
        "data/raw.csv.dvc",
        "src/net.py",
    ]
    names += [f"scripts/{name}.py" for name in ("part", "feature", "merge", "train", "evaluate")]
    asked = "".join(f"{rev}:{name}\n" for name in names).encode()
    output = subprocess.run(
        ["git", "cat-file", "--batch"], cwd=place, input=asked, capture_output=True, check=True
    ).stdout
    found, at = [], 0
    for name in names:
        end = output.index(b"\n", at)
        size = int(output[at:end].split()[2])
        data = output[end + 1 : end + 1 + size]
        at = end + size + 2
        if name.endswith((".yaml", ".lock", ".dvc")):
            found.append(yaml.load(data, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
        elif name.endswith(".json"):
            found.append(json.loads(data))
        else:
            found.append(hashlib.md5(data, usedforsecurity=False).hexdigest())
    return found


def dvc_graph(place: Path, rev: str) -> int:
    """DVC's graph of the same commit, which has no values."""
    from dvc.repo import Repo

    with Repo(os.fspath(place), rev=rev) as repo:
        return len(repo.index.graph)


def dvc_values(place: Path, rev: str) -> int:
    """The graph, the parameters and the metrics."""
    from dvc.repo import Repo

    with Repo(os.fspath(place), rev=rev) as repo:
        found = [len(repo.index.graph), len(repo.params.show()), len(repo.metrics.show())]
        assert all(found), found
        return found[0]


def one(place: Path, *, repeats: int) -> list[Row]:
    """The lineage of a version of the long pipeline."""
    rev = git(place, "rev-parse", "HEAD").decode().strip()
    fresh = _Fresh(place)
    fresh.make()
    steps = fresh.new.lineage.steps
    assert len(steps) == 3 * CHAINS + 2 and not any(step.note for step in steps), steps
    # Milliseconds each: the median of many rounds is the same in a noisy hour.
    cold, kept, least, graph, values = in_turn(
        4 * repeats, lambda: fresh.new.lineage, lambda: fresh.known.lineage, partial(bare, place, rev),
        partial(dvc_graph, place, rev), partial(dvc_values, place, rev), before=fresh.make,
    )  # fmt: skip
    calls = 1000
    version = fresh.known
    (again,) = in_turn(3, lambda: [version.lineage for _ in range(calls)])
    ours, theirs, more = in_turn(
        max(1, repeats // 3),
        partial(run, f"import modelregistry as mr; mr.Registry({os.fspath(place)!r}).get('churn').lineage"),
        partial(run, f"import sys; sys.path.insert(0, {os.getcwd()!r})\nfrom tests.bench.lineages import dvc_graph; dvc_graph({os.fspath(place)!r}, {rev!r})"),
        partial(run, f"import sys; sys.path.insert(0, {os.getcwd()!r})\nfrom tests.bench.lineages import dvc_values; dvc_values({os.fspath(place)!r}, {rev!r})"),
    )  # fmt: skip
    what = f"`v.lineage`, {3 * CHAINS + 3} steps"
    return [
        Row(f"{what}, nothing remembered", cold, "one git cat-file, and YAML", least, _BARE),
        Row(f"{what}, files parsed by an earlier process", kept, "the same", least),
        Row(f"{what}, again", again / calls, most=_AGAIN),
        Row(f"{what}, nothing remembered", cold, "`dvc.repo.Repo(rev=)` and its graph", graph),
        Row(f"{what}, nothing remembered", cold, "the same, with params and metrics", values, _DVC),
        Row(f"{what}, the whole process", ours, "`Repo` and graph, the whole process", theirs),
        Row(f"{what}, the whole process", ours, "the same, with params and metrics", more),
    ]


# -- all of them -------------------------------------------------------------------------------------------


def all_of_them(place: Path, models: int, versions: int, *, repeats: int) -> list[Row]:
    """Which versions were made from a dataset that ten models share; and from one of a single version."""
    shared = f"md5:{_md5('shared 0')}"
    own = f"md5:{_md5(f'table {models}')}"
    times: dict[str, list[float]] = {"cold": [], "again": [], "kept": []}
    kept = os.fspath(place.with_name("impact-kept"))

    def asked(registry: Registry, what: str, found: int) -> float:
        start = time.perf_counter()
        rows = registry.impact(what)
        spent = time.perf_counter() - start
        assert len(rows) == found, (what, len(rows))
        return spent

    for number in range(repeats):
        os.environ["MODELREGISTRY_CACHE"] = os.fspath(place.with_name(f"impact-{number}"))
        registry = Registry(place)
        times["cold"].append(asked(registry, shared, min(models, 10) * versions))
        times["again"] += [asked(registry, shared, min(models, 10) * versions), asked(registry, own, 1)]
        os.environ["MODELREGISTRY_CACHE"] = kept
        times["kept"].append(asked(Registry(place), shared, min(models, 10) * versions))
        shutil.rmtree(place.with_name(f"impact-{number}"), ignore_errors=True)
    medians = {name: sorted(found)[len(found) // 2] for name, found in times.items()}
    what = f"`registry.impact(…)`, {models * versions:,} versions of {models} models"
    scale = models * versions / 1000
    return [
        Row(f"{what}, nothing remembered", medians["cold"], most=_COLD * max(scale, 0.1)),
        Row(f"{what}, by a registry that was just opened, asked before by another", medians["kept"]),
        Row(f"{what}, again", medians["again"], most=_WARM * max(scale, 0.1)),
    ]
