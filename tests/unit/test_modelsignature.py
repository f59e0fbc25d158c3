"""Signatures: their JSON, and when one model can stand in for another."""

import pytest

from modelregistry.metadata.signature import Column, ModelSignature, incompatibilities

SIGNATURES = {
    "nothing": ModelSignature(),
    "columns": ModelSignature(
        (Column("age", "float64"), Column("city", "str", required=False)), (Column("predict", "int64"),)
    ),
    "array": ModelSignature((Column(shape=(None, 4)),), (Column("predict_proba", shape=(None, 3)),)),
}


@pytest.mark.parametrize("name", SIGNATURES)
def test_json_gives_it_back(name: str) -> None:
    assert ModelSignature.from_dict(SIGNATURES[name].to_dict()) == SIGNATURES[name]


@pytest.mark.parametrize(
    "value",
    [
        None, 3, [], "text", {"inputs": 3}, {"inputs": [3]}, {"inputs": [{"name": 3}]},
        {"inputs": [{"shape": "ab"}]}, {"inputs": [{"shape": 3}]}, {"outputs": [{"type": []}]},
    ],
)  # fmt: skip
def test_what_is_no_signature_gives_none(value: object) -> None:
    assert ModelSignature.from_dict(value) is None


def inputs(*columns: Column) -> ModelSignature:
    return ModelSignature(inputs=columns)


def outputs(*columns: Column) -> ModelSignature:
    return ModelSignature(outputs=columns)


AGE, CITY = Column("age", "float64"), Column("city", "str")
FOUR, FIVE, ANY = Column(shape=(None, 4)), Column(shape=(None, 5)), Column(shape=(None, None))
THREE = tuple(Column(name) for name in "abc")


@pytest.mark.parametrize(
    ("holder", "candidate", "expected"),
    [
        (ModelSignature(), inputs(AGE), []),
        (inputs(AGE), ModelSignature(), []),
        (inputs(AGE), inputs(AGE), []),
        (inputs(AGE), inputs(Column("age")), []),
        (inputs(AGE, CITY), inputs(CITY, AGE), []),
        (inputs(AGE), inputs(AGE, CITY), ["input 'city' is needed and was not"]),
        (inputs(AGE), inputs(AGE, Column("city", required=False)), []),
        (inputs(AGE), inputs(Column("age", "str")), ["input 'age' is str, and was float64"]),
        (inputs(FOUR), inputs(FOUR), []),
        (inputs(FOUR), inputs(FIVE), ["input 0 has the shape (None, 5), and was (None, 4)"]),
        (inputs(FOUR), inputs(ANY), []),
        (inputs(Column(shape=(None, 3))), inputs(*THREE), []),
        (inputs(*THREE), inputs(Column(shape=(None, 3))), []),
        (inputs(FOUR), inputs(*THREE), ["3 features are needed, and there were 4"]),
        (inputs(*THREE), inputs(FOUR), ["4 features are needed, and there were 3"]),
        (inputs(*THREE), inputs(ANY), []),
        (inputs(FOUR), inputs(Column("X", "float32", (None, 4))), []),
        (outputs(AGE, CITY), outputs(AGE), ["output 'city' is gone"]),
        (outputs(AGE), outputs(AGE, CITY), []),
        (
            outputs(Column("predict", "int64")),
            outputs(Column("predict", "str")),
            ["output 'predict' is str, and was int64"],
        ),
    ],
)
def test_a_candidate_must_take_what_the_holder_took_and_give_what_it_gave(
    holder: ModelSignature, candidate: ModelSignature, expected: list[str]
) -> None:
    assert incompatibilities(holder, candidate) == expected
