"""What we read in a registry that the real GTO wrote: what GTO reads, wherever GTO agrees with itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import dvc.api
import gto.api
import pytest
from gto.exceptions import ManyVersions

from modelregistry import Registry
from modelregistry.errors import (
    InvalidNameError,
    InvalidSettingsError,
    StageEmptyError,
    VersionNotFoundError,
    WithdrawnError,
)
from tests.compat.views import (
    START,
    GtoWriter,
    git,
    gto_words,
    holder,
    holder_by_gto,
    import_into,
    seen_by_gto,
    seen_by_us,
    shown_by_gto,
    tag_command,
    tags,
)

Agree = Callable[..., None]


def hand_written(root: Path, *lines: tuple[str, str, int]) -> None:
    """Annotated tags by name, revision and second; for what ``gto.api`` refuses to write or dates otherwise."""
    import_into(
        root,
        [
            tag_command(name, git(root, "rev-parse", rev), START + second, "by hand")
            for name, rev, second in lines
        ],
    )


def test_registrations_with_and_without_counters(
    commits: Path, gto_writes: GtoWriter, registry: Registry, agree: Agree
) -> None:
    assert gto_writes("register", "m", "main~9") == ["m@v0.0.1"]
    agree(commits, registry, "m", after="the first")
    assert gto_writes("register", "m", "main~8", simple=False, bump_minor=True) == ["m@v0.1.0#1"]
    agree(commits, registry, "m", after="one with a counter")
    assert gto_writes("register", "m", "main~7", version="v0.0.7") == ["m@v0.0.7"]  # smaller than the latest
    agree(commits, registry, "m", after="a smaller one")
    assert registry.get("m").version == "v0.1.0"
    first = registry.get("m", version="v0.0.1")
    assert (first.rev, first.source_rev) == (git(commits, "rev-parse", "main~9"),) * 2
    assert (first.author, first.message) == ("Ann Author", gto_words("register", "m", "v0.0.1"))
    assert first.digest is None  # GTO knows no bytes


def test_assign_moves_a_stage_and_unassign_brings_the_holder_before_back(
    commits: Path, gto_writes: GtoWriter, registry: Registry, agree: Agree
) -> None:
    for rev in ("main~9", "main~8", "main~7"):
        gto_writes("register", "m", rev)
    for version in ("v0.0.1", "v0.0.3", "v0.0.2"):
        gto_writes("assign", "m", "prod", version=version)
        agree(commits, registry, "m", after=f"assign {version}")
        assert registry.get("m#prod").version == version
    for left, back in (("v0.0.2", "v0.0.3"), ("v0.0.1", "v0.0.3"), ("v0.0.3", None)):
        gto_writes("unassign", "m", version=left, stage="prod")
        agree(commits, registry, "m", after=f"unassign {left}")
        assert holder(registry, "m", "prod") == back


def test_a_stage_is_given_back_with_force(
    commits: Path, gto_writes: GtoWriter, registry: Registry, agree: Agree
) -> None:
    gto_writes("register", "m", "main~9")
    gto_writes("register", "m", "main~8")
    for version in ("v0.0.1", "v0.0.2", "v0.0.1"):
        gto_writes("assign", "m", "prod", version=version, force=True)
        agree(commits, registry, "m", after=f"assign {version}")
    assert registry.get("m#prod").version == "v0.0.1"


def test_assign_registers_a_commit_that_is_no_version(
    commits: Path, gto_writes: GtoWriter, registry: Registry, agree: Agree
) -> None:
    assert gto_writes("assign", "m", "prod", ref="main~5", name_version="v3.0.0") == ["m@v3.0.0", "m#prod#1"]
    agree(commits, registry, "m")
    assert registry.get("m#prod").version == "v3.0.0"


def test_one_version_may_hold_several_stages(
    commits: Path, gto_writes: GtoWriter, registry: Registry, agree: Agree
) -> None:
    gto_writes("register", "m", "main")
    for stage in ("dev", "eu/live", "eu/west/live", "1", "prod"):
        gto_writes("assign", "m", stage, version="v0.0.1", simple=stage == "dev")
        agree(commits, registry, "m", after=stage)
    assert set(registry.get("m").stages) == {"1", "dev", "eu/live", "eu/west/live", "prod"}


def test_a_deregistered_version_is_hidden_with_its_stages_until_it_is_registered_again(
    commits: Path, gto_writes: GtoWriter, registry: Registry, agree: Agree
) -> None:
    gto_writes("register", "m", "main~9")
    gto_writes("register", "m", "main~8")
    gto_writes("assign", "m", "prod", version="v0.0.1")
    gto_writes("assign", "m", "prod", version="v0.0.2")
    gto_writes("deregister", "m", version="v0.0.2")
    agree(commits, registry, "m", after="deregister")
    assert (registry.get("m").version, registry.get("m#prod").version) == ("v0.0.1", "v0.0.1")
    with pytest.raises(VersionNotFoundError, match="deregistered with GTO"):
        registry.get("m@v0.0.2")
    assert gto_writes("register", "m", "main~8", version="v0.0.2", simple=False) == ["m@v0.0.2#3"]
    agree(commits, registry, "m", after="register again")
    assert (registry.get("m").version, registry.get("m#prod").version) == ("v0.0.2", "v0.0.2")
    gto_writes("deregister", "m", version="v0.0.2", simple=False)
    gto_writes("deregister", "m", version="v0.0.1")
    agree(commits, registry, "m", after="deregister all")
    with pytest.raises(VersionNotFoundError, match="no version that may be served"):
        registry.get("m")


def test_a_stage_that_gto_gives_to_a_deregistered_version_shows_when_that_is_back(
    commits: Path, gto_writes: GtoWriter, registry: Registry, agree: Agree
) -> None:
    gto_writes("register", "m", "main~9")
    gto_writes("register", "m", "main~8")
    gto_writes("assign", "m", "prod", version="v0.0.1")
    gto_writes("deregister", "m", version="v0.0.2")
    gto_writes("assign", "m", "prod", version="v0.0.2")
    agree(commits, registry, "m", after="assign what is hidden")
    assert registry.get("m#prod").version == "v0.0.1"
    gto_writes("register", "m", "main~8", simple=False)
    agree(commits, registry, "m", after="register again")
    assert registry.get("m#prod").version == "v0.0.2"


def test_a_deprecated_model_is_hidden_and_revived_by_its_next_event(
    commits: Path, gto_writes: GtoWriter, registry: Registry, agree: Agree
) -> None:
    gto_writes("register", "m", "main~9")
    gto_writes("register", "other", "main~9")
    gto_writes("deprecate", "m")
    agree(commits, registry, "m", "other", after="deprecate")
    assert [row.name for row in registry.models()] == list(gto.api.show(commits)) == ["other"]
    gto_writes("register", "m", "main~8")
    agree(commits, registry, "m", after="register")
    gto_writes("deprecate", "m", force=True)
    agree(commits, registry, "m", after="deprecate again")
    assert seen_by_us(registry, "m").deprecated
    gto_writes("assign", "m", "prod", version="v0.0.1")
    agree(commits, registry, "m", after="assign")
    assert sorted(row.name for row in registry.models()) == ["m", "other"]


def test_monorepo_names_and_names_that_start_alike(
    commits: Path, gto_writes: GtoWriter, registry: Registry, agree: Agree
) -> None:
    names = ("m", "m1", "a/m", "a:m", "a/b:m", "a.b/c-d_e:m/n")
    for name in names:
        gto_writes("register", name, "main~9")
        gto_writes("assign", name, "prod", ref="main~8")
    agree(commits, registry, *names)
    assert sorted(row.name for row in registry.models()) == sorted(names)
    assert all(registry.get(f"{name}#prod").version == "v0.0.2" for name in names)


def test_prereleases_are_versions_and_latest_only_when_there_is_nothing_else(
    commits: Path, gto_writes: GtoWriter, registry: Registry
) -> None:
    gto_writes("register", "m", "main~9", version="v2.0.0-rc.2")
    gto_writes("register", "m", "main~8", version="v2.0.0-rc.11")
    assert registry.get("m").version == seen_by_gto(commits, "m").latest == "v2.0.0-rc.11"
    gto_writes("register", "m", "main~7", version="v1.9.0")
    ours, theirs = seen_by_us(registry, "m"), seen_by_gto(commits, "m")
    assert ours.versions == theirs.versions
    assert (ours.latest, theirs.latest) == ("v1.9.0", "v2.0.0-rc.11")  # the one difference


def test_build_metadata_orders_versions_for_us_and_not_for_gto(
    commits: Path, gto_writes: GtoWriter, registry: Registry
) -> None:
    gto_writes("register", "m", "main~9", version="v1.0.0+b")
    gto_writes("register", "m", "main~8", version="v1.0.0+a")
    ours, theirs = seen_by_us(registry, "m"), seen_by_gto(commits, "m")
    assert ours.versions == theirs.versions == {"v1.0.0+a", "v1.0.0+b"}
    assert ours.latest == "v1.0.0+b"
    assert theirs.latest == "v1.0.0+a"  # SemVer ranks them alike; the one registered later wins


def test_the_next_version_is_that_of_gto_save_for_what_was_taken_back(project: Path) -> None:
    """Bump arithmetic, of real registrations by both."""
    writes, registry = GtoWriter(project), Registry(project)
    writes("register", "churn", "main~4", version="v2.0.0-rc.1+b.5")
    for bump, following in (("patch", "v2.0.1"), ("minor", "v2.1.0"), ("major", "v3.0.0")):
        assert registry.register("churn", rev="main", bump=bump, dry_run=True).version == following
        (tag,) = writes("register", "churn", "main", **{f"bump_{bump}": True})
        assert tag == f"churn@{following}"
        git(project, "update-ref", "-d", f"refs/tags/{tag}")
    writes("register", "churn", "main~3", version="v2.0.1")
    writes("deregister", "churn", version="v2.0.1")
    # GTO proposes the number again and then stumbles over its tag; a number of ours is used once.
    assert registry.register("churn", rev="main", dry_run=True).version == "v2.0.2"
    with pytest.raises(Exception, match="already exists"):
        gto.api.register(project, "churn", "main")


def test_a_stage_on_a_commit_that_is_no_version_counts_for_nothing(
    commits: Path, gto_writes: GtoWriter, registry: Registry, agree: Agree
) -> None:
    gto_writes("register", "m", "main~9")
    gto_writes("assign", "m", "prod", version="v0.0.1")
    gto_writes("assign", "m", "prod", ref="main~5", skip_registration=True)
    # GTO names the bare commit, and the version when it is asked for registered ones only.
    assert holder_by_gto(commits, "m", "prod") == git(commits, "rev-parse", "main~5")
    agree(commits, registry, "m", after="assign a bare commit")
    assert registry.get("m#prod").version == "v0.0.1"
    assert ["no version is registered" in problem.what for problem in registry.check()] == [True]


def test_a_stage_tag_counts_from_its_time_once_its_commit_is_a_version(
    commits: Path, gto_writes: GtoWriter, registry: Registry, agree: Agree
) -> None:
    gto_writes("register", "m", "main~9")
    gto_writes("assign", "m", "prod", ref="main~5", skip_registration=True)
    gto_writes("assign", "m", "prod", version="v0.0.1")
    gto_writes("assign", "m", "dev", ref="main~5", skip_registration=True)
    gto_writes("register", "m", "main~5")
    agree(commits, registry, "m", after="the registration that came late")
    assert seen_by_us(registry, "m").holders == {"prod": "v0.0.1", "dev": "v0.0.2"}
    gto_writes("unassign", "m", version="v0.0.1", stage="prod")
    agree(commits, registry, "m", after="unassign")
    assert registry.get("m#prod").version == "v0.0.2"
    assert not registry.check()


def test_a_model_of_stage_tags_only_has_no_version(
    commits: Path, gto_writes: GtoWriter, registry: Registry, agree: Agree
) -> None:
    gto_writes("assign", "m", "prod", ref="main", skip_registration=True)
    agree(commits, registry, "m")
    with pytest.raises(VersionNotFoundError):
        registry.get("m")
    with pytest.raises(StageEmptyError):
        registry.get("m#prod")


def test_the_stages_of_gto_s_settings_are_ours(commits: Path, gto_writes: GtoWriter) -> None:
    (commits / ".gto").write_text("STAGES:\n- dev\n- prod\n")
    git(commits, "add", ".gto")
    git(commits, "commit", "--quiet", "--message", "Stages")
    registry = Registry(commits)
    gto_writes("register", "m", "main")
    gto_writes("assign", "m", "dev", version="v0.0.1")
    gto_writes("assign", "m", "prod", version="v0.0.1")
    assert registry.get("m").state == "prod"  # the later in the list is the higher
    assert registry.get("m").stages == ("prod", "dev")
    with pytest.raises(InvalidNameError, match="dev, prod"):
        registry.promote("m", "v0.0.1", "current")
    with pytest.raises(gto.exceptions.UnknownStage):
        gto.api.assign(commits, "m", "current", version="v0.0.1")


def test_stages_that_the_settings_forbid_are_hidden_by_gto_and_shown_and_reported_by_us(
    commits: Path, gto_writes: GtoWriter
) -> None:
    gto_writes("register", "m", "main")
    gto_writes("assign", "m", "old", version="v0.0.1")
    (commits / ".gto").write_text("stages: []\n")
    git(commits, "add", ".gto")
    git(commits, "commit", "--quiet", "--message", "Stages")
    registry = Registry(commits)
    assert gto.api.show(commits)["m"]["stage"] == {}
    assert shown_by_gto(commits, "m") == {"v0.0.1": {"old"}}  # GTO, of the version itself
    assert registry.get("m#old").version == "v0.0.1"
    assert [problem.where for problem in registry.check()] == ["stage 'old'"]


@pytest.mark.parametrize("stage", ["withdrawn", "inactive", "a//b", "x" * 41])
def test_settings_of_gto_that_we_cannot_follow_are_refused_by_name(commits: Path, stage: str) -> None:
    (commits / ".gto").write_text(f"stages: [{stage}]\n")
    git(commits, "add", ".gto")
    git(commits, "commit", "--quiet", "--message", "Stages")
    with pytest.raises(InvalidSettingsError, match=r"\.gto: .*not a stage"):
        Registry(commits).models()


def test_counters_are_only_names(commits: Path, registry: Registry, agree: Agree) -> None:
    """Studio numbers registrations too; numbers may have gaps, repeat, go back, or have leading zeros."""
    hand_written(
        commits,
        ("m@v1.0.0#7", "main~9", 1),
        ("m@v1.1.0#7", "main~8", 2),
        ("m#prod#9", "main~8", 3),
        ("m#prod#2", "main~9", 4),
        ("m#dev#0", "main~9", 5),
        ("m#dev#0010", "main~8", 6),
        ("m#prod!#1", "main~9", 7),
        ("m@v1.1.0!#3", "main~8", 8),
        ("m@v1.1.0", "main~8", 9),
    )
    agree(commits, registry, "m")
    assert seen_by_us(registry, "m").holders == {"prod": "v1.1.0", "dev": "v1.1.0"}
    assert not registry.check()


def test_in_one_second_the_kind_then_the_number_decides(commits: Path, registry: Registry) -> None:
    hand_written(
        commits,
        ("m@v1.0.0", "main~9", 1),
        ("m@v1.1.0", "main~8", 1),
        # The number: 10 is after 9. For GTO the version registered first wins, for DVC the last name as text.
        ("m#prod#9", "main~9", 2),
        ("m#prod#10", "main~8", 2),
        # The kind: an unassignment comes after an assignment, a deregistration after a registration.
        ("m#dev#2", "main~9", 3),
        ("m#dev!#1", "main~9", 3),
        ("m@v1.2.0!", "main~7", 4),
        ("m@v1.2.0", "main~7", 4),
        # A deprecation comes before everything else.
        ("m@deprecated", "main~9", 5),
        ("m#live#1", "main~9", 5),
    )
    assert seen_by_us(registry, "m").holders == {"prod": "v1.1.0", "live": "v1.0.0"}
    assert seen_by_us(registry, "m").versions == {"v1.0.0", "v1.1.0"}
    assert not seen_by_us(registry, "m").deprecated
    theirs = seen_by_gto(commits, "m")
    assert theirs.holders == {"prod": "v1.0.0", "live": "v1.0.0"}  # the one difference
    assert (theirs.versions, theirs.deprecated) == ({"v1.0.0", "v1.1.0"}, False)


def test_two_versions_on_one_commit_are_read_by_us_where_gto_fails(commits: Path, registry: Registry) -> None:
    hand_written(commits, ("m@v1.0.0", "main", 1), ("m@v2.0.0", "main", 2), ("m#prod#1", "main", 3))
    with pytest.raises(ManyVersions):
        gto.api.show(commits)
    assert registry.get("m#prod").version == "v2.0.0"  # the one registered last
    assert registry.get("m@v1.0.0").rev == registry.get("m@v2.0.0").rev
    assert ["registered at one commit" in problem.what for problem in registry.check()] == [True]


def test_one_version_on_two_commits_is_what_was_registered_first(commits: Path, registry: Registry) -> None:
    hand_written(commits, ("m@v1.0.0", "main~9", 1), ("m@v1.0.0#1", "main~8", 2), ("m#prod#1", "main~8", 3))
    assert registry.get("m@v1.0.0").rev == git(commits, "rev-parse", "main~9")
    assert holder(registry, "m", "prod") is None  # the second commit is no version
    assert any("which counts" in problem.what for problem in registry.check())


def test_a_stage_of_a_commit_that_lost_its_version_is_not_a_stage_of_the_version_s_new_commit(
    commits: Path, registry: Registry, agree: Agree
) -> None:
    """Deregistered here and registered there: the stage tag was about the bytes here."""
    hand_written(
        commits,
        ("m@v1.0.0", "main~9", 1),
        ("m#prod#1", "main~9", 2),
        ("m@v1.0.0!", "main~9", 3),
        ("m@v1.0.0#1", "main~8", 4),
    )
    agree(commits, registry, "m")
    assert holder(registry, "m", "prod") is None


def test_a_deregistration_of_another_commit_is_none(commits: Path, registry: Registry, agree: Agree) -> None:
    hand_written(commits, ("m@v1.0.0", "main~9", 1), ("m@v1.0.0!", "main~8", 2), ("m#prod#1", "main~9", 3))
    agree(commits, registry, "m")
    assert seen_by_us(registry, "m").versions == {"v1.0.0"}


def test_tags_that_are_not_of_the_grammar_are_nothing_to_either(
    commits: Path, registry: Registry, agree: Agree
) -> None:
    hand_written(
        commits,
        ("m@v1.0.0", "main~9", 1),
        *((name, "main", second) for second, name in enumerate(
            ("m@1.0.0", "m@v1.0", "m@v01.0.0", "m#a.b", "m#prod#x", "m#a#1#2", "v1.0.0", "m@latest", "m@v2.0.0#", "_m@v1.0.0"),
            start=2,
        )),
    )  # fmt: skip
    git(commits, "tag", "m@v9.0.0", "main~8")  # lightweight: of the grammar, and no event
    agree(commits, registry, "m")
    assert list(gto.api.show(commits)) == [row.name for row in registry.models()] == ["m"]
    assert [problem.where for problem in registry.check()] == ["m@v9.0.0"]


def test_a_counter_of_any_length_is_read(commits: Path, registry: Registry, agree: Agree) -> None:
    hand_written(commits, ("m@v1.0.0", "main~9", 1), (f"m#prod#{10**20}", "main~9", 2))
    agree(commits, registry, "m")
    assert registry.get("m#prod").version == "v1.0.0"


def test_we_write_on_after_gto_and_gto_after_us(project: Path, agree: Agree) -> None:
    """Each verb of ours on what GTO left, and GTO's on what we left; equal after every one."""
    registry, writes = Registry(project), GtoWriter(project)
    steps: list[Callable[[], object]] = [
        lambda: writes("register", "churn", "main~4"),
        lambda: writes("assign", "churn", "current", version="v0.0.1", simple=True),
        lambda: registry.register("churn", rev="main~3"),
        lambda: registry.promote("churn", "v0.0.2", "current", expected="v0.0.1"),
        lambda: writes("register", "churn", "main~2", simple=False),
        lambda: writes("assign", "churn", "current", version="v0.0.3"),
        lambda: registry.rollback("churn", "current"),
        lambda: writes("assign", "churn", "shadow", version="v0.0.2"),
        lambda: writes("unassign", "churn", version="v0.0.2", stage="current"),
        lambda: registry.promote("churn", "v0.0.3", "shadow"),
        lambda: registry.demote("churn", "shadow"),
        lambda: writes("assign", "churn", "shadow", version="v0.0.3", force=True),
        lambda: registry.rollback("churn", "shadow"),
        lambda: writes("deregister", "churn", version="v0.0.1"),
        lambda: registry.deprecate("churn"),
        lambda: writes("register", "churn", "main~1"),
        lambda: registry.register("churn", rev="main~4", version="v0.0.1"),  # what GTO deregistered
        lambda: registry.withdraw("churn", "v0.0.4"),
        lambda: writes("deprecate", "churn", force=True),  # the name without a counter is taken
        lambda: registry.promote("churn", "v0.0.3", "current"),
    ]
    for number, step in enumerate(steps):
        step()
        agree(project, registry, "churn", after=f"step {number}; tags {tags(project)[-4:]}")
    assert not registry.check()


