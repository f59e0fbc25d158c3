"""A policy decides by pure rules which events count, and reads what people write, or says where it does not."""

from __future__ import annotations

import base64
import hashlib
import os
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelregistry.config import read_signers
from modelregistry.errors import InvalidInputError, InvalidSettingsError
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
from modelregistry.trust.signers import (
    Requirement,
    Signer,
    Signers,
    actions_of,
)
from modelregistry.trust.signertexts import key_id, parse_allowed_signers, parse_policy
from tests.strategies import logs

NOW = datetime(2026, 6, 1, tzinfo=UTC)
ANN, BOB = f"SHA256:{'A' * 43}", f"SHA256:{'B' * 43}"
FACTS: dict[str, Any] = {
    "model": "churn", "author": "Ann", "email": "ann@example.com", "rev": "a" * 40, "registry": "r", "schema_version": 1,
}  # fmt: skip
BLOB = base64.b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + b"k" * 32).decode()


def event(kind: type[Event] = Assigned, number: int = 1, **facts: Any) -> Event:
    of_kind: dict[type[Event], dict[str, Any]] = {
        Assigned: {"stage": "current", "version": "v1.0.0"}, Unassigned: {"stage": "current", "version": "v1.0.0"},
        Registered: {"version": "v1.0.0"}, Withdrawn: {"version": "v1.0.0"}, Deregistered: {"version": "v1.0.0"},
    }  # fmt: skip
    values = FACTS | {"id": f"e{number}", "at": NOW - timedelta(hours=10 - number), "source": f"t{number}"}
    return kind.model_validate(values | of_kind.get(kind, {}) | {"number": number} | facts)


def why_not(found: Event, key: str | None, *signers: Signer, **more: Any) -> str | None:
    keys = {found.source: key} if key else {}
    policy = Signers(signers or (Signer("ann@example.com", ANN),), **more)
    return policy.flaws([found], keys, registry="r", now=NOW).get(found.source)


# -- one event ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "facts", "actions"),
    [
        (Registered, {}, ("register",)),
        (Withdrawn, {}, ("withdraw",)),
        (Deregistered, {}, ("withdraw",)),
        (Assigned, {}, ("promote:current",)),
        (Assigned, {"leaves": ("shadow", "canary")}, ("promote:current", "promote:shadow", "promote:canary")),
        (Unassigned, {"empties": True}, ("promote:current",)),
        (Annotated, {}, ("annotate",)),
        (Deprecated, {}, ("deprecate",)),
    ],
)
def test_what_an_event_does_is_what_its_signer_must_be_allowed_to(
    kind: type[Event], facts: dict[str, Any], actions: tuple[str, ...]
) -> None:
    found = event(kind, **facts)
    assert actions_of(found) == actions
    assert why_not(found, ANN) is None
    assert why_not(found, ANN, Signer("ann@example.com", ANN, may=actions)) is None
    for left_out in actions:
        fewer = tuple(action for action in actions if action != left_out)
        assert "may not" in (why_not(found, ANN, Signer("ann@example.com", ANN, may=fewer)) or "")


@pytest.mark.parametrize(
    ("signer", "why"),
    [
        (Signer("bob@example.com", ANN), "is bob@example.com's, and the event says ann@example.com made it"),
        (Signer("ann@example.com", ANN, revoked=True), "was revoked"),
        (Signer("ann@example.com", ANN, models=("fraud/*",)), "may not promote:current in 'churn'"),
        (Signer("ann@example.com", ANN, models=("*", "!churn")), "may not promote:current in 'churn'"),
        (Signer("ann@example.com", ANN, may=("register",)), "may not promote:current"),
        (
            Signer("ann@example.com", ANN, valid_after=NOW),
            f"the key {ANN} of ann@example.com is valid only after 2026-06-01 00:00:00 UTC, and it is dated 2026-05-31 15",
        ),
        (Signer("ann@example.com", ANN, may=("register",), valid_after=NOW), "may not promote:current"),
        (
            Signer("*@example.com,!ann@*", ANN),
            "is *@example.com,!ann@*'s, and the event says ann@example.com",
        ),
        (Signer("!ANN@example.com,ann@example.com", ANN), "and the event says ann@example.com made it"),
        (Signer("!bob@example.com", ANN), "and the event says ann@example.com made it"),
        (Signer("[a]nn@example.com", ANN), "and the event says ann@example.com made it"),
        (Signer("ann@example.com", BOB), "is not known"),
        (Signer("ann@example.com", ANN, valid_before=NOW), "has expired"),
    ],
)
def test_a_signer_who_does_not_fit_is_told_why(signer: Signer, why: str) -> None:
    assert why in (why_not(event(), ANN, signer) or "")


