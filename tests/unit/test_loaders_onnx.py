"""ONNX graphs: loaded, described without ONNX Runtime, and kept to their folder."""

import random
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from onnx import AttributeProto, ModelProto, NodeProto, TensorProto, helper
from skl2onnx import to_onnx
from sklearn.ensemble import RandomForestClassifier

from modelregistry.errors import UnknownFormatError
from modelregistry.loaders.base import Likeness, Tier
from modelregistry.loaders.onnx import OnnxLoader
from modelregistry.metadata.signature import Column
from tests.formatloading import load

LOADER = OnnxLoader()
ROWS = np.random.default_rng(0).random((50, 3)).astype("float32")
LABELS = (ROWS[:, 0] > 0.5).astype(int)


@pytest.fixture(scope="module")
def forest() -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = to_onnx(RandomForestClassifier(n_estimators=3, random_state=0).fit(ROWS, LABELS), ROWS[:1])
    content: bytes = model.SerializeToString()
    return content


def written(path: Path, content: bytes) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("name", ["model.onnx", "model", "model.bin"])
def test_a_graph_answers_as_it_did_whatever_it_is_called(name: str, forest: bytes, tmp_path: Path) -> None:
    path = written(tmp_path / name, forest)
    assert LOADER.recognises(path, name) is Likeness.MAGIC
    assert LOADER.inspect(path).tier is Tier.DATA
    session = load(path)
    assert isinstance(session, onnxruntime.InferenceSession)
    expected = onnxruntime.InferenceSession(forest, providers=["CPUExecutionProvider"])
    assert np.array_equal(session.run(None, {"X": ROWS})[0], expected.run(None, {"X": ROWS})[0])


def test_its_inputs_and_outputs_are_told_as_onnx_runtime_tells_them(forest: bytes, tmp_path: Path) -> None:
    signature = LOADER.describe(written(tmp_path / "model.onnx", forest)).signature
    assert signature is not None
    assert signature.inputs == (Column("X", "float32", (None, 3)),)
    assert signature.outputs == (Column("output_label", "int64", (None,)), Column("output_probability"))


def test_what_a_graph_has_a_value_for_is_no_input(tmp_path: Path) -> None:
    weights = helper.make_tensor("w", TensorProto.DOUBLE, [2], [1.0, 2.0])
    values = [helper.make_tensor_value_info(name, TensorProto.DOUBLE, ["rows", 2]) for name in ("x", "w")]
    answer = helper.make_tensor_value_info("y", TensorProto.DOUBLE, None)
    graph = helper.make_graph([helper.make_node("Mul", ["x", "w"], ["y"])], "g", values, [answer], [weights])
    path = written(tmp_path / "model.onnx", helper.make_model(graph).SerializeToString())
    signature = LOADER.describe(path).signature
    assert signature is not None
    assert signature.inputs == (Column("x", "float64", (None, 2)),)
    assert signature.outputs == (Column("y", "float64", None),)


# ------------------------------------------------------------------ data in other files


def elsewhere(location: str) -> TensorProto:
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2], data_location=TensorProto.EXTERNAL)
    for key, value in (("location", location), ("offset", "0"), ("length", "8")):
        tensor.external_data.add(key=key, value=value)
    return tensor


def multiplying(weights: TensorProto) -> ModelProto:
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Mul", ["x", "w"], ["y"])], "g", [x], [y], [weights])
    return helper.make_model(graph, ir_version=9, opset_imports=[helper.make_opsetid("", 17)])


def test_a_folder_with_a_graph_and_its_data_loads(tmp_path: Path) -> None:
    written(tmp_path / "model" / "graph.onnx", multiplying(elsewhere("data/weights.bin")).SerializeToString())
    written(tmp_path / "model" / "data" / "weights.bin", np.array([2, 3], "float32").tobytes())
    written(tmp_path / "model" / "README.md", b"A model.")
    session = load(tmp_path / "model")
    assert isinstance(session, onnxruntime.InferenceSession)
    assert session.run(None, {"x": np.ones(2, "float32")})[0].tolist() == [2.0, 3.0]
    assert LOADER.describe(tmp_path / "model").signature is not None


