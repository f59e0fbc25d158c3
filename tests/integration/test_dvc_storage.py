"""Finding and bringing what the real DVC tracked."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from modelregistry.artifacts.base import Content, Entry
from modelregistry.artifacts.dvc import DvcStorage
from modelregistry.errors import IntegrityError, InvalidFileError, MissingBytesError, PathNotFoundError
from modelregistry.git.repo import GitRepo
from tests.integration.projects import landing


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


def dvc(folder: Path, *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments], cwd=folder, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def commit(folder: Path, message: str = "more") -> str:
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", message)
    return git(folder, "rev-parse", "HEAD")


def md5(content: str | bytes) -> str:
    return hashlib.md5(content.encode() if isinstance(content, str) else content).hexdigest()


def init(folder: Path, remote: str = "../../remote") -> Path:
    """A DVC project whose remote is a folder beside it."""
    folder.mkdir(parents=True)
    subdir = any((parent / ".git").exists() for parent in folder.parents)
    if not subdir:
        git(folder, "init", "-q")
    dvc(folder, "init", "-q", *(["--subdir"] if subdir else []))
    with (folder / ".dvc" / "config").open("a") as file:
        file.write(f"[core]\n    remote = store\n['remote \"store\"']\n    url = {remote}\n")
    return folder


PIPELINE = """\
stages:
  train:
    cmd: cp params.txt model.pkl && mkdir -p tree/deep && cp params.txt tree/a.bin && cp params.txt tree/deep/b.bin
    wdir: work
    deps: [params.txt]
    outs:
    - model.pkl
    - tree
    metrics:
    - ../metrics.json:
        cache: false
    - score.json:
        cache: false
  each:
    foreach: [eu, us]
    do:
      cmd: echo ${item} > models/${item}.pkl
      deps: [params.txt]
      outs: ['models/${item}.pkl']
"""


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a project of every kind of output, pushed to the remote beside it."""
    top = tmp_path_factory.mktemp("template")
    settings = write(
        top / "gitconfig", "[user]\n\tname = Ann\n\temail = ann@example.com\n[init]\n\tdefaultBranch = main\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "HOME": top, "GIT_CONFIG_GLOBAL": settings, "DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": top / "site",
        }.items():  # fmt: skip
            patch.setenv(name, str(value))
        project = init(top / "project")
        write(project / "params.txt", "run")
        write(project / "work" / "params.txt", "one")
        write(project / "models" / "notes.txt", "plainly in git")
        write(
            project / "dvc.yaml",
            PIPELINE.replace(
                "cp params.txt model.pkl",
                "echo 1 > ../metrics.json && echo 2 > score.json && cp params.txt model.pkl",
            ),
        )
        dvc(project, "repro", "-q")
        write(project / "single" / "added.pkl", "added")
        write(project / "folder" / "x.bin", "x")
        write(project / "folder" / "y" / "z.bin", "z")
        dvc(project, "add", "-q", "single/added.pkl", "folder")
        commit(project, "the project")
        dvc(project, "push", "-q")
    return top


@pytest.fixture
def project(template: Path, tmp_path: Path) -> Path:
    shutil.copytree(template, tmp_path / "top", symlinks=True)
    return tmp_path / "top" / "project"


@pytest.fixture
def storage(project: Path, tmp_path: Path) -> DvcStorage:
    return DvcStorage(GitRepo.discover(project), home=tmp_path / "home")


def fresh(project: Path, home: Path) -> DvcStorage:
    return DvcStorage(GitRepo.discover(project), home=home)


def entries(content: Content | None) -> dict[str, str]:
    assert content is not None
    return {entry.path: entry.address for entry in content.entries}


def bring(storage: DvcStorage, content: Content | None, into: Path) -> dict[str, bytes]:
    assert content is not None
    into.mkdir(parents=True, exist_ok=True)
    storage.fetch(content.entries, into, landing(into))
    assert {path.name for path in into.iterdir()} == {
        entry.address.replace(":", "-") for entry in content.entries
    }
    return {entry.path: (into / entry.address.replace(":", "-")).read_bytes() for entry in content.entries}


