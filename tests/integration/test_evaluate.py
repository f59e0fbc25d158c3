"""Measuring a version: a real command on verified bytes, what is recorded of it, and what is refused."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import modelregistry as mr
from modelregistry import Registry
from tests.integration.projects import commit, git, run, visible, write

# What a team's own script may be like: it reads the model and the data, and writes metrics.
SCRIPT = """\
import json, os, sys
model, data, output = sys.argv[1:4]
assert [model, data, output] == [os.environ[f"MODELREGISTRY_{name}"] for name in ("MODEL", "DATA", "OUTPUT")]
rows = open(data).read().split()
json.dump({"auc": json.load(open(model))["churn"] / len(rows), "by": {"old": 0.25}}, open(output, "w"))
print("measured", len(rows))
"""
COMMAND = ("python", "evaluate.py", "{model}", "{data}", "{output}")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write(tmp_path / "elsewhere" / "held out.csv", "1\n2\n3\n4\n")


@pytest.fixture
def team(plain: Path) -> Registry:
    """A version of ``churn`` whose commit has the script, and whose block says how it is run."""
    write(plain / "evaluate.py", SCRIPT)
    write(plain / "churn.json", '{"churn": 3}')
    commit(plain)
    found = Registry(plain)
    metrics = {
        "auc": {"direction": "higher", "threshold": 0.8},
        "by.old": {"direction": "lower", "threshold": 0.3},
    }
    found.register("churn", metadata={"evaluation": {"command": [*COMMAND], "metrics": metrics}})
    return found


@pytest.fixture
def hub(plain: Path, tmp_path: Path) -> Path:
    """What two people share."""
    git(tmp_path, "clone", "--quiet", "--bare", os.fspath(plain), "hub.git")
    return tmp_path / "hub.git"


def say(*lines: str) -> Sequence[str]:
    """A command of the caller's own that runs these lines of Python."""
    return (
        sys.executable,
        "-c",
        "\n".join(("import json, os, sys, time", "out = os.environ['MODELREGISTRY_OUTPUT']", *lines)),
    )


def test_a_command_of_the_callers_own_is_run_and_what_it_measured_is_recorded(
    registry: Registry, data: Path
) -> None:
    command = say(
        "model = json.load(open(sys.argv[1]))",
        "json.dump({'auc': 0.5 + model['churn']}, open(sys.argv[2], 'w'))",
    )
    found = registry.evaluate(
        "churn#current", data=data, command=[*command, "{model}", "{output}"], message="held out"
    )
    assert (found.reference, found.metrics, found.recorded) == ("churn@v0.1.0", {"auc": 0.5}, True)
    metadata = registry.get("churn@v0.1.0").metadata
    assert metadata["metrics"] == {"auc": 0.5}
    evaluated = metadata["evaluated"]
    assert isinstance(evaluated, dict)
    assert evaluated["data"] == "held out.csv"
    assert evaluated["digest"] == f"sha256:{hashlib.sha256(data.read_bytes()).hexdigest()}" == found.digest
    assert evaluated["command"] == [*command, "{model}", "{output}"]
    assert evaluated["environment"] == {"python": ".".join(map(str, sys.version_info[:3]))}
    assert evaluated["seconds"] == round(found.seconds, 3) > 0
    assert registry.history("churn")[-1].message == "held out"


def test_a_command_of_the_repository_is_refused_until_the_caller_vouches_for_that_very_one(
    team: Registry, data: Path, plain: Path
) -> None:
    before = visible(plain)
    with pytest.raises(mr.UntrustedModelError, match=r"python evaluate.py") as caught:
        team.evaluate("churn", data=data)
    assert visible(plain) == before
    digest = caught.value.digest
    assert f'trust=["{digest}"]' in caught.value.remedies
    with pytest.raises(mr.UntrustedModelError):
        team.evaluate("churn", data=data, trust=["sha256:" + "0" * 64])
    with pytest.raises(mr.UntrustedModelError):  # the bytes may be trusted, and say nothing of a command
        team.evaluate("churn", data=data, trust=[str(team.get("churn").digest)])
    found = team.evaluate("churn", data=data, trust=[digest])
    assert found.metrics == {"auc": 0.75, "by": {"old": 0.25}}
    assert found.unmet == ("auc",)
    assert found.log.strip() == "measured 4"
    assert team.evaluate("churn", data=data, trust="code").metrics == found.metrics
    team.annotate("churn", "v0.1.0", {"evaluation": {"command": ["python", "-c", "print()"]}})
    with pytest.raises(mr.UntrustedModelError):  # another command, which nobody vouched for
        team.evaluate("churn", data=data, trust=[digest])


