"""Models that were made elsewhere, tracked from files and URLs, held against what DVC itself makes of them."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fsspec
import pytest
from fsspec.registry import known_implementations

import modelregistry as mr
from modelregistry import ModelVersion, Registry
from modelregistry.trust.trust import Ledger
from tests.integration.makers import hub_of, killed, seen, use_s3
from tests.integration.pipelines import ETAG, dvcs, web
from tests.integration.projects import TOP, commit, git, init, write
from tests.s3 import KEY, S3, SECRET

CANARY = "c4n4ry-s3cr3t"
WEIGHTS = b"weights"


def sha256(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A DVC project that has nothing yet."""
    top = init(tmp_path / "team")
    remote = "[core]\n    remote = shelf\n['remote \"shelf\"']\n    url = ../../shelf\n"
    write(top / ".dvc" / "config", remote)
    write(top / ".dvc" / ".gitignore", "/config.local\n/tmp\n/cache\n")
    commit(top, "Begin")
    return top


@pytest.fixture
def registry(root: Path) -> Registry:
    return Registry(root)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write(tmp_path / "vendor" / "net.onnx", WEIGHTS)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "vendor" / "net" / "b.bin", b"b")
    write(tmp_path / "vendor" / "net" / "deep" / "a.bin", b"a")
    return tmp_path / "vendor" / "net"


def objects(root: Path) -> list[Path]:
    """What is in DVC's cache."""
    return [path for path in (root / ".dvc" / "cache").rglob("*") if path.is_file()]


# -- this machine ------------------------------------------------------------------------------------------