def test_a_folder_whose_files_the_store_can_only_link_to_loads(tmp_path: Path) -> None:
    graph = written(tmp_path / "objects" / "ab", multiplying(elsewhere("weights.bin")).SerializeToString())
    data = written(tmp_path / "objects" / "cd", np.array([2, 3], "float32").tobytes())
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "graph.onnx").symlink_to(graph)
    (tmp_path / "model" / "weights.bin").symlink_to(data)
    session = load(tmp_path / "model")
    assert isinstance(session, onnxruntime.InferenceSession)
    assert session.run(None, {"x": np.ones(2, "float32")})[0].tolist() == [2.0, 3.0]


def test_a_file_alone_may_have_no_data_beside_it(tmp_path: Path) -> None:
    path = written(tmp_path / "graph.onnx", multiplying(elsewhere("weights.bin")).SerializeToString())
    written(tmp_path / "weights.bin", bytes(8))
    with pytest.raises(
        UnknownFormatError, match=r"data in another file, 'weights\.bin': register the folder"
    ):
        load(path)


def at_top(location: str) -> ModelProto:
    return multiplying(elsewhere(location))


def in_an_attribute(location: str) -> ModelProto:
    model = multiplying(helper.make_tensor("w", TensorProto.FLOAT, [2], [1.0, 1.0]))
    node = NodeProto(op_type="Constant", output=["c"])
    node.attribute.append(AttributeProto(name="value", type=AttributeProto.TENSOR, t=elsewhere(location)))
    model.graph.node.insert(0, node)
    return model


def in_a_list(location: str) -> ModelProto:
    model = multiplying(helper.make_tensor("w", TensorProto.FLOAT, [2], [1.0, 1.0]))
    attribute = AttributeProto(name="values", type=AttributeProto.TENSORS, tensors=[elsewhere(location)])
    model.graph.node[0].attribute.append(attribute)
    return model


def in_a_list_of_graphs(location: str) -> ModelProto:
    model = multiplying(helper.make_tensor("w", TensorProto.FLOAT, [2], [1.0, 1.0]))
    inner = helper.make_graph([], "inner", [], [], [elsewhere(location)])
    model.graph.node[0].attribute.append(AttributeProto(name="g", type=AttributeProto.GRAPHS, graphs=[inner]))
    return model


def in_what_trains_it(location: str) -> ModelProto:
    model = multiplying(helper.make_tensor("w", TensorProto.FLOAT, [2], [1.0, 1.0]))
    model.training_info.add(algorithm=helper.make_graph([], "inner", [], [], [elsewhere(location)]))
    return model


def in_an_argument_of_a_function(location: str) -> ModelProto:
    model = multiplying(helper.make_tensor("w", TensorProto.FLOAT, [2], [1.0, 1.0]))
    attribute = AttributeProto(name="value", type=AttributeProto.TENSOR, t=elsewhere(location))
    model.functions.add(name="f", domain="d").attribute_proto.append(attribute)
    return model


def in_a_branch(location: str) -> ModelProto:
    model = multiplying(helper.make_tensor("w", TensorProto.FLOAT, [2], [1.0, 1.0]))
    inner = helper.make_graph([], "inner", [], [], [elsewhere(location)])
    model.graph.node.append(helper.make_node("If", ["x"], ["z"], then_branch=inner, else_branch=inner))
    return model


def in_a_function(location: str) -> ModelProto:
    model = multiplying(helper.make_tensor("w", TensorProto.FLOAT, [2], [1.0, 1.0]))
    model.functions.add(name="f", domain="d").node.extend(in_an_attribute(location).graph.node[:1])
    return model


def in_a_sparse_tensor(location: str) -> ModelProto:
    model = multiplying(helper.make_tensor("w", TensorProto.FLOAT, [2], [1.0, 1.0]))
    model.graph.sparse_initializer.add(values=elsewhere(location), dims=[2])
    return model


