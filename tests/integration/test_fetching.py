"""Bytes that are fetched: told of while they come, gone on with after a death, right or not served, from whatever remote.

``MODELREGISTRY_FETCH_KILLS=…`` kills a load at each of its steps (``nox -s fetch``).
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import pty
import shutil
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Event

import pytest
from fsspec.callbacks import Callback, TqdmCallback

import modelregistry as mr
from modelregistry import Registry
from tests.integration.fileserver import PIECE, FileServer, Request, serving
from tests.integration.projects import TOP, write
from tests.integration.remotes import Files, fill, make_project, noise, object_name

MEGA = 1 << 20
EVERY = "MODELREGISTRY_FETCH_KILLS" in os.environ
Make = Callable[[Mapping[str, bytes | Files], str], Path]


@pytest.fixture
def make(tmp_path: Path, fresh_cache: Path) -> Make:
    """Makes a project whose models are registered, and in the remote at an address; nothing of them is here."""

    def make(models: Mapping[str, bytes | Files], url: str = "../../remote") -> Path:
        root = make_project(tmp_path / "project", {"url": url}, models)
        fill(tmp_path / "remote", models.values())
        fill(root / ".dvc" / "cache", models.values())
        registry = Registry(root)
        for path in models:
            registry.register(Path(path).stem)
        shutil.rmtree(root / ".dvc" / "cache")
        shutil.rmtree(fresh_cache)
        return root

    return make


@pytest.fixture(params=[True, False], ids=["with ranges", "without ranges"])
def server(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[FileServer]:
    """A web server of the folder ``remote``."""
    (tmp_path / "remote").mkdir()
    with serving(tmp_path / "remote", ranges=request.param) as found:
        yield found


def left_over(cache: Path) -> list[Path]:
    """What is in the cache that belongs to no whole file."""
    return [
        path
        for path in cache.rglob("*")
        if path.is_file() and ("incoming" in path.parts or path.name.startswith("."))
    ]


def hang_up_after(server: FileServer, limit: int) -> None:
    def before(_: Request) -> None:
        if server.sent() >= limit:
            raise ConnectionError

    server.before = before


# -- gone on with ------------------------------------------------------------------------------------------


def test_what_came_over_the_web_before_the_line_broke_is_not_fetched_again(
    server: FileServer, make: Make, fresh_cache: Path
) -> None:
    data = noise(20 * MEGA)
    root = make({"model.bin": data}, server.address)
    hang_up_after(server, 12 * MEGA)
    with pytest.raises(mr.MissingBytesError, match=r"can't be read .*the network"):
        Registry(root).get("model").local_path()
    (half,) = left_over(fresh_cache)
    had = half.read_bytes()
    assert data.startswith(had)
    assert len(had) > 5 * MEGA
    server.reset()

    assert Registry(root).get("model").local_path().read_bytes() == data
    if server.ranges:
        assert server.sent() == len(data) - len(had)
    else:
        assert len(data) <= server.sent() < 2 * len(data)
    assert left_over(fresh_cache) == []


def halve(cache: Path, data: bytes, half: bytes) -> Path:
    """Leave what a fetch that died leaves."""
    name = f"md5-{hashlib.md5(data).hexdigest()}"
    return write(cache / "incoming" / name / f"{name}.part", half)


@pytest.mark.parametrize("had", [1, 1000, 5 * MEGA, 9 * MEGA - 1, 9 * MEGA])
def test_the_rest_of_a_half_file_comes_from_a_folder_too(
    had: int, make: Make, tmp_path: Path, fresh_cache: Path
) -> None:
    data = noise(9 * MEGA)
    root = make({"model.bin": data}, "../../remote")
    halve(fresh_cache, data, data[:had])
    # What need not be read again is not there any more.
    write(tmp_path / "remote" / "new", bytes(had) + data[had:]).rename(
        tmp_path / "remote" / object_name(data)
    )

    assert Registry(root).get("model").local_path().read_bytes() == data
    assert left_over(fresh_cache) == []


@pytest.mark.parametrize("half", [noise(1000, 1), noise(9 * MEGA, 1), noise(10 * MEGA, 1), b""])
def test_a_half_file_that_does_not_fit_is_thrown_away(
    half: bytes, make: Make, tmp_path: Path, fresh_cache: Path
) -> None:
    data = noise(9 * MEGA)
    root = make({"model.bin": data}, "../../remote")
    halve(fresh_cache, data, half)
    assert Registry(root).get("model").local_path().read_bytes() == data
    assert left_over(fresh_cache) == []


# -- killed ------------------------------------------------------------------------------------------------

KILLED = """
import hashlib, itertools, json, os, shutil, signal, sys
from pathlib import Path
import dvc.fs
from modelregistry import Registry
root, cache, digest, first, step = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5])