def test_what_is_written_is_what_dvc_add_writes(
    root: Path, registry: Registry, file: Path, folder: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(root, other)
    registry.track(file, "net")
    registry.track(folder, "pack")
    shutil.copytree(folder, other / "models" / "pack")
    shutil.copyfile(file, other / "models" / "net.onnx")
    dvcs(other, ["add", "--quiet", "models/net.onnx", "models/pack"])
    for name in ("net.onnx.dvc", "pack.dvc", ".gitignore"):
        assert (root / "models" / name).read_text() == (other / "models" / name).read_text()
    assert (root / "models" / "pack" / "deep" / "a.bin").read_bytes() == b"a"
    assert {path.name for path in objects(root)} == {path.name for path in objects(other)}
    dvcs(root, ["status", "--quiet"], ["status", "--quiet", "--cloud"])  # an exit status of 0 is "up to date"
    assert git(root, "status", "--short") == ""


def test_the_registration_says_where_it_is_from_and_on_what_terms(registry: Registry, file: Path) -> None:
    found = registry.track(
        file, "net", license="apache-2.0", origin="https://example.org/models/net",
        inputs=["s3://corpus/2024", "md5:" + "0" * 32], description="sees", labels=["vision"], metadata={"owner": "cv"},
        checksum=sha256(WEIGHTS), message="the vendor's new one",
    )  # fmt: skip
    assert found.digest == sha256(WEIGHTS)
    assert found.metadata["origin"] == {"said": "https://example.org/models/net"}
    assert (found.metadata["license"], found.metadata["owner"]) == ("apache-2.0", "cv")
    assert (found.path, found.type, found.description, found.labels) == (
        "models/net.onnx",
        "model",
        "sees",
        ("vision",),
    )
    assert found.message == "the vendor's new one"
    for said in ("s3://corpus/2024", "md5:" + "0" * 32, "https://example.org/models/net"):
        (node,) = found.lineage.find(said)
        assert found.lineage.upstream(found.lineage.subject).count(node) == 1
    assert len(registry.impact("s3://corpus/2024")) == len(registry.impact("md5:" + "0" * 32)) == 1


def test_tracked_bytes_were_not_made_here(registry: Registry, file: Path) -> None:
    assert registry.track(file, "net").digest not in Ledger()


def test_what_lies_in_the_repository_is_tracked_where_it_lies(root: Path, registry: Registry) -> None:
    place = write(root / "weights" / "net.bin", WEIGHTS)
    found = registry.track(place, "net")
    assert found.path == "weights/net.bin"
    assert place.read_bytes() == WEIGHTS
    assert git(root, "status", "--short") == ""


def test_a_folder_that_can_not_be_looked_into_is_told_and_nothing_of_it_is_kept(
    root: Path, registry: Registry, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = os.scandir

    def scandir(place: str | os.PathLike[str] = ".") -> object:
        if Path(place) == folder / "deep":
            raise PermissionError(errno.EACCES, "Permission denied", os.fspath(place))
        return scan(place)

    monkeypatch.setattr(os, "scandir", scandir)
    before = seen(root)
    with pytest.raises(mr.AccessDeniedError, match=r"net/deep' can't be read"):
        registry.track(folder, "net")
    assert seen(root) == before
    assert objects(root) == []


def test_a_folder_that_nobody_may_write_to_lies_here_as_one_of_the_user_s_own(
    root: Path, registry: Registry, folder: Path
) -> None:
    for place in (folder / "deep", folder):
        place.chmod(0o555)
    registry.track(folder, "net")
    for place in (folder, folder / "deep"):
        place.chmod(0o755)
    usual = (root / "models").stat().st_mode
    assert [(root / "models" / each).stat().st_mode for each in ("net", "net/deep")] == [usual, usual]
    write(folder / "b.bin", b"another")
    registry.track(folder, "net")
    assert (root / "models/net/b.bin").read_bytes() == b"another"


def test_a_cache_that_a_group_shares_is_one_that_all_of_it_may_write_to(
    root: Path, registry: Registry, folder: Path
) -> None:
    write(root / ".dvc" / "config.local", "[cache]\n    shared = group\n")
    before = os.umask(0o022)
    try:
        registry.track(folder, "net")
    finally:
        os.umask(before)
    made = [path for path in (root / ".dvc" / "cache").rglob("*") if path.is_dir()]
    assert {oct(path.stat().st_mode & 0o7777) for path in made} == {"0o2775"}


def test_another_call_brings_the_next_version(root: Path, registry: Registry, file: Path) -> None:
    assert registry.track(file, "net").version == "v0.1.0"
    write(file, b"better weights")
    found = registry.track(file, "net", bump="minor")
    assert (found.version, found.path) == ("v0.2.0", "models/net.onnx")
    assert (root / "models" / "net.onnx").read_bytes() == b"better weights"
    with pytest.warns(mr.RegistryWarning, match="has these bytes already"):
        assert registry.track(file, "net").version == "v0.2.0"


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
def test_a_checksum_that_does_not_hold_keeps_nothing(
    algorithm: str, root: Path, registry: Registry, file: Path, folder: Path
) -> None:
    wrong = f"{algorithm}:{hashlib.new(algorithm, b'other').hexdigest()}"
    before = seen(root)
    for source in (file, folder, file.as_uri()):
        with pytest.raises(mr.IntegrityError, match=wrong) as caught:
            registry.track(source, "net", checksum=wrong)
        assert caught.value.expected == wrong
    assert seen(root) == before
    assert objects(root) == []
    right = f"{algorithm}:{hashlib.new(algorithm, WEIGHTS).hexdigest()}"
    assert registry.track(file, "net", checksum=right).version == "v0.1.0"


def test_it_lies_there_by_the_kind_of_link_that_the_project_is_set_to(
    root: Path, registry: Registry, file: Path
) -> None:
    with (root / ".dvc" / "config").open("a") as config:
        config.write("[cache]\n    type = hardlink\n")
    commit(root)
    registry.track(file, "net")
    (cached,) = objects(root)
    assert (root / "models" / "net.onnx").samefile(cached)
    assert not cached.samefile(file)
    dvcs(root, ["status", "--quiet"])


def test_models_that_are_tracked_at_once_wait_for_each_other(root: Path, file: Path) -> None:
    def track(number: int) -> ModelVersion:
        return Registry(root).track(file, f"model-{number}")

    with ThreadPoolExecutor(max_workers=4) as pool:
        found = [*pool.map(track, range(4))]
    registry = Registry(root)
    assert [model.name for model in registry.models()] == [version.name for version in found]
    assert all(registry.get(version.reference).local_path().exists() for version in found)
    assert not git(root, "status", "--porcelain")


def test_a_dry_run_changes_nothing(root: Path, registry: Registry, file: Path) -> None:
    before = seen(root)
    assert registry.track(file, "net", dry_run=True).digest == sha256(WEIGHTS)
    assert seen(root) == before
    assert objects(root) == []


def test_others_can_fetch_it(root: Path, file: Path, fresh_cache: Path) -> None:
    hub = hub_of(root)
    Registry(root).track(file, "net")
    shutil.rmtree(fresh_cache)
    assert Registry(hub.as_uri()).get("net").local_path().read_bytes() == WEIGHTS


# -- URLs --------------------------------------------------------------------------------------------------


def test_what_is_written_is_what_dvc_import_url_writes(
    root: Path, registry: Registry, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(root, other)
    (other / "models").mkdir()
    with web(WEIGHTS) as url:
        found = registry.track(url, "labels")
        dvcs(other, ["import-url", "--quiet", url, "models/labels.csv"])
        for name in ("labels.csv.dvc", ".gitignore"):
            assert (root / "models" / name).read_text() == (other / "models" / name).read_text()
        dvcs(root, ["status", "--quiet"], ["update", "--quiet", "models/labels.csv.dvc"])
        assert git(root, "status", "--short") == ""
        assert found.metadata["origin"] == {"url": url, "checksum": ETAG.strip('"')}
        assert [node.name for node in found.lineage.of_kind("source")] == [url]
        same = registry.update_import("labels")
        assert (same.updated, same.version) == (False, registry.get("labels"))


def test_secrets_in_urls_are_kept_nowhere(
    root: Path, registry: Registry, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with web(WEIGHTS) as url:
        signed, login = f"{url}?X-Amz-Signature={CANARY}", url.replace("://", f"://ann:{CANARY}@")
        found = registry.track(signed, "signed", origin=login)
        with pytest.raises(mr.InvalidInputError) as refused:
            registry.track(signed, "other", inputs=[signed])
        assert CANARY not in str(refused.value)
        assert found.metadata["origin"] == {"url": url, "said": url, "etag": ETAG.strip('"')}
        assert registry.track(login, "login").metadata["origin"] == {"url": url, "etag": ETAG.strip('"')}
    for source in (signed, login, signed.replace("http:", "nope:"), signed.replace("http:", "oci:")):
        with pytest.raises(mr.RegistryError) as caught:
            registry.track(source, "gone")
        chain: list[BaseException | None] = [caught.value]
        while (error := chain[-1]) is not None:
            assert CANARY not in f"{error} {getattr(error, '__notes__', '')}"
            chain.append(error.__cause__)
    history = git(root, "log", "--all", "--patch") + git(root, "for-each-ref", "--format=%(contents)")
    assert CANARY not in history
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert CANARY.encode() not in path.read_bytes(), path
    assert CANARY not in "".join(capfd.readouterr())


def test_any_protocol_of_fsspec_is_read(root: Path, registry: Registry, file: Path) -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe({"/net/b.bin": b"b", "/net/deep/a.bin": b"a"})
    found = registry.track("memory://net", "pack")
    assert [each.path for each in found.files()] == ["b.bin", "deep/a.bin"]
    assert found.metadata["origin"] == {"url": "memory://net"}
    assert registry.track(file.as_uri(), "net").local_path().read_bytes() == WEIGHTS
    assert git(root, "status", "--short") == ""
    memory.rm("/net", recursive=True)


@pytest.mark.parametrize(
    ("url", "command"),
    [
        ("nowhere://org/model/net.bin", "pip install no_such_package"),
        ("gs://bucket/net.bin", r"pip install 'modelregistry\[gs\]'"),
        ("az://box/net.bin", r"pip install 'modelregistry\[azure\]'"),
        ("azure://box/net.bin", r"pip install 'modelregistry\[azure\]'"),
        ("ssh://host/net.bin", r"pip install 'modelregistry\[ssh\]'"),
        ("sftp://host/net.bin", "pip install paramiko"),
        ("smb://host/net.bin", "pip install smbprotocol"),
        ("zip://net.bin::oci://box/net.zip", "pip install ocifs"),
    ],
)
def test_a_missing_package_is_told_with_the_command(
    url: str, command: str, root: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = {"class": "no_such_package.FileSystem", "err": "Install no_such_package"}
    monkeypatch.setitem(known_implementations, "nowhere", where)
    before = seen(root)
    with pytest.raises(mr.MissingDependencyError, match=command):
        registry.track(url, "net")
    assert seen(root) == before


# -- S3 ----------------------------------------------------------------------------------------------------


@pytest.fixture
def s3(s3_server: S3, environment: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3]:
    use_s3(s3_server, environment, monkeypatch)
    yield s3_server
    s3_server.reset()


@pytest.fixture
def bucket(s3: S3) -> str:
    name = f"bucket-{os.urandom(6).hex()}"
    s3.client.create_bucket(Bucket=name)
    return name


def keep_versions(s3: S3, bucket: str) -> None:
    s3.client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})


def test_a_store_with_versions_is_tracked_by_version(
    root: Path, registry: Registry, s3: S3, bucket: str, tmp_path: Path
) -> None:
    keep_versions(s3, bucket)
    s3.put(bucket, {"net.bin": WEIGHTS, "pack/a.bin": b"a", "pack/deep/b.bin": b"b"})
    found = registry.track(f"s3://{bucket}/net.bin", "net")
    version_id = s3.client.head_object(Bucket=bucket, Key="net.bin")["VersionId"]
    assert found.metadata["origin"]["version_id"] == version_id  # type: ignore[index, call-overload]
    assert f"version_id: {version_id}" in (root / "models" / "net.bin.dvc").read_text()
    pack = registry.track(f"s3://{bucket}/pack", "pack")
    assert [each.path for each in pack.files()] == ["a.bin", "deep/b.bin"]
    assert "version_id" in (root / "models" / "pack.dvc").read_text()
    s3.put(bucket, {"net.bin": b"better"})
    update = registry.update_import("net")
    now = s3.client.head_object(Bucket=bucket, Key="net.bin")["VersionId"]
    assert (update.updated, update.old, update.new, update.version.version) == (
        True,
        version_id,
        now,
        "v0.1.1",
    )
    assert (root / "models" / "net.bin").read_bytes() == b"better"
    dvcs(root, ["status", "--quiet"])
    git(tmp_path, "clone", "--quiet", os.fspath(root), "clone")
    dvcs(tmp_path / "clone", ["pull", "--quiet"])  # of the versions, from the bucket
    assert (tmp_path / "clone" / "models" / "net.bin").read_bytes() == b"better"
    assert registry.get("net@v0.1.0").local_path().read_bytes() == WEIGHTS


def test_a_store_without_versions_is_tracked_by_etag(
    root: Path, registry: Registry, s3: S3, bucket: str
) -> None:
    s3.put(bucket, {"net.bin": WEIGHTS, "pack/a.bin": b"a"})
    etag = hashlib.md5(WEIGHTS).hexdigest()
    found = registry.track(f"s3://{bucket}/net.bin", "net", checksum=sha256(WEIGHTS))
    assert found.metadata["origin"] == {"url": f"s3://{bucket}/net.bin", "etag": etag}
    assert f"etag: {etag}" in (root / "models" / "net.bin.dvc").read_text()
    registry.track(f"s3://{bucket}/pack", "pack")
    dvcs(root, ["status", "--quiet"])
    assert not registry.update_import("net")
    s3.put(bucket, {"net.bin": b"better"})
    assert registry.update_import("net").new == hashlib.md5(b"better").hexdigest()


def test_what_moved_in_its_store_is_followed(root: Path, registry: Registry, s3: S3, bucket: str) -> None:
    s3.put(bucket, {"net.bin": WEIGHTS, "new/net.bin": WEIGHTS})
    registry.track(f"s3://{bucket}/net.bin", "net", license="mit")
    before = seen(root)
    for url in ("hf://org/net", "nowhere", f"s3://{KEY}:{SECRET}@{bucket}/net.bin"):
        with pytest.raises(mr.InvalidInputError, match="DVC follows"):
            registry.update_import("net", url=url)
    assert not registry.update_import("net", url=f"s3://{bucket}/new/net.bin", dry_run=True)
    assert seen(root) == before
    assert not registry.update_import("net", url=f"s3://{bucket}/new/net.bin"), "the bytes are the same"
    assert git(root, "diff-tree", "-r", "--name-only", "--no-commit-id", "HEAD") == "models/net.bin.dvc"
    s3.put(bucket, {"new/net.bin": b"better"})
    found = registry.update_import("net")
    assert found
    assert (found.version.metadata["license"], found.version.local_path().read_bytes()) == ("mit", b"better")
    assert found.version.metadata["origin"]["url"] == f"s3://{bucket}/new/net.bin"  # type: ignore[index, call-overload]


def test_an_update_is_on_the_terms_that_were_said_of_its_source(
    registry: Registry, s3: S3, bucket: str
) -> None:
    s3.put(bucket, {"net.bin": WEIGHTS})
    registry.track(f"s3://{bucket}/net.bin", "net", license="mit", origin="the vendor")
    registry.annotate("net", "v0.1.0", {"license": "apache-2.0"})
    s3.put(bucket, {"net.bin": b"better"})
    found = registry.update_import("net").version
    assert (found.version, found.metadata["license"]) == ("v0.1.1", "apache-2.0")
    assert found.metadata["origin"] == {
        "url": f"s3://{bucket}/net.bin", "said": "the vendor", "etag": hashlib.md5(b"better").hexdigest(),
    }  # fmt: skip
    s3.put(bucket, {"net.bin": b"best"})
    assert registry.update_import("net", metadata={"license": "bsd"}).version.metadata["license"] == "bsd"


def test_options_of_the_store_are_used_and_kept_nowhere(
    root: Path, registry: Registry, s3: S3, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3.put(bucket, {"net.bin": WEIGHTS})
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name)
    options = {"key": KEY, "secret": SECRET, "client_kwargs": {"endpoint_url": s3.address}}
    found = registry.track(f"s3://{bucket}/net.bin", "net", storage_options=options)
    assert found.metadata["origin"] == {
        "url": f"s3://{bucket}/net.bin", "etag": hashlib.md5(WEIGHTS).hexdigest(),
    }  # fmt: skip
    assert SECRET not in git(root, "log", "--all", "--patch") + repr(found.metadata)


def test_a_remote_of_the_project_is_a_source(root: Path, registry: Registry, s3: S3, bucket: str) -> None:
    s3.put(bucket, {"zoo/net.bin": WEIGHTS})
    with (root / ".dvc" / "config").open("a") as config:
        config.write(f"['remote \"zoo\"']\n    url = s3://{bucket}/zoo\n    endpointurl = {s3.address}\n")
    commit(root)
    found = registry.track("remote://zoo/net.bin", "net")
    assert found.local_path().read_bytes() == WEIGHTS
    assert "path: remote://zoo/net.bin" in (root / "models" / "net.bin.dvc").read_text()
    dvcs(root, ["status", "--quiet"])


@pytest.mark.parametrize(("status", "kind"), [(403, mr.AccessDeniedError), (404, mr.PathNotFoundError)])
@pytest.mark.parametrize("options", [{}, {"anon": False}], ids=["DVC", "fsspec"])
def test_what_can_not_be_read_is_told_apart_from_what_is_not_there(
    options: dict[str, object], status: int, kind: type[mr.RegistryError], root: Path, registry: Registry, s3: S3,
    bucket: str,
) -> None:  # fmt: skip
    s3.refuses = lambda _: status if status == 403 else 0
    before = seen(root)
    with pytest.raises(kind) as caught:
        registry.track(f"s3://{bucket}/net.bin", "net", storage_options=options)
    assert SECRET not in str(caught.value)
    assert seen(root) == before


@pytest.mark.parametrize(
    ("status", "kind"),
    [(403, mr.AccessDeniedError), (404, mr.PathNotFoundError), (500, mr.MissingBytesError)],
)
@pytest.mark.parametrize("signature", ["", f"?X-Amz-Signature={CANARY}%2B%41"], ids=["DVC", "fsspec"])
def test_a_web_server_that_refuses_is_told_apart_from_one_that_has_nothing(
    signature: str, status: int, kind: type[mr.RegistryError], root: Path, registry: Registry
) -> None:
    before = seen(root)
    with web(status=status) as url, pytest.raises(kind) as caught:
        registry.track(f"{url}{signature}", "net")
    assert CANARY not in str(caught.value)
    assert seen(root) == before


# -- bad input ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "wish", "kind", "words"),
    [
        ("{file}", {"name": "No Name"}, mr.InvalidNameError, "No Name"),
        ("{file}", {"checksum": "sha256:12"}, mr.InvalidInputError, "hexadecimal"),
        ("{file}", {"inputs": 1}, mr.InvalidInputError, "inputs"),
        ("{file}", {"inputs": ["no/such/file"]}, mr.NotFoundError, "no/such/file"),
        ("{file}", {"metadata": {"license": "mit"}}, mr.InvalidInputError, "pass license="),
        ("{file}", {"labels": "tabular"}, mr.InvalidInputError, r"\['tabular'\]"),
        ("{file}", {"labels": [1]}, mr.InvalidInputError, "labels"),
        ("{file}", {"description": 1}, mr.InvalidInputError, "description"),
        ("{file}", {"message": None}, mr.InvalidInputError, "message=None"),
        ("{file}", {"path": "../x"}, mr.InvalidInputError, "path"),
        ("{file}", {"path": ".git/x"}, mr.RegistryError, "path|repository"),
        ("{file}", {"version_aware": True}, mr.InvalidInputError, "version_aware"),
        ("memory://x", {"version_aware": True}, mr.InvalidInputError, "version_aware"),
        ("", {}, mr.InvalidInputError, "neither"),
        ("{file}.none", {}, mr.PathNotFoundError, "nothing is at"),
        ("{folder}/empty", {}, mr.InvalidInputError, "no file in it"),
        ("{folder}/linked", {}, mr.InvalidInputError, "no file"),
        ("{folder}/cloned", {}, mr.InvalidInputError, "a copy without it"),
        ("{root}", {}, mr.InvalidInputError, "a copy without it"),
        ("{root}/..", {}, mr.InvalidInputError, "a copy without it"),
        ("{root}/.dvc/config", {"path": "models/net"}, mr.InvalidInputError, "no model"),
        ("{root}/.git", {}, mr.InvalidInputError, "for its own"),
        ("{file}", {"path": "models/net.dvc"}, mr.InvalidInputError, "for its own"),
        ("memory://nothing", {}, mr.PathNotFoundError, "nothing is at"),
        ("nope://x", {}, mr.InvalidInputError, "nope"),
        ("http://127.0.0.1:9/net.bin", {}, mr.MissingBytesError, "connect"),
        ("http://127.0.0.1:9/net.bin?signature=1", {}, mr.MissingBytesError, "connect"),
        ("remote://nobody/net.bin", {}, mr.InvalidInputError, "nobody"),
    ],
)
def test_a_wish_that_can_not_be_is_one_error_and_changes_nothing(
    source: str, wish: dict[str, object], kind: type[mr.RegistryError], words: str, root: Path, registry: Registry,
    file: Path, folder: Path,
) -> None:  # fmt: skip
    (folder / "empty").mkdir()
    (folder / "linked").mkdir()
    (folder / "linked" / "link").symlink_to(file)
    write(folder / "cloned" / ".git" / "config", "")
    write(folder / "cloned" / "net.bin", "net")
    before = seen(root)
    with pytest.raises(kind, match=words):
        registry.track(source.format(file=file, folder=folder, root=root), **{"name": "net"} | wish)  # type: ignore[arg-type]
    assert seen(root) == before
    assert objects(root) == []


def test_a_source_that_is_no_path_is_told(registry: Registry) -> None:
    with pytest.raises(mr.InvalidInputError, match="5 is neither"):
        registry.track(5, "net")  # type: ignore[arg-type]


def detached(root: Path) -> None:
    git(root, "checkout", "--quiet", "--detach")


def dirty(root: Path) -> None:
    write(root / "dvc.yaml", "artifacts: {}\n")


def ignored(root: Path) -> None:
    write(root / ".gitignore", "models/\n")
    commit(root)


def passed_by(root: Path) -> None:
    write(root / ".dvcignore", "# DVC need not look there.\n*.onnx\n")
    commit(root)


def in_the_way(root: Path) -> None:
    write(root / "models" / "net.onnx", "mine")


def taken_by_a_step(root: Path) -> None:
    write(
        root / "dvc.yaml",
        "stages: {train: {cmd: 'true', outs: [net.bin]}}\nartifacts: {net: {path: net.bin}}\n",
    )
    commit(root)


def no_dvc(root: Path) -> None:
    git(root, "rm", "-r", "--quiet", ".dvc")
    shutil.rmtree(root / ".dvc", ignore_errors=True)
    git(root, "commit", "--quiet", "--message", "no DVC")


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (detached, "detached"),
        (dirty, "does not know it"),
        (in_the_way, "other bytes"),
        (ignored, r"models/net\.onnx\.dvc' is git-ignored"),
        (passed_by, r"\.dvcignore.*models/net\.onnx"),
        (taken_by_a_step, "made or kept here"),
        (no_dvc, "dvc init"),
    ],
)
def test_what_stands_in_the_way_is_said_and_left_alone(
    prepare: Callable[[Path], None], words: str, root: Path, registry: Registry, file: Path
) -> None:
    prepare(root)
    before = seen(root)
    with pytest.raises(mr.RegistryError, match=words):
        registry.track(file, "net")
    assert seen(root) == before


