"""The codec of tags, example by example: what GTO writes, what we write, what is neither."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from modelregistry.errors import InvalidInputError
from modelregistry.events import (
    Annotated,
    Assigned,
    Deprecated,
    Deregistered,
    Event,
    Registered,
    Unassigned,
    Withdrawn,
)
from modelregistry.tags import (
    MOST_TRAILER_BYTES,
    Quarantined,
    RawTag,
    clean_message,
    first_number,
    parse,
    parse_name,
    render,
    tag_name,
)
from modelregistry.testing import make_event, make_events

REV, OID = "a" * 40, "0" * 40
ANN = "tagger Ann Author <ann@example.com> 1767225601 +0000"


def raw(
    name: str, body: str = "words\n", *, tagger: str = ANN, says: str | None = None, kind: str = "commit"
) -> RawTag:
    data = f"object {REV}\ntype {kind}\ntag {name if says is None else says}\n{tagger}\n\n{body}"
    return RawTag(name, OID, "tag", data.encode("utf-8", "surrogateescape"))


def trailer(json: str) -> str:
    return f"Subject\n\nwords\n\nModel-Registry: {json}\n"


@pytest.mark.parametrize(
    ("name", "kind", "facts"),
    [
        ("churn@v3.1.0", Registered, {"version": "v3.1.0", "number": 0}),
        ("churn@v3.1.0#7", Registered, {"version": "v3.1.0", "number": 7}),
        ("churn@v3.1.0-rc.1+b.5", Registered, {"version": "v3.1.0-rc.1+b.5"}),
        ("churn@v3.1.0!", Deregistered, {"version": "v3.1.0", "number": 0}),
        ("churn@v3.1.0!#8", Deregistered, {"version": "v3.1.0", "number": 8}),
        ("churn#prod", Assigned, {"stage": "prod", "version": None, "number": 0}),
        ("churn#1", Assigned, {"stage": "1", "number": 0}),
        ("churn#1#2", Assigned, {"stage": "1", "number": 2}),
        ("churn#prod/eu!#4", Unassigned, {"stage": "prod/eu", "number": 4, "empties": False}),
        ("churn@deprecated", Deprecated, {"number": 0}),
        ("dir/a.b=team/churn@deprecated#5", Deprecated, {"model": "dir/a.b:team/churn", "number": 5}),
    ],
)
def test_a_tag_of_gto_is_read_as_gto_reads_it(name: str, kind: type[Event], facts: dict[str, object]) -> None:
    event = parse(raw(name))
    assert type(event) is kind
    assert {key: getattr(event, key) for key in facts} == facts
    assert (event.author, event.email, event.rev) == ("Ann Author", "ann@example.com", REV)
    assert (event.at, event.message, event.id) == (
        datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC),
        "words",
        f"git:{OID}",
    )
    assert event.schema_version == 0


@pytest.mark.parametrize(
    "name",
    ["v1.0.0", "churn", "model@v1", "model@0.0.1", "@ns/model@v0.0.1", "model#prod@v1.2.3", "model@v1.2.3#prod", "nn#prod#-1",
     "a#prod#1#2", "a#v1.0.0", "a@latest", "a!", "", "a#prod#" + "1" * 4001],
)  # fmt: skip
def test_another_tag_is_none_of_ours(name: str) -> None:
    assert parse_name(name) is None
    assert parse(raw(name)) is None


@pytest.mark.parametrize(
    ("tag", "reason"),
    [
        (RawTag("churn@v1.0.0", OID, "commit", None), "lightweight tag"),
        (RawTag("churn@v1.0.0", OID, "tag", None), "missing, or larger"),
        (RawTag("churn@v1.0.0", OID, "tag", b""), "not a well-formed tag object"),
        (raw("churn@created"), "every GTO command fails"),
        (raw("churn@annotate#1"), "without its trailer"),
        (raw("churn@v1.0.0", says="churn@v2.0.0"), "says its name is 'churn@v2.0.0'"),
        (raw("churn@v1.0.0", kind="tree"), "points at a tree"),
        (raw("churn@v1.0.0", tagger="x"), "no tagger"),
        (raw("churn@v1.0.0", tagger="tagger A <a> soon +0000"), "be read"),
        (raw("churn@v1.0.0", tagger="tagger A <a> 9999999999999999 +0000"), "time can't be read"),
        (raw("churn@v1.0.0", trailer("{")), "not JSON"),
        (raw("churn@v1.0.0", trailer("[1]")), "not a JSON object"),
        (raw("churn@v1.0.0", trailer("{}")), "no schema version"),
        (raw("churn@v1.0.0", trailer('{"schema_version":2,"id":"1"}')), "a newer modelregistry"),
        (raw("churn@v1.0.0", trailer('{"schema_version":1,"kind":"register"}')), "does not hold what"),
        (
            raw("churn@v1.0.0", trailer('{"schema_version":1,"id":"1","kind":"assign"}')),
            "its trailer says 'assign'",
        ),
        (
            raw(
                "churn@v1.0.0", trailer('{"schema_version":1,"id":"1","kind":"register","version":"v2.0.0"}')
            ),
            "another version",
        ),
        (
            raw("churn@v1.0.0", trailer('{"schema_version":1,"id":"' + "x" * MOST_TRAILER_BYTES + '"}')),
            "larger than",
        ),
        (raw("churn@v1.0.0", trailer("[" * 60_000)), "not JSON"),
    ],
)
def test_an_odd_tag_is_quarantined_with_its_reason_and_its_number(tag: RawTag, reason: str) -> None:
    found = parse(tag)
    assert isinstance(found, Quarantined)
    assert reason in found.reason
    assert (found.model, found.name) == ("churn", tag.name)
    assert found.slot == f"@{tag.name.partition('@')[2].partition('#')[0]}"


def test_the_names_are_those_of_gto() -> None:
    assert [tag_name(event) for event in make_events("dir:churn", REV)] == [
        "dir=churn@v1.0.0", "dir=churn#current#1", "dir=churn#current!#1", "dir=churn#a/b#7", "dir=churn#a/b!#1",
        "dir=churn@annotate#1", "dir=churn@deprecated", "dir=churn@v1.0.0!#1",
    ]  # fmt: skip
    assert {slot: first_number(slot) for slot in ("@v1.0.0", "@v1.0.0!", "#s", "#s!", "@annotate", "@deprecated")} == {
        "@v1.0.0": 0, "@v1.0.0!": 1, "#s": 1, "#s!": 1, "@annotate": 1, "@deprecated": 0,
    }  # fmt: skip


def test_a_tag_reads_well_for_people() -> None:
    zone = timezone(timedelta(hours=-3, minutes=-30))
    event = make_event(
        Assigned, "churn", REV, id="1", stage="current", version="v1.0.0", message="Better AUC.\n",
        written_at=datetime(2026, 1, 1, tzinfo=zone), leaves=("shadow",),
    )  # fmt: skip
    assert render(event).decode() == (
        f"object {REV}\ntype commit\ntag churn#current#1\ntagger Ann Author <ann@example.com> 1767225600 -0330\n\n"
        "Assign stage current to churn v1.0.0\n\nBetter AUC.\n\n"
        'Model-Registry: {"id":"1","kind":"assign","leaves":["shadow"],"schema_version":1,"stage":"current","version":"v1.0.0",'
        '"written_at":"2026-01-01T00:00:00-03:30"}\n'
    )


@pytest.mark.parametrize(
    "words", ["Model-Registry: x", "a\nModel-Registry: {}", "-----BEGIN PGP SIGNATURE-----\n", "\n\nx"]
)
def test_metadata_may_hold_any_words(words: str) -> None:
    event = make_event(
        Registered, "churn", REV, version="v1.0.0", digest="sha256:" + "1" * 64, metadata={words: words}
    )
    assert parse(RawTag(tag_name(event), OID, "tag", render(event))) == event


@pytest.mark.parametrize(
    "words", ["Model-Registry: x", 'Why\n\nModel-Registry: {"schema_version":1}\n\nthat', "a\r\nb", "¿模🎉"]
)
def test_a_message_may_hold_any_words(words: str) -> None:
    event = make_event(Withdrawn, "churn", REV, version="v1.0.0", message=words)
    assert parse(RawTag(tag_name(event), OID, "tag", render(event))) == event


@pytest.mark.parametrize("message", ["a\0b", "\ud800", "-----BEGIN PGP SIGNATURE-----"])
def test_a_message_that_no_tag_can_hold_is_refused(message: str) -> None:
    with pytest.raises(InvalidInputError, match="a message"):
        clean_message(message)


def test_a_trailer_of_more_than_64_kib_is_refused() -> None:
    fits = make_event(Annotated, "churn", REV, metadata={"a": "x" * (MOST_TRAILER_BYTES - 200)})
    assert parse(RawTag(tag_name(fits), OID, "tag", render(fits))) == fits
    with pytest.raises(InvalidInputError, match="65,536 is the most"):
        render(make_event(Annotated, "churn", REV, metadata={"a": "x" * MOST_TRAILER_BYTES}))


def test_a_signature_below_the_trailer_is_no_part_of_it() -> None:
    event = make_event(Withdrawn, "churn", REV, version="v1.0.0", message="why")
    signed = render(event) + b"-----BEGIN SSH SIGNATURE-----\nU1NI\n-----END SSH SIGNATURE-----\n"
    assert parse(RawTag(tag_name(event), OID, "tag", signed)) == event


def test_what_would_break_the_header_is_left_out_of_a_name() -> None:
    event = make_event(Assigned, "churn", REV, stage="s").model_copy(
        update={"author": "A <b>\nobject x", "email": "a>\n b"}
    )
    found = parse(RawTag(tag_name(event), OID, "tag", render(event)))
    assert isinstance(found, Assigned)
    assert (found.author, found.email, found.rev) == ("A bobject x", "a b", REV)
