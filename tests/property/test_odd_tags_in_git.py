"""Odd tags in a real repository: nothing that one model's tags say changes the answer about another."""

from __future__ import annotations

import gc
import io
import random
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from modelregistry.backends.base import Outline
from modelregistry.backends.git import GitBackend
from modelregistry.errors import GitError
from modelregistry.git.call import LOCAL_SECONDS
from modelregistry.git.repo import GitRepo, _tag_object
from modelregistry.log.checks import problems_in
from modelregistry.log.history import History, Stages
from modelregistry.log.summaries import Summary, summarize
from modelregistry.log.tags import MOST_TAG_BYTES, Quarantined
from modelregistry.testing import make_events
from tests.gitfolders import make_repository, run_git
from tests.property.test_tags import EXAMPLES, ODD_PIECES
from tests.strategies import FUZZ

ODD = 1000
"""How many damaged tags lie in one repository."""


@pytest.fixture
def repository(tmp_path: Path) -> tuple[Path, str]:
    return tmp_path, make_repository(tmp_path)


def write_objects(folder: Path, objects: list[bytes]) -> list[str]:
    """Store tag objects, however odd, in one call."""
    paths = []
    for position, data in enumerate(objects):
        path = folder / f"object-{position}"
        path.write_bytes(data)
        paths.append(str(path))
    listed = run_git(folder, "hash-object", "-w", "-t", "tag", "--literally", "--no-filters", "--stdin-paths", stdin="\n".join(paths).encode())  # fmt: skip
    return listed.decode().split()


def write_refs(folder: Path, refs: dict[str, str]) -> None:
    """Name objects without git's looking at them: what a hostile server can send."""
    with open(folder / ".git" / "packed-refs", "ab") as file:
        file.writelines(f"{refs[name]} refs/tags/{name}\n".encode() for name in sorted(refs))


@pytest.mark.timeout(0 if FUZZ else 300)
def test_a_thousand_damaged_tags_leave_the_other_models_alone(tmp_path: Path) -> None:
    counts = [0, 0]
    for turn in range(max(1, FUZZ // ODD)):
        folder = tmp_path / str(turn)
        folder.mkdir()
        found = read_beside_damaged(folder, random.Random(7 + turn))
        counts = [sum(pair) for pair in zip(counts, found, strict=True)]
        shutil.rmtree(folder)
    print(
        f"\n{sum(counts)} damaged tags: {counts[0]} events, {counts[1]} quarantined, the other model unchanged"
    )


def read_beside_damaged(folder: Path, source: random.Random) -> list[int]:
    """Damage tags of as many models beside a good one; how many are events all the same, and how many are not."""
    commit = make_repository(folder)
    backend = GitBackend(GitRepo.discover(folder))
    for event in make_events("churn", commit):
        backend.append(event)
    before = backend.read("churn")
    objects, names = [], []
    for position in range(ODD):
        name, data = source.choice(EXAMPLES)
        new = name.replace("team/churn", f"odd{position}")
        data = data.replace(b"\ntag team/churn", b"\ntag odd%d" % position).replace(
            b"a" * 40, commit.encode()
        )
        for _ in range(source.randint(0, 3)):
            where = source.randrange(len(data))
            data = (
                data[:where]
                + source.choice([*ODD_PIECES, source.randbytes(3)])
                + data[where + source.randint(0, 30) :]
            )
        objects.append(data)
        names.append(new)
    write_refs(folder, dict(zip(names, write_objects(folder, objects), strict=True)))
    backend = GitBackend(GitRepo.discover(folder))
    after = backend.read("churn")
    assert (after.head, after.events, after.quarantined) == (before.head, before.events, ())
    logs = {log.model: log for log in backend.read_all()}
    assert len(logs) == ODD + 1
    assert logs["churn"].head == before.head
    counts = [0, 0]
    for log in logs.values():
        assert len(log.events) + len(log.quarantined) == (8 if log.model == "churn" else 1)
        counts[0] += len(log.events) * (log.model != "churn")
        counts[1] += len(log.quarantined)
        history = History(log.model, log.events, Stages())
        assert history.latest is None or history.served
        list(problems_in(history, log.quarantined))
    assert min(counts) > 100, "the mixture has many of both"
    outlines = list(backend.outlines())
    assert [found.model for found in outlines] == sorted(logs)
    for found in outlines:
        log = logs[found.model]
        assert found.head == log.head
        assert said_in_outline(found) == summarize(History(log.model, log.events, Stages()))
    return counts


def test_what_git_breaks_off_at_is_read_with_more_care(repository: tuple[Path, str]) -> None:
    """A file that a tag names, too large to be asked for when that is known, and broken at its end."""
    folder, commit = repository
    backend = GitBackend(GitRepo.discover(folder))
    for model in ("a", "b", "c"):
        for event in make_events(model, commit):
            backend.append(event)
    expected = list(backend.outlines())
    large = random.Random(1).randbytes(MOST_TAG_BYTES + 1)
    blob = run_git(folder, "hash-object", "-w", "--stdin", stdin=large).decode().strip()
    path = folder / ".git" / "objects" / blob[:2] / blob[2:]
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-100])
    write_refs(folder, {"b#large": blob})
    with pytest.raises(GitError):
        list(backend._repo.tag_objects([blob]))
    found = list(backend.outlines())
    assert [each.model for each in found] == ["a", "b", "c"]
    assert found[0].head == expected[0].head
    assert found[1].head != expected[1].head
    assert [said_in_outline(each) for each in found] == [said_in_outline(each) for each in expected]