@pytest.mark.parametrize(
    "signer",
    [
        Signer("x@example.com, Ann@Example.com", ANN),
        Signer("x@example.com,ann@example.com", ANN),
        Signer("ann@example.com", ANN, valid_after=NOW - timedelta(hours=9)),  # the very second
        Signer("*@example.com", ANN),
        Signer("!bob@example.com,*@example.com", ANN),
        Signer("??n@example.com", ANN),
        Signer("ann@example.com", ANN, models=("fraud/*", "ch*"), may=("promote:*",)),
        Signer(
            "ann@example.com",
            ANN,
            valid_after=NOW - timedelta(days=1),
            valid_before=NOW + timedelta(seconds=1),
        ),
    ],
)
def test_a_signer_who_fits_counts(signer: Signer) -> None:
    assert why_not(event(), ANN, signer) is None


def test_an_event_without_a_signature_or_for_another_registry_does_not_count() -> None:
    assert "not signed" in (why_not(event(), None) or "")
    assert "another registry" in (why_not(event(registry="s"), ANN) or "")
    assert "another registry" in (why_not(event(registry=None), ANN) or "")


def test_a_writer_is_told_before_why_an_event_would_not_count() -> None:
    found = event(email="ann@example.com")
    policy = Signers((Signer("ann@example.com", ANN, valid_before=NOW), Signer("ann@example.com", BOB)))
    assert policy.refusal(found, BOB, registry="r", now=NOW) is None
    assert policy.refusal(found, ANN, registry="r", now=NOW - timedelta(seconds=1)) is None
    assert policy.refusal(found, ANN, registry="r", now=NOW) == (
        f"the key {ANN} of ann@example.com has expired, on 2026-06-01 00:00:00 UTC"
    )
    assert policy.refusal(found, None, registry="r", now=NOW) == (
        "it is not signed, or not by a key that could be checked"
    )
    assert "is not known" in (policy.refusal(found, f"SHA256:{'C' * 43}", registry="r", now=NOW) or "")
    assert policy.refusal(found, BOB, registry="other", now=NOW) == (
        "it was made for another registry, 'r', and this one is 'other'"
    )
    assert policy.refusal(event(registry=None), BOB, registry="r", now=NOW) == (
        "it does not say for which registry it was made, so it may be for another registry"
    )
    both = event(leaves=("shadow",))
    assert policy.refusal(event(email="bob@example.com"), BOB, registry="r", now=NOW)
    narrow = Signers((Signer("ann@example.com", ANN, may=("register",)),))
    assert narrow.refusal(both, ANN, registry="r", now=NOW) == (
        "ann@example.com may not promote:current and promote:shadow in 'churn'"
    )


def test_a_policy_is_a_value_made_of_what_was_said_and_nothing_else() -> None:
    signer = Signer("ann@example.com", ANN, valid_before=NOW)
    policy = Signers((signer,))
    assert (policy.requirements, policy.registry, policy.strict) == ((Requirement(),), None, False)
    assert policy == Signers((signer,))
    assert hash(policy) == hash(Signers((signer,)))
    assert policy != Signers((signer,), strict=True)
    assert repr(policy) == (
        f"Signers(signers=({signer!r},), requirements=({Requirement()!r},), registry=None, strict=False, trusted=())"
    )
    for private in ("_by_key", "_ends", "_digest"):
        with pytest.raises(TypeError):
            Signers((signer,), **{private: ()})  # type: ignore[arg-type]


