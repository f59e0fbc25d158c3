"""Models whose bytes are in S3: fetched once by whoever comes, in parallel, gone on with after a kill, and verified.

``MODELREGISTRY_FETCH=500`` lets eight processes fetch so many megabytes, ``MODELREGISTRY_FETCH_KILLS=200`` kills so
many (``nox -s fetch``).
"""

from __future__ import annotations

import hashlib
import os
import random
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Event

import numpy as np
import pytest
from fsspec.callbacks import Callback

import modelregistry as mr
from modelregistry import Registry
from tests.integration.projects import TOP, commit, dvc, git, init, write
from tests.integration.remotes import Files, fill, listing_of, make_project, noise, object_name, objects_of
from tests.s3 import KEY, S3, SECRET, Request

MEGA = 1 << 20
FETCH = int(os.environ.get("MODELREGISTRY_FETCH", "32"))
KILLS = int(os.environ.get("MODELREGISTRY_FETCH_KILLS", "8"))
Make = Callable[[Mapping[str, bytes | Files]], Path]


@pytest.fixture
def credentials(environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of somebody whom the server lets in, and no others."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in {
        "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": environment / "none", "AWS_SHARED_CREDENTIALS_FILE": environment / "none",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, os.fspath(value))


@pytest.fixture
def s3(s3_server: S3, credentials: None) -> Iterator[S3]:
    """A server that answers everything, and has been asked nothing."""
    s3_server.reset()
    yield s3_server
    s3_server.reset()


@pytest.fixture
def bucket(s3: S3) -> str:
    """A bucket of the test's own."""
    name = f"bucket-{os.urandom(6).hex()}"
    s3.client.create_bucket(Bucket=name)
    return name


@pytest.fixture
def make(s3: S3, bucket: str, tmp_path: Path, fresh_cache: Path) -> Make:
    """Makes a project whose models are in the bucket, registered; nothing of them is on this machine."""

    def make(models: Mapping[str, bytes | Files]) -> Path:
        remote = {"url": f"s3://{bucket}/dvc", "endpointurl": s3.address}
        root = make_project(tmp_path / "project", remote, models)
        s3.put(bucket, {f"dvc/{name}": data for name, data in objects_of(models.values()).items()})
        fill(root / ".dvc" / "cache", models.values())
        registry = Registry(root)
        for path in models:
            registry.register(Path(path).stem)
        shutil.rmtree(root / ".dvc" / "cache")
        shutil.rmtree(fresh_cache)
        s3.reset()
        return root

    return make