def forked(work):
    process = os.fork()
    if process == 0:
        try:
            work()
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    return os.waitpid(process, 0)[1]

def load_and_die(moment):
    found, count = Registry(root).get("model"), itertools.count(1)
    def watch(event, arguments):
        if event.startswith(("os.", "shutil.", "open", "fcntl.")) and (
            event.startswith("fcntl.") or any(isinstance(each, (str, os.PathLike)) and cache in os.fspath(each) for each in arguments)
        ) and next(count) == moment:
            os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(watch)
    found.local_path(progress=False)

def load():
    place = Registry(root).get("model").local_path(progress=False)
    files = sorted(path for path in place.rglob("*") if path.is_file()) if place.is_dir() else [place]
    assert hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest() == digest

kills = []
for moment in itertools.count(first, step):
    shutil.rmtree(cache, ignore_errors=True)
    if forked(lambda: load_and_die(moment)) == 0:
        break
    for path in Path(cache, "objects").rglob("*"):
        if path.is_file() and not path.name.startswith("."):
            made = hashlib.new(path.parent.parent.name, path.read_bytes()).hexdigest()
            assert made == path.name, f"moment {moment}: {path} is {made}"
    if forked(load) or forked(load):
        sys.exit(f"the load after a kill at {moment} failed")
    kills.append(moment)
