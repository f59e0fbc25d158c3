"""A connection that is cut, at every stage of a write: the event is in the hub once or not at all, and nobody is misled.

A proxy stands between a clone and its hub, which is served over http. It counts what goes through, cuts one connection
after so many bytes of the request or of the answer, and lets the next ones through, or none until it is mended.
``MODELREGISTRY_CUT_STEP=64`` cuts every connection after every 64 bytes.
"""

from __future__ import annotations

import os
import select
import shutil
import socket
import struct
import threading
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

import modelregistry as mr
from modelregistry import Registry
from tests.integration.projects import commit, git, init, write
from tests.integration.web import serve

STEP = int(os.environ.get("MODELREGISTRY_CUT_STEP", "0"))
REQUEST, ANSWER = 0, 1
MESSAGE = "the one"
VERBS = {
    "register": lambda registry: registry.register("churn", message=MESSAGE),
    "promote": lambda registry: registry.promote("churn", "v0.1.1", "current", message=MESSAGE),
}
Cut = tuple[int, int, int]
"""Which connection is cut, in which direction, after how many bytes."""

pytestmark = pytest.mark.timeout(0 if STEP else 300)


class Proxy:
    """Lets connections through to a port of this machine, and cuts one.

    Attributes:
        passed: The bytes of the request and of the answer of each connection since ``reset``.
        happened: Whether the cut was made.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.reset()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def reset(self, cut: Cut | None = None, *, stays_down: bool = False) -> None:
        self.passed: list[list[int]] = []
        self.happened = False
        self._cut, self._stays_down = cut, stays_down

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self.happened and self._stays_down:
                    drop(client)
                    continue
                self.passed.append([0, 0])
                arguments = (client, len(self.passed) - 1, self.passed[-1])
                self._threads.append(threading.Thread(target=self._carry, args=arguments))
                self._threads[-1].start()

    def _carry(self, client: socket.socket, number: int, passed: list[int]) -> None:
        with client, socket.create_connection(("127.0.0.1", self._port)) as server, suppress(OSError):
            ends = {client: (REQUEST, server), server: (ANSWER, client)}
            while ends:
                for source in select.select(list(ends), [], [])[0]:
                    direction, target = ends[source]
                    data = source.recv(65536)
                    if not data:
                        target.shutdown(socket.SHUT_WR)
                        del ends[source]
                        continue
                    cut = self._cut is not None and self._cut[:2] == (number, direction)
                    left = self._cut[2] - passed[direction] if self._cut is not None and cut else len(data)
                    target.sendall(data[:left])
                    passed[direction] += len(data[:left])
                    if cut and len(data) >= left:
                        self.happened = True
                        drop(client)  # what the hub has got, it may work on
                        return


def drop(connection: socket.socket) -> None:
    """End it as a broken line does: with no farewell."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[Proxy]:
    with serve(tmp_path) as port:
        found = Proxy(port)
        try:
            yield found
        finally:
            found.close()


@pytest.fixture
def made(tmp_path: Path, proxy: Proxy) -> Path:
    """A folder with a hub and a clone of it: two versions, v0.1.0 being current; a third to register."""
    top = tmp_path / "made"
    root = init(top / "first")
    write(root / "dvc.yaml", "artifacts:\n  churn: {path: churn.json, type: model}\n")
    registry = Registry(root)
    for number in range(3):
        write(root / "churn.json", f'{{"churn": {number}}}')
        commit(root)
        if number < 2:
            registry.register("churn")
    registry.promote("churn", "v0.1.0", "current")
    git(top, "clone", "--quiet", "--bare", os.fspath(root), os.fspath(top / "hub.git"))
    git(top / "hub.git", "config", "http.receivepack", "true")
    git(top, "clone", "--quiet", os.fspath(top / "hub.git"), os.fspath(top / "clone"))
    return top


def points(passed: Sequence[Sequence[int]]) -> Iterator[Cut]:
    """Where to cut: every connection in the middle of its answer, and those of the push from end to end."""
    for number, sizes in enumerate(passed):
        for direction in (REQUEST, ANSWER):
            size = sizes[direction]
            if STEP:
                yield from ((number, direction, after) for after in [*range(0, size, STEP), size - 1, size])
            elif number >= len(passed) - 2:  # what is offered to the hub, and what is sent
                yield from ((number, direction, after) for after in (0, size // 2, size))
            elif direction == ANSWER:
                yield number, direction, size // 2


def events(hub: Path) -> list[str]:
    return [event.id for event in Registry(hub, remote=None).events() if event.message == MESSAGE]


@pytest.mark.parametrize("stays_down", [False, True], ids=["one is cut", "none gets through after it"])
@pytest.mark.parametrize("verb", VERBS)
def test_a_cut_connection_leaves_the_event_there_once_or_not_at_all(
    verb: str, stays_down: bool, made: Path, proxy: Proxy, tmp_path: Path
) -> None:
    warnings.simplefilter("ignore", mr.RegistryWarning)

    def ready(name: str) -> Path:
        shutil.copytree(made, tmp_path / name, ignore=shutil.ignore_patterns("first"))
        git(tmp_path / name / "clone", "remote", "set-url", "origin", f"{proxy.address}/{name}/hub.git")
        return tmp_path / name

    top = ready("plain")
    proxy.reset()
    VERBS[verb](Registry(top / "clone"))
    passed = proxy.passed
    assert len(events(top / "hub.git")) == 1
    seen: Counter[str] = Counter()
    for cut in points(passed):
        top = ready("-".join(map(str, cut)))
        proxy.reset(cut, stays_down=stays_down)
        seen[judge(top, verb, proxy)] += 1
        seen["cuts"] += proxy.happened
        shutil.rmtree(top, ignore_errors=True)  # the hub may be at work there still
    print(f"\n{verb}, {'none' if stays_down else 'the next'} gets through: {passed} bytes, {dict(seen)}")
    assert seen["nothing written"] and seen["unknown" if stays_down else "done"]
    assert stays_down or not seen["unknown"], "the hub could be asked"


def judge(top: Path, verb: str, proxy: Proxy) -> str:
    """Call the verb over a connection that is cut, mend it, and go on as the error says; how the call had ended."""
    hub, registry = top / "hub.git", Registry(top / "clone")
    point = top.name
    unknown = None
    try:
        VERBS[verb](registry)
        outcome = "done"
        assert len(events(hub)) == 1, f"{point}: acknowledged and not there"
    except mr.OutcomeUnknownError as error:
        outcome, unknown = "unknown", error.event_id
    except mr.RemoteError:
        outcome = "nothing written"
        assert events(hub) == [], f"{point}: 'nothing was written', and it was"
    happened = proxy.happened
    proxy.reset()
    if unknown is not None and sum(map(int, point.split("-"))) % 2:
        registry.sync()
    elif outcome != "done":
        VERBS[verb](registry)  # the same call works; it settles first what is unknown
    found = events(hub)
    assert len(found) == 1, f"{point}: {outcome}, then {len(found)} times there"
    assert unknown in (None, found[0]), f"{point}: the event that was unknown was replaced by another"
    assert git(hub, "tag") == git(top / "clone", "tag")
    assert not git(top / "clone", "for-each-ref", "refs/modelregistry")
    assert registry.check() == []
    proxy.happened = happened
    return outcome