def test_the_bytes_of_a_deregistered_version_get_a_commit_of_their_own_as_the_next_one(
    project: Path, agree: Agree
) -> None:
    writes, registry = GtoWriter(project), Registry(project)
    writes("register", "churn", "main")
    writes("deregister", "churn", version="v0.0.1")
    version = registry.register("churn")
    registry.promote("churn", version.version, "current")
    assert not registry.check()
    agree(project, registry, "churn")


def test_a_withdrawal_of_ours_stays_when_gto_registers_and_assigns_again(
    commits: Path, gto_writes: GtoWriter, registry: Registry
) -> None:
    gto_writes("register", "m", "main~9")
    gto_writes("register", "m", "main~8")
    registry.withdraw("m", "v0.0.2")
    gto_writes("register", "m", "main~8", simple=False)
    gto_writes("assign", "m", "prod", version="v0.0.2")
    assert seen_by_gto(commits, "m").holders == {"prod": "v0.0.2"}  # the one difference, and it is reported
    assert seen_by_us(registry, "m").holders == {}
    with pytest.raises(WithdrawnError):
        registry.get("m@v0.0.2")
    assert registry.check()


def test_a_deprecation_older_than_a_version_s_commit_has_ended_for_gto_only(
    commits: Path, gto_writes: GtoWriter, registry: Registry
) -> None:
    """GTO counts the commits of versions as events; a clock that was ahead when one was made is enough."""
    ahead = f"commit refs/heads/ahead\nmark :1\ncommitter Ann Author <ann@example.com> {START + 100} +0000\ndata 0\n\n"
    import_into(commits, [ahead])
    hand_written(commits, ("m@v1.0.0", "main", 1), ("m@v1.1.0", "ahead", 2), ("m@deprecated", "main", 3))
    assert not seen_by_gto(commits, "m").deprecated
    assert seen_by_us(registry, "m").deprecated


