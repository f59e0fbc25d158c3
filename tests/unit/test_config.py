"""Settings: what a team may write down, and how a slip is explained."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelregistry.config import cache_folder, choose_target, parse_gto_settings, parse_settings
from modelregistry.errors import InvalidSettingsError
from modelregistry.log.history import DEFAULT_STAGES, Stages


def test_nothing_written_down_means_the_default_stages() -> None:
    for settings in (parse_settings(b""), parse_gto_settings(b""), parse_gto_settings(b"types: [model]\n")):
        assert settings.rules == Stages(DEFAULT_STAGES)
        assert not settings.rules.written_down


def test_stages_are_in_the_order_of_the_file() -> None:
    rules = parse_settings(b"[stages]\ndev = {}\nshadow = {exclusive = false}\ncurrent = {}\n").rules
    assert rules == Stages(("dev", "shadow", "current"), frozenset({"shadow"}), written_down=True)


def test_an_empty_table_allows_no_stage() -> None:
    assert parse_settings(b"[stages]\n").rules == Stages((), written_down=True)
    assert parse_gto_settings(b"stages: []\n").rules == Stages((), written_down=True)


def test_the_stages_of_gto_are_all_exclusive_and_its_keys_are_caseless() -> None:
    assert parse_gto_settings(b"STAGES: [dev, prod]\nEmojis: false\n").rules == Stages(
        ("dev", "prod"), written_down=True
    )


@pytest.mark.parametrize(
    "text", [b"stages:", b"stages: null", b"stages: ~", b"# nothing\n", b"stages: [a, a]"]
)
def test_what_gto_reads_is_read(text: bytes) -> None:
    parse_gto_settings(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"stage = 1", "unknown key 'stage'; did you mean 'stages'"),
        (b"zebra = 1", "unknown key 'zebra'; known: stages"),
        (b"[stages.dev]\nexclusiv = true", "unknown key 'stages.dev.exclusiv'; did you mean 'exclusive'"),
        (b"stages = 1", "stages: Input should be a valid dictionary"),
        (b"[stages.dev]\nexclusive = 3", "stages.dev.exclusive"),
        (b"[stages]\n'a b' = {}", "not a stage: 'a b'"),
        (b"[stages]\nwithdrawn = {}", "not a stage: 'withdrawn'"),
        (b"[stages", "not TOML"),
        (b"\xff", "not TOML"),
        (b"x = " + b"[" * 100_000, "not TOML"),
        (b"x = " + b"1" * 5000, "not TOML"),
        (b"x = 2020-13-45", "not TOML"),
    ],
    ids=lambda value: repr(value[:30]),
)
def test_a_slip_in_the_settings_is_explained(text: bytes, words: str) -> None:
    with pytest.raises(InvalidSettingsError) as caught:
        parse_settings(text)
    assert str(caught.value).startswith(".modelregistry.toml")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"stages: dev", "must be a list such as [dev, prod]; got 'dev'"),
        (b"stages: [[dev]]", "must be a list"),
        (b"stages: {dev: 1}", "must be a list"),
        (b"stages: [a b]", "not a stage: 'a b'"),
        (b"zebra: 1", "unknown key 'zebra'"),
        (b"[dev]", "must hold a mapping"),
        (b"dev", "must hold a mapping"),
        (b"a: [", ""),
        (b"\xff\xfe", ""),
        (b"{[a]: b}", ""),
        (b"[" * 200_000, ""),
        (b"a: &a [x,x,x,x,x,x,x,x,x]\n" + b"".join(b"%c: &%c [%s]\n" % (98 + i, 98 + i, b",".join([b"*%c" % (97 + i)] * 9)) for i in range(9)) + b"stages: [*j]", ""),
    ],
    ids=lambda value: repr(value[:30]),
)  # fmt: skip
def test_what_gto_refuses_is_refused(text: bytes, words: str) -> None:
    with pytest.raises(InvalidSettingsError) as caught:
        parse_gto_settings(text)
    assert ".gto" in str(caught.value) and words in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_the_registry_is_what_was_passed_else_the_environment_else_here(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert choose_target(None) == "."
    monkeypatch.setenv("MODELREGISTRY_URL", "https://example.com/models.git")
    assert choose_target(None) == "https://example.com/models.git"
    assert choose_target(Path("there")) == "there"


def test_the_cache_is_where_the_user_says(monkeypatch: pytest.MonkeyPatch, environment: Path) -> None:
    assert cache_folder() == environment / "cache" / "modelregistry"
    monkeypatch.setenv("MODELREGISTRY_CACHE", "/somewhere")
    assert cache_folder() == Path("/somewhere")