def test_a_command_that_a_trusted_signer_wrote_runs_and_one_that_another_wrote_does_not(
    team: Registry, data: Path, plain: Path, tmp_path: Path
) -> None:
    policy = '[trust]\nsigners = ["ann@example.com"]\n'
    for name in ("ann", "bob"):
        run(tmp_path, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", name)
        key = (tmp_path / f"{name}.pub").read_text().strip()
        policy += f'[[signer]]\nprincipal = "{name}@example.com"\nkey = "{key}"\n'
    write(tmp_path / "policy.toml", policy).chmod(0o600)

    def be(name: str) -> Registry:
        git(plain, "config", "user.email", f"{name}@example.com")
        git(plain, "config", "gpg.format", "ssh")
        git(plain, "config", "user.signingKey", os.fspath(tmp_path / name))
        return Registry(plain, sign=True)

    def measure() -> object:
        return reader.evaluate("churn@v0.2.0", data=data, dry_run=True).metrics["auc"]

    write(plain / "churn.json", '{"churn": 4}')
    commit(plain)
    be("ann").register("churn", version="v0.2.0", metadata={"evaluation": {"command": [*COMMAND]}})
    reader = Registry(plain, signers=tmp_path / "policy.toml")
    with pytest.warns(mr.UncountedEventWarning):  # what was not signed counts for nothing
        reader.versions("churn")
    assert measure() == 1.0
    be("bob").annotate("churn", "v0.2.0", {"evaluation": {"command": [*COMMAND, "more"]}})
    with pytest.raises(mr.UntrustedModelError, match="more"):
        measure()
    be("ann").annotate("churn", "v0.2.0", {"evaluation": {"command": [*COMMAND]}})
    assert measure() == 1.0


def test_a_command_of_the_repository_runs_in_a_copy_of_the_versions_commit(
    team: Registry, data: Path, plain: Path
) -> None:
    write(plain / "evaluate.py", "raise SystemExit('the working copy')")
    commit(plain)
    assert team.evaluate("churn", data=data, trust="code").metrics["auc"] == 0.75
    assert not (plain / "metrics.json").exists()


def test_the_model_as_a_whole_can_say_how_its_versions_are_measured(
    team: Registry, data: Path, plain: Path
) -> None:
    write(plain / "churn.json", '{"churn": 4}')
    commit(plain)
    team.register("churn", version="v0.2.0")
    with pytest.raises(mr.InvalidInputError, match=r"nothing says how churn@v0.2.0 is measured"):
        team.evaluate("churn", data=data)
    team.annotate("churn", None, {"evaluation": {"command": [*COMMAND]}})
    assert team.evaluate("churn", data=data, trust="code").metrics["auc"] == 1.0


def test_a_dry_run_measures_and_records_nothing(registry: Registry, data: Path, plain: Path) -> None:
    before = visible(plain)
    found = registry.evaluate(
        "churn", data=data, command=say("json.dump({'a': 1}, open(out, 'w'))"), dry_run=True
    )
    assert (found.metrics, found.recorded) == ({"a": 1}, False)
    assert visible(plain) == before


def test_a_folder_of_data_has_the_digest_of_its_manifest(registry: Registry, tmp_path: Path) -> None:
    command = say("json.dump({'a': 1}, open(out, 'w'))")
    for name in ("one", "two"):
        write(tmp_path / name / "a.csv", "1")
        write(tmp_path / name / "deep" / "b.csv", "2")
    digests = {
        registry.evaluate("churn", data=tmp_path / name, command=command).digest for name in ("one", "two")
    }
    assert len(digests) == 1
    write(tmp_path / "two" / "deep" / "b.csv", "3")
    assert registry.evaluate("churn", data=tmp_path / "two", command=command).digest not in digests


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["sys.exit('no such column')"], r"ended with 1\n\nno such column"),
        ([], "the command wrote no metrics"),
        (["open(out, 'w').write('{')"], "the metrics are no JSON"),
        (["open(out, 'w').write('[' * 100000)"], "the metrics are no JSON"),
        (["open(out, 'w').write(' ' * 2000000)"], "more than 1,048,576 bytes"),
        (["open(out, 'w').write('[0.9]')"], r"must be a JSON object such as .*; got \[0.9\]"),
        (["open(out, 'w').write('{}')"], "must be a JSON object"),
        (["open(out, 'w').write('{\"auc\": NaN}')"], "the metric 'auc' is nan, which is no finite number"),
        (["open(out, 'w').write('{\"auc\": -Infinity}')"], "the metric 'auc' is -inf"),
        (["open(out, 'w').write('{\"auc\": 1e999}')"], "the metric 'auc' is inf"),
        (["json.dump({'by': {'auc': '0.9'}}, open(out, 'w'))"], "the metric 'by.auc' is '0.9', which is no finite number"),
        (["json.dump({'auc': True}, open(out, 'w'))"], "the metric 'auc' is True"),
        (["json.dump({'auc': None}, open(out, 'w'))"], "the metric 'auc' is None"),
        (["json.dump({'auc': [1]}, open(out, 'w'))"], r"the metric 'auc' is \[1\]"),
        (["json.dump({'by': {}}, open(out, 'w'))"], "the metric 'by' is {}"),
        (["open(out, 'w').write('{\"n\": ' + '9' * 400 + '}')"], "the metric 'n' is 9999"),
    ],
)  # fmt: skip
def test_what_went_wrong_is_told_and_nothing_is_recorded(
    registry: Registry, data: Path, plain: Path, lines: list[str], words: str
) -> None:
    before = visible(plain)
    with pytest.raises(mr.RefusedError, match=words):
        registry.evaluate("churn", data=data, command=say(*lines))
    assert visible(plain) == before


