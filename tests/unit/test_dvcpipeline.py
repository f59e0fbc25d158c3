"""The steps that a dvc.yaml plans, and where what was recorded is something else."""

from __future__ import annotations

from typing import Any

import pytest

from modelregistry.errors import InvalidFileError
from modelregistry.project.dvcfiles import Dep, Out, Step
from modelregistry.project.pipeline import (
    Pipeline,
    PlannedOut,
    PlannedStep,
    differences,
    left_over,
    param_differences,
    plain_artifacts,
    read_pipeline,
)
from modelregistry.project.yamltext import parse, typed

PROJECT = """\
vars: [{n: 2, flags: {fast: false}}]
stages:
  train:
    cmd: [mkdir x, 'train --n ${n}']
    wdir: sub${n}
    deps: [data/, '${file}']
    params: [lr, model.depth, {other.json: [a]}, {whole.yaml: }, {whole.yaml: [x]}]
    outs: [m.pkl, {d: {cache: false, persist: true}}]
    metrics: [{m.json: {cache: false}}]
    plots: [p.csv]
    frozen: true
  flagged: {cmd: 'run ${flags}'}
  each:
    foreach: [a, b]
    do: {cmd: 'x ${item}', outs: ['${item}.txt']}
  grid:
    matrix: {x: [1, 2]}
    cmd: 'y ${item.x}'
    wdir: w
  lost: {cmd: 'z ${missing}', wdir: there}
  far: {cmd: x, wdir: '${missing}'}
  group: {foreach: '${missing}', do: {cmd: x, wdir: gone}}
  odd: 3
params: [p.yaml]
metrics: ['m${n}.json']
plots:
- plots/
- curve: {y: {a.csv: [u], b.csv: v}, x: {c.csv: w}}
- file.csv: {x: step}
- lost-${missing}
artifacts:
  m${n}: {path: 'm${n}.pkl', type: model}
  lost: {path: '${missing}'}
"""


def read(text: str, **loaded: object) -> Pipeline:
    files = {"params.yaml": {"file": "f.csv"}, **loaded}
    return read_pipeline(typed(parse(text.encode(), "dvc.yaml")), "dvc.yaml", files.get)


def test_a_step_is_read_with_its_expressions_filled_in() -> None:
    train = read(PROJECT).steps["train"]
    assert train == PlannedStep(
        "train",
        (("mkdir x", "train --n 2"),),
        "sub2",
        ("data/", "f.csv"),
        {"params.yaml": ("lr", "model.depth"), "other.json": ("a",), "whole.yaml": ()},
        (
            PlannedOut("m.pkl"), PlannedOut("d", is_cached=False), PlannedOut("m.json", "metrics", is_cached=False),
            PlannedOut("p.csv", "plots"),
        ),
        frozen=True,
    )  # fmt: skip


def test_a_command_with_flags_may_be_one_of_several() -> None:
    assert read(PROJECT).steps["flagged"].commands == (("run ",), ("run --no-fast",))


def test_groups_are_their_members_by_the_names_in_the_lock() -> None:
    pipeline = read(PROJECT)
    assert pipeline.steps["each@b"].outs == (PlannedOut("b.txt"),)
    assert (pipeline.steps["grid@2"].commands, pipeline.steps["grid@2"].wdir) == ((("y 2",),), "w")
    assert pipeline.step("each@c") is None
    assert "each" not in pipeline.steps


def test_what_cannot_be_filled_in_says_so_and_hurts_nobody_else() -> None:
    pipeline = read(PROJECT)
    lost, far, odd = (pipeline.steps[name] for name in ("lost", "far", "odd"))
    assert "'${missing}'" in str(lost.problem)
    assert (lost.wdir, far.wdir) == ("there", None)
    assert "no mapping" in str(odd.problem)
    group = pipeline.step("group@any")
    assert group is not None
    assert (group.wdir, group.name) == ("gone", "group")
    assert "'${missing}'" in str(group.problem)


def test_what_belongs_to_no_step_is_listed() -> None:
    pipeline = read(PROJECT)
    assert (pipeline.params, pipeline.metrics) == (("p.yaml",), ("m2.json",))
    assert pipeline.plots == ("plots/", "c.csv", "a.csv", "b.csv", "file.csv")
    assert pipeline.artifacts == {"m2": ("m2.pkl", "model")}
    assert "missing" in pipeline.problems[0]


@pytest.mark.parametrize("path", ["m.pkl", "${file}"])
def test_artifacts_are_the_same_whether_they_were_read_before_or_not(path: str) -> None:
    text = (
        f"artifacts: {{one: {{path: '{path}', type: model}}, two: {{path: n.pkl, type: [1]}}, three: m.pkl}}"
    )
    document = typed(parse(text.encode(), "dvc.yaml"))
    plain = plain_artifacts(document, "dvc.yaml")
    assert (plain is None) == ("$" in path)
    known = read_pipeline(document, "dvc.yaml", {"params.yaml": {"file": "f.csv"}}.get, plain).artifacts
    filled = path.replace("${file}", "f.csv")
    assert known == read(text).artifacts == {"one": (filled, "model"), "two": ("n.pkl", None)}


