"""The folder for fetched bytes where it can't be written, is full, elsewhere, another's or baked into an image.

Each case runs in a namespace of its own (`unshare` of util-linux), where anybody may mount: a real read-only or full file
system, and a user who is not root.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import joblib
import pytest

from modelregistry import Registry
from tests.integration.fileserver import serving
from tests.integration.projects import TOP, git, write
from tests.integration.remotes import fill, make_project, noise

MEGA = 1 << 20
FILES = {"a.bin": noise(1000, 1), "deep/b.bin": noise(1000, 2)}
ONE = {"only.bin": noise(1000, 3)}
TRY = """
import json, logging, os, sys
from pathlib import Path
logging.basicConfig(level="WARNING", format="%(message)s")
import modelregistry as mr
root, steps = sys.argv[1], sys.argv[2:]
for step in steps:
    verb, _, name = step.partition(" ")
    try:
        registry = mr.Registry(root)
        match verb:
            case "path":
                place = registry.get(name).local_path(progress=False)
                files = sorted(path for path in place.rglob("*") if path.is_file()) if place.is_dir() else [place]
                said = {"place": str(place), "files": {str(path.relative_to(place)): path.read_bytes().hex()[:40] for path in files}}
            case "open":
                name, _, file = name.partition(":")
                with registry.get(name).open(file or None) as opened:
                    said = {"bytes": opened.read().hex()[:40]}
            case "load":
                said = {"type": type(mr.load_model(name, registry=registry)).__name__}
            case "register":
                said = {"version": registry.register(name).version}
            case "run":
                said = {"status": os.system(name)}
    except mr.RegistryError as error:
        said = {"error": type(error).__name__, "words": str(error), "errno": getattr(error, "errno", None)}
    print(json.dumps(said), flush=True)
