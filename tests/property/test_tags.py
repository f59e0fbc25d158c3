"""The codec of tags: what is written comes back, and nothing that comes in can break it."""

from __future__ import annotations

import random

from hypothesis import example, given, settings
from hypothesis import strategies as st

from modelregistry.events import Event, Registered, event_from_json
from modelregistry.history import History, Stages
from modelregistry.tags import MOST_TAG_BYTES, Quarantined, RawTag, parse, parse_name, render, tag_name
from modelregistry.testing import make_events
from tests.strategies import REVS, events, said

OID = "0" * 40
EXAMPLES = [(tag_name(event), render(event)) for event in make_events("team/churn", REVS[0])] + [
    ("team/churn@v1.0.0#3", b"object %s\ntype commit\ntag team/churn@v1.0.0#3\ntagger Bob <bob@x> 1700000000 +0200\n\nhi\n"),
    ("team/churn#prod", b"object %s\ntype commit\ntag team/churn#prod\ntagger Bob <bob@x> 1700000000 -0030\n\n"),
]  # fmt: skip
EXAMPLES = [(name, data.replace(b"%s", REVS[0].encode())) for name, data in EXAMPLES]

ODD_PIECES = [
    b"", b"\0", b"\n", b"\n\n", b"\xff\xfe", b"\xed\xa0\x80", b"tagger ", b"tagger A <a> 99999999999999999999 +0000",
    b"tagger A <a> -99999999999 +9999", b"tagger A <a> 253402300799 +0000", b"tagger A <a> " + b"9" * 5000 + b" +0000",
    b"object ", b"type tree", b"type commit", b"tag team/churn@v1.0.0", b"tag x@v1.0.0", b"Model-Registry: ",
    b"\nModel-Registry: {}\n", b"\nModel-Registry: " + b"[" * 5000, b'\nModel-Registry: {"a":' * 900,
    b'\nModel-Registry: {"schema_version":1,"kind":"register","id":1}', b'{"schema_version":1e999}', b"NaN", b"1" * 5000,
    b'"kind":"assign"', b'"version":"v9.9.9"', b'"at":"x","model":"other"', b'"schema_version":2', b'"\\ud800"',
    b'"metadata":{"a":' + b"[" * 300 + b"]" * 300 + b"}", b"\n-----BEGIN PGP SIGNATURE-----\n", b" <>", b"<<>>", b"null", b"true",
]  # fmt: skip


@settings(max_examples=500)
@given(events())
def test_a_rendered_event_parses_as_itself(event: Event) -> None:
    event = event.model_copy(update={"source": tag_name(event)})
    found = parse(RawTag(tag_name(event), OID, "tag", render(event)))
    assert found == event
    assert isinstance(found, Event)
    assert found.fingerprint() == event.fingerprint(), "the chain holds over the round trip"
    assert type(found) is type(event)


@settings(max_examples=200)
@given(events())
def test_the_json_of_an_event_makes_the_event_again(event: Event) -> None:
    found = event_from_json(event.to_json())
    assert found == event
    assert found.fingerprint() == event.fingerprint()


@settings(max_examples=150)
@given(events())
def test_a_name_says_the_model_the_slot_and_the_number(event: Event) -> None:
    name = parse_name(tag_name(event))
    assert name is not None
    assert (name.model, name.slot, name.number) == (event.model, event.slot, event.number)


def check_total(name: str, data: bytes | None, *, kind: str = "tag") -> None:
    """Parsing gives an event, a quarantined tag or nothing; of no other model; and what it gives can be folded."""
    found = parse(RawTag(name, OID, kind, data))
    expected = parse_name(name)
    if expected is None:
        assert found is None
        return
    assert found is not None and found.model == expected.model
    assert (found.slot, found.number) == (expected.slot, expected.number), "odd or not, its number is taken"
    if isinstance(found, Quarantined):
        assert found.reason
    else:
        assert found.source == name
        said(History(found.model, [found], Stages()))
        found.fingerprint()


@settings(max_examples=600)
@given(
    st.sampled_from(EXAMPLES),
    st.lists(
        st.tuples(st.floats(0, 1), st.integers(0, 40), st.sampled_from(ODD_PIECES) | st.binary(max_size=6)),
        max_size=4,
    ),
)
@example(("team/churn@v1.0.0", EXAMPLES[0][1]), [(1.0, 0, b"\nModel-Registry: " + b'{"a":' * 10_000)])
def test_any_damage_to_a_tag_is_survived(
    tag: tuple[str, bytes], edits: list[tuple[float, int, bytes]]
) -> None:
    name, data = tag
    for where, cut, piece in edits:
        start = int(where * len(data))
        data = data[:start] + piece + data[start + cut :]
    check_total(name, data)


def test_every_flipped_byte_of_every_kind_of_tag_is_survived() -> None:
    for name, data in EXAMPLES:
        for position in range(len(data)):
            for flip in (0x01, 0x20, 0x80, data[position]):
                check_total(name, data[:position] + bytes([data[position] ^ flip]) + data[position + 1 :])


def test_every_truncation_is_survived() -> None:
    for name, data in EXAMPLES:
        for end in range(len(data)):
            check_total(name, data[:end])


def test_what_is_not_a_tag_object_is_survived() -> None:
    for name, _ in EXAMPLES:
        for kind in ("tag", "commit", "tree", "blob", "missing", ""):
            check_total(name, None, kind=kind)


@settings(max_examples=400)
@given(st.lists(st.sampled_from([*"amZ09-_/.=:#@!v+~", "v1.0.0", "@v", "#prod", "#1", "@deprecated", "@created", "\n", "é", "\udcff", "9" * 30]), max_size=8).map("".join))  # fmt: skip
def test_any_name_is_survived(name: str) -> None:
    check_total(name, EXAMPLES[0][1])


def test_a_version_too_long_to_be_a_number_breaks_nothing() -> None:
    name = f"churn@v{'9' * 5000}.0.0"
    check_total(name, EXAMPLES[-1][1].replace(b"team/churn#prod", name.encode()))


def test_random_bytes_are_no_event() -> None:
    source = random.Random(1)
    for size in [0, 1, 10, 100, MOST_TAG_BYTES]:
        check_total("churn@v1.0.0", source.randbytes(size))


def test_the_examples_are_events_before_they_are_damaged() -> None:
    for name, data in EXAMPLES:
        assert isinstance(parse(RawTag(name, OID, "tag", data)), Event)
    assert isinstance(parse(RawTag(EXAMPLES[0][0], OID, "tag", EXAMPLES[0][1])), Registered)
