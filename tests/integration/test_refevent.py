"""A job that a tag started is told what happened, in the clone that CI makes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

import modelregistry as mr
from modelregistry import Registry
from tests.integration.projects import commit, git, gto, init, put_tag, write

HOSTILE = "Loses\nversion=v9.9.9\nstage<<end\ncurrent\nend\n\n%0Aname=evil ${{ secrets.TOKEN }}\r\nevent=x"


@pytest.fixture
def hub(plain: Path, tmp_path: Path) -> Path:
    """The bare repository that the small project and its registry are pushed to."""
    write(
        plain / "dvc.yaml",
        "artifacts:\n  churn: {path: churn.json, type: model, desc: who leaves}\n  risk: {path: risk.json}\n",
    )
    commit(plain, "Describe it")
    hub = tmp_path / "hub.git"
    git(tmp_path, "clone", "--quiet", "--bare", os.fspath(plain), os.fspath(hub))
    git(plain, "remote", "add", "origin", hub.as_uri())
    return hub


@pytest.fixture
def shared(hub: Path, plain: Path) -> Registry:
    """The registry of the small project, which pushes every event to the hub."""
    return Registry(plain)


def checked_out(hub: Path, folder: Path, tag: str, *, since_6: bool) -> Path:
    """A clone as GitHub's checkout action makes it of a tag: that one, and one commit deep."""
    sha = git(hub, "rev-parse", f"refs/tags/{tag}^{{commit}}")
    source = f"refs/tags/{tag}" if since_6 else sha
    init(folder)
    git(folder, "remote", "add", "origin", hub.as_uri())
    git(
        folder, "-c", "protocol.version=2", "fetch", "--quiet", "--no-tags", "--prune", "--no-recurse-submodules",
        "--depth=1", "origin", f"+{source}:refs/tags/{tag}",
    )  # fmt: skip
    git(folder, "checkout", "--quiet", "--force", f"refs/tags/{tag}")
    return folder


def runner_reads(text: str) -> Mapping[str, str]:
    """The outputs of a step, as the runner takes them from the file."""
    outputs: dict[str, str] = {}
    lines = iter(text.split("\n")[:-1])
    for line in lines:
        if not line:
            continue
        equals, heredoc = line.find("="), line.find("<<")
        if heredoc >= 0 and (equals < 0 or heredoc < equals):
            name, _, end = line.partition("<<")
            assert name and end
            value = []
            while (each := next(lines)) != end:
                value.append(each)
            outputs[name] = "\n".join(value)
        else:
            name, separator, value_ = line.partition("=")
            assert separator and name, f"the runner would fail at {line!r}"
            outputs[name] = value_
    return outputs


def told(event: mr.refevent.RefEvent) -> tuple[object, ...]:  # type: ignore[name-defined]
    return event.event, event.name, event.version, event.stage, event.echo


def test_every_kind_of_event_is_told_by_the_words_of_gto(shared: Registry, plain: Path) -> None:
    shared.register("churn", message="First")
    shared.register("churn", rev="HEAD~2")
    shared.promote("churn", "v0.1.0", "current")
    shared.promote("churn", "v0.1.1", "current")
    shared.rollback("churn", "current")
    shared.demote("churn", "current")
    shared.withdraw("churn", "v0.1.1")
    shared.annotate("churn", "v0.1.0", {"owner": "risk"})
    shared.annotate("churn", None, {"owner": "risk"})
    shared.deprecate("churn")
    events = [mr.event_from_ref(event.source, registry=plain) for event in shared.history("churn")]
    assert [told(event) for event in events] == [
        ("registration", "churn", "v0.1.0", None, False),
        ("registration", "churn", "v0.1.1", None, False),
        ("assignment", "churn", "v0.1.0", "current", False),
        ("assignment", "churn", "v0.1.1", "current", False),
        ("assignment", "churn", "v0.1.0", "current", False),
        ("unassignment", "churn", "v0.1.0", "current", False),
        ("deregistration", "churn", "v0.1.1", None, False),
        ("annotation", "churn", "v0.1.0", None, False),
        ("annotation", "churn", None, None, False),
        ("deprecation", "churn", None, None, False),
    ]
    first = events[0]
    assert (first.path, first.type, first.description) == ("churn.json", "model", "who leaves")
    assert (first.author, first.message, first.tag) == ("Ann Author", "First", "churn@v0.1.0")
    assert first.rev == shared.get("churn@v0.1.0").rev and first.at == shared.get("churn@v0.1.0").created_at


@pytest.mark.parametrize("since_6", [True, False], ids=["with its message", "cut down to its commit"])
def test_a_clone_of_one_tag_and_one_commit_tells_as_much_as_the_whole_one(
    shared: Registry, plain: Path, hub: Path, tmp_path: Path, since_6: bool
) -> None:
    shared.register("churn")
    shared.promote("churn", "v0.1.0", "current", message="Better\n\nby far")
    ref = "refs/tags/churn#current#1"
    clone = checked_out(hub, tmp_path / "runner", "churn#current#1", since_6=since_6)
    assert git(clone, "cat-file", "-t", ref) == ("tag" if since_6 else "commit")
    before = git(clone, "for-each-ref")
    found = mr.event_from_ref(ref, registry=clone)
    assert found == mr.event_from_ref(ref, registry=plain)
    assert (found.version, found.message, found.path) == ("v0.1.0", "Better\n\nby far", "churn.json")
    assert git(clone, "for-each-ref") == before, "to ask changes nothing"
    assert git(clone, "rev-list", "--count", "HEAD") == "1", "and brings no history"


