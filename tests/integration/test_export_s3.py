"""An export to a real S3 server: read back from there, refused by it, and without access to it."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import modelregistry as mr
from modelregistry import Registry
from tests.integration.projects import commit, init, write
from tests.integration.test_export import BUNDLE
from tests.s3 import KEY, S3, SECRET


@pytest.fixture
def s3(s3_server: S3, environment: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3]:
    """A server that has been asked nothing; of the developer's own credentials nothing is seen."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    s3_server.reset()
    yield s3_server
    s3_server.reset()


@pytest.fixture
def options(s3: S3) -> dict[str, Any]:
    return {"key": KEY, "secret": SECRET, "endpoint_url": s3.address}


@pytest.fixture
def target(s3: S3) -> str:
    """A folder in a bucket of the test's own."""
    name = f"exports-{os.urandom(6).hex()}"
    s3.client.create_bucket(Bucket=name)
    return f"s3://{name}/models/bundle/v0.1.0"


@pytest.fixture
def bundle(project: Path) -> mr.ModelVersion:
    return Registry(project).register("bundle")


def objects(s3: S3, target: str) -> dict[str, bytes]:
    """What is in the folder, as another client reads it."""
    bucket, _, prefix = target.removeprefix("s3://").partition("/")
    keys = [each["Key"] for each in s3.client.list_objects_v2(Bucket=bucket).get("Contents", [])]
    return {
        key.removeprefix(f"{prefix}/"): s3.client.get_object(Bucket=bucket, Key=key)["Body"].read()
        for key in keys
    }


def test_an_export_to_s3_is_there_for_others_and_the_manifest_came_last(
    s3: S3, target: str, options: dict[str, Any], bundle: mr.ModelVersion
) -> None:
    s3.reset()
    exported = bundle.export(target, storage_options=options)
    assert exported.artifact == f"{target}/bundle"
    assert objects(s3, target) == BUNDLE | {"manifest.json": exported.manifest.to_json()}
    written = [each.path.rpartition("/")[2] for each in s3.requests if each.method == "PUT"]
    assert written[0] == ".manifest.json.unfinished"
    assert sorted(written[1:-1]) == ["a.bin", "b.json"]
    assert written[-1] == "manifest.json"
    assert mr.verify_export(target, storage_options=options) == exported.manifest
    s3.reset()
    assert bundle.export(target, storage_options=options).written == ()
    assert not [each for each in s3.requests if each.method in ("PUT", "POST", "DELETE")]


def test_files_with_odd_names_come_through(
    s3: S3, target: str, options: dict[str, Any], tmp_path: Path
) -> None:
    names = [
        "a b#c?.json",
        "ü/ß.bin",
        "star*[1].bin",
        "100%25.txt",
        "q'uote\".bin",
        "plus+plus",
        "trailing. ",
        "empty",
    ]
    root = init(tmp_path / "odd")
    write(root / "dvc.yaml", "artifacts:\n  net: {path: net, type: model}\n")
    for name in names:
        write(root / "net" / name, "" if name == "empty" else name)
    commit(root)
    version = Registry(root).register("net")
    version.export(target, storage_options=options)
    assert objects(s3, target).keys() == {"manifest.json", *(f"net/{name}" for name in names)}
    version.export(tmp_path / "archive", format="tar.gz")
    with tarfile.open(tmp_path / "archive" / "model.tar.gz") as archive:
        assert {*archive.getnames()} == {*names}
    assert mr.verify_export(target, storage_options=options, digest=version.digest).reference == "net@v0.1.0"


def test_damage_in_the_bucket_is_told_to_who_receives_it(
    s3: S3, target: str, options: dict[str, Any], bundle: mr.ModelVersion
) -> None:
    bundle.export(target, storage_options=options)
    bucket, _, prefix = target.removeprefix("s3://").partition("/")
    s3.client.put_object(Bucket=bucket, Key=f"{prefix}/bundle/b.json", Body=b"[]")
    with pytest.raises(mr.IntegrityError, match=r"b\.json"):
        mr.verify_export(target, storage_options=options)
    bundle.export(target, storage_options=options, overwrite=True)
    assert mr.verify_export(target, storage_options=options).name == "bundle"


def test_a_server_that_takes_no_file_is_told_and_what_it_took_is_no_export(
    s3: S3, target: str, options: dict[str, Any], bundle: mr.ModelVersion
) -> None:
    s3.refuses = lambda request: 403 if request.method == "PUT" and request.path.endswith("b.json") else 0
    with pytest.raises(mr.ExportError, match=r"b\.json' can't be written.*PermissionError"):
        bundle.export(target, storage_options=options)
    with pytest.raises(mr.NotFoundError, match="did not end"):
        mr.verify_export(target, storage_options=options)
    s3.reset()
    assert "bundle/b.json" in bundle.export(target, storage_options=options).written
    assert mr.verify_export(target, storage_options=options).name == "bundle"


def test_a_bucket_that_is_not_there_is_told_and_not_made(
    s3: S3, options: dict[str, Any], bundle: mr.ModelVersion
) -> None:
    with pytest.raises(mr.ExportError, match="can't be written"):
        bundle.export("s3://no-such-bucket-at-all/models", storage_options=options)
    assert "no-such-bucket-at-all" not in [each["Name"] for each in s3.client.list_buckets()["Buckets"]]


def test_no_error_shows_the_secret(
    s3: S3, target: str, options: dict[str, Any], bundle: mr.ModelVersion
) -> None:
    s3.refuses = lambda request: 403
    with pytest.raises(mr.ExportError) as raised:
        bundle.export(target, storage_options=options)
    seen: BaseException | None = raised.value
    while seen is not None:
        assert SECRET not in f"{seen} {seen!r}"
        seen = seen.__cause__ or seen.__context__
