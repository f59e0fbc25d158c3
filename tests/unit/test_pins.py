"""What this user said of bytes for good: the last word counts, and a file that others could have written does not."""

import json
import multiprocessing
import os
from pathlib import Path

import pytest

from modelregistry.errors import InvalidInputError, RefusedError, RegistryWarning
from modelregistry.trust.pins import PinnedDigest, PinnedDigests

A, B, C = (f"sha256:{letter * 64}" for letter in "abc")

posix = pytest.mark.skipif(os.name != "posix", reason="owners and modes are POSIX's")


def test_nothing_is_said_of_bytes_until_somebody_does(tmp_path: Path) -> None:
    pins = PinnedDigests(tmp_path / "deep" / "trusted")
    assert pins.trusted(A) is None
    assert pins.last("churn", None) is None
    assert not (tmp_path / "deep").exists()


def test_the_last_word_counts_and_only_for_its_own_digest(tmp_path: Path) -> None:
    pins = PinnedDigests(tmp_path / "trusted")
    for trusted in (True, False, False, True, False):
        pins.add(PinnedDigest(A, trusted))
        assert PinnedDigests(tmp_path / "trusted").trusted(A) is trusted
        assert pins.trusted(B) is None
    assert len((tmp_path / "trusted").read_text().splitlines()) == 5


def test_what_was_seen_comes_back(tmp_path: Path) -> None:
    pin = PinnedDigest(A, True, "r1", "churn", "v1.0.0", "ann@example.com", "named", ("mypkg.A", "mypkg.B"))
    pins = PinnedDigests(tmp_path / "trusted")
    pins.add(pin)
    found = pins.last("churn", "r1")
    assert found is not None
    assert found.at.endswith("Z")
    assert {name: getattr(found, name) for name in ("digest", "version", "signer", "tier", "names")} == {
        "digest": A, "version": "v1.0.0", "signer": "ann@example.com", "tier": "named",
        "names": ("mypkg.A", "mypkg.B"),
    }  # fmt: skip


def test_the_last_trusted_of_a_model_is_the_one_that_still_is(tmp_path: Path) -> None:
    pins = PinnedDigests(tmp_path / "trusted")
    pins.add(PinnedDigest(A, True, "r1", "churn", "v1.0.0"))
    pins.add(PinnedDigest(B, True, "r1", "churn", "v1.1.0"))
    pins.add(PinnedDigest(C, True, "r1", "risk", "v9.0.0"))
    pins.add(PinnedDigest(f"sha256:{'d' * 64}", True, "r2", "churn", "v9.0.0"))
    last = pins.last("churn", "r1")
    assert last is not None
    assert last.digest == B
    pins.add(PinnedDigest(B, False))
    last = pins.last("churn", "r1")
    assert last is not None
    assert last.digest == A
    assert pins.last("churn", None) is None


@pytest.mark.parametrize(
    "digest", ["md5:d41d8cd98f00b204e9800998ecf8427e", "sha256:x", A + "\n" + B, "", A.upper()]
)
def test_only_a_sha256_digest_can_be_pinned(digest: str, tmp_path: Path) -> None:
    pins = PinnedDigests(tmp_path / "trusted")
    with pytest.raises(InvalidInputError, match="64 hexadecimal"):
        pins.add(PinnedDigest(digest, True))
    assert pins.trusted(digest) is None
    assert not (tmp_path / "trusted").exists()


@pytest.mark.parametrize(
    "line",
    [
        A, json.dumps(A), json.dumps([A, True]), json.dumps({"digest": A}), json.dumps({"digest": A, "trusted": "yes"}),
        json.dumps({"digest": A, "trusted": 1}), json.dumps({"digest": A, "trusted": True, "names": 3}),
        json.dumps({"digest": [A], "trusted": True}), json.dumps({"digest": B, "trusted": True, "version": A}),
        json.dumps({"digest": A, "trusted": True})[:-1], "[" * 100_000 + A,
    ],
)  # fmt: skip
def test_a_line_that_is_not_plainly_about_a_digest_grants_nothing(line: str, tmp_path: Path) -> None:
    path = tmp_path / "trusted"
    pins = PinnedDigests(path)
    pins.add(PinnedDigest(C, True))
    with path.open("a") as file:
        file.write(line + "\n")
    assert pins.trusted(A) is None
    assert pins.trusted(C) is True
    assert pins.last("churn", None) is None


def test_what_a_newer_version_writes_too_is_passed_over(tmp_path: Path) -> None:
    pins = PinnedDigests(tmp_path / "trusted")
    pins.add(PinnedDigest(A, True))
    with pins.path.open("a") as file:
        file.write(json.dumps({"digest": A, "trusted": False, "because": "of a letter"}) + "\n")
    assert pins.trusted(A) is False


def test_a_torn_line_is_ignored_and_costs_the_next_one_nothing(tmp_path: Path) -> None:
    pins = PinnedDigests(tmp_path / "trusted")
    pins.add(PinnedDigest(A, False))
    with pins.path.open("a") as file:
        file.write(json.dumps({"digest": A, "trusted": True}))
    assert pins.trusted(A) is False
    pins.add(PinnedDigest(B, True))
    assert pins.trusted(B) is True


def test_very_many_long_names_do_not_fill_the_disk(tmp_path: Path) -> None:
    pins = PinnedDigests(tmp_path / "trusted")
    pins.add(PinnedDigest(A, True, names=("x" * 1_000_000, *(f"n{number}" for number in range(5000)))))
    assert pins.path.stat().st_size < 100_000
    assert pins.trusted(A) is True


@posix
def test_a_file_that_others_may_write_grants_nothing_and_takes_nothing(tmp_path: Path) -> None:
    pins = PinnedDigests(tmp_path / "trusted")
    pins.add(PinnedDigest(A, True))
    pins.path.chmod(0o666)
    with pytest.warns(RegistryWarning, match="counts as trusted"):
        assert pins.trusted(A) is None
    with pytest.warns(RegistryWarning), pytest.raises(RefusedError, match="can't be used"):
        pins.add(PinnedDigest(B, True))


def test_a_home_that_can_not_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.warns(RegistryWarning), pytest.raises(RefusedError):
        PinnedDigests(tmp_path / "file" / "trusted").add(PinnedDigest(A, True))


def test_it_lies_in_the_home_that_the_environment_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELREGISTRY_HOME", str(tmp_path))
    assert PinnedDigests().path == tmp_path / "trusted"


def add_many(path: Path, start: int) -> None:
    for number in range(start, start + 50):
        PinnedDigests(path).add(PinnedDigest(f"sha256:{number:064x}", True, names=("mypkg.Clipper",) * 100))


def test_four_processes_lose_no_line(tmp_path: Path) -> None:
    path = tmp_path / "trusted"
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        pool.starmap(add_many, [(path, worker * 1000) for worker in range(4)])
    pins = PinnedDigests(path)
    assert all(
        pins.trusted(f"sha256:{worker * 1000 + number:064x}") for worker in range(4) for number in range(50)
    )