def test_where_the_message_was_cut_off_and_the_remote_is_gone_that_is_said(
    shared: Registry, hub: Path, tmp_path: Path
) -> None:
    shared.register("churn")
    clone = checked_out(hub, tmp_path / "runner", "churn@v0.1.0", since_6=False)
    hub.rename(tmp_path / "gone")
    with pytest.raises(mr.RemoteError, match="can't be reached"):
        mr.event_from_ref("churn@v0.1.0", registry=clone)


def test_what_only_repeats_a_change_for_gto_is_told_as_such(shared: Registry, plain: Path, hub: Path) -> None:
    shared.register("churn")
    shared.promote("churn", "v0.1.0", "current")
    shared.promote("churn", "v0.1.0", "shadow")
    (echo,) = [event for event in shared.history("churn", echoes=True) if event.echo_of is not None]
    found = mr.event_from_ref(f"refs/tags/{echo.source}", registry=plain)
    assert told(found) == ("unassignment", "churn", "v0.1.0", "current", True)
    assert found.outputs["echo"] == "true"


@pytest.mark.parametrize(
    "ref",
    [
        "refs/heads/main",
        "refs/heads/churn@v0.1.0",
        "refs/pull/3/merge",
        "refs/tags/v1.0.0",
        "nightly",
        "",
        "churn@",
    ],
)
def test_any_other_reference_is_refused_with_what_an_event_looks_like(ref: str, plain: Path) -> None:
    with pytest.raises(mr.InvalidReferenceError, match="churn#current#3"):
        mr.event_from_ref(ref, registry=plain)


def test_where_a_job_has_no_tag_that_is_said(plain: Path) -> None:
    with pytest.raises(mr.InvalidReferenceError, match="CI_COMMIT_TAG"):
        mr.event_from_ref(os.environ.get("NO_SUCH_VARIABLE"), registry=plain)  # type: ignore[arg-type]


def test_a_tag_that_only_looks_like_an_event_is_refused_with_the_reason(
    shared: Registry, plain: Path
) -> None:
    git(plain, "tag", "churn@v3.0.0")
    with pytest.raises(mr.InvalidReferenceError, match="lightweight"):
        mr.event_from_ref("churn@v3.0.0", registry=plain)
    with pytest.raises(mr.InvalidReferenceError, match=rf"no tag 'churn@v4\.0\.0', neither in '{plain}'"):
        mr.event_from_ref("refs/tags/churn@v4.0.0", registry=plain)
    put_tag(plain, "churn@v5.0.0", b"object nonsense")
    with pytest.raises(mr.InvalidReferenceError, match="well-formed"):
        mr.event_from_ref("churn@v5.0.0", registry=plain)
    with pytest.raises(mr.RepositoryNotFoundError):
        mr.event_from_ref("churn@v5.0.0", registry=plain.parent)


def test_events_of_gto_name_the_version_that_is_registered_at_their_commit(
    hub: Path, plain: Path, tmp_path: Path
) -> None:
    gto(plain, "register", "churn", "--version", "v1.0.0")
    gto(plain, "assign", "churn", "--version", "v1.0.0", "--stage", "current")
    git(plain, "push", "--quiet", "origin", "--tags")
    assert told(mr.event_from_ref("churn@v1.0.0", registry=plain))[:3] == ("registration", "churn", "v1.0.0")
    assert told(mr.event_from_ref("churn#current#1", registry=plain)) == (
        "assignment", "churn", "v1.0.0", "current", False,
    )  # fmt: skip
    clone = checked_out(hub, tmp_path / "runner", "churn#current#1", since_6=True)
    with pytest.raises(mr.VersionNotFoundError, match="git fetch") as error:
        mr.event_from_ref("churn#current#1", registry=clone)
    remedy = str(error.value).partition("'git fetch --depth=1 origin \"")[2].partition('"')[0]
    git(clone, "fetch", "--quiet", "--depth=1", "origin", remedy)
    assert mr.event_from_ref("churn#current#1", registry=clone).version == "v1.0.0"


def test_outputs_are_each_their_own_whatever_a_description_and_a_message_hold(
    shared: Registry, plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import json

    write(plain / "dvc.yaml", json.dumps({"artifacts": {"churn": {"path": "churn.json", "desc": HOSTILE}}}))
    commit(plain, "Describe it with malice")
    git(plain, "push", "--quiet", "origin", "main")
    shared.register("churn", message=HOSTILE)
    shared.promote("churn", "v0.1.0", "current")
    event = mr.event_from_ref("churn@v0.1.0", registry=plain)
    assert event.description == HOSTILE
    output = write(tmp_path / "output", "earlier=step\nunfinished=line")
    monkeypatch.setenv("GITHUB_OUTPUT", os.fspath(output))
    event.write_github_output()
    found = runner_reads(output.read_bytes().decode())
    assert found == {"earlier": "step", "unfinished": "line", **event.outputs}
    assert (found["description"], found["message"]) == (HOSTILE, event.message)
    assert (found["version"], found["stage"], found["event"], found["type"]) == (
        "v0.1.0",
        "",
        "registration",
        "",
    )
    mr.event_from_ref("churn#current#1", registry=plain).write_github_output(output)
    assert runner_reads(output.read_bytes().decode())["stage"] == "current", "the later one counts"


def test_outputs_need_a_file_to_go_to(
    shared: Registry, plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GITHUB_OUTPUT", raising=False)
    shared.register("churn")
    event = mr.event_from_ref("churn@v0.1.0", registry=plain)
    with pytest.raises(mr.InvalidInputError, match="GITHUB_OUTPUT is not set"):
        event.write_github_output()
    with pytest.raises(mr.InvalidInputError, match="can't be written"):
        event.write_github_output(tmp_path / "no" / "such")
