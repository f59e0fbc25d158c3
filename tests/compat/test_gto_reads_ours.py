"""What GTO and DVC read in a registry that we wrote, after every single operation."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import gto.api
import pytest

from modelregistry import EMPTY, Registry
from tests.compat.views import (
    GtoWriter,
    git,
    holder_by_gto,
    seen_by_dvc,
    seen_by_gto,
    seen_by_us,
    shown_by_gto,
    tags,
)

Agree = Callable[..., None]


class Step(NamedTuple):
    """One operation on ``churn``, and the holders after it."""

    name: str
    do: Callable[[Registry], object]
    holders: dict[str, str]
    dvc: dict[str, str]
    """What ``dvc artifacts`` names, by stage, where that is not the holder."""


# What DVC names and nobody holds, or somebody else: the commit of the stage's last tag, an unassignment.
STORY = [
    Step("register v0.1.0", lambda r: r.register("churn", rev="main~4", message="first"), {}, {}),
    Step("promote it to shadow", lambda r: r.promote("churn", "v0.1.0", "shadow"), {"shadow": "v0.1.0"}, {}),
    Step(
        "promote it to current: it leaves shadow",
        lambda r: r.promote("churn", "v0.1.0", "current", message="good"),
        {"current": "v0.1.0"},
        {"shadow": "v0.1.0"},
    ),
    Step(
        "register v0.2.0",
        lambda r: r.register("churn", rev="main~3", bump="minor", metadata={"auc": 0.9}),
        {"current": "v0.1.0"},
        {"shadow": "v0.1.0"},
    ),
    Step(
        "promote v0.2.0 to shadow",
        lambda r: r.promote("churn", "v0.2.0", "shadow"),
        {"current": "v0.1.0", "shadow": "v0.2.0"},
        {},
    ),
    Step(
        "promote v0.2.0 to current and keep it in shadow",
        lambda r: r.promote("churn", "v0.2.0", "current", keep=True, expected="v0.1.0"),
        {"current": "v0.2.0", "shadow": "v0.2.0"},
        {},
    ),
    Step(
        "register v1.0.0",
        lambda r: r.register("churn", rev="main~2", bump="major"),
        {"current": "v0.2.0", "shadow": "v0.2.0"},
        {},
    ),
    Step(
        "promote v1.0.0 to current",
        lambda r: r.promote("churn", "v1.0.0", "current"),
        {"current": "v1.0.0", "shadow": "v0.2.0"},
        {},
    ),
    Step(
        "roll back: the restored version leaves shadow",
        lambda r: r.rollback("churn", "current"),
        {"current": "v0.2.0"},
        {"shadow": "v0.2.0"},
    ),
    Step(
        "roll back again, one further",
        lambda r: r.rollback("churn", "current", message="worse"),
        {"current": "v0.1.0"},
        {"shadow": "v0.2.0"},
    ),
    Step(
        "annotate a version",
        lambda r: r.annotate("churn", "v0.2.0", {"owner": "risk"}),
        {"current": "v0.1.0"},
        {"shadow": "v0.2.0"},
    ),
    Step(
        "annotate the model",
        lambda r: r.annotate("churn", None, {"team": "risk"}),
        {"current": "v0.1.0"},
        {"shadow": "v0.2.0"},
    ),
    Step("demote", lambda r: r.demote("churn", "current"), {}, {"current": "v0.1.0", "shadow": "v0.2.0"}),
    Step(
        "roll back an empty stage: the last holder comes back",
        lambda r: r.rollback("churn", "current"),
        {"current": "v0.1.0"},
        {"shadow": "v0.2.0"},
    ),
    Step(
        "promote v1.0.0 to current again",
        lambda r: r.promote("churn", "v1.0.0", "current", expected="v0.1.0"),
        {"current": "v1.0.0"},
        {"shadow": "v0.2.0"},
    ),
    Step(
        "withdraw the holder, v0.2.0 takes over",
        lambda r: r.withdraw("churn", "v1.0.0", then="v0.2.0", message="bad data"),
        {"current": "v0.2.0"},
        {"shadow": "v0.2.0"},
    ),
    Step(
        "withdraw a version that holds nothing",
        lambda r: r.withdraw("churn", "v0.1.0"),
        {"current": "v0.2.0"},
        {"shadow": "v0.2.0"},
    ),
    Step("deprecate", lambda r: r.deprecate("churn"), {"current": "v0.2.0"}, {"shadow": "v0.2.0"}),
    Step(
        "annotate what is deprecated",
        lambda r: r.annotate("churn", "v0.2.0", {"owner": "nobody"}),
        {"current": "v0.2.0"},
        {"shadow": "v0.2.0"},
    ),
    Step(
        "promote: it is deprecated no more",
        lambda r: r.promote("churn", "v0.2.0", "shadow", keep=True),
        {"current": "v0.2.0", "shadow": "v0.2.0"},
        {},
    ),
    Step("deprecate again", lambda r: r.deprecate("churn"), {"current": "v0.2.0", "shadow": "v0.2.0"}, {}),
    Step(
        "register: it is deprecated no more",
        lambda r: r.register("churn", rev="main~1", version="v2.0.0"),
        {"current": "v0.2.0", "shadow": "v0.2.0"},
        {},
    ),
    Step(
        "a second version of one commit",
        lambda r: r.register("churn", rev="main~1", version="v2.1.0"),
        {"current": "v0.2.0", "shadow": "v0.2.0"},
        {},
    ),
    Step(
        "promote the second version of that commit",
        lambda r: r.promote("churn", "v2.1.0", "shadow"),
        {"current": "v0.2.0", "shadow": "v2.1.0"},
        {},
    ),
    Step(
        "promote the first version of that commit",
        lambda r: r.promote("churn", "v2.0.0", "current"),
        {"current": "v2.0.0", "shadow": "v2.1.0"},
        {},
    ),
    Step(
        "withdraw a holder, nobody takes over",
        lambda r: r.withdraw("churn", "v2.0.0", then=EMPTY),
        {"shadow": "v2.1.0"},
        {"current": "v2.0.0"},
    ),
]


def test_gto_and_dvc_answer_like_us_after_every_operation(project: Path, agree: Agree) -> None:
    registry = Registry(project)
    named: dict[str, str] = {}
    before: set[str] = set()
    for step in STORY:
        step.do(registry)
        assert seen_by_us(registry, "churn").holders == step.holders, step.name
        agree(project, registry, "churn", after=step.name)
        new = set(tags(project)) - before
        for stage in ("current", "shadow"):
            # DVC goes by a stage's own tags, and asking it costs a fifth of a second.
            if any(tag.startswith(f"churn#{stage}") for tag in new):
                named[stage] = seen_by_dvc(project, registry, "churn", stage=stage)
        assert named == step.holders | step.dvc, f"DVC after: {step.name}"
        before |= new
    gto_says = [tag for tag in tags(project) if "@annotate" not in tag]
    assert [event["ref"] for event in gto.api.history(project, ascending=True)] == sorted(
        gto_says,
        key=lambda tag: git(project, "for-each-ref", "--format=%(taggerdate:unix)", f"refs/tags/{tag}"),
    )


def test_gto_history_tells_the_same_story(project: Path) -> None:
    registry = Registry(project)
    for step in STORY:
        step.do(registry)
    ours = [
        (event.kind, getattr(event, "version", None), getattr(event, "stage", None), event.at, event.author)
        for event in registry.history("churn")
        if event.kind != "annotate"
    ]
    words = {
        "registration": "register", "deregistration": "withdraw", "assignment": "assign",
        "unassignment": "unassign", "deprecation": "deprecate",
    }  # fmt: skip
    theirs = [
        (words[event["event"]], event["version"], event["stage"], event["timestamp"], event["author"])
        for event in gto.api.history(project, ascending=True)
        if '"echo_of":' not in event["message"]
    ]
    assert theirs == ours


def test_gto_shows_the_stages_beside_each_version(project: Path) -> None:
    registry = Registry(project)
    for number in (4, 3, 2):
        registry.register("churn", rev=f"main~{number}")
    registry.promote("churn", "v0.1.0", "current")
    registry.promote("churn", "v0.1.1", "shadow")
    registry.promote("churn", "v0.1.0", "shadow", keep=True)
    assert shown_by_gto(project, "churn") == {
        "v0.1.0": {"current", "shadow"},
        "v0.1.1": set(),
        "v0.1.2": set(),
    }
    registry.rollback("churn", "shadow")
    assert shown_by_gto(project, "churn") == {"v0.1.0": {"current"}, "v0.1.1": {"shadow"}, "v0.1.2": set()}
    assert {v.version: set(v.stages) for v in registry.versions("churn")} == shown_by_gto(project, "churn")


def test_several_models_of_one_commit_do_not_touch_each_other(project: Path, agree: Agree) -> None:
    registry = Registry(project)
    models = ("churn", "risk", "nlp:intent")
    written = []
    for model in models:
        for rev in ("main~1", "main"):
            registry.register(model, rev=rev)
            written.append(model)
            agree(project, registry, *dict.fromkeys(written), after=f"register {model}")
    registry.promote("churn", "v0.1.1", "current")
    registry.promote("risk", "v0.1.0", "current")
    registry.promote("nlp:intent", "v0.1.0", "shadow")
    registry.promote("nlp:intent", "v0.1.1", "shadow")
    registry.deprecate("risk")
    agree(project, registry, *models, after="promotions")
    assert seen_by_dvc(project, registry, "nlp:intent", stage="shadow") == "v0.1.1"
    assert seen_by_dvc(project, registry, "nlp:intent", version="v0.1.0") == "v0.1.0"
    assert seen_by_dvc(project, registry, "churn") == "v0.1.1"
    assert list(gto.api.show(project)) == ["churn", "nlp:intent"]  # the deprecated one is hidden


def test_dvc_finds_the_path_of_a_monorepo_model(project: Path) -> None:
    import dvc.api

    version = Registry(project).register("nlp:intent")
    found = dvc.api.artifacts_show("nlp:intent", repo=str(project))
    assert found == {"rev": version.rev, "path": version.path}


@pytest.mark.parametrize("settings", ["gto", "toml"])
def test_a_team_s_own_stages_are_read_alike(project: Path, agree: Agree, settings: str) -> None:
    (project / ".gto").write_text("stages: [dev, eu/live]\n")
    if settings == "toml":
        (project / ".modelregistry.toml").write_text("[stages]\ndev = {}\n'eu/live' = {}\n")
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--message", "Stages")
    registry = Registry(project)
    registry.register("churn", rev="main~2")
    registry.register("churn")
    registry.promote("churn", "v0.1.0", "dev")
    registry.promote("churn", "v0.1.1", "eu/live")
    agree(project, registry, "churn", after="promotions")
    registry.promote("churn", "v0.1.0", "eu/live")
    agree(project, registry, "churn", after="the second promotion")
    assert seen_by_us(registry, "churn").holders == {"eu/live": "v0.1.0"}
    assert seen_by_dvc(project, registry, "churn", stage="eu/live") == "v0.1.0"


def test_the_holders_of_a_shared_stage_are_those_that_gto_lists(project: Path) -> None:
    (project / ".modelregistry.toml").write_text("[stages]\nshadow = {exclusive = false}\ncurrent = {}\n")
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--message", "Stages")
    registry = Registry(project)
    for number in (3, 2, 1):
        registry.register("churn", rev=f"main~{number}")

    def both() -> tuple[list[str], list[str]]:
        listed = gto.api.show(project, versions_per_stage=-1)["churn"]["stage"].get("shadow") or ""
        return sorted(filter(None, listed.split(", "))), sorted(
            version.version for version in registry.versions("churn", stage="shadow")
        )

    for version in ("v0.1.0", "v0.1.1", "v0.1.2"):
        registry.promote("churn", version, "shadow")
    assert both() == (["v0.1.0", "v0.1.1", "v0.1.2"],) * 2
    registry.demote("churn", "shadow", version="v0.1.1")
    assert both() == (["v0.1.0", "v0.1.2"],) * 2
    registry.promote("churn", "v0.1.0", "current")
    assert both() == (["v0.1.2"],) * 2
    registry.withdraw("churn", "v0.1.2")
    assert both() == ([], [])


def test_gto_s_default_sort_of_stages_is_ours_and_its_other_one_is_not(project: Path) -> None:
    registry = Registry(project)
    registry.register("churn", rev="main~1")
    registry.register("churn")
    registry.promote("churn", "v0.1.1", "current")
    registry.promote("churn", "v0.1.0", "current")
    assert holder_by_gto(project, "churn", "current") == "v0.1.0"
    assert seen_by_us(registry, "churn").holders == {"current": "v0.1.0"}
    # GTO contradicts itself: this function answers by the greatest version.
    assert [stage.version for stage in gto.api.find_versions_in_stage(project, "churn", "current")] == [
        "v0.1.1"
    ]


def test_dvc_goes_on_naming_who_left_an_empty_stage(project: Path) -> None:
    registry = Registry(project)
    registry.register("churn", rev="main~1")
    registry.register("churn")
    registry.promote("churn", "v0.1.0", "current")
    registry.promote("churn", "v0.1.1", "current")
    registry.demote("churn", "current")
    assert seen_by_gto(project, "churn").holders == {}
    assert seen_by_dvc(project, registry, "churn", stage="current") == "v0.1.1"
    registry.rollback("churn", "current")
    assert seen_by_dvc(project, registry, "churn", stage="current") == "v0.1.1"  # now it is right
    registry.withdraw("churn", "v0.1.1", then=EMPTY)
    assert seen_by_gto(project, "churn").holders == {}
    assert seen_by_dvc(project, registry, "churn", stage="current") == "v0.1.1"


def test_dvc_goes_on_naming_a_withdrawn_version_as_such_and_as_the_latest(project: Path) -> None:
    registry = Registry(project)
    registry.register("churn", rev="main~1")
    registry.register("churn")
    registry.withdraw("churn", "v0.1.1")
    assert seen_by_gto(project, "churn").latest == registry.get("churn").version == "v0.1.0"
    assert seen_by_dvc(project, registry, "churn") == "v0.1.1"
    assert seen_by_dvc(project, registry, "churn", version="v0.1.1") == "v0.1.1"


def test_a_dry_run_shows_gto_nothing(project: Path) -> None:
    registry = Registry(project)
    registry.register("churn", rev="main~1")
    registry.promote("churn", "v0.1.0", "current")
    before = tags(project)
    registry.register("churn", dry_run=True)
    registry.promote("churn", "v0.1.0", "shadow", dry_run=True)
    registry.demote("churn", "current", dry_run=True)
    registry.withdraw("churn", "v0.1.0", then=EMPTY, dry_run=True)
    registry.annotate("churn", None, {"a": 1}, dry_run=True)
    registry.deprecate("churn", dry_run=True)
    assert tags(project) == before


def test_the_gto_and_dvc_programs_agree_too(project: Path, tmp_path: Path) -> None:
    registry = Registry(project)
    registry.register("churn", rev="main~1")
    registry.register("churn")
    registry.register("churn", rev="main~1", version="v3.0.0")  # has a commit of its own
    registry.promote("churn", "v0.1.0", "current")
    registry.promote("churn", "v3.0.0", "shadow")

    def run(program: str, *arguments: str) -> str:
        command = [str(Path(sys.executable).with_name(program)), *arguments]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert json.loads(run("gto", "show", "--repo", str(project), "--json")) == {
        "churn": {
            "version": "v3.0.0",
            "stage": {"current": "v0.1.0", "shadow": "v3.0.0"},
            "registered": True,
            "active": True,
        }
    }
    for stage, version in (("current", "v0.1.0"), ("shadow", "v3.0.0")):
        run("dvc", "artifacts", "get", str(project), "churn", "--stage", stage, "--out", f"{stage}.bin")
        ours = registry.get("churn", version=version).local_path().read_bytes()
        assert (tmp_path / f"{stage}.bin").read_bytes() == ours == b"churn 3"


def test_a_missing_echo_is_reported_and_the_advice_makes_gto_agree(project: Path, agree: Agree) -> None:
    """What a crash between a change and its echo leaves behind."""
    registry = Registry(project)
    registry.register("churn", rev="main~1")
    registry.promote("churn", "v0.1.0", "shadow")
    registry.promote("churn", "v0.1.0", "current")
    git(project, "update-ref", "-d", "refs/tags/churn#shadow!#1")
    assert seen_by_us(registry, "churn").holders == {"current": "v0.1.0"}
    assert seen_by_gto(project, "churn").holders == {"current": "v0.1.0", "shadow": "v0.1.0"}
    follow_the_advice(registry)
    agree(project, registry, "churn", after="the advice")


def test_a_stage_that_ended_before_its_commit_was_a_version_is_reported_and_the_advice_makes_gto_agree(
    project: Path, agree: Agree
) -> None:
    registry = Registry(project)
    registry.register("churn", rev="main~2")
    GtoWriter(project)("assign", "churn", "current", ref="main~1", skip_registration=True)
    registry.promote("churn", "v0.1.0", "current")
    registry.demote("churn", "current")
    registry.register("churn", rev="main~1")
    # The demotion emptied the stage; it could not say so to GTO of a commit that was no version.
    assert seen_by_us(registry, "churn").holders == {}
    assert seen_by_gto(project, "churn").holders == {"current": "v0.1.1"}
    follow_the_advice(registry)
    agree(project, registry, "churn", after="the advice")


def test_a_rollback_that_stopped_after_its_words_for_gto_is_reported_and_the_advice_makes_gto_agree(
    project: Path, agree: Agree
) -> None:
    registry = Registry(project)
    registry.register("churn", rev="main~2")
    registry.register("churn", rev="main~1")
    registry.promote("churn", "v0.1.0", "current")
    registry.promote("churn", "v0.1.1", "current")
    registry.rollback("churn", "current")
    git(project, "update-ref", "-d", "refs/tags/churn#current#3")
    assert seen_by_us(registry, "churn").holders == {"current": "v0.1.1"}
    assert seen_by_gto(project, "churn").holders == {"current": "v0.1.0"}
    follow_the_advice(registry)
    agree(project, registry, "churn", after="the advice")
    assert registry.rollback("churn", "current").version == "v0.1.0"
    agree(project, registry, "churn", after="the rollback")


def test_what_is_repeated_for_gto_after_a_deprecation_leaves_the_model_deprecated(
    project: Path, agree: Agree
) -> None:
    registry = Registry(project)
    registry.register("churn")
    registry.promote("churn", "v0.1.0", "shadow")
    registry.promote("churn", "v0.1.0", "current")
    git(project, "update-ref", "-d", "refs/tags/churn#shadow!#1")
    registry.deprecate("churn")
    follow_the_advice(registry)
    assert seen_by_gto(project, "churn").deprecated
    agree(project, registry, "churn", after="the advice")


def follow_the_advice(registry: Registry) -> None:
    """Make the one call that ``check()`` names."""
    (problem,) = registry.check()
    assert problem.mend == "check(repair=True)"
    assert registry.check(repair=True) == []
    assert Registry(registry.target).check() == []