print(json.dumps(kills))
"""


@pytest.mark.timeout(0 if EVERY else 300)
@pytest.mark.parametrize(("what", "step"), [("file", 1 if EVERY else 3), ("folder", 1 if EVERY else 7)])
def test_a_load_that_is_killed_at_any_of_its_steps_leaves_nothing_that_the_next_could_take_for_whole(
    what: str, step: int, make: Make, fresh_cache: Path
) -> None:
    models: Mapping[str, bytes | Files] = {
        "file": {"model.bin": noise(100_000)},
        "folder": {"model": {f"{name}": noise(10_000, int(name)) for name in "123"}},
    }[what]  # type: ignore[assignment]
    root = make(models, "../../remote")
    (model,) = models.values()
    whole = model if isinstance(model, bytes) else b"".join(model[name] for name in sorted(model))
    done = subprocess.run(
        [sys.executable, "-c", KILLED, os.fspath(root), os.fspath(fresh_cache), hashlib.sha256(whole).hexdigest(), "1", str(step)],
        check=False, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": os.fspath(TOP)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    kills = done.stdout.count(",") + 1
    print(f"{kills} kills")
    assert kills > 10


# -- at once -----------------------------------------------------------------------------------------------


def test_threads_that_want_the_same_model_fetch_it_once(server: FileServer, make: Make) -> None:
    data = noise(5 * MEGA)
    root = make({"model.bin": data}, server.address)
    registries = [Registry(root) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        places = list(pool.map(lambda each: each.get("model").local_path(), registries))
    assert {place.read_bytes() for place in places} == {data}
    assert server.sent() == len(data)


def test_one_file_of_a_folder_is_all_that_is_fetched(
    server: FileServer, make: Make, fresh_cache: Path
) -> None:
    files = {f"{number}.bin": noise(1000, number) for number in range(5)}
    root = make({"folder": files}, server.address)
    with Registry(root).get("folder").open("3.bin") as file:
        assert file.read() == files["3.bin"]
    asked = {each.path.lstrip("/") for each in server.requests if not each.path.endswith(".dir")}
    assert asked == {object_name(files["3.bin"])}
    folder = Registry(root).get("folder").local_path()
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == files
    asked = [each.path.lstrip("/") for each in server.requests if each.method == "GET"]
    assert asked.count(object_name(files["3.bin"])) == 1


# -- a remote that does not serve --------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["file", "folder"])
@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, "your credentials"), (403, "your credentials"), (404, "'dvc push'"), (500, "the network"),
        (503, "the network"),
    ],
)  # fmt: skip
def test_a_web_server_that_refuses_is_one_error_that_says_what_to_do_and_later_it_loads(
    status: int, words: str, what: str, make: Make, tmp_path: Path, fresh_cache: Path
) -> None:
    (tmp_path / "remote").mkdir()
    with serving(tmp_path / "remote") as server:
        models: Mapping[str, bytes | Files] = {"file.bin": b"bytes", "folder": {"a": b"a", "b": b"b"}}
        root = make(models, server.address)
        server.refuses = lambda _: status
        found = Registry(root).get(what)
        with pytest.raises(mr.MissingBytesError, match=words) as caught:
            found.local_path()
        assert caught.value.paths
        assert not (fresh_cache / "views").exists()
        server.reset()
        assert found.local_path().exists()
        assert left_over(fresh_cache) == []


@pytest.mark.parametrize("how", ["gone", "a file", "an empty folder", "a folder for the object"])
def test_a_folder_that_is_no_remote_any_more_is_one_error(
    how: str, make: Make, tmp_path: Path, fresh_cache: Path
) -> None:
    root = make({"model.bin": b"bytes"}, "../../remote")
    place = tmp_path / "remote"
    place.rename(tmp_path / "aside")
    if how == "a file":
        place.write_text("a file")
    elif how == "an empty folder":
        place.mkdir()
    elif how == "a folder for the object":
        write(place / object_name(b"bytes") / "file", "")
    found = Registry(root).get("model")
    with pytest.raises(mr.MissingBytesError, match=r"'model\.bin'.*the DVC cache"):
        found.local_path()
    shutil.rmtree(place, ignore_errors=True)
    place.unlink(missing_ok=True)
    (tmp_path / "aside").rename(place)
    assert found.local_path().read_bytes() == b"bytes"


def test_an_object_that_ends_early_is_found_and_set_aside(
    server: FileServer, make: Make, tmp_path: Path, fresh_cache: Path
) -> None:
    data = noise(5 * MEGA)
    root = make({"model.bin": data}, server.address)
    place = tmp_path / "remote" / object_name(data)
    place.chmod(0o644)
    os.truncate(place, 3 * MEGA)
    found = Registry(root).get("model")
    with pytest.raises(mr.IntegrityError, match="set aside"):
        found.local_path()
    place.write_bytes(data)
    assert found.local_path().read_bytes() == data


# -- progress ----------------------------------------------------------------------------------------------

SLOW = """
import sys
from modelregistry import Registry
Registry(sys.argv[1]).get("model").local_path(**eval(sys.argv[2]))
"""


class Told(Callback):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []
        self.values: list[int] = []

    def set_size(self, size: int) -> None:
        self.sizes.append(size)

    def absolute_update(self, value: int) -> None:
        self.values.append(value)


def test_a_callback_is_told_no_less_than_before_when_the_fetch_begins_anew(
    make: Make, fresh_cache: Path
) -> None:
    data = noise(9 * MEGA)
    root = make({"model.bin": data}, "../../remote")
    halve(fresh_cache, data, noise(8 * MEGA, 1))  # found wrong at the end, and brought once more
    told = Told()
    Registry(root).get("model").local_path(progress=told)
    assert told.sizes == [len(data)]
    assert told.values == sorted(told.values)
    assert told.values[-1] == len(data)


@pytest.fixture
def interruptible() -> Iterator[None]:
    """An interrupt is one, though who runs the tests in the background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("verb", ["fetch", "fetch a folder", "import"])
