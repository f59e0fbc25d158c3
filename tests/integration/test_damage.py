"""Every wrong byte is found before a loader sees it, wherever it is and however it came there."""

from __future__ import annotations

import json
import os
import pickle
import random
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

import modelregistry as mr
from modelregistry import Registry
from modelregistry.content.receipts import Receipt, look
from modelregistry.version import ModelVersion
from tests.integration.projects import commit, everything, write
from tests.integration.remotes import fill, listing_of, make_project, noise, object_name

FLIPS = 2_000
PLACES = ["the DVC cache", "the DVC cache, by rename", "the store", "the remote"]


class Payload:
    """A pickle that leaves a mark when it is loaded."""

    def __init__(self, marker: Path, ballast: bytes) -> None:
        self.marker = marker
        self.ballast = ballast

    def __reduce__(self) -> object:
        return os.mkdir, (os.fspath(self.marker),), None, None, iter([(self.ballast, 0)])


class Case:
    """A registered model that is in one place only, where its bytes can be replaced again and again."""

    def __init__(self, top: Path, cache: Path, place: str, size: int) -> None:
        self.marker = top / "marker"
        payload = Payload(self.marker, b"")
        self.good = pickle.dumps(payload)
        self.good = pickle.dumps(Payload(self.marker, noise(size - len(self.good))))
        root = make_project(top / "project", {"url": "../../remote"}, {"model.pkl": self.good})
        self._dvc = root / ".dvc" / "cache" / object_name(self.good)
        self._remote = top / "remote" / object_name(self.good)
        self._place = place
        self._cache = cache
        fill(root / ".dvc" / "cache", [self.good])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", mr.RegistryWarning)  # that others will not be able to load it
            self.version: ModelVersion = Registry(root).register("model")
        shutil.rmtree(cache)  # which has the bytes under the name that they were registered by

    def put(self, data: bytes) -> None:
        """Have these bytes, and no others, where the next load finds them."""
        match self._place:
            case "the DVC cache":
                if self._dvc.exists():
                    self._dvc.chmod(0o644)
                write(self._dvc, data)
            case "the DVC cache, by rename":
                write(self._dvc.with_name("other"), data).rename(self._dvc)
            case "the store":
                self._dvc.unlink(missing_ok=True)
                write(self._remote, self.good)
                kept = self.version.local_path()
                kept.chmod(0o644)
                kept.write_bytes(data)
                self._remote.unlink()
            case "the remote":
                self._dvc.unlink(missing_ok=True)
                write(self._remote, data)
        shutil.rmtree(self._cache / "set-aside", ignore_errors=True)

    def refused(self, data: bytes) -> bool:
        """Whether a load of these bytes is refused as it should be."""
        self.put(data)
        try:
            self.version.load(trust="code")
        except mr.IntegrityError:
            return not self.marker.exists()
        return False


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest) -> str:
    """Where the bytes are."""
    return str(request.param)


def flipped(data: bytes, at: int, bits: int) -> bytes:
    return data[:at] + bytes([data[at] ^ bits]) + data[at + 1 :]


def test_the_model_of_these_tests_does_leave_its_mark(tmp_path: Path, fresh_cache: Path) -> None:
    case = Case(tmp_path, fresh_cache, "the DVC cache", 300)
    case.put(case.good)
    with pytest.raises(Exception):  # noqa: B017 - whatever comes of a folder that is no dictionary
        case.version.load(trust="code")
    assert case.marker.exists()


def test_one_byte_changed_at_any_place_is_found(place: str, tmp_path: Path, fresh_cache: Path) -> None:
    case = Case(tmp_path, fresh_cache, place, 400)
    found = [case.refused(flipped(case.good, at, 1 << at % 8)) for at in range(len(case.good))]
    assert len(found) >= 400
    assert all(found), [at for at, refused in enumerate(found) if not refused]
    case.put(case.good)
    assert case.version.local_path().read_bytes() == case.good


def damages(data: bytes, seed: int) -> Iterator[bytes]:
    """Bytes that differ: one flipped, a few overwritten, some cut off, some more, some moved."""
    choose = random.Random(seed)
    while True:
        at, count = choose.randrange(len(data)), choose.randrange(1, 100)
        bad = choose.choice(
            [
                flipped(data, at, choose.randrange(1, 256)),
                data[:at],
                data[at:],
                data + bytes(count),
                data[:at] + choose.randbytes(count) + data[at + count :],
                data[:at] + data[at + count :] + data[at : at + count],
            ]
        )
        if bad != data:
            yield bad


def test_random_damage_of_a_larger_model_is_found(place: str, tmp_path: Path, fresh_cache: Path) -> None:
    case = Case(tmp_path, fresh_cache, place, 300_000)
    seed = random.randrange(1 << 32)
    print("seed", seed)  # shown when the test fails
    bad = damages(case.good, seed)
    count = FLIPS // len(PLACES)
    found = sum(case.refused(next(bad)) for _ in range(count))
    print(f"{place}: {found} of {count} damages found")
    assert found == count


