"""The private store: whole files, read-only, under their own digests and nowhere else."""

from __future__ import annotations

import hashlib
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from modelregistry.content.store import Store, hash_file, verify_file
from modelregistry.errors import IntegrityError, RegistryError

DATA = b"some bytes \0 and more" * 100_000
SHA256 = f"sha256:{hashlib.sha256(DATA).hexdigest()}"
MD5 = f"md5:{hashlib.md5(DATA).hexdigest()}"
BLOB = f"git:{hashlib.sha1(b'blob %d' % len(DATA) + bytes(1) + DATA).hexdigest()}"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.bin"
    path.write_bytes(DATA)
    return path


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "new" / "store")


def names_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


@pytest.mark.parametrize("address", [None, MD5, BLOB])
def test_a_file_is_hashed_under_both_names(file: Path, address: str | None) -> None:
    found = hash_file(file, address)
    assert (found.sha256, found.size, found.other) == (SHA256, len(DATA), address)


def test_an_empty_file_has_a_digest_too(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert hash_file(tmp_path / "empty", "git:").other == "git:e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"


@pytest.mark.parametrize("expected", [SHA256, MD5, BLOB])
def test_a_file_verifies_under_any_of_its_digests(file: Path, expected: str) -> None:
    assert verify_file(file, expected, name="model").sha256 == SHA256


@pytest.mark.parametrize("expected", [SHA256, MD5, BLOB])
def test_one_changed_byte_is_found(file: Path, expected: str) -> None:
    file.write_bytes(DATA[:-1] + b"!")
    with pytest.raises(IntegrityError, match="is not what was registered") as caught:
        verify_file(file, expected, name="model")
    assert (caught.value.expected, caught.value.path) == (expected, str(file))
    assert caught.value.found != expected
    assert caught.value.found.partition(":")[0] == expected.partition(":")[0]


@pytest.mark.parametrize("expected", ["", "sha256:", SHA256.upper(), SHA256[:-1], "sha1:" + "0" * 40, "md5:"])
def test_what_is_no_digest_verifies_nothing(file: Path, expected: str) -> None:
    with pytest.raises(RegistryError):
        verify_file(file, expected, name="model")


def test_a_kept_file_is_found_under_each_digest_read_only(store: Store, file: Path) -> None:
    assert store.find(SHA256) is None
    with store.incoming(MD5) as folder:
        staged = folder / "x"
        staged.write_bytes(DATA)
        kept = store.keep(staged, SHA256, MD5)
    assert kept == store.find(SHA256)
    for digest in (SHA256, MD5):
        found = store.find(digest)
        assert found is not None and found.read_bytes() == DATA
        assert stat.S_IMODE(found.stat().st_mode) == 0o444
        assert found.samefile(kept)
    assert len(names_in(store.folder / "objects")) == 2
    assert names_in(store.folder / "incoming") == set(), "nothing is left of its arrival"


def test_what_came_halfway_is_there_for_the_next_one_and_gone_when_that_is_done(store: Store) -> None:
    def fail_halfway() -> None:
        with store.incoming(MD5) as folder:
            (folder / "half").write_bytes(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_halfway()
    with store.incoming(SHA256) as folder:
        assert names_in(folder) == set()
    with store.incoming(MD5) as folder:
        assert (folder / "half").read_bytes() == b"half"
    assert names_in(store.folder / "incoming") == set()


def test_one_at_a_time_brings_the_same_bytes_and_others_are_not_waited_for(store: Store) -> None:
    inside = []

    def bring(_: int) -> None:
        with store.incoming(MD5):
            inside.append(1)
            assert inside == [1]
            inside.pop()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(bring, range(64)))
    with store.incoming(MD5), store.incoming(SHA256):
        pass


def test_a_damaged_file_is_set_aside_under_all_its_names(store: Store, file: Path) -> None:
    for digest in (SHA256, MD5):
        store.name(file, store.place(digest))
    view = store.view(SHA256) / "model.bin"
    store.name(file, view)
    aside = store.set_aside(store.place(SHA256), [store.place(MD5), view, store.view(SHA256) / "none"])
    assert aside is not None and aside.read_bytes() == DATA
    assert (store.find(SHA256), store.find(MD5), view.exists()) == (None, None, False)
    assert file.read_bytes() == DATA, "a name outside the store is not touched"


@pytest.mark.parametrize("first", ["incoming", "name", "set_aside"])
def test_only_this_user_may_enter(store: Store, file: Path, first: str) -> None:
    if first == "incoming":
        with store.incoming(MD5):
            pass
    elif first == "set_aside":
        store.set_aside(file)
    else:
        store.name(file, store.view(SHA256) / "model.bin")
    assert stat.S_IMODE(store.folder.stat().st_mode) == 0o700


def test_a_view_names_the_bytes_without_a_copy(store: Store, file: Path) -> None:
    target = store.view(SHA256) / "sub" / "model.bin"
    store.name(file, target)
    store.name(file, target)
    assert target.samefile(file)
    other = file.with_name("other")
    other.write_bytes(b"other")
    store.name(other, target)
    assert target.read_bytes() == b"other" and file.read_bytes() == DATA
    assert names_in(store.folder) == {str(target.relative_to(store.folder))}


def test_a_name_that_was_never_finished_is_in_no_artifact(
    store: Store, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    target = store.view(SHA256) / "model" / "a.bin"
    monkeypatch.setattr(Path, "replace", die)
    with pytest.raises(KeyboardInterrupt):
        store.name(file, target)
    assert list(target.parent.iterdir()) == []


def test_a_dangling_name_is_replaced(store: Store, file: Path) -> None:
    target = store.view(SHA256) / "model.bin"
    target.parent.mkdir(parents=True)
    target.symlink_to("nowhere")
    store.name(file, target)
    assert target.read_bytes() == DATA


def test_many_may_keep_the_same_bytes_at_once(store: Store) -> None:
    def keep(_: int) -> bytes:
        with store.incoming(MD5) as folder:
            (folder / "x").write_bytes(DATA)
            return store.keep(folder / "x", SHA256).read_bytes()

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(keep, range(32))) == {DATA}
    assert len(names_in(store.folder / "objects")) == 1


def test_many_may_give_the_same_file_its_name_at_once(store: Store, file: Path) -> None:
    target = store.view(SHA256) / "model.bin"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: store.name(file, target), range(64)))
    assert names_in(store.folder) == {str(target.relative_to(store.folder))}, "no temporary name is left"


@pytest.mark.parametrize(
    "digest",
    ["sha256:/etc/passwd", "sha256:../../../../etc/passwd", "sha256:..", "../../x:" + "0" * 64, "/etc:passwd", "", "sha256:", "sha256",
     SHA256 + "/../x", "md5:" + "0" * 32 + ".dir/../..", SHA256 + "\n", "sha256:\0"],
)  # fmt: skip
def test_a_digest_from_a_log_can_not_lead_out_of_the_store(store: Store, digest: str) -> None:
    """A registration is a text that anybody can write; its digest becomes a path here."""
    with pytest.raises(RegistryError):
        store.find(digest)
    with pytest.raises(RegistryError):
        store.view(digest)


def test_a_folders_address_has_a_view(store: Store) -> None:
    folder = store.view("md5:" + "0" * 32 + ".dir")
    assert os.path.commonpath([folder, store.folder]) == str(store.folder)
