"""Names against the programs that have to live with them: git, GTO and semver."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest
import semver
from hypothesis import given, settings
from hypothesis import strategies as st

from modelregistry.errors import InvalidNameError, InvalidReferenceError
from modelregistry.log.tags import parse_name, tag_prefix
from modelregistry.names import (
    Reference,
    bumped,
    check_model,
    check_stage,
    check_version,
    is_prerelease,
    version_key,
)
from tests.gitfolders import make_repository, run_git
from tests.strategies import FUZZ, versions

PIECES = [
    *"aZ09-_/.:", "..", "//", "/.", "./", ".lock", ".lock/", "lock", "@", "@{", "=", "#", "!", "~", "^", "*", "?", "[",
    "\\", " ", "\n", "\x7f", "\0", "é", "-", "HEAD", "refs/tags/", "v1.0.0", "latest", "deprecated", "annotate", "dir:",
    "a/b", "churn", "x" * 60, "prod", *"abcXYZ0123456789abcdef", *"abcdefghijkl", "_a", "-b", "/c", "d/e-f_g",
]  # fmt: skip
VERSION_PIECES = [
    *"v019.-+a",
    "v1.2.3",
    "-rc.1",
    "+b.5",
    "-x.lock",
    ".lock",
    "..",
    "01",
    "/",
    "#",
    "@{",
    "\n",
    "9" * 30,
    "0.0",
    "v0.1.0",
    "v1.0.0-a",
    "v2.3.4+b",
    ".1",
    ".x",
    "-y",
]


def accepted(check: object, pieces: list[str], count: int, seed: int, *, least: int = 0) -> list[str]:
    """What ``check`` lets pass of ``count`` random texts, or of as many as it takes for ``least`` to pass."""
    source = random.Random(seed)
    found: set[str] = set()
    while count > 0 or len(found) < least:
        count -= 1
        text = "".join(source.choices(pieces, k=source.randint(1, 6)))
        try:
            assert check(text) == text  # type: ignore[operator]
        except InvalidNameError:
            continue
        found.add(text)
    return sorted(found)


@pytest.fixture(scope="module")
def names() -> tuple[list[str], list[str], list[str]]:
    models = accepted(check_model, PIECES, 60_000, 1, least=FUZZ)
    stages = accepted(check_stage, PIECES, 30_000, 2, least=FUZZ // 10)
    releases = accepted(check_version, VERSION_PIECES, 60_000, 3)
    assert len(models) > 2000 and len(stages) > 500 and len(releases) > 150
    return models, stages, releases


@pytest.fixture(scope="module")
def tags(names: tuple[list[str], list[str], list[str]]) -> dict[str, tuple[str, str, int]]:
    """The name of a tag for each model, each version and each stage; with what it says."""
    models, stages, releases = names
    source = random.Random(4)
    found = {}
    for model in models:
        version, stage, number = (
            source.choice(releases),
            source.choice(stages),
            source.choice(["", "#1", "#" + "9" * 18]),
        )
        slot = source.choice(
            [f"@{version}", f"@{version}!", f"#{stage}", f"#{stage}!", "@deprecated", "@annotate"]
        )
        found[tag_prefix(model) + slot + number] = (model, slot, int(number[1:] or 0))
    found |= {f"m@{version}{end}": ("m", f"@{version}{end}", 0) for version in releases for end in ("", "!")}
    found |= {f"m#{stage}#1": ("m", f"#{stage}", 1) for stage in stages}
    return found


def refused_by_git(folder: Path, names: Iterable[str]) -> bytes:
    """What git says of the first tag whose name it does not take; nothing where it takes all.

    One process for all: ``update-ref`` holds a name to the rules of ``check-ref-format`` where it reads the line.
    """
    lines = "".join(f"verify refs/tags/{name}\0\0" for name in names)
    done = subprocess.run(
        ["git", "update-ref", "-z", "--stdin"],
        cwd=folder, input=f"start\0{lines}abort\0".encode(), capture_output=True, check=False,
    )  # fmt: skip
    assert (done.returncode == 0) == (done.stdout == b"start: ok\nabort: ok\n"), done
    return done.stderr


def test_git_takes_the_name_of_every_tag_of_accepted_names(
    tags: dict[str, tuple[str, str, int]], tmp_path: Path
) -> None:
    make_repository(tmp_path)
    assert refused_by_git(tmp_path, tags) == b""
    assert b"a..b" in refused_by_git(tmp_path, [*tags, "a..b"])
    print(f"\n{len(tags)} names of tags, 0 that git refuses")


def test_all_names_in_one_process_are_held_to_what_check_ref_format_says_of_each(tmp_path: Path) -> None:
    make_repository(tmp_path)
    source = random.Random(8)
    seen = [0, 0]
    for _ in range(150):
        name = "".join(source.choices([*PIECES, *VERSION_PIECES], k=source.randint(1, 4))).replace("\0", "")
        one = subprocess.run(["git", "check-ref-format", f"refs/tags/{name}"], check=False).returncode == 0
        assert one == (refused_by_git(tmp_path, [name]) == b""), name
        seen[one] += 1
    assert min(seen) > 20


def test_git_gives_every_name_back_unchanged(tags: dict[str, tuple[str, str, int]], tmp_path: Path) -> None:
    commit = make_repository(tmp_path)
    # Each below a folder of its own, because 'm#a' and 'm#a/b' are a file and a folder of one name.
    refs = {f"refs/tags/{position}/{tag}": tag for position, tag in enumerate(tags)}
    few = list(refs)[:15_000]
    lines = "".join(f"create {ref} {commit}\n" for ref in few)
    run_git(tmp_path, "-c", "core.fsync=none", "update-ref", "--stdin", stdin=lines.encode())
    listed = run_git(tmp_path, "for-each-ref", "--format=%(refname)", "refs/tags").decode().splitlines()
    assert sorted(listed) == sorted(few), "as files"
    packed = "".join(f"{commit} {ref}\n" for ref in sorted(refs))
    (tmp_path / ".git" / "packed-refs").write_text(packed)
    listed = run_git(tmp_path, "for-each-ref", "--format=%(refname)", "refs/tags").decode().splitlines()
    assert sorted(listed) == sorted(refs), "packed"
    for ref in listed:
        found = parse_name(refs[ref])
        assert found is not None
        assert (found.model, found.slot, found.number) == tags[refs[ref]]


def test_the_longest_names_fit_git(tmp_path: Path) -> None:
    model, version, stage = check_model("m" * 120), check_version("v1.0.0-" + "a" * 53), check_stage("s" * 40)
    commit = make_repository(tmp_path)
    for slot in (f"@{version}!#{'9' * 18}", f"#{stage}!#{'9' * 18}"):
        run_git(tmp_path, "update-ref", f"refs/tags/{model}{slot}", commit)
    for check, text in (
        (check_model, "m" * 121),
        (check_version, "v1.0.0-" + "a" * 54),
        (check_stage, "s" * 41),
    ):
        with pytest.raises(InvalidNameError, match="is the most"):
            check(text)


def test_whatever_git_refuses_is_refused_here(tmp_path: Path) -> None:
    """The other way round, name by name, for what git's manual lists."""
    make_repository(tmp_path)
    for name in (
        "a//b",
        "./x:m",
        "../x:m",
        "x/.y:m",
        "d.lock/x:m",
        "/d:m",
        "a..b:m",
        ".a:m",
        "a/",
        "/a",
        "a b",
        "a~b",
        "a^b",
        "a\\b",
    ):
        with pytest.raises(InvalidNameError):
            check_model(name)
    with pytest.raises(InvalidNameError):
        check_version("v1.0.0-x.lock")


