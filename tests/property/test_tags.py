"""The codec of tags: what is written comes back, and nothing that comes in can break it."""

from __future__ import annotations

import json
import random

from hypothesis import example, given, settings
from hypothesis import strategies as st

from modelregistry.log.events import (
    KINDS,
    Assigned,
    Deprecated,
    Deregistered,
    Event,
    Registered,
    Unassigned,
    event_from_json,
)
from modelregistry.log.history import History, Stages
from modelregistry.log.summaries import summarize
from modelregistry.log.tags import (
    MOST_TAG_BYTES,
    Quarantined,
    RawTag,
    outline,
    parse,
    parse_name,
    render,
    tag_name,
)
from modelregistry.testing import make_events
from tests.strategies import FUZZ, REVS, SHARED, events, json_values, logs, said

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


# What a field of a trailer may be but should not: all that pydantic converts, and more.
ODD_VALUES = st.sampled_from(
    [
        None, True, False, 0, 1, -1, 1.0, 1.5, 1e999, float("nan"), "", "1", "1.0", "true", "yes", "null", "NaN", "assign",
        "2026-01-01", "2026-01-01T00:00:00Z", "2026-13-01T00:00:00Z", "1700000000", 1700000000, 10**30, "v1.0.0", "current",
        [], ["a"], [1], [None], ["a", ["b"]], {}, {"a": float("-inf")}, [{"path": "x"}], [{"path": 1}], [{"path": "x", "size": True}],
        [{"path": "x", "size": "1"}], [{"path": "x", "new": float("nan")}], [{}], {"a": 1e999}, {"\\": "Infinity"},
    ]
)  # fmt: skip


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


def check_outline(name: str, data: bytes) -> None:
    """An outline is a part of what parsing gives, or leaves the tag to it."""
    parsed_name = parse_name(name)
    assert parsed_name is not None
    told = outline(name, parsed_name, data)
    if told is None:
        return
    found = parse(RawTag(name, OID, "tag", data))
    for event in told:
        assert type(event) is type(found)
        assert {field: getattr(found, field) for field in vars(event)} == vars(event)
    if not told and not isinstance(found, Quarantined):
        assert isinstance(found, (Assigned, Deprecated, Unassigned)) and found.echo_of is not None


def check_total(name: str, data: bytes | None, *, kind: str = "tag") -> None:
    """Parsing gives an event, a quarantined tag or nothing; of no other model; and what it gives can be folded."""
    found = parse(RawTag(name, OID, kind, data))
    expected = parse_name(name)
    if expected is None:
        assert found is None
        return
    if data is not None:
        check_outline(name, data)
    assert found is not None and found.model == expected.model
    assert (found.slot, found.number) == (expected.slot, expected.number), "odd or not, its number is taken"
    if isinstance(found, Quarantined):
        assert found.reason
    else:
        assert found.source == name
        said(History(found.model, [found], Stages()))
        found.fingerprint()


@settings(max_examples=FUZZ or 600)
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


@settings(max_examples=FUZZ or 1500)
@given(
    st.sampled_from(EXAMPLES[:8]),
    st.lists(
        st.tuples(
            st.sampled_from([*(field for kind in KINDS.values() for field in kind.model_fields), "new"]),
            ODD_VALUES | json_values,
        ),
        min_size=1,
        max_size=3,
    ),
    st.booleans(),
)
@example(EXAMPLES[4], [("echo_of", None)], True)
@example(EXAMPLES[0], [("echo_of", "x")], False)
def test_any_field_of_a_trailer_may_be_anything(
    tag: tuple[str, bytes], fields: list[tuple[str, object]], twice: bool
) -> None:
    name, data = tag
    head, separator, trailer = data.rpartition(b"\nModel-Registry: ")
    facts = json.loads(trailer)
    if twice:
        more = "".join(f",{json.dumps(field)}:{json.dumps(value)}" for field, value in fields)
        text = json.dumps(facts, sort_keys=True, separators=(",", ":"))[:-1] + more + "}"
    else:
        text = json.dumps(facts | dict(fields), sort_keys=True, separators=(",", ":"))
    check_total(name, head + separator + text.encode() + b"\n")


@settings(max_examples=300)
@given(events())
def test_what_we_write_can_be_told_in_outline(event: Event) -> None:
    """Else the lists of models would be right, and slow."""
    name = tag_name(event)
    parsed_name = parse_name(name)
    assert parsed_name is not None
    text = render(event)
    assert outline(name, parsed_name, text) is not None or b"NaN" in text or b"Infinity" in text


def as_tag(event: Event) -> bytes:
    """The tag that keeps the event: one without a trailer where another tool wrote it."""
    data = render(event)
    ours = event.schema_version and type(event) is not Deregistered
    return data if ours else data.partition(b"Model-Registry: ")[0]


@settings(max_examples=300)
@given(logs(), st.sampled_from([Stages(), SHARED]))
def test_a_log_in_outline_folds_to_the_same(log: list[Event], stages: Stages) -> None:
    told, parsed = [], []
    for event in log:
        name, data = event.source, as_tag(event)
        parsed_name = parse_name(name)
        assert parsed_name is not None
        whole = parse(RawTag(name, OID, "tag", data))
        assert isinstance(whole, Event)
        parsed.append(whole)
        found = outline(name, parsed_name, data)
        told += [whole] if found is None else found
    history, expected = (History("churn", found, stages) for found in (told, parsed))
    assert summarize(history) == summarize(expected)
    assert history.served == expected.served
    for stage in expected.stages_used:
        assert history.standing(stage) == expected.standing(stage)


@settings(max_examples=FUZZ or 400)
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