def test_a_file_that_is_written_to_meanwhile_is_refused(
    root: Path, registry: Registry, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from modelregistry.artifacts import dvcintake

    keep = dvcintake._keep_one

    def keep_late(*arguments: object, **options: object) -> None:
        write(file, b"changed")
        keep(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(dvcintake, "_keep_one", keep_late)
    before = seen(root)
    with pytest.raises(mr.IntegrityError, match="changed while it was read"):
        registry.track(file, "net")
    assert seen(root) == before
    assert objects(root) == []


# -- killed ------------------------------------------------------------------------------------------------

KILLED = killed("""mr.Registry(sys.argv[1]).track(sys.argv[2], "net")""")


@pytest.mark.slow
def test_a_kill_at_any_moment_leaves_nothing_half_done_and_calling_again_finishes(
    root: Path, file: Path, tmp_path: Path
) -> None:
    def track_killed(place: Path, after: int) -> int:
        done = subprocess.run(
            [sys.executable, "-c", KILLED, place, file.as_uri(), str(after)], check=False, capture_output=True,
            env=os.environ | {"PYTHONPATH": os.fspath(TOP)},
        )  # fmt: skip
        assert done.returncode in (0, -9), done.stderr.decode()
        return int(done.stdout.decode().split()[-1]) if done.returncode == 0 else -1

    shutil.copytree(root, tmp_path / "whole")
    whole = 100_000 - track_killed(tmp_path / "whole", 100_000)
    for number, after in enumerate(range(whole - 40, whole, 11)):
        place = tmp_path / f"killed-{number}"
        shutil.copytree(root, place)
        head = git(place, "rev-parse", "HEAD")
        assert track_killed(place, after) < 0
        found = Registry(place).track(file.as_uri(), "net")
        assert found.reference == "net@v0.1.0"
        assert git(place, "rev-parse", "HEAD~1") == head
        assert git(place, "status", "--short") == ""
        assert (place / "models" / "net.onnx").read_bytes() == WEIGHTS
        assert not list((place / ".dvc" / "tmp").glob("modelregistry-*"))
