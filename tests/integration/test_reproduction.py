"""A version is made again in a folder of its own: bit for bit, near enough, or otherwise, and then it is said where."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

import modelregistry as mr
from modelregistry import Registry
from modelregistry.lineage.node import Node
from modelregistry.lineage.reproduced import compare
from tests.integration.projects import commit, dvc, everything, git, init, write

STEPS = """\
stages:
  features:
    wdir: src
    cmd: {python} features.py
    deps: [features.py, ../data/raw.txt]
    outs: [../data/features.txt]
  train:
    cmd: {python} src/train.py
    deps: [src/train.py, data/features.txt]
    params: [noise]
    outs: [model.json]
    metrics:
    - metrics.json: {{cache: false}}
artifacts:
  churn: {{path: model.json, type: model}}
  added: {{path: data/raw.txt, type: dataset}}
"""
FEATURES = "from pathlib import Path\nPath('../data/features.txt').write_text(Path('../data/raw.txt').read_text().upper())\n"
TRAIN = """\
import json, os
from pathlib import Path
noise = float(Path("params.yaml").read_text().split(":")[1])
some = int.from_bytes(os.urandom(4), "big") / 2**32 * noise
Path("model.json").write_text(json.dumps([Path("data/features.txt").read_text(), some if noise > 1 else 0]))
Path("metrics.json").write_text(json.dumps({"auc": 0.5 + some, "rows": 3}))
"""


@pytest.fixture
def pipeline(tmp_path: Path) -> Path:
    """A pipeline of two steps whose input is only in the DVC remote; it is deterministic as long as ``noise`` is 0."""
    root = init(tmp_path / "pipeline")
    dvc(root, "init", "--quiet")
    dvc(root, "remote", "add", "--quiet", "--default", "storage", os.fspath(tmp_path / "storage"))
    write(root / "dvc.yaml", STEPS.format(python=sys.executable))
    write(root / "src" / "features.py", FEATURES)
    write(root / "src" / "train.py", TRAIN)
    write(root / "data" / "raw.txt", "some data\n")
    dvc(root, "add", "--quiet", "data/raw.txt")
    train(root, noise=0)
    return root


def train(root: Path, *, noise: float) -> None:
    write(root / "params.yaml", f"noise: {noise}\n")
    dvc(root, "repro", "--quiet")
    dvc(root, "push", "--quiet")
    commit(root, f"Train with {noise}")


def verdicts(found: object) -> dict[str, str]:
    return {output.path: output.verdict for output in found.outputs}  # type: ignore[attr-defined]


def test_a_deterministic_version_is_made_again_bit_for_bit_and_the_project_is_left_alone(
    pipeline: Path,
) -> None:
    version = Registry(pipeline).register("churn")
    shutil.rmtree(pipeline / ".dvc" / "cache")
    (pipeline / "src" / "train.py").write_text("raise SystemExit('this one was edited')")
    before = everything(pipeline)
    found = version.reproduce()
    assert found
    assert found.identical
    assert verdicts(found) == {
        "model.json": "identical",
        "metrics.json": "identical",
        "data/features.txt": "identical",
    }
    assert found.outputs[0].kind == "model"
    assert "bit for bit" in str(found)
    assert everything(pipeline) == before


def test_one_that_is_not_deterministic_is_caught_and_said_where(pipeline: Path) -> None:
    train(pipeline, noise=1000)
    found = Registry(pipeline).register("churn").reproduce(tolerance=2000)
    assert not found
    assert verdicts(found) == {
        "model.json": "different",
        "metrics.json": "within tolerance",
        "data/features.txt": "identical",
    }


def test_metrics_may_be_near_and_the_rest_may_not(pipeline: Path) -> None:
    train(pipeline, noise=0.001)
    version = Registry(pipeline).register("churn")
    assert not version.reproduce()
    near = version.reproduce(tolerance={"auc": 0.01})
    assert near
    assert not near.identical
    assert verdicts(near)["metrics.json"] == "within tolerance"
    far = next(
        output for output in version.reproduce(tolerance={"rows": 1}).outputs if output.kind == "metrics"
    )
    assert far.verdict == "different"
    assert far.note.startswith("auc: 0.5")


def test_a_version_of_a_url_is_made_again_too(pipeline: Path, tmp_path: Path, fresh_cache: Path) -> None:
    Registry(pipeline).register("churn")
    hub = tmp_path / "hub.git"
    git(pipeline, "clone", "--quiet", "--bare", os.fspath(pipeline), os.fspath(hub))
    git(hub, "config", "uploadpack.allowFilter", "true")
    assert Registry(f"file://{hub}").get("churn").reproduce().identical


def test_what_no_step_made_can_not_be_made_again(pipeline: Path) -> None:
    with pytest.raises(mr.RefusedError, match="nothing to run again"):
        Registry(pipeline).register("added").reproduce()


def test_what_was_imported_needs_no_source_and_a_model_may_be_in_a_folder(tmp_path: Path) -> None:
    source = init(tmp_path / "source")
    write(source / "dvc.yaml", "artifacts:\n  base: {path: base.txt, type: model}\n")
    for name in ("base.txt", "photos/1.txt", "photos/2.txt"):
        write(source / name, f"{name}\n")
    dvc(source, "init", "--quiet")
    dvc(source, "add", "--quiet", "base.txt", "photos")
    commit(source)
    git(source, "tag", "--annotate", "base@v1.0.0", "--message", "Register")
    root = init(tmp_path / "project")
    dvc(root, "init", "--quiet")
    for name in ("base.txt", "photos"):
        dvc(root, "import", "--quiet", "../source", name)
    write(
        root / "dvc.yaml",
        "stages:\n"
        "  one: {cmd: cat photos/1.txt base.txt > one.txt, deps: [photos/1.txt, base.txt], outs: [one.txt]}\n"
        "  all:\n"
        "    cmd: mkdir -p out && cat one.txt photos/* > out/model.txt\n"
        "    deps: [one.txt, photos]\n"
        "    outs: [out]\n"
        "artifacts:\n  churn: {path: out/model.txt, type: model}\n  photos: {path: photos, type: dataset}\n",
    )
    dvc(root, "repro", "--quiet")
    commit(root)
    version = Registry(root, remote=None).register("churn")
    assert [node.kind for node in version.lineage.find("base.txt")] == ["model", "model"]
    shutil.rmtree(source)
    assert verdicts(version.reproduce()) == {"out": "identical", "one.txt": "identical"}
    with pytest.raises(mr.RefusedError, match="nothing to run again"):
        Registry(root, remote=None).register("photos").reproduce()


def test_a_project_in_a_folder_is_run_there_and_steps_where_they_are_told(tmp_path: Path) -> None:
    root = init(tmp_path / "top")
    dvc(root, "init", "--quiet")
    sub = root / "team" / "nlp"
    write(
        sub / "dvc.yaml",
        "vars: [{place: parts}]\n"
        "stages:\n"
        "  part:\n"
        "    foreach: [a, b]\n"
        "    do: {wdir: '${place}', cmd: 'cp ../in.txt ${item}.txt', deps: [../in.txt], outs: ['${item}.txt']}\n"
        "  join: {cmd: cat parts/*.txt > words.txt, deps: [parts/a.txt, parts/b.txt], outs: [words.txt]}\n"
        "artifacts:\n  words: {path: words.txt, type: model}\n",
    )
    write(sub / "in.txt", "in\n")
    write(sub / "parts" / ".keep", "")
    dvc(sub, "init", "--quiet", "--subdir")
    dvc(sub, "add", "--quiet", "in.txt")
    dvc(sub, "repro", "--quiet")
    commit(root)
    found = Registry(root, remote=None).register("team/nlp:words").reproduce()
    assert verdicts(found) == {
        "team/nlp/words.txt": "identical",
        "team/nlp/parts/a.txt": "identical",
        "team/nlp/parts/b.txt": "identical",
    }


def test_what_a_frozen_step_made_is_taken_as_it_is(pipeline: Path) -> None:
    text = (pipeline / "dvc.yaml").read_text()
    write(pipeline / "dvc.yaml", text.replace("    wdir: src\n", "    wdir: src\n    frozen: true\n"))
    commit(pipeline, "Freeze the first step")
    found = Registry(pipeline).register("churn").reproduce()
    assert verdicts(found) == {"model.json": "identical", "metrics.json": "identical"}
    write(pipeline / "dvc.yaml", text.replace("  train:\n", "  train:\n    frozen: true\n"))
    commit(pipeline, "Freeze the last step")
    with pytest.raises(mr.RefusedError, match="'train' is frozen"):
        Registry(pipeline).register("churn", version="v1.0.0").reproduce()


def test_a_step_that_fails_is_shown_with_what_it_printed(pipeline: Path) -> None:
    version = Registry(pipeline).register("churn")
    write(pipeline / "src" / "train.py", "raise SystemExit('no such thing as training')")
    commit(pipeline, "Break it, unseen by DVC")
    broken = Registry(pipeline).register("churn", version="v1.0.0")
    with pytest.raises(mr.RefusedError, match="no such thing as training"):
        broken.reproduce()
    assert version.reproduce()


def test_an_input_that_is_nowhere_is_missing_before_anything_runs(pipeline: Path, tmp_path: Path) -> None:
    version = Registry(pipeline).register("churn")
    shutil.rmtree(pipeline / ".dvc" / "cache")
    shutil.rmtree(tmp_path / "storage")
    with pytest.raises(mr.MissingBytesError, match=r"raw\.txt"):
        version.reproduce()


def test_a_pipeline_that_takes_too_long_is_ended_with_all_it_started(pipeline: Path, tmp_path: Path) -> None:
    started = tmp_path / "started"
    write(
        pipeline / "src" / "train.py",
        f"import os, time\nopen({os.fspath(started)!r}, 'w').write(str(os.getpid()))\ntime.sleep(3600)\n",
    )
    commit(pipeline, "Never done")
    version = Registry(pipeline).register("churn", version="v1.0.0")
    with pytest.raises(mr.RefusedError, match="was not made again within"):
        version.reproduce(timeout=20)
    assert not started.exists() or not is_running(int(started.read_text()))


def is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("tolerance", [-1, float("nan"), "much", True, {"auc": -0.1}])
def test_a_tolerance_that_is_none_is_refused(tolerance: object, pipeline: Path) -> None:
    with pytest.raises(mr.InvalidInputError, match="tolerance="):
        Registry(pipeline).register("churn").reproduce(tolerance=tolerance)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("before", "after", "tolerance", "verdict"),
    [
        ({"auc": 0.5}, {"auc": 0.6}, 0.2, "within tolerance"),
        ({"auc": 0.5}, {"auc": 0.6}, 0.05, "different"),
        ({"test": {"auc": 0.5}}, {"test": {"auc": 0.6}}, {"auc": 0.2}, "within tolerance"),
        ({"test": {"auc": 0.5}}, {"test": {"auc": 0.6}}, {"test.auc": 0.01, "auc": 1}, "different"),
        ({"auc": 0.5}, {}, 10.0, "different"),
        ({"auc": 0.5}, {"auc": 0.5, "new": 1}, 10.0, "different"),
        ({"ok": True}, {"ok": False}, 10.0, "different"),
        ({"best": "a"}, {"best": "b"}, 10.0, "different"),
        ({"auc": 0.5}, {"auc": float("nan")}, 10.0, "different"),
    ],
)
def test_metrics_are_compared_value_by_value(
    before: dict[str, object], after: dict[str, object], tolerance: float, verdict: str
) -> None:
    node = Node("m", "metrics", "m.json", path="m.json", digest="md5:1", values=before)  # type: ignore[arg-type]
    assert compare(node, "md5:2", lambda _: after, tolerance).verdict == verdict  # type: ignore[arg-type,return-value]
    assert compare(node, "md5:1", lambda _: {}, tolerance).verdict == "identical"
    assert compare(node, None, lambda _: {}, tolerance).verdict == "missing"
