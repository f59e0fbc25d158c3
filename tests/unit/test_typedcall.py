"""Which string of which call somebody is typing."""

from __future__ import annotations

import pytest

from modelregistry.display.typedcall import TypedCall, typed_call


@pytest.mark.parametrize(
    ("code", "call"),
    [
        ('registry.get("', TypedCall("registry", "get", 0, None, None, "")),
        ("registry.get('chu", TypedCall("registry", "get", 0, None, None, "chu")),
        ('registry["chu', TypedCall("registry", "", 0, None, None, "chu")),
        ('self.registry.get("a#b', TypedCall("self.registry", "get", 0, None, None, "a#b")),
        ('r.promote("churn", "v', TypedCall("r", "promote", 1, None, "churn", "v")),
        ('r.promote("churn", f(1, 2), {"a": 1}, "', TypedCall("r", "promote", 3, None, "churn", "")),
        ('r.promote(v, stage="c', TypedCall("r", "promote", 1, "stage", None, "c")),
        ('r.promote(v, stage="current", message="', TypedCall("r", "promote", 2, "message", None, "")),
        ('r.bundle(["a", "b', TypedCall("r", "bundle", 0, None, None, "b")),
        ('r.f(1, wanted=["a", "b', TypedCall("r", "f", 1, "wanted", None, "b")),
        ('for v in r.versions("c', TypedCall("r", "versions", 0, None, None, "c")),
        ('x = 1\nprint(r.get("a").version, r.get("b', TypedCall("r", "get", 0, None, None, "b")),
        ("if True:\n    r.get('it", TypedCall("r", "get", 0, None, None, "it")),
        ('r.promote(\n    "churn",  # the "model"\n    "v', TypedCall("r", "promote", 1, None, "churn", "v")),
        ('load_model("x', TypedCall("", "load_model", 0, None, None, "x")),
        ('print(f("x', TypedCall("", "f", 0, None, None, "x")),
        # None of them:
        ("", None),
        ("registry.get(", None),
        ('registry.get("churn"', None),
        ('x = "chu', None),
        ('["a", "b', None),
        ("# registry.get('", None),
        ('("a" "', None),
        ('registry.get("a\n', None),
    ],
)
def test_the_call_is_told_from_code_that_is_not_finished(code: str, call: TypedCall | None) -> None:
    assert typed_call(code) == call
