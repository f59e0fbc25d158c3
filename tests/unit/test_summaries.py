"""What is remembered of a model is what its log says now, or nothing."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from modelregistry.log.history import Stages
from modelregistry.log.summaries import Summaries, Summary

STAGES = Stages()
SUMMARY = Summary(True, "v0.2.0", "a" * 40, {"current": ("v0.1.0",), "shadow": ("v0.2.0",)}, deprecated=False)


def opened(folder: Path, stages: Stages = STAGES, repository: str = "here") -> Summaries:
    return Summaries(folder, repository, stages)


def test_what_was_saved_is_known_at_that_head_and_at_no_other(tmp_path: Path) -> None:
    first = opened(tmp_path)
    first.put("churn", "head-1", SUMMARY)
    first.save({"churn"})
    later = opened(tmp_path)
    assert later.get("churn", "head-1") == SUMMARY
    assert later.get("churn", "head-2") is None
    assert later.get("risk", "head-1") is None


def test_other_stages_or_another_repository_know_nothing_of_it(tmp_path: Path) -> None:
    first = opened(tmp_path)
    first.put("churn", "head-1", SUMMARY)
    first.save({"churn"})
    assert opened(tmp_path, Stages(("shadow", "current", "canary"))).get("churn", "head-1") is None
    assert opened(tmp_path, Stages(shared=frozenset({"shadow"}))).get("churn", "head-1") is None
    assert opened(tmp_path, repository="elsewhere").get("churn", "head-1") is None


def test_a_model_that_is_gone_is_forgotten(tmp_path: Path) -> None:
    first = opened(tmp_path)
    first.put("churn", "head-1", SUMMARY)
    first.put("risk", "head-1", SUMMARY)
    first.save({"risk"})
    assert opened(tmp_path).get("churn", "head-1") is None
    assert opened(tmp_path).get("risk", "head-1") == SUMMARY


@pytest.mark.parametrize(
    "damage", ["", "[", "[]", "{}", '{"rules": 1}', '{"rules": [], "models": 3}', "\0" * 50]
)
def test_a_damaged_file_is_as_good_as_none(tmp_path: Path, damage: str) -> None:
    first = opened(tmp_path)
    first.put("churn", "head-1", SUMMARY)
    first.save({"churn"})
    (file,) = tmp_path.iterdir()
    file.write_text(damage)
    assert opened(tmp_path).get("churn", "head-1") is None


def test_a_damaged_entry_is_as_good_as_none(tmp_path: Path) -> None:
    first = opened(tmp_path)
    first.put("churn", "head-1", SUMMARY)
    first.save({"churn"})
    (file,) = tmp_path.iterdir()
    file.write_text(file.read_text().replace('"v0.2.0", ', "", 1))
    assert opened(tmp_path).get("churn", "head-1") is None


def test_the_folder_is_private_and_nothing_else_is_left_in_it(tmp_path: Path) -> None:
    folder = tmp_path / "summaries"
    first = opened(folder)
    first.put("churn", "head-1", SUMMARY)
    first.save({"churn"})
    assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700
    assert [path.suffix for path in folder.iterdir()] == [".json"]


def test_a_folder_that_can_t_be_written_is_no_matter(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    first = opened(tmp_path / "file" / "summaries")
    first.put("churn", "head-1", SUMMARY)
    first.save({"churn"})
    assert first.get("churn", "head-1") == SUMMARY
