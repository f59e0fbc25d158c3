"""Completes model names, references, versions and stages in the strings that are typed in IPython and Jupyter."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from modelregistry.display.typedcall import TypedCall, typed_call
from modelregistry.loading.following import follow
from modelregistry.loading.loading import download, load_model, open_registry
from modelregistry.names import LATEST
from modelregistry.registry import Registry

_REFERENCES = {"reference", "references", "base", "candidate", "candidates"}
_VERSIONS = {"version", "expected", "then"}
_TAKE_REFERENCES = {"annotate", "promote", "withdraw"}
"""The verbs whose ``model`` may be a reference."""
_FUNCTIONS: Sequence[Callable[..., object]] = (load_model, download, follow)
"""They find the registry themselves: in ``$MODELREGISTRY_URL``, or here."""
_SIGNS = re.compile("[@#]")


class Completion(NamedTuple):
    """One completion, as IPython takes it."""

    text: str
    type: str = "reference"


class Matcher:
    """What IPython asks, by the second version of its interface.

    Args:
        shell: The shell, whose variables say which objects are registries.
    """

    matcher_api_version = 2
    matcher_identifier = "modelregistry"
    matcher_priority = 200  # before those that complete the names of files in a string

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self.__qualname__ = self.matcher_identifier  # which IPython asks of any function

    def __call__(self, context: Any) -> dict[str, Any]:
        """What can be where the cursor is; nothing where that is no place of ours."""
        *before, line = context.full_text.split("\n")[: context.cursor_line + 1]
        call = typed_call("\n".join([*before, line[: context.cursor_position]]))
        try:
            found = self._candidates(call) if call is not None else ()
        except Exception:  # noqa: BLE001 (whoever types wants no traceback)
            found = ()
        if call is None or not found:
            return {"completions": []}
        return {
            "completions": [Completion(text) for text in found],
            "matched_fragment": call.begun, "suppress": True, "ordered": True,
        }  # fmt: skip

    def _candidates(self, call: TypedCall) -> Sequence[str]:
        owner = self._object(call.owner) if call.owner else None
        if isinstance(owner, Registry):
            registry, function = owner, getattr(Registry, call.verb, None)
        else:
            function = self._function(owner, call.verb)
            if function is None:
                return ()
            registry = open_registry(None, offline=True)
        names_more = _SIGNS.search(call.begun) is not None
        if not call.verb and not names_more:
            return [key for key in registry._ipython_key_completions_() if key.startswith(call.begun)]
        argument = "reference" if not call.verb else call.keyword or _argument(function, call.position)
        if argument in _REFERENCES or (
            argument == "model" and (call.verb in _TAKE_REFERENCES or not names_more)
        ):
            return registry._complete(call.begun)
        if argument in _VERSIONS and call.first is not None:
            model = _SIGNS.split(call.first)[0]
            found = [each.partition("@")[2] for each in registry._complete(f"{model}@{call.begun}")]
            return found if argument == "version" else [name for name in found if name != LATEST]
        if argument == "stage":
            return [stage for stage in registry._read_stages().order if stage.startswith(call.begun)]
        return ()

    def _function(self, owner: object, name: str) -> Callable[..., object] | None:
        """The function of ours that is called: as one of the module's, or by its bare name."""
        found = next((each for each in _FUNCTIONS if each.__name__ == name), None)
        is_ours = owner is sys.modules["modelregistry"] or (
            owner is None and found is self._shell.user_ns.get(name)
        )
        return found if is_ours else None

    def _object(self, expression: str) -> object:
        """What a dotted name stands for; no property is read to find out."""
        root, *parts = expression.split(".")
        found: object = self._shell.user_ns.get(root)
        for part in parts:
            found = getattr(found, "__dict__", {}).get(part)
        return found


def _argument(function: Callable[..., object] | None, position: int) -> str | None:
    """The name of the argument at that position."""
    parameters = inspect.signature(function).parameters.values() if function else ()
    found = [each for each in parameters if each.name != "self"]
    many = next((number for number, each in enumerate(found) if each.kind is each.VAR_POSITIONAL), len(found))
    return found[min(position, many)].name if min(position, many) < len(found) else None


def attach(shell: Any) -> None:
    """Complete in this shell from now on."""
    detach(shell)
    shell.Completer.custom_matchers.append(Matcher(shell))


def detach(shell: Any) -> None:
    """Complete no more."""
    matchers = shell.Completer.custom_matchers
    matchers[:] = [each for each in matchers if not isinstance(each, Matcher)]
