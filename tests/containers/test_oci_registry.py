"""Pushes to a real registry of containers: pulled again by another client, tags that are taken, and who may push.

Needs Debian's ``docker-registry``: ``python -m nox -s containers``.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import oras.client
import pytest
from fsspec.callbacks import Callback

import modelregistry as mr
from modelregistry import Registry
from modelregistry.exporters.ocihttp import Connection
from tests.containers.registries import PASSWORD, USER, asking_for_tokens, running
from tests.integration.projects import commit, everything, init, write

OPEN = {"insecure": True}
FILES = {"weights/a.bin": b"\0one" * 100_000, "config.json": b"{}"}


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running(tmp_path_factory.mktemp("registry") / "open") as found:
        yield found


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """Two versions of a model that is a folder, plainly in Git."""
    root = init(tmp_path / "project")
    write(root / "dvc.yaml", "artifacts:\n  net: {path: net, type: model, desc: a net}\n")
    for path, data in FILES.items():
        write(root / "net" / path, data)
    commit(root)
    found = Registry(root)
    found.register("net", message="first")
    write(root / "net" / "config.json", '{"layers": 2}')
    commit(root)
    found.register("net", message="second")
    return found


@pytest.fixture
def repository(host: str, request: pytest.FixtureRequest) -> str:
    """A repository of the test's own."""
    return f"oci://{host}/team/{os.urandom(6).hex()}"


def manifest_at(target: str) -> tuple[bytes, str]:
    """What a tag names, as somebody else asks for it: the manifest and its digest."""
    host, _, rest = target.removeprefix("oci://").partition("/")
    name, _, tag = rest.rpartition(":")
    asked = urllib.request.Request(
        f"http://{host}/v2/{name}/manifests/{tag}",
        headers={"Accept": "application/vnd.oci.image.manifest.v1+json"},
    )
    with urllib.request.urlopen(asked) as answer:
        return answer.read(), answer.headers["Docker-Content-Digest"]


def pulled(target: str, into: Path) -> dict[str, bytes]:
    client = oras.client.OrasClient(insecure=True)
    client.pull(target=target.removeprefix("oci://"), outdir=os.fspath(into))
    return everything(into)


def test_what_was_pushed_is_pulled_by_oras_file_by_file(
    registry: Registry, repository: str, tmp_path: Path
) -> None:
    version = registry.get("net@v0.1.0")
    exported = version.export(f"{repository}:first", format="oci", bom=True, storage_options=OPEN)
    assert exported.target == f"{repository}:first"
    found = pulled(exported.target, tmp_path / "pulled")
    assert json.loads(found.pop("bom.cdx.json")) == version.to_cyclonedx()
    assert found == {f"net/{path}": data for path, data in FILES.items()}


def test_the_artifact_in_the_registry_is_the_one_in_the_layout(
    registry: Registry, repository: str, tmp_path: Path
) -> None:
    version = registry.get("net@v0.1.0")
    exported = version.export(repository, format="oci", storage_options=OPEN)
    assert exported.target == f"{repository}:v0.1.0"
    version.export(tmp_path / "layout", format="oci")
    (entry,) = json.loads((tmp_path / "layout" / "index.json").read_bytes())["manifests"]
    assert manifest_at(exported.target)[1] == entry["digest"]


def test_again_nothing_is_pushed(registry: Registry, repository: str) -> None:
    version = registry.get("net@v0.1.0")
    first = version.export(repository, format="oci", storage_options=OPEN)
    assert first.written[-1] == "v0.1.0"
    assert len(first.written) == len(FILES) + 2
    registry.annotate("net", "v0.1.0", {"owner": "risk"})
    assert registry.get("net@v0.1.0").export(repository, format="oci", storage_options=OPEN).written == ()


def test_a_tag_that_names_another_artifact_is_moved_only_when_asked(
    registry: Registry, repository: str
) -> None:
    target = f"{repository}:current"
    registry.get("net@v0.1.0").export(target, format="oci", storage_options=OPEN)
    before = manifest_at(target)
    with pytest.raises(mr.InvalidInputError, match=r"is another artifact.*overwrite=True"):
        registry.get("net@v0.1.1").export(target, format="oci", storage_options=OPEN)
    assert manifest_at(target) == before
    moved = registry.get("net@v0.1.1").export(target, format="oci", storage_options=OPEN, overwrite=True)
    assert manifest_at(target) != before
    weights = next(file for file in moved.manifest.contents if file.path == "weights/a.bin")
    assert f"sha256:{weights.sha256}" not in moved.written  # it was there


def test_a_push_that_broke_off_names_no_artifact_and_is_gone_on_with(
    registry: Registry, repository: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Connection, method: str, url: str, **more: Any) -> Any:
        if method == "PUT" and "/manifests/" in url:
            raise mr.ExportError("the line is dead")
        return ask(self, method, url, **more)

    ask = Connection.ask
    version = registry.get("net@v0.1.0")
    with monkeypatch.context() as patch:
        patch.setattr(Connection, "ask", broken)
        with pytest.raises(mr.ExportError, match="dead"):
            version.export(repository, format="oci", storage_options=OPEN)
    with pytest.raises(urllib.error.HTTPError, match="404"):
        manifest_at(f"{repository}:v0.1.0")
    assert version.export(repository, format="oci", storage_options=OPEN).written == ("v0.1.0",)


