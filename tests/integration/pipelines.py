"""Projects of real DVC with long lineages: a lake of data, a base model made of it, and a team that trains on both."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from modelregistry.lineage.lineage import Lineage
from modelregistry.lineage.node import Node
from tests.integration.projects import commit, git, init, run, write

LABELS = b"id,label\n1,yes\n2,no\n"
ETAG = '"5f2b-labels"'

LAKE = """\
stages:
  clean:
    cmd: mkdir clean && cat raw/a.csv raw/b.csv > clean/all.csv && cp data/labels.csv clean/labels.csv
    deps: [raw, data/labels.csv]
    outs: [clean]
artifacts:
  table: {path: clean, type: dataset}
"""
BASE = """\
stages:
  pretrain:
    cmd: cat inputs/all.csv > base.txt
    deps: [inputs/all.csv, pretrain.py]
    params: [layers]
    outs: [base.txt]
artifacts:
  base: {path: base.txt, type: model}
"""
TEAM = """\
vars:
- settings.yaml:names
- threshold: 0.5
stages:
  fetch:
    cmd: mkdir -p build/fetched && cat data/photos/1.txt > build/fetched/x.txt && cat data/photos/2.txt > build/fetched/y.txt
    deps: [data/photos]
    outs: [build/fetched]
  part:
    foreach: ${names.parts}
    do:
      cmd: mkdir -p build/parts && sh scripts/part.sh build/fetched/x.txt ${item} > build/parts/${item}.txt
      deps: [build/fetched/x.txt, scripts/part.sh]
      outs: ['build/parts/${item}.txt']
  scale:
    foreach: ${names.scales}
    do:
      cmd: mkdir -p build && echo ${item.factor} ${threshold} \\${key} > build/scale-${key}.txt
      outs:
      - build/scale-${key}.txt
  feature:
    matrix:
      part: ${names.parts}
      size: [1, 2.5, {width: 7}]
    cmd: mkdir -p build/features && echo "${item.size}" "${key}" | cat - build/parts/${item.part}.txt > build/features/${key}.txt
    deps: ['build/parts/${item.part}.txt']
    outs: ['build/features/${key}.txt']
  deep:
    wdir: ${names.folder}
    cmd: cat ../build/scale-low.txt ../build/scale-high.txt > deep.txt
    deps: [../build/scale-low.txt, ../build/scale-high.txt]
    params:
    - ../params.yaml: [seed]
    outs: [deep.txt]
  merge:
    cmd: cat build/features/*.txt sub/deep.txt > build/merged.txt
    deps: [build/features, sub/deep.txt]
    outs: [build/merged.txt]
  train:
    cmd:
    - cat build/merged.txt models/base.txt > models/churn.txt
    - mkdir -p plots && echo step,loss > plots/loss.csv
    - 'echo "{\\"auc\\": 0.9, \\"by_part\\": {\\"north\\": 1}, \\"list\\": [1]}" > metrics.json'
    deps: [build/merged.txt, models/base.txt, src, scripts/train.sh, requirements.txt]
    params:
    - train
    - lr
    - settings.yaml:
    outs: [models/churn.txt]
    metrics:
    - metrics.json: {cache: false}
    plots:
    - plots/loss.csv: {x: step, y: loss}
  evaluate:
    cmd: 'echo "{\\"recall\\": 0.8}" > eval.json'
    deps: [models/churn.txt, data/test.csv]
    metrics: [eval.json]
  old:
    cmd: cat data/test.csv > old.txt
    deps: [data/test.csv]
    outs: [old.txt]
    frozen: true
  other:
    foreach: [1, 2, 3, 4, 5, 6, 7, 8, 9]
    do:
      cmd: echo ${item} > build/other-${item}.txt
      outs: ['build/other-${item}.txt']
artifacts:
  churn: {path: models/churn.txt, type: model}
  part: {path: build/fetched/y.txt, type: dataset}
"""
NLP = """\
stages:
  intent:
    cmd: cat ../models/base.txt words.txt > ${out}
    deps: [../models/base.txt, words.txt]
    params:
    - lr
    - ../params.yaml: [seed]
    outs: ['${out}']
artifacts:
  intent: {path: intent.txt, type: model}
"""


@contextmanager
def web(content: bytes = LABELS, *, status: int = 200) -> Iterator[str]:
    """The URL of a server that has one file, with an ETag, and answers with a status."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(status)
            self.send_header("ETag", ETAG)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()

        def do_GET(self) -> None:
            self.do_HEAD()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/labels.csv"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def dvcs(folder: Path, *commands: Sequence[str]) -> None:
    """Several commands of DVC in one process, which takes a second to start."""
    code = (
        "import json, sys\nfrom dvc.cli import main\n"
        "for command in json.loads(sys.argv[1]):\n    assert main(command) == 0, command"
    )
    run(folder, sys.executable, "-c", code, json.dumps(commands))


def start(folder: Path, cache: Path) -> Path:
    """An empty project, whose cache is elsewhere."""
    root = init(folder)
    dvcs(
        root,
        ["init", "--quiet"],
        ["cache", "dir", "--quiet", os.fspath(cache)],
        ["config", "core.autostage", "false"],
    )
    return root


def register(root: Path, tag: str) -> None:
    """A version, as GTO writes one."""
    git(root, "tag", "--annotate", tag, "--message", f"Register {tag}")


def make_lake(root: Path, cache: Path, url: str) -> str:
    """A project that imports labels from the web and cleans them with tracked files; returns the commit."""
    start(root, cache)
    write(root / "raw" / "a.csv", "1,2\n")
    write(root / "raw" / "b.csv", "3,4\n")
    write(root / "dvc.yaml", LAKE)
    (root / "data").mkdir()
    dvcs(
        root,
        ["add", "--quiet", "raw"],
        ["import-url", "--quiet", url, "data/labels.csv"],
        ["repro", "--quiet"],
    )
    rev = commit(root, "Clean")
    register(root, "table@v1.0.0")
    return rev


def make_base(root: Path, cache: Path, lake: Path) -> str:
    """A project that imports the lake's folder, and makes a registered model of a file in it."""
    start(root, cache)
    write(root / "dvc.yaml", BASE)
    write(root / "params.yaml", "layers: 3\n")
    write(root / "pretrain.py", "print()\n")
    dvcs(root, ["import", "--quiet", os.fspath(lake), "clean", "--out", "inputs"], ["repro", "--quiet"])
    rev = commit(root, "Pretrain")
    register(root, "base@v2.1.0")
    return rev


def make_team(root: Path, cache: Path, base: Path) -> str:
    """A project of 30 steps and a sub-project, which imports the base model."""
    start(root, cache)
    for number in range(20):
        write(root / "data" / "photos" / f"{number}.txt", f"photo {number}\n")
    write(root / "data" / "test.csv", "x,y\n1,2\n")
    write(root / "scripts" / "part.sh", 'echo "$2"; cat "$1"\n')
    write(root / "scripts" / "train.sh", "true\n")
    write(root / "src" / "net.py", "layers = 3\n")
    write(root / "src" / "deep" / "loss.py", "loss = 0\n")
    write(root / "requirements.txt", "numpy\n")
    write(
        root / "params.yaml", "lr: 1e-3\nseed: 42\ntrain: {epochs: 3, layers: [1, 2], note: yes}\nunused: 1\n"
    )
    write(
        root / "settings.yaml",
        "names:\n  parts: [north, south, east]\n  scales: {low: {factor: 0.1}, high: {factor: 10}}\n  folder: sub\nflag: on\n",
    )
    write(root / "nlp" / "params.yaml", "lr: 0.5\nout: intent.txt\n")
    write(root / "nlp" / "words.txt", "hello\n")
    write(root / "dvc.yaml", TEAM.replace("    frozen: true\n", ""))  # or the step would never run
    write(root / "nlp" / "dvc.yaml", NLP)
    (root / "models").mkdir()
    (root / "sub").mkdir()
    dvcs(
        root,
        ["add", "--quiet", "data/photos"],
        ["import", "--quiet", os.fspath(base), "base.txt", "--out", "models/base.txt"],
        ["repro", "--quiet", "--all-pipelines"],
    )
    write(root / "dvc.yaml", TEAM)
    return commit(root, "Train")


ORACLE = """
import json, subprocess, sys
from dvc.repo import Repo
found = {}
for rev in sys.argv[1:]:
    subprocess.run(["git", "checkout", "--quiet", "--force", rev], check=True)
    subprocess.run(["git", "clean", "--quiet", "-d", "--force"], check=True)
    with Repo(".") as repo:
        repo.checkout(force=True, allow_missing=True)
        stale = [
            name
            for name, entries in repo.status().items()
            if not name.endswith(".dvc") and any(entry != "always changed" for entry in entries)
        ]
        edges = [[made.addressing, source.addressing] for made, source in repo.index.graph.edges]
        found[rev] = {"stale": stale, "edges": edges}
        if rev == sys.argv[1]:
            names = [stage.addressing for stage in repo.index.stages if not stage.is_data_source]
            shown = {name: repo.params.show(stages=[name], hide_workspace=False)[""]["data"] for name in names}
            found[rev]["params"] = shown
            found[rev]["metrics"] = repo.metrics.show(hide_workspace=False)[""]["data"]
print(json.dumps(found, default=str))
"""


def ask_dvc(root: Path, *revs: str) -> dict[str, Any]:
    """What DVC itself says of each commit, which it checks out: stale steps, its graph; of the first, parameters and metrics."""
    found: dict[str, Any] = json.loads(run(root, sys.executable, "-c", ORACLE, *revs).splitlines()[-1])
    return found


def change_team(root: Path) -> dict[str, str]:
    """Commits on top of the team's, each with one change after which nothing was run, by what was changed."""
    base = git(root, "rev-parse", "HEAD")
    yaml, lock = root / "dvc.yaml", root / "dvc.lock"
    found = {"nothing": base}

    def replace(file: Path, old: str, new: str) -> None:
        text = file.read_text()
        assert old in text
        write(file, text.replace(old, new, 1))

    def forget(step: str) -> None:
        before, _, rest = lock.read_text().partition(f"\n  {step}:\n")
        write(lock, before + re.sub(r"\A.*?(?=^  \S|\Z)", "\n", rest, flags=re.DOTALL | re.MULTILINE))

    changes: dict[str, Callable[[], object]] = {
        "a parameter": lambda: replace(root / "params.yaml", "1e-3", "2e-3"),
        "a parameter in a group": lambda: replace(root / "params.yaml", "note: yes", "note: no"),
        "a parameter nobody uses": lambda: replace(root / "params.yaml", "unused: 1", "unused: 2"),
        "the same parameter otherwise": lambda: replace(root / "params.yaml", "1e-3", "0.0010"),
        "a script": lambda: write(root / "scripts" / "part.sh", "echo\n"),
        "a file in a folder": lambda: write(root / "src" / "net.py", "layers = 4\n"),
        "one more file in a folder": lambda: write(root / "src" / "more.py", "\n"),
        "a command": lambda: replace(yaml, "cat data/photos/1.txt", "cat data/photos/3.txt"),
        "a value in a command": lambda: replace(yaml, "threshold: 0.5", "threshold: 0.6"),
        "one more dependency": lambda: replace(yaml, "deps: [data/photos]", "deps: [data/photos, src]"),
        "a dependency spelled otherwise": lambda: replace(yaml, "deps: [data/photos]", "deps: [./data/photos]"),
        "an output spelled otherwise": lambda: replace(yaml, "outs: [old.txt]", "outs: [./old.txt]"),
        "one dependency less": lambda: replace(yaml, ", requirements.txt]", "]"),
        "one more output": lambda: replace(yaml, "outs: [build/fetched]", "outs: [build/fetched, build/new]"),
        "one more member": lambda: replace(root / "settings.yaml", "south, east]", "south, east, west]"),
        "a step that is not in the lock": lambda: forget("deep"),
        "an output in Git": lambda: replace(root / "metrics.json", "0.9", "0.8"),
        "what a frozen step takes": lambda: write(root / "data" / "test.csv", "x,y\n3,4\n"),
        "tracked data": lambda: (
            write(root / "data" / "photos" / "1.txt", "another\n"), dvcs(root, ["add", "--quiet", "data/photos"]),
        ),
        "no lock": lock.unlink,
    }  # fmt: skip
    for what, change in changes.items():
        git(root, "checkout", "--quiet", "--detach", base)
        change()
        found[what] = commit(root, what)
    git(root, "checkout", "--quiet", "main")
    return found


def named(lineage: Lineage, name: str) -> Node:
    (found,) = [node for node in lineage if node.name == name]
    return found


def sources_of(lineage: Lineage, name: str) -> set[str]:
    node = named(lineage, name)
    return {lineage[edge.source].name for edge in lineage.edges if edge.made == node.id}