def test_one_key_may_be_listed_twice_and_one_fit_is_enough() -> None:
    revoked = Signer("ann@example.com", ANN, revoked=True)
    shadow = Signer("ann@example.com", ANN, may=("promote:shadow",))
    current = Signer("ann@example.com", ANN, may=("promote:current",))
    assert why_not(event(), ANN, shadow, current) is None
    assert (
        why_not(event(leaves=("shadow",)), ANN, shadow, current) is not None
    )  # one signer must do all of it
    assert "revoked" in (
        why_not(event(), ANN, revoked, current) or ""
    )  # whatever else the policy says of the key


def test_an_echo_needs_no_signature() -> None:
    assert why_not(event(Unassigned, echo_of="e0"), None) is None


def test_an_echo_without_a_good_signature_does_not_count_where_it_would_date_what_comes_after() -> None:
    soon, late = NOW + timedelta(hours=1), NOW + timedelta(hours=1, seconds=1)
    assert why_not(event(Unassigned, echo_of="e0", at=soon), None) is None
    assert "dated 2026-06-01" in (why_not(event(Unassigned, echo_of="e0", at=late), None) or "")
    assert why_not(event(Unassigned, echo_of="e0", at=late), ANN) is None


def test_nor_does_an_event_that_needs_none_in_a_model_that_is_guarded() -> None:
    only, elsewhere = Requirement(stages=("current",)), Requirement(models=("risk",))
    for when, requirement, counts in (
        (NOW + timedelta(hours=1), only, True),
        (NOW + timedelta(hours=2), only, False),
        (NOW + timedelta(hours=2), elsewhere, True),
    ):
        found = why_not(event(Annotated, at=when), None, requirements=(requirement,))
        assert (found is None) is counts


@pytest.mark.parametrize("kind", [Registered, Withdrawn, Deregistered, Assigned, Unassigned])
def test_a_requirement_of_a_stage_covers_all_that_can_change_it(kind: type[Event]) -> None:
    only = (Requirement(stages=("current",)),)
    assert why_not(event(kind), None, requirements=only)
    assert why_not(event(kind, model="risk"), None, requirements=(Requirement(models=("churn",)),)) is None


def test_a_requirement_of_a_stage_covers_nothing_else() -> None:
    only = (Requirement(stages=("current",)),)
    for found in (
        event(Annotated),
        event(Deprecated),
        event(stage="shadow"),
        event(Unassigned, stage="shadow"),
    ):
        assert why_not(found, None, requirements=only) is None
    assert why_not(event(stage="shadow", leaves=("current",)), None, requirements=only)


# -- the chain below an expired key ------------------------------------------------------------------------


def chain(*emails: str) -> list[Event]:
    found: list[Event] = []
    for number, email in enumerate(emails, start=1):
        found.append(event(number=number, email=email, prev=found[-1].fingerprint() if found else None))
    return found


def flaws(events: list[Event], keys: list[str | None]) -> list[str]:
    expired = Signer("bob@example.com", BOB, valid_before=NOW)
    policy = Signers((Signer("ann@example.com", ANN), expired))
    known = {each.source: key for each, key in zip(events, keys, strict=True) if key}
    return sorted(policy.flaws(events, known, registry="r", now=NOW))


def test_what_an_expired_key_signed_counts_below_what_a_good_key_signed() -> None:
    events = chain("bob@example.com", "bob@example.com", "ann@example.com", "bob@example.com")
    assert flaws(events, [BOB, BOB, ANN, BOB]) == ["t4"]
    assert flaws(events, [BOB, BOB, None, BOB]) == ["t1", "t2", "t3", "t4"]


@pytest.mark.parametrize("facts", [{"email": "carl@example.com"}, {"echo_of": "e0"}])
def test_the_chain_ends_at_an_event_that_no_known_key_signed(facts: dict[str, Any]) -> None:
    """An echo needs no signature; whoever may push tags could put one on top of what an old key signed."""
    first = event(number=1, email="bob@example.com")
    kind = Unassigned if "echo_of" in facts else Assigned
    link = event(kind, number=2, prev=first.fingerprint(), **facts)
    last = event(number=3, prev=link.fingerprint())
    assert "t1" in flaws([first, link, last], [BOB, None, ANN])
    assert flaws([first, event(number=2, prev=first.fingerprint()), last], [BOB, None, None]) == [
        "t1",
        "t2",
        "t3",
    ]