"""


def attempt(
    root: Path, *steps: str, mounts: str = "", user: bool = False, expect: int = 0
) -> tuple[list[dict[str, Any]], str]:
    """What each step says, and what was logged.

    Args:
        root: The registry.
        steps: ``path NAME``, ``open NAME``, ``load NAME``, ``register NAME``, ``run COMMAND``.
        mounts: Shell commands that are run first, by one who may mount.
        user: Whether it is done by a user who may do no more than others.
        expect: How the process ends.
    """
    who = ["--user", "--map-user=1000", "--map-group=1000"] if user else ["--mount", "--map-root-user"]
    done = subprocess.run(
        ["unshare", *who, "sh", "-ec", f'{mounts}\\nexec "$@"'.replace("\\n", "\n"), "sh", sys.executable, "-c", TRY, os.fspath(root), *steps],
        check=False, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": os.fspath(TOP)},
    )  # fmt: skip
    assert done.returncode == expect, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr


@pytest.fixture
def root(tmp_path: Path, fresh_cache: Path) -> Path:
    """A project whose models are registered and in the remote, and in the DVC cache; the cache folder is empty."""
    joblib.dump([1, 2, 3], tmp_path / "list.joblib")
    models = {
        "model.bin": noise(9 * MEGA), "small.bin": noise(1000), "folder": FILES, "one": ONE,
        "list.joblib": (tmp_path / "list.joblib").read_bytes(),
    }  # fmt: skip
    found = make_project(tmp_path / "project", {"url": "../../remote"}, models)
    fill(tmp_path / "remote", models.values())
    fill(found / ".dvc" / "cache", models.values())
    registry = Registry(found)
    for path in models:
        registry.register(Path(path).stem)
    shutil.rmtree(fresh_cache)
    fresh_cache.mkdir(mode=0o700)
    return found


def read_only(folder: Path) -> str:
    return f"mount --bind {folder} {folder}; mount -o remount,ro,bind {folder}"


def small(folder: Path, size: str) -> str:
    return f"mount -t tmpfs -o size={size},mode=700 tmpfs {folder}"


# -- read-only ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["file system", "mode"])
def test_a_single_file_in_the_dvc_cache_loads_although_nothing_can_be_kept(
    how: str, root: Path, fresh_cache: Path
) -> None:
    mounts = read_only(fresh_cache) if how == "file system" else f"chmod 500 {fresh_cache}"
    said, log = attempt(root, "path small", "open small", "load list", mounts=mounts, user=how == "mode")
    assert said[0]["files"] == {".": noise(1000).hex()[:40]}
    assert Path(said[0]["place"]).is_relative_to(root / ".dvc" / "cache")
    assert said[1] == {"bytes": noise(1000).hex()[:40]}
    assert said[2] == {"type": "list"}
    assert "handed out as it lies" in log
    assert list(fresh_cache.iterdir()) == []


@pytest.mark.parametrize("how", ["file system", "mode"])
@pytest.mark.parametrize("what", ["path folder", "path one"])
def test_a_folder_needs_a_place_and_the_error_says_how_to_give_it_one(
    what: str, how: str, root: Path, fresh_cache: Path
) -> None:
    mounts = read_only(fresh_cache) if how == "file system" else f"chmod 500 {fresh_cache}"
    (said,), _ = attempt(root, what, mounts=mounts, user=how == "mode")
    assert said["error"] == "CacheError"
    assert f"the cache folder {os.fspath(fresh_cache)!r} can't be written" in said["words"]
    assert "make it writable, or set $MODELREGISTRY_CACHE to another folder" in said["words"]
    assert list(fresh_cache.iterdir()) == []


def test_one_file_of_a_folder_in_the_dvc_cache_opens_although_nothing_can_be_kept(
    root: Path, fresh_cache: Path
) -> None:
    said, _ = attempt(root, "open folder:deep/b.bin", "open one", mounts=read_only(fresh_cache))
    assert said == [{"bytes": FILES["deep/b.bin"].hex()[:40]}, {"bytes": ONE["only.bin"].hex()[:40]}]


@pytest.mark.parametrize("how", ["file system", "mode"])
@pytest.mark.parametrize(
    "what", ["path small", "path folder", "open folder:a.bin", "load list", "register small"]
)
def test_bytes_that_must_be_fetched_need_a_place_too(
    what: str, how: str, root: Path, fresh_cache: Path
) -> None:
    shutil.rmtree(root / ".dvc" / "cache")
    if what.startswith("register"):
        git(root, "tag", "--delete", "small@v0.1.0")
    mounts = read_only(fresh_cache) if how == "file system" else f"chmod 500 {fresh_cache}"
    (said,), _ = attempt(root, what, mounts=mounts, user=how == "mode")
    assert said["error"] == "CacheError", said
    assert "make it writable, or set $MODELREGISTRY_CACHE to another folder" in said["words"]
    assert list(fresh_cache.iterdir()) == []


def test_a_registration_needs_no_cache_folder_where_the_bytes_are_here(root: Path, fresh_cache: Path) -> None:
    for name in ("small", "folder"):
        git(root, "tag", "--delete", f"{name}@v0.1.0")
    said, _ = attempt(root, "register small", "register folder", mounts=read_only(fresh_cache))
    assert said == [{"version": "v0.1.0"}, {"version": "v0.1.0"}]


def test_a_cache_folder_that_can_t_be_made_is_said_so(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in (write(tmp_path / "a file", ""), tmp_path / "a file" / "below", Path("/proc/nowhere")):
        monkeypatch.setenv("MODELREGISTRY_CACHE", os.fspath(place))
        said, _ = attempt(root, "path small", "path folder", mounts="true")
        assert said[0]["files"]
        assert said[1]["error"] == "CacheError"
        assert "to another folder" in said[1]["words"]


# -- full --------------------------------------------------------------------------------------------------


@pytest.fixture(params=["folder", "web"])
def only_remote(request: pytest.FixtureRequest, root: Path, tmp_path: Path) -> Iterator[Path]:
    """The project, its bytes being in a remote of either kind and nowhere else."""
    shutil.rmtree(root / ".dvc" / "cache")
    with serving(tmp_path / "remote") as server:
        if request.param == "web":
            config = root / ".dvc" / "config"
            config.write_text(config.read_text().replace("../../remote", server.address))
        yield root


def test_a_full_disk_is_one_error_and_with_room_it_goes_on(only_remote: Path, fresh_cache: Path) -> None:
    said, _ = attempt(
        only_remote,
        *("path model", "run find $MODELREGISTRY_CACHE/objects $MODELREGISTRY_CACHE/views -type f 2>/dev/null | grep ."),
        *(f"run mount -o remount,size=64m {fresh_cache}", "path model", "path model"),
        mounts=small(fresh_cache, "4m"),
    )  # fmt: skip
    assert said[0]["error"] == "CacheError"
    assert said[0]["errno"] == 28
    assert "registry.cache.prune(…) makes room, or set $MODELREGISTRY_CACHE" in said[0]["words"]
    assert said[1]["status"] != 0, "nothing half-written has a name"
    assert said[2]["status"] == 0
    assert said[3]["files"] == said[4]["files"] == {".": noise(9 * MEGA).hex()[:40]}


def test_a_disk_that_is_full_of_names_is_one_error(only_remote: Path, fresh_cache: Path) -> None:
    said, _ = attempt(
        only_remote, "path folder", f"run mount -o remount,nr_inodes=1000 {fresh_cache}", "path folder",
        mounts=small(fresh_cache, "4m,nr_inodes=12"),
    )  # fmt: skip
    assert said[0]["error"] == "CacheError"
    assert "makes room" in said[0]["words"]
    assert said[2]["files"] == {name: data.hex()[:40] for name, data in FILES.items()}


def test_a_full_disk_stops_no_file_that_is_here(root: Path, fresh_cache: Path) -> None:
    fullness = f"{small(fresh_cache, '64k')}; cp /dev/zero {fresh_cache}/ballast 2>/dev/null || true"
    said, _ = attempt(root, "path small", "load list", "path folder", mounts=fullness)
    assert said[0]["files"] == {".": noise(1000).hex()[:40]}
    assert said[1] == {"type": "list"}
    assert said[2].get("error") == "CacheError" or said[2]["files"] == {
        name: data.hex()[:40] for name, data in FILES.items()
    }


def test_a_limit_of_the_size_of_files_is_one_error(only_remote: Path, fresh_cache: Path) -> None:
    (said,), _ = attempt(only_remote, "path model", mounts="ulimit -f 4096")
    assert said["error"] == "CacheError"
    assert "set $MODELREGISTRY_CACHE to another folder" in said["words"]


# -- on another file system --------------------------------------------------------------------------------


def test_a_cache_folder_on_another_file_system_names_what_the_dvc_cache_has_by_links(
    root: Path, fresh_cache: Path
) -> None:
    said, _ = attempt(
        root, "path model", "path folder", "load list", "path model",
        f"run find {fresh_cache}/views -type l | grep -c . | grep -qx 4", mounts=small(fresh_cache, "4m"),
    )  # fmt: skip
    assert said[0]["files"] == said[3]["files"] == {".": noise(9 * MEGA).hex()[:40]}
    assert said[0]["place"].endswith("/model.bin")
    assert said[1]["files"] == {name: data.hex()[:40] for name, data in FILES.items()}
    assert said[2] == {"type": "list"}
    assert said[4]["status"] == 0, "links, and no copies"


def test_what_a_link_leads_to_is_verified_like_everything(root: Path, fresh_cache: Path) -> None:
    said, _ = attempt(
        root, "path small",
        "run cd .. && f=$(readlink $(find $MODELREGISTRY_CACHE/views -name small.bin)) && chmod 644 $f && printf X | dd of=$f conv=notrunc 2>/dev/null",
        "path small", "path small", mounts=small(fresh_cache, "4m"),
    )  # fmt: skip
    assert said[0]["files"] == said[3]["files"] == {".": noise(1000).hex()[:40]}
    assert said[1]["status"] == 0
    assert said[2]["error"] == "IntegrityError"
    assert "load again" in said[2]["words"]


def test_a_link_whose_bytes_are_gone_is_fetched_anew(root: Path, fresh_cache: Path) -> None:
    said, _ = attempt(
        root, "path small", "path folder", f"run rm -r {root}/.dvc/cache", "path small", "path folder",
        f"run mv {root.parent}/remote {root.parent}/away", "path small", "path folder",
        f"run mv {root.parent}/away {root.parent}/remote",
        mounts=small(fresh_cache, "4m"),
    )  # fmt: skip
    assert [each.get("files") for each in said] == [
        {".": noise(1000).hex()[:40]}, {name: data.hex()[:40] for name, data in FILES.items()}, None,
        {".": noise(1000).hex()[:40]}, {name: data.hex()[:40] for name, data in FILES.items()}, None,
        {".": noise(1000).hex()[:40]}, {name: data.hex()[:40] for name, data in FILES.items()}, None,
    ]  # fmt: skip


# -- another user's ----------------------------------------------------------------------------------------


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_cache_folder_of_another_user_is_one_error(root: Path, fresh_cache: Path) -> None:
    shutil.rmtree(root / ".dvc" / "cache")
    os.chown(fresh_cache, 12345, 12345)
    said, _ = attempt(root, "path small", "path folder", user=True)
    for each in said:
        assert each["error"] == "CacheError", each
        assert "make it writable, or set $MODELREGISTRY_CACHE to another folder" in each["words"]


def test_what_this_user_can_t_read_in_a_shared_dvc_cache_is_fetched(root: Path, fresh_cache: Path) -> None:
    for path in (root / ".dvc" / "cache").rglob("*"):
        if path.is_file():
            path.chmod(0o000)
    said, _ = attempt(root, "path small", "path folder", "open one", user=True)
    assert said[0]["files"] == {".": noise(1000).hex()[:40]}
    assert said[1]["files"] == {name: data.hex()[:40] for name, data in FILES.items()}
    assert said[2] == {"bytes": ONE["only.bin"].hex()[:40]}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
@pytest.mark.parametrize("mode", [0o755, 0o700])
def test_what_another_user_kept_is_verified_before_it_is_used(
    mode: int, root: Path, fresh_cache: Path
) -> None:
    """Their notes count for nothing, and what they did to the bytes is found."""
    shutil.rmtree(root / ".dvc" / "cache")
    said, _ = attempt(root, "path small")
    kept = Path(said[0]["place"])
    kept.chmod(0o644)
    kept.write_bytes(noise(1000, 1))
    for path in (fresh_cache, *fresh_cache.rglob("*")):
        os.chown(path, 12345, 12345)
        if path.is_dir():
            path.chmod(mode)
    said, _ = attempt(root, "path small", user=True)
    assert said[0]["error"] == ("IntegrityError" if mode == 0o755 else "CacheError"), said


@pytest.mark.parametrize("mode", [0o770, 0o777, 0o1777, 0o2775])
def test_a_cache_folder_that_others_may_write_to_works_and_what_is_in_it_is_this_user_s(
    mode: int, root: Path, fresh_cache: Path
) -> None:
    fresh_cache.chmod(mode)
    shutil.rmtree(root / ".dvc" / "cache")
    said, _ = attempt(root, "path small", "path folder", user=True)
    assert said[0]["files"] == {".": noise(1000).hex()[:40]}
    assert said[1]["files"] == {name: data.hex()[:40] for name, data in FILES.items()}
    for path in fresh_cache.rglob("*"):
        assert path.is_symlink() or not path.stat().st_mode & 0o022, path
        assert path.parent != fresh_cache or not path.is_dir() or path.stat().st_mode & 0o777 == 0o700


# -- baked into an image -----------------------------------------------------------------------------------


@pytest.mark.parametrize("made", ["from the DVC cache", "from the remote"])
@pytest.mark.parametrize("how", ["as it is", "copied", "copied by another user"])
def test_a_filled_cache_folder_serves_for_ever_without_dvc_s_and_without_a_remote(
    how: str, made: str, root: Path, fresh_cache: Path, tmp_path: Path
) -> None:
    if how == "copied by another user" and os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    if made == "from the remote":
        shutil.rmtree(root / ".dvc" / "cache")
    attempt(root, "path small", "path folder", "load list", "open one")
    shutil.rmtree(root / ".dvc" / "cache", ignore_errors=True)
    (tmp_path / "remote").rename(tmp_path / "away")
    if how != "as it is":  # other inodes, at other times: nothing looks as it did
        subprocess.run(["cp", "--archive", fresh_cache, tmp_path / "copied"], check=True)
        shutil.rmtree(fresh_cache)
        (tmp_path / "copied").rename(fresh_cache)
    if how == "copied by another user":
        for path in (fresh_cache, *fresh_cache.rglob("*")):
            os.chown(path, 12345, 12345, follow_symlinks=False)
            if path.is_dir():
                path.chmod(0o755)
        said, _ = attempt(root, "path small", "path folder", "load list", "open one", user=True)
    else:
        said, _ = attempt(
            root, "path small", "path folder", "load list", "open one", mounts=read_only(fresh_cache)
        )
    assert said[0]["files"] == {".": noise(1000).hex()[:40]}, said
    assert said[1]["files"] == {name: data.hex()[:40] for name, data in FILES.items()}, said
    assert said[2] == {"type": "list"}
    assert said[3] == {"bytes": ONE["only.bin"].hex()[:40]}