def test_values_of_a_step_are_those_beside_where_it_runs() -> None:
    text = "stages:\n  s:\n    cmd: ${a} ${file}\n    wdir: w\n    vars: [v.yaml]\n"
    assert read(text, **{"w/v.yaml": {"a": 1}}).steps["s"].commands == (("1 f.csv",),)


def test_why_there_are_no_values_is_told_first() -> None:
    text = "vars: [none.yaml]\nstages:\n  s: {cmd: '${a}'}\n  plain: {cmd: x}\n"
    pipeline = read(text)
    assert str(pipeline.steps["s"].problem).startswith("'dvc.yaml': 'vars' names 'none.yaml'")
    assert pipeline.steps["plain"].commands == (("x",),)


@pytest.mark.parametrize("text", ["- a", "stages: [a]", "stages: 3"])
def test_no_pipeline_is_refused(text: str) -> None:
    with pytest.raises(InvalidFileError, match=r"dvc\.yaml"):
        read(text)


@pytest.mark.parametrize("part", ["deps: x", "outs: {a: b}", "params: 3", "vars: x", "metrics: m"])
def test_a_step_that_is_odd_says_so(part: str) -> None:
    assert read(f"stages:\n  s:\n    cmd: x\n    {part}\n").steps["s"].problem


# -- comparing


STEP = Step(
    "s",
    ("run",),
    (Dep("data", "1" * 32), Dep("./b", "1" * 32)),
    (Out("m.pkl", "1" * 32),),
    {"params.yaml": {"lr": 1}},
)
PLAN = PlannedStep("s", (("other",), ("run",)), deps=("data", "./b"), outs=(PlannedOut("m.pkl"),))


def planned(**changes: Any) -> PlannedStep:
    values = {name: getattr(PLAN, name) for name in ("name", "commands", "deps", "outs")}
    return PlannedStep(**(values | changes))


def test_what_was_recorded_as_planned_has_no_differences() -> None:
    assert differences(STEP, PLAN) == []
    assert left_over(STEP, PLAN) == []


def test_every_difference_is_told() -> None:
    plan = planned(
        commands=(("else",),), deps=("data", "./b", "new"), outs=(PlannedOut("m.pkl"), PlannedOut("n"))
    )
    assert differences(STEP, plan) == [
        "its command is another one", "the output 'n' is not in dvc.lock", "the dependency 'new' is not in dvc.lock",
    ]  # fmt: skip


def test_what_is_not_planned_any_more_is_no_difference() -> None:
    plan = planned(deps=("data",), outs=())
    assert differences(STEP, plan) == []
    assert left_over(STEP, plan) == ["./b", "m.pkl"]


def test_what_is_spelled_otherwise_was_not_recorded_as_dvc_sees_it() -> None:
    plan = planned(deps=("data/", "b"), outs=(PlannedOut("./m.pkl"),))
    assert differences(STEP, plan) == [
        "the output './m.pkl' is not in dvc.lock, which spells it 'm.pkl'",
        "the dependency 'data/' is not in dvc.lock, which spells it 'data'",
        "the dependency 'b' is not in dvc.lock, which spells it './b'",
    ]
    assert left_over(STEP, plan) == []


PARAMS = {"lr": 0.1, "a": {"b": [1, {"c": 2}]}, "day": "2020-01-01", "inf": ".inf"}


@pytest.mark.parametrize(
    ("keys", "recorded", "changed", "unclear"),
    [
        (("lr", "a.b.1.c"), {"lr": 0.1, "a.b.1.c": 2}, [], []),
        (("lr",), {"lr": 0.1, "gone": 1}, [], []),
        (("lr",), {"lr": 0.2}, ["'lr' of 'p.yaml' is 0.1, and was 0.2"], []),
        (("lr", "new"), {"lr": 0.1}, ["'new' is not in 'p.yaml' any more"], []),
        (("lr", "a"), {"lr": 0.1}, ["'a' of 'p.yaml' is not in dvc.lock"], []),
        (("a.b.7",), {"a.b.7": 1}, ["'a.b.7' is not in 'p.yaml' any more"], []),
        ((), PARAMS, [], []),
        ((), {**PARAMS, "x": 1}, ["'x' is not in 'p.yaml' any more"], []),
        (("day",), {"day": "2020-1-1"}, [], ["'day' of 'p.yaml' may be the same or not"]),
        (("inf",), {"inf": "Infinity"}, [], ["'inf' of 'p.yaml' may be the same or not"]),
        (("a.*",), {"a.*": 1}, [], ["'a.*' of 'p.yaml' is a pattern"]),
    ],
)
def test_parameters_are_compared_as_dvc_does(
    keys: tuple[str, ...], recorded: dict[str, Any], changed: list[str], unclear: list[str]
) -> None:
    assert param_differences("p.yaml", keys, recorded, PARAMS) == (changed, unclear)


def test_parameters_in_no_mapping_are_left_open() -> None:
    assert param_differences("p.yaml", (), {}, [1]) == ([], ["'p.yaml' is no mapping"])
