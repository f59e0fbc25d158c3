"""The values that a Python file binds names to, as DVC reads parameters from it: literals only, and nothing is run."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterable
from contextlib import suppress


def assigned(text: str) -> dict[str, object]:
    """What the names of a module are bound to, and those in its classes, where that is a literal.

    Raises:
        SyntaxError: It is no Python.
        RecursionError: It is nested too deep; ``MemoryError`` for the same.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd escapes, which are the project's own matter
        return _assigned(ast.parse(text).body)


def _assigned(body: Iterable[ast.stmt], *, to_self: bool = False) -> dict[str, object]:
    """The rules are those of ``dvc.utils.serialize``: of ``__init__``, what it sets on ``self``."""
    found: dict[str, object] = {}
    for statement in body:
        if isinstance(statement, ast.ClassDef):
            found[statement.name] = _assigned(statement.body)
        elif isinstance(statement, ast.FunctionDef) and statement.name == "__init__":
            found |= _assigned(statement.body, to_self=True)
        elif isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            name = _name(targets[0], to_self=to_self) if len(targets) == 1 else None
            if name is not None:
                with suppress(ValueError, TypeError):  # no literal
                    found[name] = ast.literal_eval(statement.value)
    return found


def _name(target: ast.expr, *, to_self: bool) -> str | None:
    if isinstance(target, ast.Name) and not to_self:
        return target.id
    if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name) and target.value.id == "self":
        return target.attr
    return None
