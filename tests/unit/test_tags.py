"""The codec of tags, example by example: what GTO writes, what we write, what is neither."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from modelregistry.errors import InvalidInputError
from modelregistry.log.events import (
    Annotated,
    Assigned,
    Deprecated,
    Deregistered,
    Event,
    Registered,
    Unassigned,
    Withdrawn,
)
from modelregistry.log.tags import (
    MOST_TRAILER_BYTES,
    Quarantined,
    RawTag,
    clean_message,
    first_number,
    fits,
    outline,
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


def trailer(text: str) -> str:
    return f"Subject\n\nwords\n\nModel-Registry: {text}\n"


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


def facts(**changed: object) -> dict[str, object]:
    """A trailer that has what it needs."""
    return {
        "id": "1",
        "kind": "assign",
        "schema_version": 1,
        "stage": "current",
        "version": "v1.0.0",
    } | changed


def written(facts: dict[str, object]) -> str:
    """The trailer's text, as we write it."""
    return json.dumps(facts, sort_keys=True, separators=(",", ":"))


def told(tag: RawTag) -> tuple[Event, ...] | None:
    name = parse_name(tag.name)
    assert name is not None and tag.data is not None
    return outline(tag.name, name, tag.data)


def test_an_outline_has_what_a_fold_needs_and_nothing_else() -> None:
    tag = raw("churn#current#7", trailer(written(facts(leaves=["shadow"]))))
    found = told(tag)
    assert found is not None
    (event,) = found
    assert isinstance(event, Assigned)
    assert (event.stage, event.version, event.leaves, event.restores) == (
        "current",
        "v1.0.0",
        ("shadow",),
        None,
    )
    assert (event.id, event.rev, event.number, event.source, event.echo_of) == ("1", REV, 7, tag.name, None)
    assert event.at == datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC)
    with pytest.raises(AttributeError):
        assert event.message


def test_a_signed_tag_is_told_in_outline_as_if_it_were_not() -> None:
    plain = trailer(written(facts()))
    signed = plain + "-----BEGIN SSH SIGNATURE-----\n{}\n-----END SSH SIGNATURE-----\n"
    (found,), (expected,) = (told(raw("churn#current#7", text)) or () for text in (signed, plain))
    assert vars(found) == vars(expected)


def test_an_outline_leaves_an_echo_out() -> None:
    assert told(raw("churn#current#7", trailer(written({"echo_of": "0"} | facts())))) == ()


@pytest.mark.parametrize(
    "tag",
    [
        raw("churn#current#7"),
        raw("churn#current#7", trailer(written(facts())).rstrip("\n")),
        raw("churn#current#7", trailer(written(facts())) + "\n"),
        raw("churn#current#7", "a\n-----BEGIN SSH SIGNATURE-----\n" + trailer(written(facts()))),
        RawTag("churn#current#7", OID, "tag", raw("churn#current#7", trailer(written(facts()))).data.replace(b"\n\n", b"\n")),
        raw("churn#current#7", trailer(written(facts())), kind="tree"),
        raw("churn#current#7", trailer(written(facts())), says="churn#current#8"),
        raw("churn#current#7", trailer(written(facts())), tagger="tagger A <a> 9999999999999999 +0000"),
        raw("churn#current#7", trailer(written(facts())), tagger=f"tagger A <a> {'9' * 30} +0000"),
        raw("churn#current#7", trailer(written(facts())), tagger=f"tagger A <a> {'9' * 5000} +0000"),
        raw("churn#current#7", trailer(written(facts(kind="unassign")))),
        raw("churn#current#7", trailer(written(facts(stage="shadow")))),
        raw("churn#current#7", trailer(written(facts(id=1)))),
        raw("churn#current#7", trailer(written(facts(leaves="shadow")))),
        raw("churn#current#7", trailer(written(facts(schema_version=2)))),
        raw("churn#current#7", trailer(written(facts(schema_version=0)))),
        raw("churn#current#7", trailer(written(facts(schema_version=True)))),
        raw("churn#current#7", trailer(written(facts(written_at=0)))),
        raw("churn#current#7", trailer(written(facts(new=float("nan"))))),
        raw("churn#current#7", trailer(written(facts(new=float("inf"))))),
        raw("churn#current#7", trailer(written(facts(new="x" * MOST_TRAILER_BYTES)))),
        raw("churn#current#7", trailer('{"schema_version":1,"stage":"current","id":"1"}')),
        raw("churn#current#7", trailer('{"schema_version":1,"stage":"current","kind":"assign"}')),
        raw("churn#current#7", trailer('{"id":"1","stage":"current","kind":"assign"}')),
        raw("churn@v1.0.0", trailer('{"id":"1","kind":"register","schema_version":1,"version":"v2.0.0"}')),
        raw("churn@v1.0.0", trailer('{"address":"a","echo_of":"0","id":"1","kind":"register","schema_version":1}')),
        raw("churn@created", trailer('{"id":"1","kind":"annotate","schema_version":1}')),
        raw("churn@v1.0.0", trailer('{"id":"1","kind":"register","schema_version":1}')),
        raw(
            f"churn@v{'1' * 250}.0.0",
            trailer(f'{{"id":"1","kind":"register","schema_version":1,"version":"v{"1" * 250}.0.0"}}'),
        ),
    ],
)  # fmt: skip
def test_whatever_is_odd_is_not_told_in_outline(tag: RawTag) -> None:
    assert told(tag) is None


@pytest.mark.parametrize(
    "text",
    [
        '{"echo_of":null,"id":"1","kind":"assign","schema_version":1}',
        '{"echo_of":"0","id":"1","kind":"assign","schema_version":1,"echo_of":null}',
        '{"echo_of":"0","id":"1","kind":"assign","schema_version":1,"\\u0065cho_of":null}',
    ],
)
def test_what_only_looks_like_an_echo_is_not_left_out(text: str) -> None:
    tag = raw("churn#current#7", trailer(text))
    whole = parse(tag)
    assert isinstance(whole, Event) and whole.echo_of is None
    found = told(tag)
    assert found is None or [event.echo_of for event in found] == [None]


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
    small = make_event(Annotated, "churn", REV, metadata={"a": "x" * (MOST_TRAILER_BYTES - 200)})
    assert parse(RawTag(tag_name(small), OID, "tag", render(small))) == small
    assert fits(small)
    large = make_event(Annotated, "churn", REV, metadata={"a": "x" * MOST_TRAILER_BYTES})
    assert not fits(large)
    with pytest.raises(InvalidInputError, match="65,536 is the most"):
        render(large)


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
