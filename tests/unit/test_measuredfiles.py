"""Which files hold the metrics and parameters of a model, by what its pipelines plan."""

from __future__ import annotations

from collections.abc import Mapping

from modelregistry.project.measuredfiles import Measured, MetricsFile, StepName, measured_files
from modelregistry.project.pipeline import read_pipeline


def measured(path: str, *, file: str = "dvc.yaml", **documents: Mapping[str, object]) -> Measured:
    """What is found where ``dvc.yaml`` and other files (``a`` for ``a/dvc.yaml``) hold these documents."""
    files = {("dvc.yaml" if name == "top" else f"{name}/dvc.yaml"): each for name, each in documents.items()}
    pipelines = {place: read_pipeline(each, place, lambda _: None) for place, each in files.items()}
    return measured_files(pipelines, file, path)


def step(
    deps: list[str], outs: list[str], *, metrics: tuple[str, ...] = (), **more: object
) -> dict[str, object]:
    return {"cmd": "true", "deps": deps, "outs": outs, "metrics": [*metrics], **more}


def paths(found: Measured) -> list[str]:
    return sorted(file.path for file in found.metrics)


def names(found: Measured) -> list[str]:
    return sorted(name.name for name in found.steps)


STAGES = {
    "prepare": step(["raw.csv"], ["data"], metrics=("rows.json",)),
    "train": step(["data/train.csv"], ["model.bin"], metrics=("train.json",), params=["lr"]),
    "evaluate": step(["model.bin", "data/test.csv"], [], metrics=("eval.json",)),
    "other": step(["raw.csv"], ["other.bin", "other-listed.json"], metrics=("other.json",)),
}


def test_metrics_are_those_of_the_steps_on_the_way_and_of_those_that_measure_it() -> None:
    found = measured("model.bin", top={"stages": STAGES, "params": ["params.yaml"]})
    assert paths(found) == ["eval.json", "rows.json", "train.json"]
    assert names(found) == ["prepare", "train"]
    assert found.params == (), "a step records what it was made with"
    (evaluated,) = [file for file in found.metrics if file.path == "eval.json"]
    assert evaluated == MetricsFile("eval.json", StepName("dvc.yaml", "evaluate", "."), "eval.json")
    assert evaluated.step is not None and evaluated.step.lock == "dvc.lock"


def test_what_is_listed_counts_unless_a_step_that_is_not_on_the_way_makes_it() -> None:
    listed = ["live.json", "other-listed.json", "other.json", "data/inside.json", "../out.json"]
    found = measured("model.bin", top={"stages": STAGES, "metrics": listed})
    assert paths(found) == ["eval.json", "live.json", "rows.json", "train.json"]


def test_an_output_that_is_listed_as_metrics_is_metrics() -> None:
    stages = {"train": step([], ["model.bin", "scores.json", "curve.csv"])}
    found = measured("model.bin", top={"stages": stages, "metrics": ["scores.json"], "plots": ["curve.csv"]})
    assert paths(found) == ["scores.json"]


def test_without_a_step_the_listed_files_are_all() -> None:
    found = measured("model.bin", top={"metrics": ["live.json"], "params": ["params.yaml", "../x.yaml"]})
    assert (paths(found), found.steps, found.params) == (["live.json"], (), ("params.yaml",))
    nested = measured(
        "a/m.bin", file="a/dvc.yaml", a={"metrics": ["live.json"]}, top={"metrics": ["no.json"]}
    )
    assert paths(nested) == ["a/live.json"]


def test_steps_of_other_files_and_folders_are_followed() -> None:
    deep = step(["../../raw"], ["model.bin"], metrics=("m.json",), wdir="b")
    raw = {"stages": {"get": step([], ["raw/x.csv"], metrics=("raw.json",))}}
    found = measured("a/b/model.bin", file="a/dvc.yaml", a={"stages": {"deep": deep}}, top=raw)
    assert paths(found) == ["a/b/m.json", "raw.json"]
    (name,) = [name for name in found.steps if name.name == "deep"]
    assert (name.place("m.json"), name.lock, name.place("../../../x")) == ("a/b/m.json", "a/dvc.lock", None)


def test_a_model_in_a_folder_and_a_folder_of_models_are_made_by_their_steps() -> None:
    stages = {"train": step([], ["models"], metrics=("m.json",))}
    assert paths(measured("models/churn.bin", top={"stages": stages})) == ["m.json"]
    stages = {
        "a": step([], ["models/a"], metrics=("a.json",)),
        "b": step([], ["models/b"], metrics=("b.json",)),
    }
    assert paths(measured("models", top={"stages": stages})) == ["a.json", "b.json"]
    assert paths(measured("models/a", top={"stages": stages})) == ["a.json"]


def test_circles_end_and_what_can_not_be_filled_in_is_told() -> None:
    stages: dict[str, object] = {"a": step(["y"], ["x"], metrics=("a.json",)), "b": step(["x"], ["y"])}
    found = measured("x", top={"stages": stages})
    assert (paths(found), names(found), found.is_whole) == (["a.json"], ["a", "b"], True)
    stages["c"] = step(["${nothing}"], ["z"])
    assert not measured("x", top={"stages": stages}).is_whole