def test_an_interrupt_waits_for_no_bytes_that_are_on_their_way(
    verb: str, server: FileServer, make: Make, tmp_path: Path
) -> None:
    data = noise(32 * MEGA)  # at four a second
    url = make({"model.bin": data, "folder": {"a": data, "b": data[::-1]}}, server.address)
    server.before = lambda request: time.sleep(PIECE / MEGA / 4)
    do: Callable[[], object]
    if verb == "import":
        registry = Registry(make_project(tmp_path / "other", {"url": server.address}, {"x.bin": b"x"}))
        do = partial(registry.import_model, os.fspath(url), "model", path="models/model.bin")
    else:
        do = Registry(url).get("folder" if "folder" in verb else "model").local_path
    threading.Timer(1.5, os.kill, (os.getpid(), signal.SIGINT)).start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        do()
    assert time.monotonic() - began < 5


def test_fsspec_s_own_bar_can_be_given(server: FileServer, make: Make) -> None:
    root = make({"model.bin": noise(5 * MEGA)}, server.address)
    with open(os.devnull, "w") as nowhere, TqdmCallback(tqdm_kwargs={"file": nowhere}) as bar:
        Registry(root).get("model").local_path(progress=bar)
        assert (bar.size, bar.value) == (5 * MEGA, 5 * MEGA)


def load(root: Path, options: str, *, stderr: int = subprocess.PIPE) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", SLOW, os.fspath(root), options],
        stdout=subprocess.PIPE, stderr=stderr, env=os.environ | {"PYTHONPATH": os.fspath(TOP), "TERM": "xterm"},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("options", "shows"), [("{'progress': True}", True), ("{}", False), ("{'progress': False}", False)]
)
def test_a_bar_shows_where_it_is_asked_for_and_else_not_where_nobody_looks(
    options: str, shows: bool, make: Make
) -> None:
    root = make({"model.bin": noise(5 * MEGA)}, "../../remote")
    out, err = load(root, options).communicate()
    assert out == b""
    assert (b"fetching model@v0.1.0" in err) is shows
    assert shows or err == b""


def terminal() -> tuple[int, int]:
    """Both sides of a terminal of the usual size."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    return ours, theirs


@pytest.mark.parametrize(("options", "shows"), [("{}", True), ("{'progress': False}", False)])
def test_a_slow_fetch_shows_a_bar_on_a_terminal(
    options: str, shows: bool, make: Make, tmp_path: Path
) -> None:
    (tmp_path / "remote").mkdir()
    ours, theirs = terminal()
    with serving(tmp_path / "remote") as server:
        root = make({"model.bin": noise(9 * MEGA)}, server.address)
        seen = Event()
        server.before = lambda _: seen.wait(0.05)  # slow until somebody has seen the bar
        process = load(root, options, stderr=theirs)
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # so a terminal says that nobody is on its other side
            while piece := os.read(ours, 1 << 16):
                shown += piece
                if b"fetching model@v0.1.0" in shown and b"%" in shown:
                    seen.set()
        os.close(ours)
    assert process.wait() == 0
    assert process.stdout
    assert process.stdout.read() == b""
    process.stdout.close()
    assert (b"fetching model@v0.1.0" in shown and b"/9.00M" in shown) is shows
    assert shows or shown == b""


def test_a_quick_fetch_shows_no_bar_on_a_terminal(make: Make) -> None:
    root = make({"model.bin": b"bytes"}, "../../remote")
    ours, theirs = terminal()
    process = load(root, "{}", stderr=theirs)
    os.close(theirs)
    with pytest.raises(OSError, match="Input/output"):
        os.read(ours, 1 << 16)
    os.close(ours)
    assert process.communicate() == (b"", None)


@pytest.mark.parametrize("wrong", [7, "bar", object()])
def test_what_can_t_be_told_is_refused_before_anything_moves(
    wrong: object, make: Make, fresh_cache: Path
) -> None:
    root = make({"model.bin": b"bytes"}, "../../remote")
    with pytest.raises(mr.InvalidInputError, match="fsspec"):
        Registry(root).get("model").local_path(progress=wrong)  # type: ignore[arg-type]
    assert not (fresh_cache / "objects").exists()