class Told(Callback):  # type: ignore[misc]
    """A callback of fsspec, as anybody may write one."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int | None] = []
        self.values: list[int] = []

    def set_size(self, size: int) -> None:
        super().set_size(size)
        self.sizes.append(size)

    def absolute_update(self, value: int) -> None:
        super().absolute_update(value)
        self.values.append(value)


# -- the main job ------------------------------------------------------------------------------------------


def test_a_model_that_is_logged_is_in_s3_and_loads_in_another_clone(
    s3: S3, bucket: str, tmp_path: Path, fresh_cache: Path
) -> None:
    root = init(tmp_path / "project")
    dvc(root, "init", "--quiet")
    dvc(root, "remote", "add", "--quiet", "--default", "storage", f"s3://{bucket}/dvc")
    dvc(root, "remote", "modify", "storage", "endpointurl", s3.address)
    commit(root)
    git(tmp_path, "clone", "--quiet", "--bare", os.fspath(root), "hub.git")
    git(root, "remote", "add", "origin", os.fspath(tmp_path / "hub.git"))
    weights = {"w": np.random.default_rng(0).random(MEGA)}
    made = Registry(root).log_model(weights, "churn")
    data = made.local_path().read_bytes()
    shutil.rmtree(root)
    shutil.rmtree(fresh_cache)

    git(tmp_path, "clone", "--quiet", os.fspath(tmp_path / "hub.git"), "clone")
    assert Registry(tmp_path / "clone").get("churn").local_path().read_bytes() == data
    loaded = Registry(tmp_path / "clone").get("churn").load()
    assert np.array_equal(loaded["w"], weights["w"])  # type: ignore[index]


def test_what_dvc_pushed_to_s3_loads_in_another_clone(
    s3: S3, bucket: str, tmp_path: Path, fresh_cache: Path
) -> None:
    root = init(tmp_path / "project")
    dvc(root, "init", "--quiet")
    dvc(root, "remote", "add", "--default", "storage", f"s3://{bucket}/dvc")
    dvc(root, "remote", "modify", "storage", "endpointurl", s3.address)
    files = {"config.json": b"{}", "shards/1.bin": noise(100_000, 1), "shards/2.bin": noise(100_000, 2)}
    write(root / "model.bin", noise(9 * MEGA))
    for name, data in files.items():
        write(root / "folder" / name, data)
    dvc(root, "add", "--quiet", "model.bin", "folder")
    write(root / "dvc.yaml", "artifacts:\n  model: {path: model.bin}\n  folder: {path: folder}\n")
    commit(root)
    dvc(root, "push", "--quiet")
    for name in ("model", "folder"):
        Registry(root).register(name)
    shutil.rmtree(fresh_cache)

    git(tmp_path, "clone", "--quiet", os.fspath(root), "clone")
    registry = Registry(tmp_path / "clone")
    assert registry.get("model").local_path().read_bytes() == noise(9 * MEGA)
    folder = registry.get("folder").local_path()
    assert {name: (folder / name).read_bytes() for name in files} == files
    assert {os.fspath(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} == set(files)
    shutil.rmtree(root / ".dvc" / "cache")
    s3.reset()
    again = Registry(tmp_path / "clone")
    assert again.get("model").local_path(verify="always").read_bytes() == noise(9 * MEGA)
    assert again.get("folder").local_path() == folder
    assert s3.requests == [], "what was fetched is not asked for again"


def test_register_pushes_to_s3_what_others_need(
    s3: S3, bucket: str, tmp_path: Path, fresh_cache: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    hub = tmp_path / "hub.git"
    git(tmp_path, "init", "--quiet", "--bare", "--initial-branch=main", os.fspath(hub))
    root = init(tmp_path / "project")
    dvc(root, "init", "--quiet")
    dvc(root, "remote", "add", "--default", "storage", f"s3://{bucket}/dvc")
    dvc(root, "remote", "modify", "storage", "endpointurl", s3.address)
    write(root / "model.bin", noise(1000))
    dvc(root, "add", "--quiet", "model.bin")
    write(root / "dvc.yaml", "artifacts:\n  model: {path: model.bin}\n")
    commit(root)
    git(root, "remote", "add", "origin", hub.as_uri())
    git(root, "push", "--quiet", "origin", "main")
    s3.refuses = lambda request: 403 if request.method in ("PUT", "POST") else 0
    with pytest.raises(
        mr.MissingBytesError, match=r"can't be pushed.*AccessDenied.*PutObject.*'dvc push' must work"
    ):
        Registry(root).register("model", push_data=True)
    assert "Traceback" not in capfd.readouterr().err
    s3.reset()
    Registry(root).register("model", push_data=True)
    shutil.rmtree(root)
    shutil.rmtree(fresh_cache)

    assert Registry(hub.as_uri()).get("model").local_path().read_bytes() == noise(1000)


def test_one_file_of_a_folder_is_all_that_is_fetched(s3: S3, make: Make) -> None:
    files = {f"shards/{number}.bin": noise(300_000, number) for number in range(5)}
    root = make({"folder": files})

    with Registry(root).get("folder").open("shards/3.bin") as file:
        assert file.read() == files["shards/3.bin"]
    assert [each.path.partition("/dvc/")[2] for each in s3.gets()] == [
        object_name(listing_of(files), listing=True),
        object_name(files["shards/3.bin"]),
    ]


def test_files_are_listed_without_a_byte_of_them(s3: S3, make: Make) -> None:
    root = make({"folder": {"a": b"1", "b": b"22"}})
    assert [(file.path, file.size) for file in Registry(root).get("folder").files()] == [("a", 1), ("b", 2)]
    assert s3.requests == []


def test_a_thousand_files_are_fetched_side_by_side_and_each_once(s3: S3, make: Make) -> None:
    files = {f"{number % 7}/{number}.txt": b"%d" % number for number in range(1_008)}
    root = make({"folder": files})
    together = Barrier(8, timeout=60)  # nobody is served until eight ask
    s3.before = lambda request: request.path.endswith(".dir") or together.wait()

    folder = Registry(root).get("folder").local_path()
    assert {os.fspath(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.txt")} == files
    asked = [each.path.partition("/dvc/")[2] for each in s3.requests if not each.path.endswith(".dir")]
    assert sorted(asked) == sorted(object_name(data) for data in files.values())


def test_the_threads_of_a_fetch_share_a_session(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    """It takes a quarter of a second to make one, and each thread would make its own."""
    root = make({"folder": {f"{number}": b"%d" % number for number in range(32)}})
    caplog.set_level("DEBUG", logger="s3fs")
    Registry(root).get("folder").local_path()
    made = [record for record in caplog.records if "Setting up s3fs" in record.getMessage()]
    assert len(made) == 2, "one to read the listing, one to fetch the files"


# -- many at once ------------------------------------------------------------------------------------------

LOAD = """
import hashlib, sys
from modelregistry import Registry
found = Registry(sys.argv[1]).get("model")
print("ready", flush=True)
sys.stdin.readline()
with open(found.local_path(), "rb") as file:
    print(hashlib.file_digest(file, "sha256").hexdigest(), file.name)