def without_saying_so(location: str) -> ModelProto:
    tensor = elsewhere(location)
    tensor.data_location = TensorProto.DEFAULT
    return multiplying(tensor)


@pytest.mark.parametrize(
    "build",
    [at_top, in_an_attribute, in_a_list, in_a_list_of_graphs, in_a_branch, in_a_function, in_an_argument_of_a_function,
     in_a_sparse_tensor, in_what_trains_it, without_saying_so],
)  # fmt: skip
@pytest.mark.parametrize(
    "location", ["../secret.bin", "..", "/etc/passwd", "a/../../secret.bin", "..\\secret.bin", "C:secret.bin", "",
                 "*/_ORT_MEM_ADDR_/*", "missing.bin", "linked/secret.bin"],
)  # fmt: skip
def test_data_outside_the_folder_is_never_read(
    build: Callable[[str], ModelProto], location: str, tmp_path: Path
) -> None:
    written(tmp_path / "secret.bin", bytes(8))
    folder = written(tmp_path / "model" / "graph.onnx", build(location).SerializeToString()).parent
    (folder / "linked").symlink_to(tmp_path)
    with pytest.raises(UnknownFormatError, match=r"which is not in it|has no such file|does not say where"):
        load(folder)


def test_graphs_within_graphs_without_end_are_refused(tmp_path: Path) -> None:
    def field(number: int, content: bytes) -> bytes:
        length = len(content)
        return (
            bytes([number << 3 | 2, length & 0x7F | 0x80, length >> 7 & 0x7F | 0x80, length >> 14]) + content
        )

    graph = helper.make_graph([], "g", [], [], [elsewhere("w.bin")]).SerializeToString()
    for _ in range(40):
        graph = field(1, field(5, field(6, graph)))  # in an attribute of a node
    path = written(tmp_path / "model.onnx", b"\x08\x09" + field(7, graph))
    with pytest.raises(UnknownFormatError, match="more than 100 deep"):
        load(path)


def test_operators_of_somebody_s_own_are_refused(tmp_path: Path) -> None:
    model = multiplying(helper.make_tensor("w", TensorProto.FLOAT, [2], [1.0, 1.0]))
    model.graph.node[0].domain = "somebody"
    model.opset_import.append(helper.make_opsetid("somebody", 1))
    with pytest.raises(UnknownFormatError, match="can't be read by loader 'onnx'"):
        load(written(tmp_path / "model.onnx", model.SerializeToString()))


# ------------------------------------------------------------------ malformed


def test_two_graphs_in_a_folder_are_ambiguous(forest: bytes, tmp_path: Path) -> None:
    for name in ("a.onnx", "b.onnx"):
        written(tmp_path / name, forest)
    with pytest.raises(UnknownFormatError, match=r"'a\.onnx' in it.*'b\.onnx' in it"):
        load(tmp_path)
    with pytest.raises(UnknownFormatError, match="2 files called"):
        load(tmp_path, loader="onnx")


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"PK\x03\x04", b"\x08", b"\x08\x09", b"\x3a\x7f", bytes(100)]
)
def test_what_is_no_graph_is_an_error_with_its_name(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(UnknownFormatError, match=r"'model\.onnx'"):
        load(written(tmp_path / "model.onnx", content), loader="onnx")


def test_damage_is_one_clear_error_and_prints_nothing(
    forest: bytes, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    draw = random.Random(0)
    path = tmp_path / "model.onnx"
    refused = 0
    for _ in range(200):
        damaged = bytearray(forest[: draw.choice([len(forest), draw.randrange(len(forest))])])
        if damaged:
            damaged[draw.randrange(len(damaged))] ^= 1 << draw.randrange(8)
        path.write_bytes(damaged)
        try:
            load(path, loader="onnx")
        except UnknownFormatError:
            refused += 1
    assert refused > 100
    assert capfd.readouterr() == ("", "")
