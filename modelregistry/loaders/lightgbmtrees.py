"""Whether the text of a LightGBM model is whole: LightGBM believes every count and index that a file has."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence

_OF_INTEGERS, _OF_NUMBERS = b"0123456789- ", b"0123456789-+.eEinfa "
"""The bytes that such numbers are written with, and spaces between them."""
_DEEPEST = 10_000
"""Nodes above a node: LightGBM walks down some trees by calling itself."""
_CATEGORICAL = 1

_OF_NODES, _OF_LEAVES = "nodes", "leaves"
_INTEGER_FIELDS = {
    b"decision_type": _OF_NODES,
    b"internal_count": _OF_NODES,
    b"leaf_count": _OF_LEAVES,
    b"left_child": _OF_NODES,
    b"right_child": _OF_NODES,
    b"split_feature": _OF_NODES,
}
_NUMBER_FIELDS = {
    b"internal_value": _OF_NODES,
    b"internal_weight": _OF_NODES,
    b"leaf_value": _OF_LEAVES,
    b"leaf_weight": _OF_LEAVES,
    b"split_gain": _OF_NODES,
    b"threshold": _OF_NODES,
}
_NEEDED = (b"decision_type", b"left_child", b"right_child", b"split_feature", b"threshold")


_HEAD = (
    *(b"version", b"num_class", b"num_tree_per_iteration", b"label_index", b"max_feature_idx", b"objective"),
    *(b"average_output", b"feature_names", b"monotone_constraints", b"feature_infos"),
)
_LINEAR_FIELDS = (b"is_linear", b"leaf_const", b"num_features", b"leaf_features", b"leaf_coeff")
_TREE = (
    *(b"num_leaves", b"num_cat", *_INTEGER_FIELDS, *_NUMBER_FIELDS, b"cat_boundaries", b"cat_threshold"),
    *(*_LINEAR_FIELDS, b"shrinkage"),
)
_CATEGORIES = b"pandas_categorical:"


def checked(text: bytes) -> bytes:
    """The model alone, once it is known to be whole: without the parameters of its training.

    Raises:
        ValueError: It is cut off, or has a count or an index in it that is wrong.
    """
    if text.translate(None, bytes(range(32, 256)) + b"\n") or not text.startswith(b"tree\n"):
        raise ValueError("it is no text of LightGBM's")
    text.decode()
    head, _, rest = text.partition(b"\n\n")
    body, ended, rest = rest.partition(b"\nend of trees\n")
    if not ended:
        raise ValueError("its trees do not end")
    fields = _fields(head, first=b"tree")
    blocks = [b"Tree=" + block for block in b"\n".join([b"", body]).split(b"\nTree=")[1:]]
    features = _check_head(fields, len(blocks))
    trees: list[bytes] = []
    for number, block in enumerate(blocks):
        tree = _fields(block, first=b"Tree=%d" % number)
        _check_tree(tree, features)
        trees.append(_written(b"Tree=%d" % number, tree, _TREE) + b"\n\n")
    sizes = b" ".join(b"%d" % len(tree) for tree in trees)
    parts = [_written(b"tree", fields, _HEAD), b"tree_sizes=%b\n\n" % sizes, *trees, b"end of trees\n\n"]
    _, named, categories = rest.rpartition(_CATEGORIES)
    if named:
        parts.append(_CATEGORIES + json.dumps(json.loads(categories)).encode() + b"\n")
    return b"".join(parts)


def _written(first: bytes, fields: Mapping[bytes, bytes], names: Iterable[bytes]) -> bytes:
    lines = (
        name if name == b"average_output" else name + b"=" + fields[name] for name in names if name in fields
    )
    return b"\n".join([first, *lines, b""])


def _check_head(fields: Mapping[bytes, bytes], trees: int) -> int:
    """The number of features."""
    features = _integer(fields, b"max_feature_idx") + 1
    classes, per_round = _integer(fields, b"num_class"), _integer(fields, b"num_tree_per_iteration")
    if (
        min(features, classes) < 1
        or per_round not in {1, classes}
        or trees % per_round
        or _integer(fields, b"label_index") < 0
    ):
        raise ValueError("a head that LightGBM does not write")
    for name in (b"feature_names", b"feature_infos"):
        if len(fields.get(name, b"").split(b" ")) != features:
            raise ValueError(f"its {name.decode()} are not as many as its features")
    if b"monotone_constraints" in fields and len(_integers(fields[b"monotone_constraints"])) != features:
        raise ValueError("its constraints are not as many as its features")
    told = re.findall(rb"num_class:(\d{1,9})", fields.get(b"objective", b""))
    if any(int(number) != classes for number in told):
        raise ValueError("an objective of another number of classes")
    return features


def _fields(block: bytes, *, first: bytes) -> dict[bytes, bytes]:
    lines = block.rstrip(b"\n").split(b"\n")
    if lines[0] != first:
        raise ValueError(f"no {first.decode()!r} where it should be")
    found: dict[bytes, bytes] = {}
    for line in lines[1:]:
        name, _, value = line.partition(b"=")
        if name in found:
            raise ValueError(f"the field {name[:40]!r} stands twice in one place")
        found[name] = value
    return found


def _check_tree(fields: Mapping[bytes, bytes], features: int) -> None:
    leaves, sets = _integer(fields, b"num_leaves"), _integer(fields, b"num_cat")
    nodes = leaves - 1
    many = {_OF_NODES: nodes, _OF_LEAVES: leaves}
    if leaves < 1 or sets < 0 or b"leaf_value" not in fields:
        raise ValueError("a tree without leaves")
    if nodes and not fields.keys() >= {*_NEEDED}:
        raise ValueError("a tree that lacks a field")
    whole = {name: _integers(fields.get(name, b"")) for name in _INTEGER_FIELDS}
    read: dict[bytes, Sequence[float]] = {name: _numbers(fields.get(name, b"")) for name in _NUMBER_FIELDS}
    for name, numbers in {**whole, **read}.items():
        expected = many[_INTEGER_FIELDS.get(name) or _NUMBER_FIELDS[name]]
        if len(numbers) != expected and (numbers or name in {*_NEEDED, b"leaf_value"}):
            raise ValueError(f"the field {name.decode()!r} of a tree is not as long as the tree")
    if nodes:
        _check_nodes(whole, nodes, features)
        _check_categories(fields, whole[b"decision_type"], read[b"threshold"], sets)
    if fields.get(b"is_linear", b"0") != b"0":
        _check_linear(fields, leaves, features)


def _check_nodes(whole: Mapping[bytes, Sequence[int]], nodes: int, features: int) -> None:
    if not (min(whole[b"split_feature"]) >= 0 and max(whole[b"split_feature"]) < features):
        raise ValueError("a tree asks for a feature that there is not")
    depth = [0] * nodes
    for node, children in enumerate(zip(whole[b"left_child"], whole[b"right_child"], strict=True)):
        for child in children:
            # LightGBM numbers a node after the one above it; leaves count down from -1.
            if not (node < child < nodes or -nodes - 1 <= child < 0) or depth[node] > _DEEPEST:
                raise ValueError("a tree whose nodes are no tree")
            if child > 0:
                depth[child] = depth[node] + 1


def _check_categories(
    fields: Mapping[bytes, bytes], kinds: Sequence[int], thresholds: Sequence[float], sets: int
) -> None:
    """The sets of categories by which nodes split: each a stretch of one list of bits."""
    bounds = _integers(fields.get(b"cat_boundaries", b"")) if sets else [0]
    bits = _integers(fields.get(b"cat_threshold", b"")) if sets else []
    if len(bounds) != sets + 1 or bounds[0] != 0 or bounds[-1] != len(bits) or bounds != sorted(bounds):
        raise ValueError("a tree whose sets of categories do not add up")
    for kind, threshold in zip(kinds, thresholds, strict=True):
        if kind & _CATEGORICAL and not 0 <= threshold < sets:
            raise ValueError("a node that splits by a set of categories that there is not")


def _check_linear(fields: Mapping[bytes, bytes], leaves: int, features: int) -> None:
    """The leaves of a linear tree: each a constant and some features with coefficients."""
    counts = _integers(fields.get(b"num_features", b""))
    constants = _numbers(fields.get(b"leaf_const", b""))
    # Here a leaf without features leaves a space.
    used = _integers(b" ".join(fields.get(b"leaf_features", b"").split()))
    weights = _numbers(b" ".join(fields.get(b"leaf_coeff", b"").split()))
    if (
        not len(counts) == leaves == len(constants)
        or min(counts) < 0
        or not sum(counts) == len(used) == len(weights)
        or not all(0 <= feature < features for feature in used)
    ):
        raise ValueError("a linear tree whose leaves do not add up")


def _integer(fields: Mapping[bytes, bytes], name: bytes) -> int:
    (number,) = _integers(fields.get(name, b"")) or [-1]
    return number


def _integers(value: bytes) -> list[int]:
    if value.translate(None, _OF_INTEGERS):
        raise ValueError(f"no whole numbers, but {value[:40]!r}")
    return [*map(int, value.split(b" "))] if value else []


def _numbers(value: bytes) -> list[float]:
    if value.translate(None, _OF_NUMBERS):
        raise ValueError(f"no numbers, but {value[:40]!r}")
    return [*map(float, value.split(b" "))] if value else []