"""


def start(root: Path) -> subprocess.Popen[str]:
    """A process that stands ready to load ``model`` when it is told to."""
    process = subprocess.Popen(
        [sys.executable, "-c", LOAD, os.fspath(root)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": os.fspath(TOP)},
    )  # fmt: skip
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.timeout(0 if FETCH > 32 else 300)
def test_eight_processes_that_want_the_same_model_fetch_it_once(
    s3: S3, make: Make, fresh_cache: Path
) -> None:
    data = noise(FETCH * MEGA)
    root = make({"model.bin": data})
    processes = [start(root) for _ in range(8)]
    began = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        said = {out.strip() for out, _ in pool.map(lambda process: process.communicate("go\n"), processes)}
    spent = time.monotonic() - began

    sent = sum(each.sent for each in s3.gets())
    print(
        f"{FETCH} MB, 8 processes: {sent:,} bytes in {len(s3.gets())} requests, {spent:.1f} s, {len(said)} answer"
    )
    (answer,) = said
    assert answer.split()[0] == hashlib.sha256(data).hexdigest()
    assert Path(answer.split()[1]).is_relative_to(fresh_cache)
    assert sent == len(data), "fetched once"
    assert left_over(fresh_cache) == []


def left_over(cache: Path) -> list[Path]:
    """What is in the cache that belongs to no whole file."""
    return [
        path
        for path in cache.rglob("*")
        if path.is_file() and ("incoming" in path.parts or path.name.startswith("."))
    ]


# -- killed ------------------------------------------------------------------------------------------------


class Gate:
    """Stops the server where it has sent what ``passes`` lets through, ``enough`` bytes in all, until it is opened."""

    def __init__(self, s3: S3, passes: Callable[[Request], bool], enough: int) -> None:
        self._s3 = s3
        self._passes = passes
        self._enough = enough
        self._reached, self._open = Event(), Event()
        s3.before = self._pass
        s3.after = self._look

    def _pass(self, request: Request) -> None:
        if not self._passes(request):
            self._look(request)
            self._open.wait()

    def _look(self, _: Request) -> None:
        if sum(each.sent for each in self._s3.gets()) >= self._enough:
            self._reached.set()

    def kill(self, process: subprocess.Popen[str], when: Callable[[], bool]) -> None:
        """Kill a process that stands ready once it was sent all that and it is so, and answer everything again."""
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
        assert self._reached.wait(60)
        until = time.monotonic() + 60
        while not when():
            assert time.monotonic() < until
            time.sleep(0.01)
        process.kill()
        process.communicate()
        self._open.set()
        self._s3.reset()


def beginning(s3: S3, limit: int) -> Gate:
    """A gate for the first bytes of an object, in however many ranges it is fetched."""
    return Gate(s3, lambda request: request.start + request.sent < limit, limit)


def had_half(cache: Path) -> bool:
    """Whether some of a file was written down."""
    return any(path.stat().st_size > MEGA for path in left_over(cache))


def some_moment() -> bool:
    """Any time at all."""
    time.sleep(random.uniform(0, 0.1))  # the moment of death, not a wait for anything
    return True


@pytest.mark.timeout(0 if KILLS > 10 else 300)
def test_after_a_kill_the_next_load_goes_on_where_the_dead_stopped(
    s3: S3, make: Make, fresh_cache: Path
) -> None:
    data = noise(32 * MEGA)
    root = make({"model.bin": data})
    again = 0
    seed = random.randrange(1 << 32)
    print("seed", seed)  # shown when the test fails
    random.seed(seed)
    for kill in range(KILLS):
        shutil.rmtree(fresh_cache, ignore_errors=True)
        limit = random.randrange(len(data) + 1)
        beginning(s3, limit).kill(
            start(root), some_moment if kill % 2 or limit < 5 * MEGA else lambda: had_half(fresh_cache)
        )

        (half,) = left_over(fresh_cache) or [None]
        had = half.read_bytes() if half else b""
        assert data.startswith(had), "a true beginning, or the rest can't fit"
        assert Registry(root).get("model").local_path().read_bytes() == data
        sent = sum(each.sent for each in s3.gets())
        assert sent == len(data) - len(had)
        again += len(had) > 0
        assert left_over(fresh_cache) == []
        assert not (fresh_cache / "set-aside").exists()
    print(f"{KILLS} kills: {again} times the next one went on with a beginning")
    assert again >= KILLS // 4


def test_what_a_killed_fetch_of_a_folder_had_whole_is_not_fetched_again(
    s3: S3, make: Make, fresh_cache: Path
) -> None:
    files = {f"{number}.bin": noise(MEGA, number) for number in range(24)}
    root = make({"model": files})
    held = tuple(
        object_name(data) for data in list(files.values())[::6]
    )  # not so many that nobody else comes
    gate = Gate(s3, lambda request: not request.path.endswith(held), 20 * MEGA)
    gate.kill(start(root), some_moment)

    whole = {path.name for path in (fresh_cache / "objects" / "md5").rglob("*") if path.is_file()}
    folder = Registry(root).get("model").local_path()
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == files
    asked = {"".join(each.path.split("/")[-2:]) for each in s3.gets()}
    assert not asked & whole
    assert len(whole) >= 10
    assert left_over(fresh_cache) == []


@pytest.mark.parametrize("how", ["a flipped bit", "longer than the whole", "all of it, and wrong"])
def test_a_half_file_that_was_damaged_meanwhile_is_fetched_anew(
    how: str, s3: S3, make: Make, fresh_cache: Path
) -> None:
    data = noise(9 * MEGA)
    root = make({"model.bin": data})
    beginning(s3, 5 * MEGA).kill(start(root), lambda: had_half(fresh_cache))
    (half,) = left_over(fresh_cache)
    had = half.read_bytes()
    half.write_bytes(
        {
            "a flipped bit": had[:1000] + bytes([had[1000] ^ 1]) + had[1001:],
            "longer than the whole": data + b"more",
            "all of it, and wrong": noise(len(data), 1),
        }[how]
    )
    assert Registry(root).get("model").local_path().read_bytes() == data
    assert left_over(fresh_cache) == []


# -- a remote that does not serve --------------------------------------------------------------------------


def refusing(status: int, *methods: str) -> Callable[[Request], int]:
    return lambda request: status if request.method in (methods or ("GET", "HEAD")) else 0


def hang_up_after(s3: S3, limit: int) -> None:
    def before(_: Request) -> None:
        if sum(each.sent for each in s3.gets()) >= limit:
            raise ConnectionError

    s3.before = before


TROUBLE: dict[str, tuple[str, Callable[[S3, pytest.MonkeyPatch], object]]] = {
    "no credentials": (
        "your credentials", lambda s3, patch: [patch.delenv(f"AWS_{name}") for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY")],
    ),
    "those of somebody else": (
        "your credentials",
        lambda s3, patch: [
            patch.setenv("AWS_ACCESS_KEY_ID", "AKIASOMEBODYELSE"),
            setattr(s3, "refuses", lambda request: 0 if request.key == KEY else 403),
        ],
    ),
    "403 for the bytes alone": ("your credentials", lambda s3, patch: setattr(s3, "refuses", refusing(403, "GET"))),
    "404": ("'dvc push'", lambda s3, patch: setattr(s3, "refuses", refusing(404))),
    "503": ("the network", lambda s3, patch: setattr(s3, "refuses", refusing(503))),
    "hanging up in the middle": ("the network", lambda s3, patch: hang_up_after(s3, 5 * MEGA)),
}  # fmt: skip


@pytest.mark.parametrize(
    ("case", "what"),
    [
        *((case, "file") for case in TROUBLE),
        ("403 for the bytes alone", "folder"),
        ("hanging up in the middle", "folder"),
    ],
)
def test_a_remote_that_does_not_serve_is_one_error_that_says_what_to_do_and_later_it_loads(
    case: str, what: str, s3: S3, make: Make, fresh_cache: Path
) -> None:
    models = {"file": noise(9 * MEGA), "folder": {f"{n}": noise(MEGA, n) for n in range(9)}}
    root = make(models)
    found = Registry(root).get(what)
    words, trouble = TROUBLE[case]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_MAX_ATTEMPTS", "1")  # of botocore, which would be patient for minutes
        trouble(s3, patch)
        with pytest.raises(mr.MissingBytesError, match=words) as caught:
            found.local_path()
    assert SECRET not in str(caught.value)
    assert "not in the DVC cache" in str(caught.value) or "neither in the DVC cache" in str(caught.value)
    assert not (fresh_cache / "views").exists()
    s3.reset()

    place = found.local_path()
    if what == "file":
        assert place.read_bytes() == models["file"]
    else:
        assert {path.name: path.read_bytes() for path in place.iterdir()} == models["folder"]
    assert left_over(fresh_cache) == []


def test_a_server_that_is_gone_is_one_error(make: Make, fresh_cache: Path) -> None:
    root = make({"model.bin": b"bytes"})
    text = (root / ".dvc" / "config").read_text()
    write(root / ".dvc" / "config", re.sub(r"127.0.0.1:\d+", "127.0.0.1:9", text))
    with pytest.raises(mr.MissingBytesError, match=r"can't be read .*the network"):
        Registry(root).get("model").local_path()


@pytest.mark.parametrize("size", [1000, 9 * MEGA])
@pytest.mark.parametrize("how", ["cut short", "longer", "other bytes", "empty"])
def test_an_object_that_is_not_what_was_registered_is_set_aside(
    how: str, size: int, s3: S3, bucket: str, make: Make, fresh_cache: Path
) -> None:
    data = noise(size)
    root = make({"model.bin": data})
    bad = {"cut short": data[:-7], "longer": data + b"x", "other bytes": noise(size, 1), "empty": b""}[how]
    s3.put(bucket, {f"dvc/{object_name(data)}": bad})
    found = Registry(root).get("model")
    for _ in range(2):
        with pytest.raises(mr.IntegrityError, match="'dvc push'") as caught:
            found.local_path()
        assert caught.value.expected == found.digest
        assert caught.value.found == "sha256:" + hashlib.sha256(bad).hexdigest()
    assert bad in [path.read_bytes() for path in (fresh_cache / "set-aside").iterdir()]
    s3.put(bucket, {f"dvc/{object_name(data)}": data})
    assert found.local_path().read_bytes() == data


# -- progress ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_callback_of_fsspec_is_told_the_size_and_how_far_it_is(what: str, s3: S3, make: Make) -> None:
    models = {"file": noise(9 * MEGA), "folder": {f"{n}": noise(3 * MEGA, n) for n in range(3)}}
    root = make(models)
    told = Told()
    Registry(root).get(what).local_path(progress=told)

    assert told.sizes == [9 * MEGA]
    assert told.values == sorted(told.values)
    assert len(told.values) >= 3
    assert told.values[-1] == told.value == 9 * MEGA
    told.values.clear()
    Registry(root).get(what).local_path(progress=told)
    assert told.values == [], "nothing is fetched"