# -- locating


def test_what_is_located_is_what_dvc_says(storage: DvcStorage, project: Path) -> None:
    from dvc.api import DVCFileSystem

    oracle = DVCFileSystem(str(project), rev="HEAD")
    for path in [
        "work/model.pkl",
        "work/tree",
        "models/eu.pkl",
        "models/us.pkl",
        "single/added.pkl",
        "folder",
    ]:
        content = storage.locate("HEAD", path)
        assert content is not None
        assert content.address == f"md5:{oracle.info('/' + path)['md5']}", path
        assert content.is_directory == oracle.isdir("/" + path)
        files = oracle.find("/" + path)
        prefix = len(path) + 2 if content.is_directory else len(os.path.dirname(path)) + 2
        assert entries(content) == {file[prefix:]: f"md5:{oracle.info(file)['md5']}" for file in files}
        assert content.path == path
        assert content.storage == "dvc"


def test_a_file_and_a_folder_inside_a_directory_output_are_located(storage: DvcStorage) -> None:
    content = storage.locate("HEAD", "work/tree/deep/b.bin")
    assert entries(content) == {"b.bin": f"md5:{md5('one')}"}
    assert content is not None
    assert not content.is_directory
    part = storage.locate("HEAD", "work/tree/deep")
    assert part is not None
    assert (part.is_directory, part.address, entries(part)) == (True, "", {"b.bin": f"md5:{md5('one')}"})
    assert storage.locate("HEAD", "work/tree/none") is None


@pytest.mark.parametrize(
    "path", ["models/notes.txt", "metrics.json", "work/score.json", "nothing", "..", "../x", "/x", "."]
)
def test_what_git_or_nobody_keeps_is_not_located(storage: DvcStorage, path: str) -> None:
    assert storage.locate("HEAD", path) is None


def test_a_folder_that_only_holds_outputs_is_refused_with_their_names(storage: DvcStorage) -> None:
    with pytest.raises(PathNotFoundError, match=r"holds 2 \(such as 'models/eu.pkl'\)"):
        storage.locate("HEAD", "models")


def test_an_output_written_from_another_folder_is_found(storage: DvcStorage, project: Path) -> None:
    write(project / "elsewhere" / "in.txt", "in")
    write(
        project / "elsewhere" / "dvc.yaml",
        "stages: {s: {cmd: cp in.txt ../out/o.pkl, deps: [in.txt], outs: [../out/o.pkl]}}\n",
    )
    (project / "out").mkdir()
    dvc(project, "repro", "-q", "elsewhere/dvc.yaml")
    commit(project)
    assert entries(storage.locate("HEAD", "out/o.pkl")) == {"o.pkl": f"md5:{md5('in')}"}


def test_a_step_that_is_gone_from_the_pipeline_no_longer_counts(storage: DvcStorage, project: Path) -> None:
    old = git(project, "rev-parse", "HEAD")
    text = (project / "dvc.yaml").read_text()
    write(project / "dvc.yaml", text[: text.index("  each:")])
    commit(project)
    assert storage.locate("HEAD", "models/eu.pkl") is None
    assert storage.locate(old, "models/eu.pkl") is not None


def test_a_templated_wdir_is_declined_in_words(storage: DvcStorage, project: Path) -> None:
    write(project / "dvc.yaml", (project / "dvc.yaml").read_text().replace("wdir: work", "wdir: ${w}"))
    commit(project)
    with pytest.raises(InvalidFileError, match="templated wdir"):
        storage.locate("HEAD", "work/model.pkl")