def test_what_needs_no_signature_and_has_a_good_one_vouches() -> None:
    first = event(number=1, email="bob@example.com")
    note = event(Annotated, number=2, prev=first.fingerprint())
    expired = Signer("bob@example.com", BOB, valid_before=NOW)
    policy = Signers((Signer("ann@example.com", ANN), expired), (Requirement(stages=("current",)),))
    assert policy.flaws([first, note], {"t1": BOB, "t2": ANN}, registry="r", now=NOW) == {}
    assert list(policy.flaws([first, note], {"t1": BOB}, registry="r", now=NOW)) == ["t1"]


def test_an_event_beside_the_chain_is_not_vouched_for() -> None:
    events = chain("bob@example.com", "ann@example.com")
    aside = event(number=3, email="bob@example.com", prev=events[0].fingerprint(), at=events[0].at)
    assert flaws([*events, aside], [BOB, ANN, BOB]) == ["t3"]


def test_a_chain_that_runs_in_a_circle_or_into_nothing_ends() -> None:
    first = event(number=1, email="bob@example.com", prev="sha256:nothing")
    assert flaws([first, event(number=2, prev=first.fingerprint())], [BOB, ANN]) == []


@given(logs(), st.sampled_from([None, ANN, BOB]))
def test_what_counts_is_not_changed_by_the_order_of_asking(events: list[Event], key: str | None) -> None:
    policy = Signers((Signer("ann@example.com", ANN, may=("register", "promote:*")),))
    keys = {each.source: key for each in events} if key else {}
    found = policy.flaws(events, keys, registry=None, now=NOW)
    assert policy.flaws(events[::-1], keys, registry=None, now=NOW) == found
    for each in events:
        assert (each.source in found) == bool(
            policy.requires(each) and policy.flaw(each, keys.get(each.source), registry=None)
        )


def test_a_policy_is_known_by_its_token() -> None:
    base = Signers((Signer("ann@example.com", ANN, valid_before=NOW),))
    tokens = {
        policy.token(now)
        for policy in (
            base, replace(base, strict=True), replace(base, registry="r"), replace(base, requirements=()),
            replace(base, trusted=("ann@example.com",)),
            Signers((Signer("ann@example.com", BOB),)), Signers((Signer("ann@example.com", ANN, revoked=True),)),
        )
        for now in (NOW - timedelta(seconds=1),)
    }  # fmt: skip
    assert len(tokens) == 7
    assert base.token(NOW) not in tokens
    assert base.token(NOW) == base.token(NOW + timedelta(days=1))


# -- as people write it ------------------------------------------------------------------------------------


def test_a_key_is_its_fingerprint_however_it_is_written() -> None:
    digest = base64.b64encode(hashlib.sha256(base64.b64decode(BLOB)).digest()).decode().rstrip("=")
    assert key_id(f"ssh-ed25519 {BLOB} ann@laptop") == key_id(f"SHA256:{digest}") == f"SHA256:{digest}"
    assert key_id("gpg:abcd " + "0" * 36) == "gpg:ABCD" + "0" * 36


@pytest.mark.parametrize(
    "key",
    [
        "",
        "ssh-ed25519",
        "ssh-ed25519 !!",
        f"ssh-ed25519 {BLOB[:8]}!{BLOB[8:]}",
        f"ssh-rsa {BLOB}",
        "ABCD1234",
        "gpg:ABCD1234",
        "SHA256:short",
        f"MD5:{'a' * 43}",
    ],
)
def test_what_is_no_key_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="not a"):
        key_id(key)


