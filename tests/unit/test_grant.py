"""What trusting a version shows: who made it, what it asks for, and what is new."""

from dataclasses import FrozenInstanceError
from datetime import UTC, datetime
from pathlib import Path

import pytest

from modelregistry.loaders.base import Inspection, Tier
from modelregistry.log.events import Registered
from modelregistry.trust.grant import Grant, grant
from modelregistry.trust.pins import PinnedDigest, PinnedDigests
from modelregistry.version import ModelVersion

A, B = (f"sha256:{letter * 64}" for letter in "ab")
NAMED = ("joblib", Inspection(Tier.NAMED, ("mypkg.Clipper", "mypkg.New")))


@pytest.fixture
def pins(tmp_path: Path) -> PinnedDigests:
    return PinnedDigests(tmp_path / "trusted")


def version_of(digest: str, version: str, author: str = "Ann") -> ModelVersion:
    at = datetime(2026, 11, 20, tzinfo=UTC)
    event = Registered(
        model="churn", id="1", at=at, author=author, email="ann@example.com", rev="a" * 40, registry="r1",
        version=version, digest=digest,
    )  # fmt: skip
    return ModelVersion(
        name="churn", version=version, state="inactive", stages=(), rev="a" * 40, source_rev="a" * 40,
        digest=digest, size=1, created_at=at, author=author, message="", metadata={}, head="", registered=event,
    )  # fmt: skip


def test_the_first_grant_shows_all_that_is_known_and_pins_the_digest(pins: PinnedDigests) -> None:
    found = grant(version_of(A, "v1.0.0"), NAMED, None, pins, dry_run=False)
    assert pins.trusted(A) is True
    assert (found.digest, found.granted, found.tier, found.names) == (A, True, "named", NAMED[1].names)
    text = str(found)
    for part in (
        "churn@v1.0.0", A, "Ann <ann@example.com>, as the event says", "nobody that your policy knows", "tier 'named'",
        "mypkg.Clipper", "mypkg.New", "no version of this model", 'registry.distrust("churn@v1.0.0")',
    ):  # fmt: skip
        assert part in text
    with pytest.raises(FrozenInstanceError):
        found.digest = B  # type: ignore[misc]


def test_a_dry_run_shows_it_and_writes_nothing(pins: PinnedDigests) -> None:
    found = grant(version_of(A, "v1.0.0"), NAMED, None, pins, dry_run=True)
    assert not found.granted
    assert "this only shows it" in str(found)
    assert not pins.path.exists()


def test_what_is_new_since_the_version_trusted_before_is_shown(pins: PinnedDigests) -> None:
    old = ("joblib", Inspection(Tier.NAMED, ("mypkg.Clipper", "mypkg.Old")))
    grant(version_of(A, "v1.0.0"), old, ("SHA256:k1", ("ann@example.com",)), pins, dry_run=False)
    found = grant(version_of(B, "v1.1.0"), NAMED, ("SHA256:k2", ("bob@example.com",)), pins, dry_run=False)
    assert (found.added, found.removed) == (("mypkg.New",), ("mypkg.Old",))
    assert found.before is not None
    assert (found.before.version, found.before.digest) == ("v1.0.0", A)
    rows = list(found.rows)
    assert ("new name", "mypkg.New") in rows
    assert ("name that is gone", "mypkg.Old") in rows
    assert ("signer before", "ann@example.com") in rows
    assert ("signed by", "bob@example.com with the key SHA256:k2") in rows
    assert any(what == "trusted before" and A in str(told) for what, told in rows)


def test_the_same_names_and_signer_are_said_to_be_the_same(pins: PinnedDigests) -> None:
    signature = ("SHA256:k1", ("ann@example.com",))
    grant(version_of(A, "v1.0.0"), NAMED, signature, pins, dry_run=False)
    found = grant(version_of(B, "v1.1.0"), NAMED, signature, pins, dry_run=True)
    rows = dict(found.rows)
    assert rows["names"] == "the same as before"
    assert "signer before" not in rows


def test_to_trust_the_same_bytes_again_writes_nothing(pins: PinnedDigests) -> None:
    grant(version_of(A, "v1.0.0"), NAMED, None, pins, dry_run=False)
    before = pins.path.read_bytes()
    again = grant(version_of(A, "v1.0.0"), NAMED, None, pins, dry_run=False)
    assert again.granted
    assert "these very bytes" in str(again)
    assert pins.path.read_bytes() == before
    pins.add(PinnedDigest(A, False))
    grant(version_of(A, "v1.0.0"), NAMED, None, pins, dry_run=False)
    assert pins.trusted(A) is True


@pytest.mark.parametrize("tier", Tier)
def test_each_tier_says_what_it_means(tier: Tier, pins: PinnedDigests) -> None:
    found = grant(version_of(A, "v1.0.0"), ("joblib", Inspection(tier)), None, pins, dry_run=True)
    assert found.tier == tier.name.lower()
    assert dict(found.rows)["asks for"]


def test_a_hostile_name_can_not_write_to_the_terminal_nor_into_a_page(pins: PinnedDigests) -> None:
    names = ("<script>", "\x1b[2J\n", *(f"n{number:03}" for number in range(100)))
    hostile = ("joblib", Inspection(Tier.NAMED, names))
    found = grant(version_of(A, "v1.0.0", author="\x1b[2J<b>"), hostile, None, pins, dry_run=True)
    for text in (str(found), found._repr_html_()):
        assert "\x1b" not in text
    assert "<script>" not in found._repr_html_()
    assert "<b>" not in found._repr_html_()
    assert "and 62 more" in str(found)
    assert len(found.names) == 102


def test_it_is_a_value() -> None:
    facts = {
        "reference": "churn@v1.0.0",
        "digest": A,
        "granted": True,
        "author": "Ann",
        "signer": None,
        "key": None,
    }
    one, other = (
        Grant(**facts, loader="joblib", tier="named", names=(), before=None)
        for _ in range(2)  # type: ignore[arg-type]
    )
    assert one == other
    assert hash(one) == hash(other)
