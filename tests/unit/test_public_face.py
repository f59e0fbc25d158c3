"""What ``import modelregistry`` gives, and what it costs."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import modelregistry

ROOT = Path(modelregistry.__file__).parents[1]
HEAVY = (
    "dvc", "fsspec", "git", "gto", "joblib", "numpy", "packaging", "pandas", "platformdirs", "pydantic", "pytest",
    "ruamel", "semver", "skops", "sklearn", "sqlalchemy", "torch", "yaml", "filelock", "subprocess", "tempfile",
)  # fmt: skip


def loaded_after(code: str) -> set[str]:
    """The top-level names of the modules that a fresh Python has loaded after ``code``."""
    script = f"{code}\nimport json, sys; print(json.dumps(sorted(sys.modules)))"
    output = subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True).stdout
    return set(json.loads(output))


def test_import_loads_nothing_heavy() -> None:
    plain = loaded_after("")
    added = loaded_after("import modelregistry; modelregistry.__version__; dir(modelregistry)") - plain
    assert {name for name in added if name.startswith("modelregistry")} == {
        "modelregistry",
        "modelregistry.collector",
    }
    assert not {name.partition(".")[0] for name in added} & set(HEAVY)


def test_opening_a_registry_needs_neither_dvc_nor_what_loads_models() -> None:
    loaded = {name.partition(".")[0] for name in loaded_after("import modelregistry; modelregistry.Registry")}
    assert not loaded & {
        "alembic",
        "sqlalchemy",
        "dvc",
        "fsspec",
        "gto",
        "joblib",
        "numpy",
        "pandas",
        "pytest",
        "skops",
        "sklearn",
        "ruamel",
    }


def test_an_error_can_be_caught_without_loading_the_hub() -> None:
    loaded = loaded_after("import modelregistry; modelregistry.RegistryError; modelregistry.IntegrityError")
    assert {name for name in loaded if name.startswith("modelregistry")} == {
        "modelregistry",
        "modelregistry.collector",
        "modelregistry.errors",
    }


@pytest.mark.parametrize("name", modelregistry.__all__)
def test_every_public_name_resolves_and_says_what_it_is(name: str) -> None:
    value = getattr(modelregistry, name)
    assert getattr(modelregistry, name) is value
    assert isinstance(value, str) or value.__doc__


def test_the_public_names_are_sorted_and_once_each() -> None:
    names = modelregistry.__all__
    assert len(set(names)) == len(names)
    # Constants, classes, the rest: as ruff sorts them.
    assert names == sorted(names, key=lambda name: (not name.isupper(), not name[0].isupper(), name))
    assert dir(modelregistry) == sorted(names)


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse(Path(modelregistry.__file__).read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    imported = {
        alias.asname or alias.name
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert imported | {"__version__"} == set(modelregistry.__all__)
    assert (Path(modelregistry.__file__).parent / "py.typed").exists()


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        modelregistry.nothing  # noqa: B018
    with pytest.raises(ImportError):
        from modelregistry import nothing_either  # type: ignore[attr-defined]  # noqa: F401


def test_pytest_is_imported_by_the_suite_for_plugin_authors_alone() -> None:
    package = Path(modelregistry.__file__).parent
    importing = {path.parent.name for path in package.rglob("*.py") if "import pytest" in path.read_text()}
    assert importing == {"testing"}