def test_a_policy_in_toml_is_read_whole() -> None:
    text = f"""
    registry = "r"
    strict = true
    [[signer]]
    principal = "ann@example.com"
    key = "{ANN}"
    models = ["churn", "fraud/*"]
    may = ["register", "promote", "promote:current"]
    valid_before = 2026-06-01T00:00:00Z
    [[signer]]
    principal = "bob@example.com"
    key = "{BOB}"
    revoked = true
    [[require]]
    models = ["churn"]
    stages = ["current"]
    [trust]
    signers = ["ann@example.com"]
    """
    assert parse_policy(text, "policy.toml") == Signers(
        (
            Signer("ann@example.com", ANN, ("churn", "fraud/*"), ("register", "promote:*", "promote:current"), valid_before=NOW),
            Signer("bob@example.com", BOB, revoked=True),
        ),
        (Requirement(("churn",), ("current",)),), "r", strict=True, trusted=("ann@example.com",),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("signer = [", "not TOML"),
        ("", "signer"),
        ('[[signer]]\nprincipal = "a"\nkey = "x"', "signer.0.key: Value error, not a key"),
        (
            f'[[signer]]\nprincipal = "a"\nkey = "{ANN}"\nmay = ["promote:current", "admit"]',
            "'admit' is none of",
        ),
        (f'[[signer]]\nprincipal = "a"\nkey = "{ANN}"\nmay = ["register:x"]', "'register:x' is none of"),
        (f'[[signer]]\nprincipal = "a"\nkey = "{ANN}"\nrevokd = true', "revokd"),
        (f'[[signer]]\nprincipal = "a"\nkey = "{ANN}"\nvalid_before = 2026-06-01T00:00:00', "without a zone"),
        (f'[[signer]]\nprincipal = "a"\nkey = "{ANN}"\n[[require]]\nstage = "current"', "stage"),
        (f'[[signer]]\nprincipal = "a"\nkey = "{ANN}"\n[trust]\nsigner = ["a"]', "trust.signer"),
        (f'[[signer]]\nprincipal = "a"\nkey = "{ANN}"\n[trust]\nsigners = ["b"]', "no [[signer]] has"),
        (f'[[signer]]\nprincipal = "*@a.org"\nkey = "{ANN}"\n[trust]\nsigners = ["*"]', "no [[signer]] has"),
    ],
)
def test_a_policy_that_is_not_understood_is_refused_and_named(text: str, why: str) -> None:
    with pytest.raises(InvalidSettingsError, match=r"policy\.toml") as caught:
        parse_policy(text, "policy.toml")
    assert why in str(caught.value)


@pytest.mark.parametrize("action", ["register", "withdraw", "promote", "annotate", "deprecate"])
def test_each_action_may_be_allowed_in_toml(action: str) -> None:
    text = f'[[signer]]\nprincipal = "ann@example.com"\nkey = "{ANN}"\nmay = ["{action}"]\n'
    (signer,) = parse_policy(text, "policy.toml").signers
    assert signer.may == ("promote:*" if action == "promote" else action,)


def test_a_policy_in_toml_that_says_little_asks_for_every_signature() -> None:
    text = f'[[signer]]\nprincipal = "ann@example.com"\nkey = "{ANN}"\n'
    assert parse_policy(text, "policy.toml") == Signers((Signer("ann@example.com", ANN),))
    with_requirement = parse_policy(f"{text}[[require]]\n", "policy.toml")
    assert with_requirement.requirements == (Requirement(),)
    assert with_requirement.requirements[0].stages is None


@pytest.mark.parametrize("where", ["", "[[signer]]\nprincipal = 'x'\nkey = '{ANN}'\n", "[[require]]\n"])
def test_an_unknown_word_in_toml_is_refused_wherever_it_stands(where: str) -> None:
    text = f"{where}nosuchkey = 1\n[[signer]]\nprincipal = 'ann@example.com'\nkey = '{ANN}'\n"
    with pytest.raises(InvalidSettingsError, match="nosuchkey"):
        parse_policy(text.replace("{ANN}", ANN), "policy.toml")


def test_who_signed_is_whoever_the_policy_lets_sign_such_an_event() -> None:
    registered = event(Registered)
    ann, team = Signer("ann@example.com", ANN), Signer("*@example.com", ANN, may=("register",))
    for signers, expected in [
        ((ann,), ("ann@example.com",)),
        ((ann, team), ("ann@example.com", "*@example.com")),
        ((ann, ann), ("ann@example.com",)),
        ((Signer("ann@example.com", ANN, may=("promote:*",)),), ()),
        ((Signer("bob@example.com", ANN),), ()),
        ((Signer("ann@example.com", BOB),), ()),
        ((ann, Signer("bob@example.com", ANN, revoked=True)), ()),
        ((Signer("ann@example.com", ANN, models=("risk",)),), ()),
        ((Signer("ann@example.com", ANN, valid_after=NOW), team), ("*@example.com",)),
    ]:
        assert Signers(signers).principals(registered, ANN, registry="r") == expected
    assert Signers((ann,)).principals(registered, ANN, registry="other") == ()