def test_data_that_is_no_path_is_told(registry: Registry) -> None:
    with pytest.raises(mr.InvalidInputError, match="data=5"):
        registry.evaluate("churn", data=5, command=say("pass"))  # type: ignore[arg-type]


def test_a_command_that_takes_too_long_is_ended_with_all_that_it_started(
    registry: Registry, data: Path, tmp_path: Path
) -> None:
    note = tmp_path / "child"
    child = "import os, time; open(sys.argv[1], 'w').write(str(os.getpid())); time.sleep(600)".replace(
        "sys.argv[1]", repr(os.fspath(note))
    )
    command = say(
        "import subprocess",
        f"subprocess.Popen([sys.executable, '-c', {child!r}])",
        f"while not os.path.exists({os.fspath(note)!r}): time.sleep(0.01)",
        "time.sleep(600)",
    )
    with pytest.raises(mr.RefusedError, match="was not measured within 2 seconds, and nothing was recorded"):
        registry.evaluate("churn", data=data, command=command, timeout=2)
    process = int(note.read_text())
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            break
        if state == "Z":
            break
    else:
        pytest.fail("what it started still runs")


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"command": "python evaluate.py"}, "it must be a list of a program and its arguments"),
        ({"command": []}, "it must be a list"),
        ({"command": ["python", 3]}, "3 is no argument of a program"),
        ({"command": ["python", "a\0b"]}, "is no argument"),
        ({"command": ["python"], "data": "nowhere.csv"}, "there is no such file"),
        ({"command": ["python"], "timeout": 0}, "it must be a number of seconds"),
        ({"command": ["python"], "timeout": "1"}, "it must be a number of seconds"),
        ({}, "nothing says how churn@v0.1.1 is measured"),
    ],
)  # fmt: skip
def test_bad_input_is_told_before_anything_runs(
    registry: Registry, data: Path, facts: dict[str, Any], words: str
) -> None:
    with pytest.raises(mr.InvalidInputError, match=words):
        registry.evaluate("churn", **{"data": data, **facts})


def test_a_program_that_is_not_there_is_told(registry: Registry, data: Path) -> None:
    with pytest.raises(mr.RefusedError, match="'no-such-program' can't be run"):
        registry.evaluate("churn", data=data, command=["no-such-program"])


