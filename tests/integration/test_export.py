"""A version leaves: verified, whole for a reader, gone on with after a kill, and nobody's files overwritten unasked."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from threading import Barrier
from typing import Any

import fsspec
import pytest
from fsspec.callbacks import Callback
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.registry import known_implementations

import modelregistry as mr
from modelregistry import Registry
from modelregistry.exports.manifest import Unfinished
from modelregistry.exports.state import UNFINISHED
from modelregistry.exports.target import Target
from modelregistry.lineage.lineage import Lineage
from tests.integration.pipelines import web
from tests.integration.projects import TOP, commit, everything, git, write

BUNDLE = {"bundle/weights/a.bin": b"\0one", "bundle/b.json": b"{}"}


@pytest.fixture
def stocked(project: Path) -> Registry:
    registry = Registry(project)
    registry.register("churn", rev="main~1", metadata={"owner": "risk"})
    registry.register("churn")
    registry.register("bundle")
    registry.promote("churn", "v0.1.0", "current")
    return registry


@pytest.fixture
def memory() -> Iterator[str]:
    """A place that is no folder of this machine."""
    yield "memory://exports/churn"
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]


def manifest_of(target: Path) -> dict[str, Any]:
    return json.loads((target / "manifest.json").read_bytes())


def without_manifest(folder: Path) -> dict[str, bytes]:
    return {name: data for name, data in everything(folder).items() if name != "manifest.json"}


# -- what is there then ------------------------------------------------------------------------------------


def test_a_file_lies_there_under_its_own_name_beside_a_manifest_that_says_what_it_is(
    stocked: Registry, tmp_path: Path
) -> None:
    version = stocked.get("churn#current")
    exported = version.export(tmp_path / "out")
    assert exported.artifact == os.fspath(tmp_path / "out" / "churn.joblib")
    assert exported.written == ("churn.joblib", "manifest.json")
    assert without_manifest(tmp_path / "out") == {"churn.joblib": version.local_path().read_bytes()}
    said = manifest_of(tmp_path / "out")
    (file,) = version.files()
    entry = {"path": "churn.joblib", "size": file.size, "sha256": file.sha256}
    wanted = {
        "schema": 1, "format": "folder", "registry": version.registered.registry, "name": "churn",
        "version": "v0.1.0", "digest": version.digest, "size": version.size, "state": "current",
        "stages": ["current"], "rev": version.rev, "path": "models/churn.joblib", "author": "Ann Author",
        "type": "model", "labels": ["tabular", "iris"], "description": "who leaves", "loader": "joblib",
        "artifact": "churn.joblib", "contents": [entry], "files": [entry],
    }  # fmt: skip
    assert {key: said[key] for key in wanted} == wanted
    assert said["metadata"]["owner"] == "risk"
    assert said["environment"] == version.environment
    assert said["signature"]["inputs"]
    assert Lineage.from_dict(said["lineage"]) == version.lineage


def test_a_folder_lies_there_whole(stocked: Registry, tmp_path: Path) -> None:
    exported = stocked.get("bundle").export(tmp_path / "out")
    assert without_manifest(tmp_path / "out") == BUNDLE
    assert exported.manifest.artifact == "bundle"
    assert [file.path for file in exported.manifest.contents] == ["b.json", "weights/a.bin"]
    assert mr.verify_export(tmp_path / "out") == exported.manifest


def test_bytes_of_which_the_log_has_no_digest_are_hashed_for_the_manifest(
    stocked: Registry, project: Path, tmp_path: Path
) -> None:
    git(project, "tag", "--annotate", "--message", "by hand", "tables@v1.0.0", "main")
    blind = stocked.get("tables@v1.0.0")
    assert blind.digest is None
    exported = blind.export(tmp_path / "out")
    assert mr.verify_export(tmp_path / "out", digest=exported.manifest.digest).name == "tables"
    assert blind.export(tmp_path / "out").written == ()


def test_it_goes_wherever_fsspec_can_write(stocked: Registry, memory: str) -> None:
    exported = stocked.get("bundle").export(memory)
    fs = fsspec.filesystem("memory")
    assert {path.removeprefix("/exports/churn/"): fs.cat(path) for path in fs.find(memory)} == BUNDLE | {
        "manifest.json": exported.manifest.to_json()
    }
    assert mr.verify_export(memory) == exported.manifest
    assert stocked.get("bundle").export(memory).written == ()


def test_nothing_is_deserialised(project: Path, tmp_path: Path) -> None:
    mark = tmp_path / "mark"

    class Hostile:
        def __reduce__(self) -> object:
            return os.mkdir, (os.fspath(mark),)

    write(project / "plain" / "rules.json", pickle.dumps(Hostile()))
    commit(project)
    registry = Registry(project)
    registry.register("rules").export(tmp_path / "out")
    assert not mark.exists()
    pickle.loads((tmp_path / "out" / "rules.json").read_bytes())
    assert mark.exists()  # else it proves nothing


def test_who_is_told_hears_of_every_byte_written_and_read_back(stocked: Registry, tmp_path: Path) -> None:
    class Ear(Callback):
        def absolute_update(self, value: int) -> None:
            heard.append((value, self.size))

    heard: list[tuple[int, int]] = []
    version = stocked.get("churn")
    version.local_path()
    version.export(tmp_path / "out", progress=Ear())
    assert version.size is not None
    assert heard[-1] == (2 * version.size, 2 * version.size)


# -- again -------------------------------------------------------------------------------------------------


def test_again_nothing_is_written(stocked: Registry, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = stocked.get("bundle").export(out)
    before = {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in out.rglob("*")}
    stocked.promote("bundle", "v0.1.0", "shadow")
    again = stocked.get("bundle").export(out)
    assert again.written == ()
    assert again.manifest == first.manifest  # what was true when it was exported
    assert {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in out.rglob("*")} == before


def test_what_is_missing_is_brought_and_nothing_else(stocked: Registry, tmp_path: Path) -> None:
    out = tmp_path / "out"
    stocked.get("bundle").export(out)
    (out / "bundle" / "b.json").unlink()
    kept = (out / "bundle" / "weights" / "a.bin").stat()
    with pytest.raises(mr.MissingBytesError, match=r"bundle/b\.json"):
        mr.verify_export(out)
    assert stocked.get("bundle").export(out).written == ("bundle/b.json", "manifest.json")
    assert without_manifest(out) == BUNDLE
    assert (out / "bundle" / "weights" / "a.bin").stat().st_ino == kept.st_ino
    mr.verify_export(out)


def test_another_version_is_replaced_only_when_asked_and_leaves_nothing_behind(
    stocked: Registry, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    stocked.get("bundle").export(out)
    before = everything(out)
    with pytest.raises(mr.InvalidInputError, match=r"bundle@v0\.1\.0 .* is there already.*overwrite=True"):
        stocked.get("churn").export(out)
    assert everything(out) == before
    stocked.get("churn").export(out, overwrite=True)
    assert without_manifest(out).keys() == {"churn.joblib"}
    assert mr.verify_export(out).reference == "churn@v0.1.1"


def test_other_bytes_are_replaced_only_when_asked(stocked: Registry, tmp_path: Path) -> None:
    out = tmp_path / "out"
    stocked.get("bundle").export(out)
    write(out / "bundle" / "b.json", "[]")
    with pytest.raises(mr.IntegrityError, match="is not what was exported"):
        mr.verify_export(out)
    with pytest.raises(mr.InvalidInputError, match=r"b\.json' has other bytes.*overwrite=True"):
        stocked.get("bundle").export(out)
    assert (out / "bundle" / "b.json").read_text() == "[]"
    assert stocked.get("bundle").export(out, overwrite=True).written == ("bundle/b.json", "manifest.json")
    mr.verify_export(out)


@pytest.mark.parametrize("overwrite", [False, True])
def test_files_of_others_are_neither_overwritten_nor_taken_along(
    overwrite: bool, stocked: Registry, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    write(out / "notes.txt", "mine")
    with pytest.raises(mr.InvalidInputError, match=r"notes\.txt.*for this export alone"):
        stocked.get("bundle").export(out, overwrite=overwrite)
    assert everything(out) == {"notes.txt": b"mine"}


def test_a_file_that_was_slipped_in_is_told(stocked: Registry, tmp_path: Path) -> None:
    out = tmp_path / "out"
    stocked.get("bundle").export(out)
    write(out / "bundle" / "inference.py", "import os")
    with pytest.raises(mr.IntegrityError, match=r"inference\.py"):
        mr.verify_export(out)


def test_a_link_is_no_file_of_an_export(stocked: Registry, tmp_path: Path) -> None:
    out = tmp_path / "out"
    stocked.get("bundle").export(out)
    inside = out / "bundle" / "b.json"
    outside = inside.rename(tmp_path / "outside.json")
    inside.symlink_to(outside)
    with pytest.raises(mr.IntegrityError, match=r"b\.json.*found no file"):
        mr.verify_export(out)
    stocked.get("bundle").export(out, overwrite=True)
    assert not inside.is_symlink()
    (out / "bundle" / "more").symlink_to(tmp_path)
    with pytest.raises(mr.IntegrityError, match="bundle/more"):
        mr.verify_export(out)


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_manifest_of_somebody_elses_is_never_overwritten(
    overwrite: bool, stocked: Registry, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    write(out / "manifest.json", '{"name": "a web page"}')
    with pytest.raises(mr.InvalidFileError, match=r"is not what an export leaves there.*a folder of its own"):
        stocked.get("bundle").export(out, overwrite=overwrite)
    assert everything(out) == {"manifest.json": b'{"name": "a web page"}'}


def test_many_who_export_the_same_at_once_leave_it_whole(
    project: Path, stocked: Registry, tmp_path: Path
) -> None:
    def export(_: int) -> mr.Exported:
        version = Registry(project).get("bundle")
        together.wait()
        return version.export(tmp_path / "out")

    together = Barrier(6)
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(export, range(6)))
    assert len({each.manifest.identity for each in found}) == 1
    assert mr.verify_export(tmp_path / "out").name == "bundle"
    assert without_manifest(tmp_path / "out") == BUNDLE


@pytest.mark.parametrize(("times", "error"), [(1, nullcontext()), (99, pytest.raises(mr.ExportError))])
def test_a_note_that_another_export_took_away_is_left_again(
    times: int,
    error: AbstractContextManager[object],
    stocked: Registry,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real, taken = Target.hash, []

    def look(self: Target, path: str, moved: Callable[[int], object]) -> str | None:
        if path == UNFINISHED and len(taken) < times:
            taken.append(path)
            self.remove(path)
        return real(self, path, moved)

    monkeypatch.setattr(Target, "hash", look)
    with error:
        stocked.get("bundle").export(tmp_path / "out")
        assert mr.verify_export(tmp_path / "out").name == "bundle"
        assert without_manifest(tmp_path / "out") == BUNDLE


# -- kills -------------------------------------------------------------------------------------------------

KILLED = """
import os, sys
from modelregistry import Registry
from modelregistry.exports.target import Target