def test_bytes_that_change_on_the_way_are_refused_by_both_sides(
    registry: Registry, repository: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = registry.get("net@v0.1.0").local_path() / "config.json"
    monkeypatch.setattr(
        "modelregistry.content.content.ContentReader._verified",
        lambda *_: (path.parent, "sha256:" + "0" * 64),
    )
    path.chmod(0o644)
    path.write_bytes(b"[]")
    with pytest.raises((mr.ExportError, mr.IntegrityError), match=r"400|changed"):
        registry.get("net@v0.1.0").export(repository, format="oci", storage_options=OPEN)
    with pytest.raises(urllib.error.HTTPError, match="404"):
        manifest_at(f"{repository}:v0.1.0")


def test_who_is_told_hears_of_every_byte(registry: Registry, repository: str) -> None:
    class Ear(Callback):
        def absolute_update(self, value: int) -> None:
            heard.append((value, self.size))

    heard: list[tuple[int, int]] = []
    registry.get("net@v0.1.0").export(repository, format="oci", storage_options=OPEN, progress=Ear())
    assert heard[-1][0] == heard[-1][1] > sum(map(len, FILES.values()))


# -- who may push ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running(tmp_path_factory.mktemp("registry") / "guarded", password=True) as found:
        yield found


def test_a_password_that_is_passed_is_shown_and_in_no_error(registry: Registry, guarded: str) -> None:
    version, target = registry.get("net@v0.1.0"), f"oci://{guarded}/team/net"
    with pytest.raises(mr.ExportError, match=r"401.*docker login"):
        version.export(target, format="oci", storage_options=OPEN)
    wrong = OPEN | {"username": USER, "password": f"{PASSWORD}-not"}
    with pytest.raises(mr.ExportError, match="401") as raised:
        version.export(target, format="oci", storage_options=wrong)
    assert PASSWORD not in f"{raised.value!r} {raised.value.__cause__!r}"
    right = OPEN | {"username": USER, "password": PASSWORD}
    assert version.export(target, format="oci", storage_options=right).written


@pytest.mark.parametrize("way", ["auths", "credsStore", "credHelpers"])
def test_what_docker_login_keeps_is_shown(
    way: str, registry: Registry, guarded: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if way == "auths":
        said: Any = {guarded: {"auth": base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()}}
    else:
        helper = write(
            tmp_path / "bin" / "docker-credential-vault",
            f'#!/bin/sh\nread host\n[ "$1 $host" = "get {guarded}" ] || exit 1\n'
            f'echo \'{{"ServerURL": "x", "Username": "{USER}", "Secret": "{PASSWORD}"}}\'\n',
        )
        helper.chmod(0o755)
        monkeypatch.setenv("PATH", f"{helper.parent}{os.pathsep}{os.environ['PATH']}")
        said = "vault" if way == "credsStore" else {guarded: "vault"}
    write(tmp_path / "docker" / "config.json", json.dumps({way: said}))
    monkeypatch.setenv("DOCKER_CONFIG", os.fspath(tmp_path / "docker"))
    target = f"oci://{guarded}/team/{way.lower()}"
    assert registry.get("net@v0.1.0").export(target, format="oci", storage_options=OPEN).written


def test_a_token_is_fetched_where_the_registry_wants_one_and_the_password_goes_nowhere_else(
    registry: Registry, host: str
) -> None:
    with asking_for_tokens(host) as (place, asked):
        target, version = f"oci://{place}/team/tokens", registry.get("net@v0.1.0")
        with pytest.raises(mr.ExportError, match="401"):
            version.export(target, format="oci", storage_options=OPEN)
        asked.clear()
        known = OPEN | {"username": USER, "password": PASSWORD}
        assert version.export(target, format="oci", storage_options=known).written
    assert [what for what, shown in asked if shown.startswith("Basic")] == [
        "GET /token?service=models&scope=repository%3Ax%3Apull%2Cpush"
    ]


# -- bad input ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target",
    [
        "oci://",
        "oci://host",
        "oci://user:c4n4ry@host/team/net",
        "oci://host/Team/Net",
        "oci://host/a/b@sha256:1",
        "oci://host/a:b:c",
    ],
)
def test_what_is_no_place_in_a_registry_is_told(target: str, registry: Registry) -> None:
    expected = "carries a login" if "@host" in target else "oci://registry/repository:tag"
    with pytest.raises(mr.InvalidInputError, match=expected) as raised:
        registry.get("net").export(target, format="oci")
    assert "c4n4ry" not in str(raised.value)


def test_an_option_that_is_none_is_told(registry: Registry, repository: str) -> None:
    with pytest.raises(mr.InvalidInputError, match="tls"):
        registry.get("net").export(repository, format="oci", storage_options={"tls": False})


def test_a_registry_that_cant_be_reached_is_told(registry: Registry) -> None:
    with pytest.raises(mr.ExportError, match=r"127\.0\.0\.1:1' can't be reached"):
        registry.get("net").export("oci://127.0.0.1:1/team/net", format="oci", storage_options=OPEN)


@pytest.mark.parametrize(
    "answer", [b"220 mail.example.com\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", b""]
)
def test_what_is_no_registry_is_told(answer: bytes, registry: Registry) -> None:
    def speak() -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(1 << 16)
            connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as server:
        speaker = Thread(target=speak)
        speaker.start()
        target = f"oci://127.0.0.1:{server.getsockname()[1]}/team/net"
        with pytest.raises(mr.ExportError, match="can't be reached"):
            registry.get("net").export(target, format="oci", storage_options=OPEN)
        speaker.join()


def test_plain_http_is_used_only_where_that_is_asked_for(registry: Registry, repository: str) -> None:
    with pytest.raises(mr.ExportError, match="can't be reached"):
        registry.get("net").export(repository, format="oci")


def test_a_withdrawn_version_is_not_pushed(registry: Registry, repository: str) -> None:
    registry.withdraw("net", "v0.1.0", message="wrong data")
    (withdrawn,) = registry.versions("net", stage="withdrawn")
    with pytest.raises(mr.WithdrawnError):
        withdrawn.export(repository, format="oci", storage_options=OPEN)