# -- what looks as it did ----------------------------------------------------------------------------------


@pytest.fixture
def version(tmp_path: Path, fresh_cache: Path) -> ModelVersion:
    """A model that was just handed out."""
    root = make_project(tmp_path / "project", {"url": "../../remote"}, {"model.bin": noise(5000)})
    fill(tmp_path / "remote", [noise(5000)])
    found = Registry(root).register("model")
    assert found.local_path().read_bytes() == noise(5000)
    return found


def read_here() -> int:
    """Bytes that this process has read, from files and others."""
    fields = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(fields["rchar"])


def test_what_was_fetched_is_read_once_and_not_again_while_it_looks_the_same(
    tmp_path: Path, fresh_cache: Path
) -> None:
    size = 16 << 20
    root = make_project(tmp_path / "project", {"url": "../../remote"}, {"model.bin": noise(size)})
    fill(tmp_path / "remote", [noise(size)])
    version = Registry(root).register("model")
    shutil.rmtree(fresh_cache)
    first = read_here()
    version.local_path()
    second = read_here()
    Registry(root).get("model").local_path()
    third = read_here()
    version.local_path(verify="always")
    assert second - first >= size
    assert third - second < size / 10
    assert size <= read_here() - third < 2 * size


def test_a_change_that_keeps_size_and_time_is_found(version: ModelVersion) -> None:
    kept = version.local_path()
    before = kept.stat()
    kept.chmod(0o644)
    for number in range(20):
        kept.write_bytes(noise(5000, number + 1))
        os.utime(kept, ns=(before.st_atime_ns, before.st_mtime_ns))
        kept.chmod(0o444)
        assert (kept.stat().st_size, kept.stat().st_mtime_ns) == (5000, before.st_mtime_ns)
        with pytest.raises(mr.IntegrityError):
            version.local_path()
        kept = version.local_path()
        assert kept.read_bytes() == noise(5000)
        before = kept.stat()


def test_a_write_right_after_a_load_is_found(version: ModelVersion) -> None:
    """However little time has passed since the file was looked at."""
    for number in range(100):
        kept = version.local_path()
        with open(kept, "r+b") as file:
            file.write(b"%05d" % number)
        with pytest.raises(mr.IntegrityError):
            version.local_path()


def test_what_no_look_can_show_is_found_by_reading_every_byte(
    version: ModelVersion, fresh_cache: Path
) -> None:
    """A user can deceive themselves: their own hand wrote the note."""
    kept = version.local_path()
    kept.chmod(0o644)
    kept.write_bytes(noise(5000, 1))
    facts = look(kept)
    assert facts is not None
    (note,) = [path for path in (fresh_cache / "receipts").rglob("*") if path.is_file()]
    Receipt({"": facts}, whole=True).save(note)
    for wish in (
        lambda: version.local_path(verify="always"),
        lambda: version.open(verify="always"),
        lambda: version.load(verify="always", trust="code"),
        version.verify,
    ):
        kept = version.local_path()
        if kept.read_bytes() == noise(5000):
            kept.chmod(0o644)
            kept.write_bytes(noise(5000, 1))
            facts = look(kept)
            assert facts is not None
            Receipt({"": facts}, whole=True).save(note)
        with pytest.raises(mr.IntegrityError):
            wish()


@pytest.mark.parametrize(
    "how", ["others could write it", "cut off", "garbage", "of another file", "a list", "gone"]
)
def test_a_note_in_doubt_vouches_for_nothing(how: str, version: ModelVersion, fresh_cache: Path) -> None:
    (note,) = [path for path in (fresh_cache / "receipts").rglob("*") if path.is_file()]
    kept = version.local_path()
    kept.chmod(0o644)
    kept.write_bytes(noise(5000, 1))
    facts = look(kept)
    assert facts is not None
    Receipt({"": facts}, whole=True).save(note)  # a good one, but for what follows
    whole = note.read_text()
    match how:
        case "others could write it":
            note.chmod(0o666)
        case "cut off":
            note.write_text(whole[:-1])
        case "garbage":
            note.write_bytes(noise(100))
        case "of another file":
            note.write_text(json.dumps({"whole": True, "files": {"other": list(facts)}}))
        case "a list":
            note.write_text("[]")
        case "gone":
            note.unlink()
    with pytest.raises(mr.IntegrityError):
        version.local_path()
    assert version.local_path().read_bytes() == noise(5000)


# -- listings of folders -----------------------------------------------------------------------------------