def test_an_allowed_signers_file_is_read_as_openssh_reads_it() -> None:
    key = key_id(f"ssh-ed25519 {BLOB}")
    text = f"""
    # people
    ann@example.com,ann@home ssh-ed25519 {BLOB} a comment
    "*@example.com" namespaces="git,file",valid-before="20260601Z" ssh-ed25519 {BLOB}
    carl namespaces="file" ssh-ed25519 {BLOB}
    carl namespaces="!git,*" ssh-ed25519 {BLOB}
    carl namespaces="*,!git" ssh-ed25519 {BLOB}
    carl namespaces="!file" ssh-ed25519 {BLOB}
    erik,!ann@example.com namespaces="!file,g?t" ssh-ed25519 {BLOB}
    dora valid-after="20260601120000Z" ssh-ed25519 {BLOB}
    "X@example.com" valid-after="20260601123045Z" ssh-ed25519 {BLOB}
    """
    assert parse_allowed_signers(text, "allowed").signers == (
        Signer("ann@example.com,ann@home", key),
        Signer("*@example.com", key, valid_before=NOW),
        Signer("erik,!ann@example.com", key),
        Signer("dora", key, valid_after=NOW + timedelta(hours=12)),
        Signer("X@example.com", key, valid_after=NOW + timedelta(hours=12, minutes=30, seconds=45)),
    )


def test_a_time_of_openssh_is_local_unless_it_has_a_z(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "East-9")
    time.tzset()
    try:
        local, universal = (
            parse_allowed_signers(f'ann valid-before="{text}" ssh-ed25519 {BLOB}', "allowed")
            .signers[0]
            .valid_before
            for text in ("202606011230", "202606011230Z")
        )
    finally:
        monkeypatch.undo()
        time.tzset()
    assert local == NOW + timedelta(hours=3, minutes=30)
    assert universal == NOW + timedelta(hours=12, minutes=30)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("ann", "it must be: principals, options, the type of the key, the key"),
        (f"ann cert-authority ssh-ed25519 {BLOB}", "the option 'cert-authority' is not supported"),
        ("ann ssh-ed25519 AAAA", "not a key: 'ssh-ed25519 AAAA'"),
        (f'ann valid-before="soon" ssh-ed25519 {BLOB}', "not a time: 'soon'"),
    ],
)
def test_a_line_that_is_not_understood_is_refused_with_its_number(line: str, why: str) -> None:
    with pytest.raises(InvalidSettingsError, match=f"allowed, line 2: {why}"):
        parse_allowed_signers(f"\n{line}", "allowed")


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ({}, "it names nobody"),
        ({"": ANN}, r"signers\[''\]: not an e-mail address: ''"),
        ({" ": ANN}, "not an e-mail address"),
        ({1: ANN}, r"signers\[1\]: not an e-mail address: 1"),
        ({"ann@example.com": None}, r"signers\['ann@example.com'\]: not a key: None"),
        ({"ann@example.com": 1}, "not a key: 1"),
        ({"ann@example.com": ""}, "not a key: ''"),
        ("", "signers='': it must be the path of a policy"),
        (1, "signers=1: it must be the path of a policy"),
    ],
)
def test_what_was_passed_and_is_no_policy_is_refused(keys: Any, why: str) -> None:
    with pytest.raises(InvalidInputError, match=why):
        read_signers(keys)


def test_to_be_strict_needs_a_policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MODELREGISTRY_POLICY", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", os.fspath(tmp_path))
    assert read_signers(None) is None
    with pytest.raises(InvalidInputError, match=r"strict=True needs a policy.*MODELREGISTRY_POLICY"):
        read_signers(None, strict=True)
    assert read_signers({"ann@example.com": ANN}, strict=True) is not None
