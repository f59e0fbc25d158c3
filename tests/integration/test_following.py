"""A service that follows a stage: it serves a whole model at every moment, and the new one once that is loaded."""

from __future__ import annotations

import gc
import logging
import os
import threading
import time
import weakref
from pathlib import Path

import pytest

import modelregistry as mr
from modelregistry import Registry

NAMES = ["sklearn.linear_model._logistic.LogisticRegression"]


def object_of(version: mr.ModelVersion, project: Path) -> Path:
    (file,) = version.files()
    assert file.md5 is not None
    return project / ".dvc" / "cache" / "files" / "md5" / file.md5[:2] / file.md5[2:]


def test_a_stage_that_moves_brings_the_new_model_at_the_next_look(served: Registry) -> None:
    changes = []
    with mr.follow(
        "churn", stage="current", registry=served, every=None, trust=NAMES,
        on_change=lambda old, new: changes.append((old.version, new.version)),
    ) as followed:  # fmt: skip
        first = followed.model
        assert not followed.refresh()
        served.promote("churn", "v0.2.0", "current")
        assert followed.model is first, "not before it looks"
        assert followed.refresh()
        assert followed.version.version == "v0.2.0"
        assert followed.serving == (followed.version, followed.model)
        assert followed.model is not first
    assert changes == [("v0.1.0", "v0.2.0")]
    assert "v0.2.0" in repr(followed)


def test_a_new_version_that_is_damaged_is_not_served_and_the_old_one_is(
    served: Registry, project: Path, fresh_cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    errors: list[Exception] = []
    followed = mr.follow(
        "churn", stage="current", registry=served, every=None, trust=NAMES, on_error=errors.append
    )
    first = followed.serving
    bad = object_of(served.get("churn@v0.2.0"), project)
    bad.chmod(0o644)
    bad.write_bytes(b"not a model")
    served.promote("churn", "v0.2.0", "current")
    with caplog.at_level(logging.WARNING, "modelregistry"):
        assert not followed.refresh()
        assert followed.serving == first
        assert [type(error) for error in errors] == [mr.IntegrityError]
        assert "churn@v0.1.0 is served on: IntegrityError" in caplog.text
    assert followed.refresh(), "the damaged file was set aside, and the right one fetched"
    assert followed.version.version == "v0.2.0"


def test_a_stage_that_nobody_holds_any_more_leaves_the_old_model_and_says_so_once(
    served: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    errors: list[Exception] = []
    followed = mr.follow(
        "churn", stage="current", registry=served, every=None, trust=NAMES, on_error=errors.append
    )
    served.demote("churn", "current")
    with caplog.at_level(logging.WARNING, "modelregistry"):
        assert not followed.refresh()
        assert not followed.refresh()
    assert [type(error) for error in errors] == [mr.StageEmptyError] * 2
    assert caplog.text.count("is served on") == 1
    assert followed.version.version == "v0.1.0"


def test_a_callback_that_raises_stops_nothing(served: Registry, caplog: pytest.LogCaptureFixture) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("in the callback")

    followed = mr.follow("churn", stage="current", registry=served, every=None, trust=NAMES, on_change=fail)
    served.promote("churn", "v0.2.0", "current")
    assert followed.refresh()
    assert followed.version.version == "v0.2.0"
    assert "in the callback" in caplog.text


def test_the_first_model_that_can_not_be_loaded_is_an_error(served: Registry) -> None:
    with pytest.raises(mr.StageEmptyError):
        mr.follow("churn", stage="shadow", registry=served)
    for every in (0, -1, float("nan")):
        with pytest.raises(mr.InvalidInputError, match="every="):
            mr.follow("churn", stage="current", registry=served, every=every)


def test_a_thread_looks_by_itself_and_ends_with_close_or_with_the_handle(served: Registry) -> None:
    swapped = threading.Event()
    followed = mr.follow(
        "churn", stage="current", registry=served, every=0.01, trust=NAMES,
        on_change=lambda old, new: swapped.set(),
    )  # fmt: skip
    served.promote("churn", "v0.2.0", "current")
    assert swapped.wait(30)
    assert followed.version.version == "v0.2.0"
    (thread,) = (each for each in threading.enumerate() if each.name == "modelregistry-follow-churn")
    followed.close()
    thread.join(30)
    assert not thread.is_alive()

    again = mr.follow("churn", stage="current", registry=served, every=0.01, trust=NAMES)
    (thread,) = (each for each in threading.enumerate() if each.name == "modelregistry-follow-churn")
    gone = weakref.ref(again)
    del again
    while thread.is_alive():  # it may hold the handle for the time of one look
        gc.collect()
        thread.join(1)
    assert gone() is None


def test_every_reader_sees_a_version_with_its_own_model_while_it_is_swapped(served: Registry) -> None:
    versions = {name: served.get(f"churn@{name}").load(trust=NAMES) for name in ("v0.1.0", "v0.2.0")}
    weights = {name: model.coef_.tolist() for name, model in versions.items()}  # type: ignore[attr-defined]
    followed = mr.follow("churn", stage="current", registry=served, every=None, trust=NAMES)
    done = threading.Event()
    seen: set[str] = set()

    def read() -> None:
        while not done.is_set():
            version, model = followed.serving
            assert model.coef_.tolist() == weights[version.version]  # type: ignore[attr-defined]
            seen.add(version.version)

    reader = threading.Thread(target=read)
    reader.start()
    for name in ("v0.2.0", "v0.1.0", "v0.2.0"):
        while followed.version.version not in seen:
            pass
        served.promote("churn", name, "current")
        assert followed.refresh()
    while "v0.2.0" not in seen:
        pass
    done.set()
    reader.join()
    assert seen == {"v0.1.0", "v0.2.0"}


def test_a_forked_child_goes_on_looking(served: Registry) -> None:
    followed = mr.follow("churn", stage="current", registry=served, every=0.01, trust=NAMES)
    child = os.fork()
    if child == 0:  # pragma: no cover
        deadline = time.monotonic() + 60
        while followed.version.version != "v0.2.0" and time.monotonic() < deadline:
            time.sleep(0.01)
        os._exit(0 if followed.version.version == "v0.2.0" else 1)
    served.promote("churn", "v0.2.0", "current")
    assert os.waitpid(child, 0)[1] == 0
    followed.close()