def test_no_shell_reads_the_command(registry: Registry, data: Path, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    command = [
        *say("json.dump({'n': len(sys.argv)}, open(out, 'w'))"),
        f"; touch {mark}",
        f"$(touch {mark})",
        "{0}",
        "{}",
    ]
    assert registry.evaluate("churn", data=data, command=command).metrics == {"n": 5}
    assert not mark.exists()


def test_data_that_changes_meanwhile_is_told_and_nothing_is_recorded(
    registry: Registry, data: Path, plain: Path
) -> None:
    before = visible(plain)
    command = say(f"open({os.fspath(data)!r}, 'a').write('5')", "json.dump({'a': 1}, open(out, 'w'))")
    with pytest.raises(mr.InvalidInputError, match=r"changed while churn@v0.1.1 was measured on it"):
        registry.evaluate("churn", data=data, command=command)
    assert visible(plain) == before


def test_bytes_that_are_not_the_registered_ones_are_not_measured(
    served: Registry, data: Path, project: Path, fresh_cache: Path
) -> None:
    for path in (project / ".dvc" / "cache" / "files").rglob("*"):
        if path.is_file():
            path.chmod(0o644)
            path.write_bytes(b"other")
    with pytest.raises(mr.IntegrityError):
        served.evaluate("churn#current", data=data, command=say("json.dump({'a': 1}, open(out, 'w'))"))


def test_a_promotion_is_refused_below_and_keeps_the_figures_that_it_judged(
    registry: Registry, data: Path
) -> None:
    for version, auc in (("v0.1.0", 0.9), ("v0.1.1", 0.905)):
        command = say(f"json.dump({{'auc': {auc}}}, open(out, 'w'))")
        registry.evaluate(f"churn@{version}", data=data, command=command)
    with pytest.raises(
        mr.RefusedError,
        match=r"metrics.auc is 0.905, and > current \+ 0.01 is required: churn@v0.1.0 has 0.9",
    ):
        registry.promote("churn", "v0.1.1", "current", require={"metrics.auc": "> current + 0.01"})
    assert registry.get("churn#current").version == "v0.1.0"
    require = {"metrics.auc": "> current", "metrics.auc ": ">= 0"}
    with pytest.raises(mr.RefusedError, match=r"no number 'metrics.auc '"):
        registry.promote("churn", "v0.1.1", "current", require=require)
    registry.promote("churn", "v0.1.1", "current", require={"metrics.auc": "> current"})
    (event,) = [event for event in Registry(registry.target).history("churn") if getattr(event, "judged", ())]
    (found,) = event.to_json()["judged"]
    assert found == {
        "figure": "metrics.auc", "wish": "> current", "value": 0.905, "holder": "v0.1.0", "holder_value": 0.9,
    }  # fmt: skip


def test_what_is_required_is_judged_on_what_others_wrote_meanwhile(
    clone: Callable[[str], Path],
) -> None:
    mine, theirs = Registry(clone("ann")), Registry(clone("bob"))
    mine.register("churn", rev="main~1")
    mine.register("churn")
    mine.promote("churn", "v0.1.0", "current")
    for version, auc in (("v0.1.0", 0.8), ("v0.1.1", 0.9)):
        mine.annotate("churn", version, {"metrics": {"auc": auc}})
    theirs.sync()
    theirs.annotate("churn", "v0.1.0", {"metrics": {"auc": 0.95}}, message="measured again")
    assert mine.get("churn@v0.1.0").metadata["metrics"] == {"auc": 0.8}
    with pytest.raises(mr.RefusedError, match=r"churn@v0.1.0 has 0.95"):
        mine.promote("churn", "v0.1.1", "current", require={"metrics.auc": "> current"})
    theirs.annotate("churn", "v0.1.0", {"metrics": {"auc": 0.7}})
    mine.promote("churn", "v0.1.1", "current", require={"metrics.auc": "> current"})
    theirs.sync()
    (event,) = [event for event in theirs.history("churn") if getattr(event, "judged", ())]
    assert event.to_json()["judged"][0]["holder_value"] == 0.7


def test_a_figure_that_somebody_takes_back_while_a_promotion_is_pushed_does_not_count(
    clone: Callable[[str], Path], hub: Path
) -> None:
    mine = Registry(clone("ann"))
    mine.register("churn", metrics={"f1": 0.8})
    mine.annotate("churn", "v0.1.0", {"metrics": {"auc": 0.9}})
    theirs = Registry(clone("bob"), push=False)
    theirs.annotate("churn", "v0.1.0", {"metrics": None}, message="measured on the wrong data")
    tag = next(
        name for name in git(Path(theirs.target), "tag").split() if name.startswith("churn@annotate#2")
    )
    git(Path(theirs.target), "push", "--quiet", "origin", f"refs/tags/{tag}:refs/held/tag")
    mine.promote("churn", "v0.1.0", "shadow")  # so that what comes next is dated later than that
    hook = write(
        hub / "hooks" / "update",
        f"#!/bin/sh\ncase $1 in *churn#current*) git update-ref 'refs/tags/{tag}' refs/held/tag;; esac\n",
    )
    hook.chmod(0o755)
    with pytest.raises(mr.ConflictError):
        mine.promote("churn", "v0.1.0", "current", require={"metrics.f1": "> 0.5", "metrics.auc": "> 0.5"})


def test_compare_says_which_metric_is_better(registry: Registry) -> None:
    registry.annotate(
        "churn", None,
        {"evaluation": {"metrics": {"auc": {"direction": "higher"}, "loss": {"direction": "lower"}}}},
    )  # fmt: skip
    registry.annotate("churn", "v0.1.0", {"metrics": {"auc": 0.9, "loss": 0.3, "time": 3}})
    registry.annotate("churn", "v0.1.1", {"metrics": {"auc": 0.8, "loss": 0.2, "time": 4}})
    rows = {row.what: row for row in registry.compare("churn@v0.1.0", "churn@v0.1.1").rows}
    assert [rows[f"metrics.{name}"].better for name in ("auc", "loss", "time")] == [False, True, None]
    assert (rows["metrics.auc"].base, rows["metrics.auc"].candidate) == (0.9, 0.8)
    assert json.loads(
        json.dumps(registry.compare("churn@v0.1.0", "churn@v0.1.1").rows.to_dicts()[-1], default=str)
    )
