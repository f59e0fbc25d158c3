"""A repository of many versions, each trained at a commit of its own, with metrics and parameters of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.bench.registries import git, model_name

TEAMS = ("risk", "growth", "ads", "ops", "search")
_PLAN = """\
stages:
  train:
    cmd: python train.py
    deps: [train.py]
    params: [depth, rate]
    outs: [model.bin]
    metrics: [metrics.json: {{cache: false}}]
artifacts:
{artifacts}"""
_LOCK = """\
schema: '2.0'
stages:
  train:
    cmd: python train.py
    deps:
    - path: train.py
      hash: md5
      md5: 68b329da9893e34099c7d8ad5cb9c940
      size: 1
    params:
      params.yaml:
        depth: {depth}
        rate: 0.1
    outs:
    - path: model.bin
      hash: md5
      md5: '{number:032x}'
      size: 1048576
"""


def auc(number: int) -> float:
    """From 0.5 to 1, no two alike, and in no order."""
    return round(0.5 + number * 7919 % 10_007 / 20_014, 6)


def make_repository(root: Path, versions: int, each: int) -> Path:
    """So many versions, ``each`` of a model, and each at a commit of its own, with metrics and parameters of its own."""
    models = versions // each
    root.mkdir(parents=True)
    git(root, "init", "--quiet")
    artifacts = "".join(
        f"  {model_name(number)}: {{path: model.bin, type: model}}\n" for number in range(models)
    )
    git(
        root,
        "fast-import",
        "--quiet",
        stdin=b"".join(_commits(_PLAN.format(artifacts=artifacts), versions, each)),
    )
    git(root, "reset", "--quiet", "--hard")
    git(root, "pack-refs", "--all", "--prune")
    return root


def _commits(plan: str, versions: int, each: int) -> Iterator[bytes]:
    who = b"Ann Author <ann@example.com> %d +0000\n"
    for number in range(versions):
        at = 1_780_000_000 + number * 60
        values = {"auc": auc(number), "loss": number / 7, "by_region": {"eu": number, "us": -number}}
        files = {
            "metrics.json": json.dumps(values),
            "params.yaml": f"depth: {number % 9}\nrate: 0.1\n",
            "dvc.lock": _LOCK.format(depth=number % 9, number=number),
        } | ({"dvc.yaml": plan, "train.py": "\n", ".dvc/config": ""} if number == 0 else {})
        yield b"commit refs/heads/main\nmark :%d\ncommitter " % (number + 1) + who % at + b"data 5\nTrain\n"
        for path, text in files.items():
            yield b"M 100644 inline %b\ndata %d\n%b\n" % (path.encode(), len(text.encode()), text.encode())
        model, position = divmod(number, each)
        name, version = model_name(model), f"v0.1.{position}"
        trailer = {
            "schema_version": 1, "kind": "register", "id": f"{number:032x}", "registry": "5b0e9e4b2bd04f9a8d1c5a4d5f6e7a80",
            "digest": f"sha256:{number:064x}", "address": f"md5:{number:032x}", "size": 1048576,
            "metadata": {"team": TEAMS[model % len(TEAMS)], "features": ["age", "tenure"]},
        }  # fmt: skip
        yield _tag(f"{name}@{version}", number, who % at, trailer)
        if position == each - 1:
            yield _tag(f"{name}#current#1", number, who % (at + 1), None)
    yield b"done\n"


def _tag(name: str, number: int, who: bytes, trailer: dict[str, Any] | None) -> bytes:
    said = (
        f"Trained anew\n\nModel-Registry: {json.dumps(trailer)}\n"
        if trailer is not None
        else "As GTO writes it\n"
    )
    head = b"tag %b\nfrom :%d\ntagger " % (name.encode(), number + 1)
    return head + who + b"data %d\n%b\n" % (len(said.encode()), said.encode())