def test_pipes_of_a_page_let_git_and_us_talk(
    repository: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What Linux gives to a user who has a thousand pipes already."""
    folder, commit = repository
    name, data = EXAMPLES[0]
    tags = [f"churn@v{number}.0.0" for number in range(1500)]
    texts = [
        data.replace(name.encode(), tag.encode()).replace(b"v1.0.0", tag[6:].encode()).replace(b"a" * 40, commit.encode())
        for tag in tags
    ]  # fmt: skip
    write_refs(folder, dict(zip(tags, write_objects(folder, texts), strict=True)))
    make = subprocess.Popen.__init__

    def with_small_pipes(process: subprocess.Popen[bytes], *arguments: Any, **options: Any) -> None:
        make(process, *arguments, **options, pipesize=4096)

    monkeypatch.setattr(subprocess.Popen, "__init__", with_small_pipes)
    repo = GitRepo.discover(folder)
    started = time.monotonic()
    (found,) = GitBackend(repo).outlines()
    assert len(found.events) == len(tags)
    assert len(list(repo.tags_carefully("**"))) == len(tags)
    assert time.monotonic() - started < LOCAL_SECONDS / 2, "they waited for each other until one was killed"


@pytest.mark.parametrize("answer", [b"", b"1 tag 6\nobject", b"1 tag 6\nobj", b"1 tag 6\n"])
def test_an_answer_that_git_broke_off_is_no_tag(answer: bytes) -> None:
    with pytest.raises(ValueError, match="ended early"):
        _tag_object(io.BytesIO(answer))


def said_in_outline(found: Outline) -> Summary:
    return summarize(History(found.model, found.events, Stages()))


def test_a_list_that_is_not_read_to_its_end_leaves_the_collector_on(
    repository: tuple[Path, str],
) -> None:
    folder, commit = repository
    backend = GitBackend(GitRepo.discover(folder))
    for model in ("a", "b"):
        for event in make_events(model, commit):
            backend.append(event)
    outlines = backend.outlines()
    assert next(outlines).model == "a"
    assert not gc.isenabled()
    del outlines
    assert gc.isenabled()


def test_odd_objects_under_a_models_own_names_are_quarantined_and_take_their_numbers(
    repository: tuple[Path, str],
) -> None:
    folder, commit = repository
    backend = GitBackend(GitRepo.discover(folder))
    events = make_events("churn", commit)
    for event in events:
        backend.append(event)
    tree = run_git(folder, "rev-parse", "HEAD^{tree}").decode().strip()
    blob = run_git(folder, "hash-object", "-w", "--stdin", stdin=b"x").decode().strip()
    inner = run_git(folder, "rev-parse", "refs/tags/churn@v1.0.0").decode().strip()
    head = b"object %s\ntype %s\ntag churn#prod#%d\ntagger A <a> 1 +0000\n\nx\n"
    objects = write_objects(
        folder,
        [
            head % (tree.encode(), b"tree", 5),
            head % (inner.encode(), b"tag", 6),
            head % (commit.encode(), b"commit", 99),  # says another name
            b"object %s\ntype commit\ntag churn#prod#8\n\nno tagger\n" % commit.encode(),
            b"",
        ],
    )
    refs = {f"churn#prod#{5 + position}": oid for position, oid in enumerate(objects)}
    refs |= {"churn#prod#3": commit, "churn#prod#4": blob, "churn#prod#2": "1" * 40, "churn@created": commit}
    write_refs(folder, refs)
    backend = GitBackend(GitRepo.discover(folder))
    log = backend.read("churn")
    assert backend.heads() == {"churn": log.head}
    (found,) = backend.outlines()
    assert (found.head, said_in_outline(found)) == (
        log.head, summarize(History("churn", log.events, Stages()))
    )  # fmt: skip
    assert sorted(event.source for event in log.events) == sorted(event.source for event in events)
    assert {tag.name for tag in log.quarantined} == set(refs)
    assert all(
        isinstance(tag, Quarantined) and tag.model == "churn" and tag.reason for tag in log.quarantined
    )
    assert log.next_number("#prod") == 10


def test_a_broken_tag_of_another_model_does_not_hide_the_id_of_the_registry(
    repository: tuple[Path, str],
) -> None:
    folder, commit = repository
    backend = GitBackend(GitRepo.discover(folder))
    for event in make_events("churn", commit):
        backend.append(event)
    write_refs(folder, {"broken@v1.0.0": "1" * 40, "a@v1.0.0": write_objects(folder, [b"object x"])[0]})
    assert GitBackend(GitRepo.discover(folder)).registry() == "5" * 32


def test_tags_of_other_kinds_are_nobodys(repository: tuple[Path, str]) -> None:
    folder, commit = repository
    backend = GitBackend(GitRepo.discover(folder))
    for name in (
        "v1.0.0",
        "release",
        "churn",
        "churn@v1",
        "churn@0.0.1",
        "churn#a#b#c",
        "@ns/churn@v1.0.0",
        "churn#prod@v1.0.0",
        "churn\u2028@v1.0.0",  # for Python, not for git, a line ends here
        "churn\u0085",
    ):
        run_git(folder, "tag", "-a", "-m", "x", name, commit)
    assert list(backend.read_all()) == []
    assert backend.heads() == {}
    assert backend.read("churn").events == ()