def test_gto_and_this_library_take_the_same_tags_apart_alike() -> None:
    constants = pytest.importorskip("gto.constants")
    grammar = constants.tag_re
    source = random.Random(5)
    pieces = [
        *PIECES,
        *VERSION_PIECES,
        *["#1", "@v1.0.0", "#prod", "!", "@created", "@deprecated", "dir=", "m"] * 4,
    ]
    alike = 0
    for _ in range(60_000):
        name = "".join(source.choices(pieces, k=source.randint(1, 5)))
        if name.endswith("\n"):
            continue  # GTO's '$' also matches before it; no reference can hold one
        theirs, ours = grammar.search(name), parse_name(name)
        if ours is not None and ours.word == "annotate":
            assert theirs is None, "GTO skips our annotations"
            continue
        assert (theirs is None) == (ours is None), name
        alike += ours is not None
    assert alike > 500


@settings(max_examples=500)
@given(versions, versions)
def test_versions_sort_as_semver_says(one: str, other: str) -> None:
    left, right = semver.Version.parse(one[1:]), semver.Version.parse(other[1:])
    comparison = left.compare(right)
    assert (version_key(one) > version_key(other)) == (
        comparison > 0 or (comparison == 0 and (left.build or "") > (right.build or ""))
    )
    assert (version_key(one) == version_key(other)) == (one == other)
    assert is_prerelease(one) == (left.prerelease is not None)


@settings(max_examples=200)
@given(versions, st.sampled_from(["major", "minor", "patch"]))
def test_a_bump_is_a_greater_release(version: str, bump: str) -> None:
    after = bumped(version, bump)  # type: ignore[arg-type]
    assert check_version(after) == after
    assert version_key(after) > version_key(version)
    assert not is_prerelease(after) and "+" not in after


def test_every_reference_to_accepted_names_reads_back(names: tuple[list[str], list[str], list[str]]) -> None:
    models, stages, releases = names
    source = random.Random(6)
    for model in models:
        for reference in (
            Reference(model),
            Reference(model, version=source.choice(releases)),
            Reference(model, stage=source.choice(stages)),
        ):
            assert Reference.parse(str(reference)) == reference
        assert Reference.parse(model) == Reference(model)
        assert Reference.parse(f"models:/{model}@{stages[0]}") == Reference(model, stage=stages[0])


@settings(max_examples=300)
@given(st.lists(st.sampled_from([*PIECES, *VERSION_PIECES, "models:/", "@latest"]), max_size=6).map("".join))
def test_any_text_is_a_reference_or_refused_as_one(text: str) -> None:
    try:
        reference = Reference.parse(text)
    except InvalidReferenceError:
        return
    assert Reference.parse(str(reference)) == reference
    assert reference.version is None or reference.stage is None
