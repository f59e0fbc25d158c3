"""What a model was made with, against what is here: which differences are told, and how."""

import platform
import warnings
from importlib.metadata import version

import pytest

from modelregistry.errors import EnvironmentMismatchWarning
from modelregistry.loading.environment import installed, mismatches, warn_of_mismatch

PYTHON, NUMPY = platform.python_version(), version("numpy")


def test_installed_leaves_out_what_is_not_there() -> None:
    assert installed(["python", "numpy", "no-such-distribution", ""]) == {"python": PYTHON, "numpy": NUMPY}


@pytest.mark.parametrize(
    ("recorded", "here", "differs"),
    [
        ("1.5.2", "1.5.2", False),
        ("1.5.2", "1.5.0", False),
        ("1.5.2", "1.5.2rc1", False),
        ("1.5", "1.5.9", False),
        ("1.5.2", "1.6.0", True),
        ("1.5.2", "2.5.2", True),
        ("1.10", "1.1", True),
        ("2026.1", "2026.2", True),
        ("1.5.2+cpu", "1.5.2", False),
        ("unknown", "1.5.2", False),
        ("", "1.5.2", False),
        ("9" * 5000, "1.5.2", False),
    ],
)
def test_a_difference_in_major_or_minor_is_a_mismatch(recorded: str, here: str, differs: bool) -> None:
    found = mismatches({"some-package": recorded}, {"some-package": here})
    assert found == ([("some-package", recorded, here)] if differs else [])


def test_what_is_not_installed_is_no_mismatch() -> None:
    assert mismatches({"xgboost": "1.5"}, {}) == []


def test_the_warning_is_one_line_with_both_versions() -> None:
    with pytest.warns(EnvironmentMismatchWarning) as caught:
        warn_of_mismatch("churn@v1.3.0", {"python": "2.7.18", "numpy": "0.9.1", "pytest": version("pytest")})
    (warning,) = caught
    text = str(warning.message)
    assert text.startswith(
        f"churn@v1.3.0 was made with python 2.7.18 (here {PYTHON}), numpy 0.9.1 (here {NUMPY}): "
    )
    assert "\n" not in text
    assert "pytest" not in text
    assert warning.filename == __file__


def test_nothing_is_said_where_nothing_is_recorded_or_nothing_differs() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_mismatch("churn@v1.3.0", None)
        warn_of_mismatch("churn@v1.3.0", {})
        warn_of_mismatch("churn@v1.3.0", {"python": PYTHON, "numpy": NUMPY, "..": "1", "\x1b[2J": "1.0"})


def test_a_recorded_text_can_not_break_the_line() -> None:
    with pytest.warns(EnvironmentMismatchWarning) as caught:
        warn_of_mismatch("churn@v1.3.0", {"NumPy": "\n0.9\n"})
    text = str(caught[0].message)
    assert "NumPy 0.9 (here" in text
    assert "\n" not in text


def test_ten_thousand_recorded_names_are_not_all_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr("importlib.metadata.version", lambda name: asked.append(name) or "1.0")
    with pytest.warns(EnvironmentMismatchWarning):
        warn_of_mismatch("churn@v1.3.0", {f"package-{number}": "2.0" for number in range(10_000)})
    assert len(asked) == 50