V1, V2 = ("churn@v1.0.0", "main~4", 1), ("churn@v2.0.0", "main~3", 2)
DVC_NAMES: dict[str, tuple[list[tuple[str, str, int]], dict[str, str], str]] = {
    "the last one assigned": (
        [V1, V2, ("churn#prod#1", "main~3", 3), ("churn#prod#2", "main~4", 4)],
        {"stage": "prod"},
        "main~4",
    ),
    "the last one unassigned": (
        [
            V1,
            V2,
            ("churn#prod#1", "main~4", 3),
            ("churn#prod#2", "main~3", 4),
            ("churn#prod!#3", "main~3", 5),
        ],
        {"stage": "prod"},
        "main~3",
    ),
    "a deregistered version as the latest": ([V1, V2, ("churn@v2.0.0!", "main~3", 3)], {}, "main~3"),
    "a pre-release as the latest": ([V1, ("churn@v2.0.0-rc.1", "main~3", 2)], {}, "main~3"),
    "what is deprecated": ([V1, ("churn@deprecated", "main~4", 2)], {}, "main~4"),
    "a bare commit": ([V1, ("churn#prod#1", "main~2", 2)], {"stage": "prod"}, "main~2"),
    "the commit of two versions": (
        [V1, ("churn@v3.0.0", "main~4", 2), ("churn#prod#1", "main~4", 3)],
        {"stage": "prod"},
        "main~4",
    ),
    "the later commit of one version": (
        [V1, ("churn@v1.0.0#1", "main~1", 2)],
        {"version": "v1.0.0"},
        "main~1",
    ),
    "in one second, the last name as text": (
        [V1, V2, ("churn#prod#9", "main~4", 3), ("churn#prod#10", "main~3", 3)],
        {"stage": "prod"},
        "main~4",
    ),
}


@pytest.mark.parametrize("case", DVC_NAMES)
def test_dvc_names(project: Path, case: str) -> None:
    lines, wanted, rev = DVC_NAMES[case]
    hand_written(project, *lines)
    assert dvc.api.artifacts_show("churn", repo=str(project), **wanted)["rev"] == git(
        project, "rev-parse", rev
    )