MD5 = "0" * 32
HOSTILE: dict[str, bytes] = {
    "leaves its folder": json.dumps([{"md5": MD5, "relpath": "../../../canary/file"}]).encode(),
    "leaves it from inside": json.dumps([{"md5": MD5, "relpath": "a/../../canary/file"}]).encode(),
    "is absolute": json.dumps([{"md5": MD5, "relpath": "/tmp/canary"}]).encode(),
    "has a backslash": json.dumps([{"md5": MD5, "relpath": "..\\canary"}]).encode(),
    "has a drive": json.dumps([{"md5": MD5, "relpath": "C:canary"}]).encode(),
    "has an empty name": json.dumps([{"md5": MD5, "relpath": ""}]).encode(),
    "has a folder for a file": json.dumps([{"md5": MD5, "relpath": "a/"}]).encode(),
    "has a dot": json.dumps([{"md5": MD5, "relpath": "./a"}]).encode(),
    "has a NUL": json.dumps([{"md5": MD5, "relpath": "a\0b"}]).encode(),
    "has a newline": json.dumps([{"md5": MD5, "relpath": "a\nb"}]).encode(),
    "has a lone surrogate": b'[{"md5": "' + MD5.encode() + b'", "relpath": "\\ud800"}]',
    "has a file twice": json.dumps([{"md5": MD5, "relpath": "a"}, {"md5": "1" * 32, "relpath": "a"}]).encode(),
    "has it in two cases": json.dumps([{"md5": MD5, "relpath": "a"}, {"md5": MD5, "relpath": "A"}]).encode(),
    "has it in two spellings": json.dumps([{"md5": MD5, "relpath": "é"}, {"md5": MD5, "relpath": "e\u0301"}]).encode(),
    "has a file and a folder": json.dumps([{"md5": MD5, "relpath": "a"}, {"md5": MD5, "relpath": "a/b"}]).encode(),
    "has them in two cases": json.dumps([{"md5": MD5, "relpath": "a"}, {"md5": MD5, "relpath": "A/b"}]).encode(),
    "has an md5 that is a path": json.dumps([{"md5": "../../../canary", "relpath": "a"}]).encode(),
    "has an md5 of a folder": json.dumps([{"md5": MD5 + ".dir", "relpath": "a"}]).encode(),
    "has an md5 in capitals": json.dumps([{"md5": "A" * 32, "relpath": "a"}]).encode(),
    "is no list": json.dumps({"a": 1}).encode(),
    "is of texts": json.dumps(["a"]).encode(),
    "has no md5": json.dumps([{"relpath": "a"}]).encode(),
    "has no names": json.dumps([{"md5": MD5}]).encode(),
    "has numbers": json.dumps([{"md5": 1, "relpath": 2}]).encode(),
    "is no JSON": b"PK\x03\x04 not JSON",
    "is cut off": json.dumps([{"md5": MD5, "relpath": "a"}]).encode()[:-1],
    "is empty": b"",
    "is no UTF-8": b'[{"md5": "' + MD5.encode() + b'", "relpath": "\xff"}]',
    "is as deep as a well": b"[" * 200_000,
    "has too many": b"[" + b",".join([b'{"md5":"' + MD5.encode() + b'","relpath":"%d"}' % n for n in range(500_001)]) + b"]",
    "has no file": b"[]",
}  # fmt: skip


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Path]:
    """A tree beside everything, which must be the same afterwards."""
    folder = tmp_path / "canary"
    write(folder / "file", "canary")
    write(folder / "deep" / "file", "canary too")
    before = everything(folder)
    yield folder
    assert everything(folder) == before
    assert not Path("/tmp/canary").exists()


@pytest.mark.parametrize("where", ["cache", "remote"])
@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_listing_is_refused_in_words_and_touches_nothing(
    case: str, where: str, tmp_path: Path, fresh_cache: Path, canary: Path
) -> None:
    root = make_project(
        tmp_path / "project", {"url": "../../remote"}, {"folder": {"a": b"a"}, "fine.bin": b"1"}
    )
    top = tmp_path / "remote" if where == "remote" else root / ".dvc" / "cache"
    fill(tmp_path / "remote", [b"1"])
    data = HOSTILE[case]
    oid = object_name(data, listing=True)
    write(top / oid, data)
    write(top / object_name(b"a"), b"a")
    write(
        root / "folder.dvc",
        f"outs:\n- md5: {oid[-34:].replace('/', '')}\n  nfiles: 1\n  hash: md5\n  path: folder\n",
    )
    text = (root / "folder.dvc").read_text()
    assert f"md5: {''.join(oid.split('/')[-2:])}" in text or write(
        root / "folder.dvc", text.replace(text.split("\n")[1], f"- md5: {''.join(oid.split('/')[-2:])}")
    )
    commit(root, "hostile")
    registry = Registry(root)
    with pytest.raises(mr.InvalidFileError, match="the listing of 'folder'"):
        registry.register("folder")
    assert registry.register("fine").local_path().read_bytes() == b"1"