def test_a_broken_file_hurts_only_what_it_may_record(storage: DvcStorage, project: Path) -> None:
    write(project / "dvc.lock", "schema: '2.0'\nstages: [\n")
    write(project / "broken.dvc", "outs: {\n")
    commit(project)
    assert entries(storage.locate("HEAD", "single/added.pkl")) == {"added.pkl": f"md5:{md5('added')}"}
    assert storage.locate("HEAD", "models/notes.txt") is None
    with pytest.raises(InvalidFileError, match=r"dvc\.lock'"):
        storage.locate("HEAD", "work/model.pkl")


def test_an_output_without_md5_is_refused_in_words(storage: DvcStorage, project: Path) -> None:
    write(project / "partial.bin.dvc", "outs:\n- {hash: md5, path: partial.bin}\n")
    commit(project)
    with pytest.raises(InvalidFileError, match="records no md5"):
        storage.locate("HEAD", "partial.bin")


def test_files_of_dvc_2_have_their_own_addresses_and_places(
    storage: DvcStorage, project: Path, tmp_path: Path
) -> None:
    old = md5("old\n")
    write(project / "old.txt.dvc", f"outs:\n- {{md5: {old}, size: 5, path: old.txt}}\n")
    commit(project)
    content = storage.locate("HEAD", "old.txt")
    assert entries(content) == {"old.txt": f"md5-dos2unix:{old}"}
    assert content is not None
    assert storage.find(content.entries[0]) is None
    write(project.parent / "remote" / old[:2] / old[2:], "old\r\n")
    assert storage.missing(content.entries) == ()
    assert bring(storage, content, tmp_path / "into") == {"old.txt": b"old\r\n"}
    there = write(project / ".dvc" / "cache" / old[:2] / old[2:], "old\r\n")
    assert storage.find(content.entries[0]) == there


def test_a_versioned_directory_is_located_by_the_files_it_lists(storage: DvcStorage, project: Path) -> None:
    content = storage.locate("HEAD", "folder")
    assert content is not None
    files = "".join(f"  - {{relpath: {e.path}, md5: {e.address[4:]}, size: 1}}\n" for e in content.entries)
    write(project / "folder.dvc", f"outs:\n- path: folder\n  hash: md5\n  files:\n{files}")
    commit(project)
    again = storage.locate("HEAD", "folder")
    assert again is not None
    assert (entries(again), again.address, again.size) == (entries(content), content.address, 2)