left = int(sys.argv[4])
def dying(step):
    def run(*arguments):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), 9)
        return step(*arguments)
    return run

class HalfWritten:
    # A write that is killed leaves half of a file.
    def __init__(self, file):
        self.file = file
    def write(self, chunk):
        global left
        if left == 0:
            self.file.write(chunk[: len(chunk) // 2])
            self.file.flush()
            os.kill(os.getpid(), 9)
        return self.file.write(chunk)
    def __getattr__(self, name):
        return getattr(self.file, name)
    def __enter__(self):
        return self
    def __exit__(self, *_):
        self.file.close()

from pathlib import Path
opened = Path.open
Path.open = lambda self, mode="r", *rest, **more: (
    HalfWritten(opened(self, mode)) if self.name.endswith(".partial") else opened(self, mode, *rest, **more)
)
Target.write, Target.remove = dying(Target.write), dying(Target.remove)
Registry(sys.argv[1]).get(sys.argv[2]).export(sys.argv[3], overwrite=sys.argv[5] == "True")
print(left)
"""


@pytest.mark.parametrize("overwrite", [False, True])
def test_wherever_it_is_killed_no_half_is_whole_and_the_next_call_completes_it(
    overwrite: bool, stocked: Registry, project: Path, tmp_path: Path
) -> None:
    deaths = 0
    for step in range(20):
        out = tmp_path / f"out-{step}"
        if overwrite:
            stocked.get("churn").export(out)
        done = subprocess.run(
            [sys.executable, "-c", KILLED, os.fspath(project), "bundle", os.fspath(out), str(step), str(overwrite)],
            check=False, capture_output=True, text=True,
        )  # fmt: skip
        if done.returncode == 0:
            break
        assert done.returncode == -9, done.stderr
        deaths += 1
        try:
            whole = mr.verify_export(out).name
        except mr.NotFoundError as error:
            assert "manifest.json" in str(error)  # noqa: PT017
        else:
            assert whole in (("churn", "bundle") if overwrite else ("bundle",))
        stocked.get("bundle").export(out, overwrite=overwrite)
        assert without_manifest(out) == BUNDLE
        assert mr.verify_export(out).name == "bundle"
    assert deaths >= (6 if overwrite else 5)


def test_what_a_killed_writer_left_where_nothing_appears_at_once_is_gone_on_with(
    stocked: Registry, memory: str
) -> None:
    fs = fsspec.filesystem("memory")
    for cut in ("bundle/b.json", "manifest.json"):  # killed while that was written
        whole = stocked.get("bundle").export(memory)
        mark = Unfinished(identity=whole.manifest.identity, files=tuple(BUNDLE))
        fs.pipe(f"{memory}/.manifest.json.unfinished", mark.to_json())
        if cut != "manifest.json":
            fs.rm(f"{memory}/manifest.json")
        fs.pipe(f"{memory}/{cut}", fs.cat(f"{memory}/{cut}")[:1])
        assert cut in stocked.get("bundle").export(memory).written
        assert mr.verify_export(memory).name == "bundle"


def test_half_an_export_of_another_version_is_replaced_only_when_asked(
    stocked: Registry, project: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-c", KILLED, os.fspath(project), "bundle", os.fspath(out), "2", "False"]
    assert subprocess.run(command, check=False, capture_output=True).returncode == -9
    with pytest.raises(mr.InvalidInputError, match=r"bundle@v0\.1\.0 .* is there in part"):
        stocked.get("churn").export(out)
    stocked.get("churn").export(out, overwrite=True)
    assert without_manifest(out).keys() == {"churn.joblib"}


# -- bad input ---------------------------------------------------------------------------------------------


def test_a_withdrawn_version_does_not_leave(stocked: Registry, tmp_path: Path) -> None:
    stocked.withdraw("bundle", "v0.1.0", message="wrong data")
    (withdrawn,) = stocked.versions("bundle", stage="withdrawn")
    with pytest.raises(mr.WithdrawnError):
        withdrawn.export(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_damaged_bytes_do_not_leave(stocked: Registry, tmp_path: Path) -> None:
    path = stocked.get("churn").local_path()
    path.chmod(0o644)
    path.write_bytes(b"damaged")
    with pytest.raises(mr.IntegrityError):
        stocked.get("churn").export(tmp_path / "out", verify="always")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("target", "error", "words"),
    [
        ("absent://user:c4n4ry@host/models", mr.MissingDependencyError, r"pip install no_such_package"),
        ("nowhere://user:c4n4ry@host/models", mr.InvalidInputError, "nowhere"),
        ("ftp://user:c4n4ry@127.0.0.1:1/models", mr.ExportError, "out of reach"),
        ("", mr.InvalidInputError, "neither a path nor a URL"),
        (5, mr.InvalidInputError, "neither a path nor a URL"),
    ],
)
def test_a_target_that_cant_be_is_one_clear_error(
    target: Any, error: type[Exception], words: str, stocked: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = {"class": "no_such_package.FileSystem", "err": "Install no_such_package"}
    monkeypatch.setitem(known_implementations, "absent", missing)
    with pytest.raises(error, match=words) as raised:
        stocked.get("bundle").export(target)
    assert "c4n4ry" not in str(raised.value)


@pytest.mark.parametrize("signature", ["c4n4ry", "c4n4ry%2B%41"])
def test_what_is_signed_into_a_target_is_in_no_error(signature: str, stocked: Registry) -> None:
    with web(status=403) as url, pytest.raises(mr.ExportError, match="403") as raised:
        stocked.get("bundle").export(f"{url.replace('://', '://ann:c4n4ry@')}?signature={signature}")
    assert "c4n4ry" not in str(raised.value)
    assert raised.value.__cause__ is None


def test_a_file_is_no_folder_to_export_to(stocked: Registry, tmp_path: Path) -> None:
    file = write(tmp_path / "file", "mine")
    with pytest.raises(mr.InvalidInputError, match="name a folder"):
        stocked.get("bundle").export(file, overwrite=True)
    assert file.read_text() == "mine"


def test_a_format_that_nobody_knows_is_told_with_those_there_are(stocked: Registry, tmp_path: Path) -> None:
    with pytest.raises(mr.InvalidInputError, match=r"format='zip'.*'folder'"):
        stocked.get("bundle").export(tmp_path / "out", format="zip")
    assert not (tmp_path / "out").exists()


def test_a_place_that_takes_nothing_is_told(stocked: Registry, tmp_path: Path) -> None:
    blocked = write(tmp_path / "blocked", "a file where a folder is to be")
    with pytest.raises(mr.ExportError, match="can't be written"):
        stocked.get("bundle").export(blocked / "out")
    assert blocked.read_text() == "a file where a folder is to be"


class Forgetful(MemoryFileSystem):
    """A place that keeps the length of what it is given, and not the bytes."""

    protocol = "forgetful"
    keeps: Callable[[str], bool] = staticmethod(lambda path: False)

    def _open(self, path: str, mode: str = "rb", **more: Any) -> Any:
        file = super()._open(path, mode, **more)
        if mode == "wb" and not self.keeps(path):
            write_ = file.write
            file.write = lambda data: write_(bytes(len(data)))
        return file


def test_what_is_read_back_otherwise_is_no_export(
    stocked: Registry, memory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsspec.register_implementation("forgetful", Forgetful, clobber=True)
    monkeypatch.setattr(Forgetful, "keeps", staticmethod(lambda path: "bundle" not in path))
    with pytest.raises(mr.ExportError, match=r"is read there is something else"):
        stocked.get("bundle").export("forgetful://exports/churn")
    with pytest.raises(mr.NotFoundError, match="did not end"):
        mr.verify_export("forgetful://exports/churn")


# -- the receiver ------------------------------------------------------------------------------------------


def test_a_receiver_who_knows_the_digest_takes_nothing_else(stocked: Registry, tmp_path: Path) -> None:
    out = tmp_path / "out"
    version = stocked.get("churn#current")
    version.export(out)
    assert mr.verify_export(out, digest=version.digest).reference == version.reference
    with pytest.raises(mr.IntegrityError, match="not the version that was expected"):
        mr.verify_export(out, digest=stocked.get("churn@v0.1.1").digest)


@pytest.mark.parametrize("lie", ["contents", "files", "twice", "digest", "schema", "no JSON"])
def test_a_manifest_that_contradicts_itself_is_refused(lie: str, stocked: Registry, tmp_path: Path) -> None:
    out = tmp_path / "out"
    stocked.get("bundle").export(out)
    said = manifest_of(out)
    match lie:
        case "contents":
            said["contents"][0]["sha256"] = "0" * 64
        case "files":
            del said["files"][0]
            (out / "bundle" / "b.json").unlink()
        case "twice":
            said["files"].insert(0, said["files"][0] | {"sha256": "0" * 64})
        case "digest":
            said["digest"] = "sha256:" + "0" * 64
        case "schema":
            said["schema"] = 2
    (out / "manifest.json").write_text("{" if lie == "no JSON" else json.dumps(said))
    with pytest.raises(mr.InvalidFileError, match=r"manifest\.json"):
        mr.verify_export(out)


def test_what_later_versions_add_to_a_manifest_is_skipped(stocked: Registry, tmp_path: Path) -> None:
    exported = stocked.get("bundle").export(tmp_path / "out")
    write(tmp_path / "out" / "manifest.json", json.dumps(manifest_of(tmp_path / "out") | {"later": 1}))
    assert mr.verify_export(tmp_path / "out") == exported.manifest


def test_where_nothing_was_exported_there_is_nothing(tmp_path: Path) -> None:
    with pytest.raises(mr.NotFoundError, match="nothing was exported there"):
        mr.verify_export(tmp_path / "nowhere")


def test_no_registry_is_needed_to_check_an_export(stocked: Registry, project: Path, tmp_path: Path) -> None:
    stocked.get("churn").export(tmp_path / "out")
    code = "import modelregistry as mr, sys; print(mr.verify_export(sys.argv[1]).reference); assert 'git' not in sys.modules"
    done = subprocess.run(
        [sys.executable, "-c", code, os.fspath(tmp_path / "out")], cwd=tmp_path, check=True, capture_output=True,
        env={**os.environ, "PYTHONPATH": os.fspath(TOP), "PATH": ""},
    )  # fmt: skip
    assert done.stdout.decode().strip() == "churn@v0.1.1"