@pytest.mark.parametrize("where", ["cache", "remote"])
@pytest.mark.parametrize("how", ["other files", "cut off", "empty", "huge"])
def test_a_listing_that_is_not_the_recorded_one_is_refused_and_touches_nothing(
    how: str, where: str, tmp_path: Path, fresh_cache: Path, canary: Path
) -> None:
    files = {"a": b"a", "b/c": b"c"}
    root = make_project(tmp_path / "project", {"url": "../../remote"}, {"folder": files})
    good = listing_of(files)
    top = tmp_path / "remote" if where == "remote" else root / ".dvc" / "cache"
    fill(tmp_path / "remote", [files])
    fill(root / ".dvc" / "cache", [files])
    version = Registry(root).register("folder")
    shutil.rmtree(fresh_cache)
    place = top / object_name(good, listing=True)
    if where == "remote":
        shutil.rmtree(root / ".dvc" / "cache")
    place.unlink()
    evil = {"other files": HOSTILE["leaves its folder"], "cut off": good[:-1], "empty": b"", "huge": b"["}[
        how
    ]
    write(place, evil)
    if how == "huge":
        os.truncate(place, (128 << 20) + 1)
    registry = Registry(root)
    for _ in range(2):
        error = mr.InvalidFileError if how == "huge" else mr.IntegrityError
        with pytest.raises(error, match="the listing of 'folder'"):
            registry.get(version.reference).local_path()
    place.write_bytes(good)
    assert (registry.get(version.reference).local_path() / "b" / "c").read_bytes() == b"c"


# -- links that lead elsewhere -----------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["the same bytes", "other bytes", "nothing", "a folder", "a device"])
def test_an_object_of_the_dvc_cache_that_is_a_link_is_not_followed(
    what: str, tmp_path: Path, fresh_cache: Path, canary: Path
) -> None:
    data = noise(300)
    root = make_project(tmp_path / "project", {"url": "../../remote"}, {"model.bin": data})
    fill(tmp_path / "remote", [data])
    outside = {
        "the same bytes": write(tmp_path / "same", data), "other bytes": canary / "file",
        "nothing": tmp_path / "nowhere", "a folder": canary, "a device": Path("/dev/zero"),
    }[what]  # fmt: skip
    place = root / ".dvc" / "cache" / object_name(data)
    place.parent.mkdir(parents=True)
    place.symlink_to(outside)
    found = Registry(root).register("model")
    kept = found.local_path()
    assert kept.read_bytes() == data
    assert not kept.is_symlink()
    assert (tmp_path / "same").stat().st_nlink == 1 if what == "the same bytes" else True
    assert os.readlink(place) == os.fspath(outside)


@pytest.mark.parametrize("name", ["views", "objects", "receipts", "incoming", "set-aside", "locks"])
def test_a_folder_of_the_store_that_was_replaced_by_a_link_serves_nothing_unverified(
    name: str, tmp_path: Path, fresh_cache: Path, canary: Path
) -> None:
    data = noise(300)
    root = make_project(tmp_path / "project", {"url": "../../remote"}, {"model.bin": data})
    fill(tmp_path / "remote", [data])
    version = Registry(root).register("model")
    kept = version.local_path()
    assert kept.is_relative_to(fresh_cache)
    outside = tmp_path / "outside"
    if (fresh_cache / name).exists():
        shutil.copytree(fresh_cache / name, outside)
        shutil.rmtree(fresh_cache / name)
    else:
        outside.mkdir()
    (fresh_cache / name).symlink_to(outside)
    for path in outside.rglob("*"):
        if path.is_file() and name in ("views", "objects"):
            path.chmod(0o644)
            path.write_bytes(noise(300, 1))
    for _ in range(3):
        try:
            assert version.local_path(verify="always").read_bytes() == data
        except mr.IntegrityError:
            continue
    assert version.local_path().read_bytes() == data


def test_a_link_in_a_view_that_leads_elsewhere_is_not_served(
    tmp_path: Path, fresh_cache: Path, canary: Path
) -> None:
    files = {"a": b"aaaaaa", "deep/b": b"bbbbbb"}
    root = make_project(tmp_path / "project", {"url": "../../remote"}, {"folder": files})
    fill(tmp_path / "remote", [files])
    version = Registry(root).register("folder")
    folder = version.local_path()
    (folder / "a").unlink()
    (folder / "a").symlink_to(canary / "file")
    shutil.rmtree(folder / "deep")
    (folder / "deep").symlink_to(canary)
    with pytest.raises(mr.CacheError, match="leads out of the cache folder: remove the link"):
        version.local_path()
    (folder / "deep").unlink()
    again = version.local_path()
    assert (again / "a").read_bytes() == b"aaaaaa"
    assert (again / "deep" / "b").read_bytes() == b"bbbbbb"