def test_what_dvclive_logs_is_located(project: Path, storage: DvcStorage) -> None:
    write(project / "logged" / "m.pkl", "logged")
    script = (
        "from dvclive import Live\n"
        "with Live(dir='live', save_dvc_exp=False) as live:\n"
        "    live.log_artifact('logged/m.pkl', type='model', name='logged')\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=project, check=True, capture_output=True)
    commit(project)
    assert entries(storage.locate("HEAD", "logged/m.pkl")) == {"m.pkl": f"md5:{md5('logged')}"}


# -- finding and fetching


def test_bytes_in_the_cache_are_found_where_they_lie(storage: DvcStorage, project: Path) -> None:
    content = storage.locate("HEAD", "work/model.pkl")
    assert content is not None
    found = storage.find(content.entries[0])
    assert found is not None
    assert found.read_bytes() == b"one"
    assert storage.missing(content.entries) == ()
    found.unlink()
    assert storage.find(content.entries[0]) is None
    found.symlink_to(project / "params.txt")
    assert storage.find(content.entries[0]) is None


@pytest.mark.parametrize("layer", ["config", "config.local", "global", "system"])
def test_the_cache_folder_is_the_one_of_the_layer_that_names_it(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layer: str
) -> None:
    moved = tmp_path / "moved"
    shutil.move(project / ".dvc" / "cache", moved)
    if layer in ("global", "system"):
        folder = tmp_path / layer
        monkeypatch.setenv(f"DVC_{layer.upper()}_CONFIG_DIR", str(folder))
        write(folder / "config", "[cache]\n    dir = ../moved\n")
    else:
        with (project / ".dvc" / layer).open("a") as file:
            file.write(f"[cache]\n    dir = {os.path.relpath(moved, project / '.dvc')}\n")
    storage = fresh(project, tmp_path / "home")
    content = storage.locate("HEAD", "single/added.pkl")
    assert content is not None
    found = storage.find(content.entries[0])
    assert found is not None
    assert found.resolve().is_relative_to(moved)


def test_missing_bytes_are_fetched_and_the_cache_left_alone(project: Path, tmp_path: Path) -> None:
    shutil.rmtree(project / ".dvc" / "cache")
    storage = fresh(project, tmp_path / "home")
    before = sorted(project.rglob("*"))
    seen: list[tuple[int, int | None]] = []
    content = storage.locate("HEAD", "work/model.pkl")
    assert content is not None
    assert storage.missing(content.entries) == ()
    (tmp_path / "one").mkdir()
    storage.fetch(
        content.entries,
        tmp_path / "one",
        landing(tmp_path / "one"),
        report=lambda done, total: seen.append((done, total)),
    )
    assert [path.read_bytes() for path in (tmp_path / "one").iterdir()] == [b"one"]
    assert seen[-1] == (3, 3)
    tree = storage.locate("HEAD", "folder")
    assert bring(storage, tree, tmp_path / "tree") == {"x.bin": b"x", "y/z.bin": b"z"}
    assert sorted(project.rglob("*")) == before
    kept = tmp_path / "home" / "dvc"
    assert (kept.stat().st_mode & 0o777) == 0o700


def test_a_listing_is_fetched_once(project: Path, tmp_path: Path) -> None:
    shutil.rmtree(project / ".dvc" / "cache")
    first = fresh(project, tmp_path / "home").locate("HEAD", "folder")
    shutil.rmtree(project.parent / "remote")
    assert fresh(project, tmp_path / "home").locate("HEAD", "folder") == first


@pytest.mark.parametrize("place", ["cache", "remote"])
def test_a_damaged_listing_is_never_read(project: Path, tmp_path: Path, place: str) -> None:
    content = fresh(project, tmp_path / "home").locate("HEAD", "folder")
    assert content is not None
    oid = content.address.removeprefix("md5:")
    local = project / ".dvc" / "cache" / "files" / "md5" / oid[:2] / oid[2:]
    remote = project.parent / "remote" / "files" / "md5" / oid[:2] / oid[2:]
    evil = json.dumps([{"md5": md5("x"), "relpath": "../../evil"}])
    target = local if place == "cache" else remote
    local.unlink()
    target.unlink(missing_ok=True)
    write(target, evil)
    with pytest.raises(IntegrityError, match="'folder'") as caught:
        fresh(project, tmp_path / "other home").locate("HEAD", "folder")
    assert caught.value.expected == content.address
    # And if its name is its md5, what it lists is still refused.
    text = (project / "folder.dvc").read_text().replace(oid, f"{md5(evil)}.dir")
    write(project / "folder.dvc", text)
    write(target.parent.parent / md5(evil)[:2] / f"{md5(evil)[2:]}.dir", evil)
    commit(project)
    with pytest.raises(InvalidFileError, match="unsafe path"):
        fresh(project, tmp_path / "home").locate("HEAD", "folder")


def test_bytes_missing_everywhere_are_named_with_what_to_do(project: Path, tmp_path: Path) -> None:
    shutil.rmtree(project / ".dvc" / "cache")
    storage = fresh(project, tmp_path / "home")
    tree = storage.locate("HEAD", "folder")
    assert tree is not None
    lost = md5("z")
    (project.parent / "remote" / "files" / "md5" / lost[:2] / lost[2:]).unlink()
    assert [entry.path for entry in storage.missing(tree.entries)] == ["y/z.bin"]
    (tmp_path / "into").mkdir()
    with pytest.raises(MissingBytesError, match=r"'y/z\.bin'.*'dvc push'") as caught:
        storage.fetch(tree.entries, tmp_path / "into", landing(tmp_path / "into"))
    assert caught.value.paths == ("y/z.bin",)
    assert [path.name for path in (tmp_path / "into").iterdir()] == [f"md5-{md5('x')}"]


def test_an_object_of_the_wrong_size_is_missing(project: Path, tmp_path: Path) -> None:
    shutil.rmtree(project / ".dvc" / "cache")
    storage = fresh(project, tmp_path / "home")
    content = storage.locate("HEAD", "single/added.pkl")
    assert content is not None
    oid = md5("added")
    target = project.parent / "remote" / "files" / "md5" / oid[:2] / oid[2:]
    target.unlink()
    write(target, "add")
    assert storage.missing(content.entries) == content.entries


def test_without_a_remote_what_is_not_here_is_missing(project: Path, tmp_path: Path) -> None:
    shutil.rmtree(project / ".dvc" / "cache")
    write(project / ".dvc" / "config", "")
    storage = fresh(project, tmp_path / "home")
    content = storage.locate("HEAD", "single/added.pkl")
    assert content is not None
    assert storage.missing(content.entries) == content.entries
    with pytest.raises(MissingBytesError, match="dvc remote add"):
        storage.missing(content.entries, cached=False)
    with pytest.raises(MissingBytesError, match="dvc remote add"):
        storage.fetch(content.entries, tmp_path, landing(tmp_path))


def test_imported_bytes_are_said_to_come_from_their_source(project: Path, tmp_path: Path) -> None:
    other = init(project.parent / "other", "../../empty")
    dvc(other, "import", "-q", str(project), "single/added.pkl")
    commit(other)
    shutil.rmtree(other / ".dvc" / "cache")
    storage = fresh(other, tmp_path / "home")
    content = storage.locate("HEAD", "added.pkl")
    assert content is not None
    assert storage.missing(content.entries) == content.entries
    with pytest.raises(MissingBytesError, match=r"it was imported from .*'dvc pull' brings it"):
        storage.fetch(content.entries, tmp_path, landing(tmp_path))
    dvc(other, "fetch", "-q")
    assert storage.find(content.entries[0]) is not None


def test_a_remote_of_another_kind_without_its_package_says_which(project: Path, tmp_path: Path) -> None:
    shutil.rmtree(project / ".dvc" / "cache")
    write(project / ".dvc" / "config", "[core]\nremote = o\n['remote \"o\"']\nurl = oss://bucket/x\n")
    storage = fresh(project, tmp_path / "home")
    content = storage.locate("HEAD", "single/added.pkl")
    assert content is not None
    with pytest.raises(MissingBytesError, match="pip install dvc-oss") as caught:
        storage.fetch(content.entries, tmp_path, landing(tmp_path))
    assert caught.value.__cause__ is not None


def test_a_remote_that_is_nonsense_is_a_clear_error(project: Path, tmp_path: Path) -> None:
    shutil.rmtree(project / ".dvc" / "cache")
    write(
        project / ".dvc" / "config", "[core]\nremote = o\n['remote \"o\"']\nurl = weird://user:secret@x/y\n"
    )
    storage = fresh(project, tmp_path / "home")
    content = storage.locate("HEAD", "single/added.pkl")
    assert content is not None
    with pytest.raises(MissingBytesError, match="can't be read") as caught:
        storage.missing(content.entries)
    assert "secret" not in str(caught.value)


def test_the_remote_of_one_output_is_where_it_is_fetched_from(project: Path, tmp_path: Path) -> None:
    oid = md5("added")
    write(project.parent / "other" / "files" / "md5" / oid[:2] / oid[2:], "added")
    shutil.rmtree(project / ".dvc" / "cache")
    shutil.rmtree(project.parent / "remote")
    with (project / ".dvc" / "config").open("a") as file:
        file.write("['remote \"other\"']\n    url = ../../other\n")
    write(
        project / "single" / "added.pkl.dvc",
        f"outs:\n- {{md5: {oid}, hash: md5, path: added.pkl, remote: other}}\n",
    )
    commit(project)
    storage = fresh(project, tmp_path / "home")
    assert bring(storage, storage.locate("HEAD", "single/added.pkl"), tmp_path / "into") == {
        "added.pkl": b"added"
    }


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def serve() -> Iterator[Callable[[Path], str]]:
    servers = []

    def start(folder: Path) -> str:
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
        Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_bytes_come_over_the_network_too(project: Path, tmp_path: Path, serve: Callable[[Path], str]) -> None:
    shutil.rmtree(project / ".dvc" / "cache")
    write(
        project / ".dvc" / "config",
        f"[core]\nremote = w\n['remote \"w\"']\nurl = {serve(project.parent / 'remote')}\n",
    )
    storage = fresh(project, tmp_path / "home")
    content = storage.locate("HEAD", "folder")
    assert content is not None
    lost = Entry("lost", f"md5:{'0' * 32}")
    assert storage.missing([*content.entries, lost]) == (lost,)
    assert bring(storage, content, tmp_path / "into") == {"x.bin": b"x", "y/z.bin": b"z"}


def test_a_server_that_is_down_is_a_clear_error(project: Path, tmp_path: Path) -> None:
    shutil.rmtree(project / ".dvc" / "cache")
    write(project / ".dvc" / "config", "[core]\nremote = w\n['remote \"w\"']\nurl = http://127.0.0.1:9/x\n")
    storage = fresh(project, tmp_path / "home")
    content = storage.locate("HEAD", "single/added.pkl")
    assert content is not None
    with pytest.raises(MissingBytesError, match=r"remote 'w' can't be read \("):
        storage.fetch(content.entries, tmp_path, landing(tmp_path))
    with pytest.raises(MissingBytesError, match="can't be read"):
        storage.missing(content.entries)


def test_importing_dvc_leaves_no_trace_and_locating_does_not_import_it(project: Path, tmp_path: Path) -> None:
    script = f"""
import logging, sys
from pathlib import Path
from modelregistry.artifacts.dvc import DvcStorage
from modelregistry.git.repo import GitRepo
names = ["dvc", "dvc_objects", "dvc_data", "asyncio", "aiohttp"]
state = lambda: [(logging.getLogger(n).level, logging.getLogger(n).handlers[:]) for n in names] + [sys.stdout, sys.stderr]
before = state()
storage = DvcStorage(GitRepo.discover({str(project)!r}), home=Path({str(tmp_path / "home")!r}))
content = storage.locate("HEAD", "single/added.pkl")
assert storage.find(content.entries[0])
assert "dvc" not in sys.modules
storage.fetch(content.entries, Path({str(tmp_path)!r}), lambda entry, file: None)
assert "dvc" in sys.modules
assert state() == before, state()
"""
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# -- repositories without a working copy, and several projects in one


def test_nothing_is_pushed_from_a_bare_repository_nor_by_the_project_one_happens_to_be_in(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(project, "clone", "-q", "--bare", str(project), str(tmp_path / "mirror.git"))
    monkeypatch.chdir(project)
    storage = fresh(tmp_path / "mirror.git", tmp_path / "home")
    content = storage.locate(git(project, "rev-parse", "HEAD"), "single/added.pkl")
    assert content is not None
    with pytest.raises(MissingBytesError, match="bare repository") as caught:
        storage.push(content)
    assert list(caught.value.paths) == ["added.pkl"]


@pytest.mark.parametrize("spelling", ["path", "url", "bare"])
def test_a_mirror_fetches_through_the_configuration_of_its_source(
    project: Path, tmp_path: Path, spelling: str
) -> None:
    source: str | None = str(project) if spelling == "path" else f"file://{project}"
    git(project, "branch", "-q", "old")
    mirror = project.parent / "bare.git" if spelling == "bare" else tmp_path / "cache" / "mirror.git"
    git(project, "clone", "-q", "--bare", str(project), str(mirror))
    storage = DvcStorage(
        GitRepo.discover(mirror), home=tmp_path / "home", source=None if spelling == "bare" else source
    )
    content = storage.locate("HEAD", "work/tree")
    assert content is not None
    assert storage.find(content.entries[0]) is None
    assert storage.missing(content.entries) == ()
    assert bring(storage, content, tmp_path / "into") == {"a.bin": b"one", "deep/b.bin": b"one"}


def test_a_mirror_of_a_url_needs_a_remote_with_a_place(project: Path, tmp_path: Path) -> None:
    git(project, "clone", "-q", "--bare", str(project), str(tmp_path / "mirror.git"))
    repo = GitRepo.discover(tmp_path / "mirror.git")
    storage = DvcStorage(repo, home=tmp_path / "home", source="https://example.com/r.git")
    content = storage.locate("HEAD", "single/added.pkl")
    assert content is not None
    with pytest.raises(MissingBytesError, match="relative to a repository that is not on this machine"):
        storage.fetch(content.entries, tmp_path, landing(tmp_path))


def test_a_mirror_uses_the_remote_that_the_default_branch_names_today(project: Path, tmp_path: Path) -> None:
    old = git(project, "rev-parse", "HEAD")
    (project.parent / "remote").rename(project.parent / "moved")
    write(project / ".dvc" / "config", "[core]\nremote = new\n['remote \"new\"']\nurl = ../../moved\n")
    commit(project)
    git(project, "clone", "-q", "--bare", str(project), str(tmp_path / "mirror.git"))
    repo = GitRepo.discover(tmp_path / "mirror.git")
    storage = DvcStorage(repo, home=tmp_path / "home", source=str(project))
    assert bring(storage, storage.locate(old, "single/added.pkl"), tmp_path / "into") == {
        "added.pkl": b"added"
    }


def test_each_project_of_a_monorepo_has_its_own_cache_and_remote(project: Path, tmp_path: Path) -> None:
    nested = init(project / "teams" / "risk", "../../../../risk-remote")
    write(nested / "models" / "m.pkl", "risk")
    dvc(nested, "add", "-q", "models/m.pkl")
    dvc(nested, "push", "-q")
    commit(project)
    storage = fresh(project, tmp_path / "home")
    content = storage.locate("HEAD", "teams/risk/models/m.pkl")
    assert content is not None
    found = storage.find(content.entries[0])
    assert found is not None
    assert found.is_relative_to(nested / ".dvc" / "cache")
    shutil.rmtree(nested / ".dvc" / "cache")
    assert storage.missing(content.entries) == ()
    assert bring(storage, content, tmp_path / "into") == {"m.pkl": b"risk"}
    assert (project.parent / "risk-remote").is_dir()
    git(project, "clone", "-q", "--bare", str(project), str(tmp_path / "mirror.git"))
    mirror = DvcStorage(
        GitRepo.discover(tmp_path / "mirror.git"), home=tmp_path / "home", source=str(project)
    )
    both = [mirror.locate("HEAD", path) for path in ("teams/risk/models/m.pkl", "single/added.pkl")]
    (tmp_path / "both").mkdir()
    mirror.fetch(
        [entry for content in both if content for entry in content.entries],
        tmp_path / "both",
        landing(tmp_path / "both"),
    )
    assert sorted(path.read_bytes() for path in (tmp_path / "both").iterdir()) == [b"added", b"risk"]


def test_committed_options_that_could_run_something_are_not_used(project: Path, tmp_path: Path) -> None:
    from modelregistry.artifacts.dvcconfig import Project

    canary = tmp_path / "canary"
    text = f"""[core]
remote = w
['remote "w"']
url = webdav://127.0.0.1:9/x
bearer_token_command = touch {canary}
['remote "s"']
url = s3://bucket
configpath = aws.cfg
credentialpath = aws.cfg
['remote "g"']
url = gs://bucket
credentialpath = key.json
"""
    write(project / ".dvc" / "config.local", "['remote \"s\"']\ncredentialpath = mine.cfg\n")
    found = Project(project, text.encode())
    assert found.settings["remote.w"] == {"url": "webdav://127.0.0.1:9/x"}
    assert found.settings["remote.s"] == {
        "url": "s3://bucket",
        "credentialpath": str(project / ".dvc" / "mine.cfg"),
    }
    assert found.settings["remote.g"]["credentialpath"] == str(project / ".dvc" / "key.json")
    assert set(found.ignored) == {
        "remote.w.bearer_token_command",
        "remote.s.configpath",
        "remote.s.credentialpath",
    }


# -- evidence


def evidence(project: Path, home: Path, path: str) -> bool:
    storage = fresh(project, home)
    content = storage.locate("HEAD", path)
    assert content is not None
    return storage.made_here("HEAD", content)


@pytest.fixture
def clone(project: Path, tmp_path: Path) -> Path:
    """A colleague's clone, with everything pulled."""
    git(project.parent, "clone", "-q", str(project), "clone")
    dvc(project.parent / "clone", "pull", "-q")
    return project.parent / "clone"


def test_what_ran_and_was_committed_here_was_made_here(project: Path, tmp_path: Path) -> None:
    for path in ["work/model.pkl", "work/tree", "models/eu.pkl"]:
        assert evidence(project, tmp_path / "home", path), path


@pytest.mark.parametrize("path", ["single/added.pkl", "folder", "work/tree/deep", "work/tree/a.bin"])
def test_what_was_added_or_is_a_part_was_not(project: Path, tmp_path: Path, path: str) -> None:
    assert not evidence(project, tmp_path / "home", path)


def test_what_was_pulled_was_not_made_here(clone: Path, tmp_path: Path) -> None:
    assert not evidence(clone, tmp_path / "home", "work/model.pkl")


def test_a_pulled_run_cache_is_no_evidence(project: Path, clone: Path, tmp_path: Path) -> None:
    dvc(project, "push", "-q", "--run-cache")
    dvc(clone, "fetch", "-q", "--run-cache")
    assert (clone / ".dvc" / "cache" / "runs").is_dir()
    write(clone / "unrelated.txt", "x")
    commit(clone)
    assert not evidence(clone, tmp_path / "home", "work/model.pkl")


def test_merging_another_s_result_is_no_evidence(project: Path, clone: Path, tmp_path: Path) -> None:
    write(project / "work" / "params.txt", "two")
    write(project / "shared.txt", "theirs")
    dvc(project, "repro", "-q")
    commit(project)
    dvc(project, "push", "-q", "--run-cache")
    write(clone / "shared.txt", "ours")
    commit(clone)
    git(clone, "fetch", "-q")
    subprocess.run(["git", "merge", "-q", "origin/main"], cwd=clone, check=False, capture_output=True)
    write(clone / "shared.txt", "both")
    commit(clone, "resolve")
    dvc(clone, "pull", "-q", "--run-cache")
    assert not evidence(clone, tmp_path / "home", "work/model.pkl")


def test_a_clone_that_reproduces_makes_its_own(clone: Path, tmp_path: Path) -> None:
    write(clone / "work" / "params.txt", "three")
    dvc(clone, "repro", "-q")
    assert not evidence(clone, tmp_path / "home", "work/model.pkl")  # HEAD still has the pulled one
    commit(clone)
    assert evidence(clone, tmp_path / "home", "work/model.pkl")
    shutil.rmtree(clone / ".dvc" / "cache" / "runs")
    assert not evidence(clone, tmp_path / "home", "work/model.pkl")
