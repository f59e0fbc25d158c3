"""Pickles: what is vouched for loads, what is named is asked for, and nothing hostile ever runs."""

import collections
import copyreg
import decimal
import fractions
import io
import pickle
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import joblib
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from modelregistry.errors import MissingDependencyError, RegistryError, UnknownFormatError
from modelregistry.loaders.base import Permit, Tier, UntrustedNamesError
from modelregistry.loaders.pickles import JoblibLoader, PickleLoader
from modelregistry.loaders.vouched import vouched
from tests.corpus.hostile import (
    OLD,
    TECHNIQUES,
    Ops,
    apply,
    call,
    name,
    opening,
    ops,
    stream,
    touch,
)

LOADERS = (PickleLoader(), JoblibLoader())
CONFINED = Permit()
COMPRESSIONS = ("zlib", "gzip", "bz2", "lzma", "xz")


def recognised_by(path: Path, name: str | None = None) -> list[str]:
    return [loader.name for loader in LOADERS if loader.recognises(path, name or path.name)]


def written(folder: Path, content: bytes, name: str = "model.pkl") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


# ------------------------------------------------------------------ hostile pickles, opcode by opcode


PAYLOADS: dict[str, Callable[[str], bytes]] = {
    technique: lambda mark, harm=harm, head=b"\x80\x02" if technique in OLD else b"\x80\x04": (  # type: ignore[misc]
        head + harm(mark) + b"."
    )
    for technique, harm in TECHNIQUES.items()
}


class Hostile:
    """An object that runs a command wherever it is unpickled."""

    def __init__(self, mark: str) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        import os

        return os.system, (touch(self.mark),)


def joblib_bytes(value: object, **options: object) -> bytes:
    buffer = io.BytesIO()
    joblib.dump(value, buffer, **options)
    return buffer.getvalue()


JOBLIB_PAYLOADS: dict[str, Callable[[str], bytes]] = {
    "in a dict beside an array": lambda mark: joblib_bytes({"a": np.arange(9), "b": Hostile(mark)}),
    "in a nested object array": lambda mark: joblib_bytes(np.array([Hostile(mark)], dtype=object)),
    "in an object array after an array": lambda mark: joblib_bytes(
        [np.arange(9.0), np.array([None, Hostile(mark)], dtype=object)]
    ),
    **{
        f"compressed by {method}": (
            lambda mark, method=method: joblib_bytes([np.arange(9), Hostile(mark)], compress=(method, 3))
        )
        for method in COMPRESSIONS
    },
    "nested and compressed": lambda mark: joblib_bytes(
        np.array([Hostile(mark)], dtype=object), compress=("xz", 3)
    ),
    "as an array's dtype": lambda mark: _wrapper(dtype=call("os.system", touch(mark))),
    "as an array's shape": lambda mark: _wrapper(shape=call("os.system", touch(mark))),
}


def _wrapper(*, dtype: object = np.dtype("f8"), shape: object = (1,), after: bytes = bytes(8)) -> bytes:
    made = Ops(b"cjoblib.numpy_pickle\nNumpyArrayWrapper\n)\x81")
    state = {"subclass": None, "order": "C", "allow_mmap": False, "dtype": dtype, "shape": shape}
    items = b"".join(ops(key) + ops(value) for key, value in state.items())
    return stream(made, b"}(", items, b"ub", after)


CORPUS = {
    **{f"{title}.pkl": (make, "pickle") for title, make in PAYLOADS.items()},
    **{f"{title}.joblib": (make, "joblib") for title, make in JOBLIB_PAYLOADS.items()},
}


def build_corpus(folder: Path) -> None:
    for number, (title, (make, _)) in enumerate(CORPUS.items()):
        mark = folder / f"mark{number}"
        Path(f"{mark}.py").write_text(opening(str(mark)))
        np.save(f"{mark}.npy", np.array([Hostile(str(mark))], dtype=object), allow_pickle=True)
        (folder / title).write_bytes(make(str(mark)))


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The payloads that leave a mark when they are loaded the usual way, in another process."""
    folder = tmp_path_factory.mktemp("live")
    build_corpus(folder)
    loading = (
        "import sys, pickle, joblib, contextlib\n"
        "for path in sys.argv[1:]:\n"
        "    with contextlib.suppress(Exception):\n"
        "        joblib.load(path) if path.endswith('.joblib') else pickle.load(open(path, 'rb'))\n"
    )
    paths = [str(folder / title) for title in CORPUS]
    subprocess.run([sys.executable, "-W", "ignore", "-c", loading, *paths], check=True, capture_output=True)
    return {title for number, title in enumerate(CORPUS) if (folder / f"mark{number}").exists()}


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    build_corpus(folder)
    return folder


def test_the_corpus_is_not_small() -> None:
    assert len(CORPUS) >= 50


@pytest.mark.parametrize("title", CORPUS)
def test_a_payload_that_is_live_elsewhere_is_named_and_refused_here(
    title: str, live: set[str], hostile: Path
) -> None:
    assert title in live
    path = hostile / title
    mark = hostile / f"mark{list(CORPUS).index(title)}"
    loader = next(each for each in LOADERS if each.recognises(path, title))
    try:
        found = loader.inspect(path)
    except UnknownFormatError:
        pass  # what a hostile name would have made is nothing that an array can be read with
    else:
        assert found.tier is Tier.NAMED
        assert found.names
    with pytest.raises((UntrustedNamesError, ValueError)):
        loader.load(path, CONFINED)
    assert not mark.exists()


@pytest.mark.parametrize("loader", LOADERS, ids=lambda loader: loader.name)
def test_an_extension_code_is_refused_also_when_the_process_has_it_cached(
    loader: PickleLoader, tmp_path: Path
) -> None:
    content = b"\x80\x02\x82\xf0)R."  # EXT1 240, called with nothing
    called: list[int] = []
    copyreg.add_extension("gc", "collect", 240)
    copyreg._extension_cache[240] = lambda: called.append(1)  # type: ignore[attr-defined]
    try:
        pickle.loads(content)
        assert called == [1]
        path = written(tmp_path, content)
        with pytest.raises(UnknownFormatError, match="extension"):
            loader.inspect(path)
        with pytest.raises(UnknownFormatError, match="extension"):
            loader.load(path, Permit(frozenset({"gc.collect"})))
        nested = written(tmp_path, _wrapper(dtype=np.dtype("O"), after=content), "nested.joblib")
        with pytest.raises(UnknownFormatError, match="extension"):
            loader.inspect(nested)
        with pytest.raises(UnknownFormatError, match="extension"):
            loader.load(nested, CONFINED)
        assert called == [1]
    finally:
        copyreg.remove_extension("gc", "collect", 240)
        copyreg.clear_extension_cache()


def test_arrays_in_companion_files_are_refused_even_when_named(tmp_path: Path) -> None:
    for wrapper in ("NDArrayWrapper", "ZNDArrayWrapper"):
        path = written(tmp_path, stream(Ops(f"cjoblib.numpy_pickle\n{wrapper}\n)\x81}}b".encode())))
        with pytest.raises(UnknownFormatError, match="other files"):
            JoblibLoader().inspect(path)
        with pytest.raises(UnknownFormatError, match="other files"):
            JoblibLoader().load(path, Permit(frozenset({f"joblib.numpy_pickle.{wrapper}"})))


def deep_tuple(depth: int) -> bytes:
    return b")" + pickle.TUPLE1 * depth


def dtype_with(code: str, state: tuple[object, ...]) -> Ops:
    return Ops(call("numpy.dtype", code, False, True) + ops(state) + b"b")


def array_with(*state: object) -> Ops:
    parts = b"".join(ops(part) for part in state)
    return Ops(
        apply(name("numpy._core.multiarray", "_reconstruct"), name("numpy", "ndarray"), (0,), b"b")
        + b"("
        + parts
        + b"tb"
    )


BEYOND = dtype_with("V8", (3, "|", None, ("a",), {"a": (np.dtype("f8"), 10**9)}, 8, 1, 0))
NO_OBJECT = dtype_with("O8", (3, "|", None, None, None, -1, -1, 0))
SECRET_OBJECT = dtype_with("V8", (3, "|", None, ("a",), {"a": (np.dtype("O"), 0)}, 8, 1, 27))

MALFORMED = {
    "empty": b"",
    "only a header": b"\x80\x04",
    "only STOP": b".",
    "text": b"hello, I am no pickle\n",
    "unknown opcode": b"\x80\x04\xff.",
    "protocol 200": b"\x80\xc8N.",
    "no STOP": b"\x80\x04N",
    "stack underflow": b"\x80\x04R.",
    "mark underflow": b"\x80\x04t.",
    "memo never put": b"\x80\x04h\x07.",
    "persistent id": b"Pmodel\n.",
    "persistent id from the stack": b"\x80\x04\x8c\x01aQ.",
    "bytes longer than the file": b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b".",
    "bytes longer than memory": b"\x80\x04\x8e" + struct.pack("<Q", 2**63 - 1) + b".",
    "bytearray longer than the file": b"\x80\x05\x96" + struct.pack("<Q", 2**38) + b".",
    "frame longer than the file": b"\x80\x04\x95" + struct.pack("<Q", 2**40) + b"N.",
    "buffer out of band": b"\x80\x05\x97.",
    "names that are no text": b"\x80\x04K\x01K\x02\x93.",
    "int of a million digits": b"I" + b"9" * 10**6 + b"\n.",
    "tuples nested beyond what can be hashed": b"\x80\x04}" + deep_tuple(10**6) + b"Ns.",
    "state for a vouched class": stream(b"cnumpy\nndarray\nN}", ops("tofile"), b"Ns\x86b"),
    "state for a joblib class": stream(
        b"cjoblib.numpy_pickle\nNumpyArrayWrapper\nN}", ops("read"), b"Ns\x86b"
    ),
    "array claiming 800 GB": _wrapper(shape=(10**11,)),
    "array of a negative shape": _wrapper(shape=(-1, -1)),
    "array of 2**80 elements": _wrapper(shape=(2**40, 2**40)),
    "array without bytes": _wrapper(after=bytes(4)),
    "array of no dtype": _wrapper(dtype="f8"),
    "field beyond its dtype": _wrapper(dtype=BEYOND),
    "objects hidden in a dtype": _wrapper(dtype=SECRET_OBJECT),
    "endless nested pickles": _wrapper(dtype=np.dtype("O"), after=b"")[:-1] * 3000,
    "truncated zlib": joblib_bytes(np.arange(10**4), compress=3)[:500],
    "truncated xz": joblib_bytes(np.arange(10**4), compress=("xz", 3))[:100],
    "lz4 of nothing": b"\x04\x22\x4d\x18",
}


@pytest.mark.parametrize("title", MALFORMED)
def test_a_malformed_stream_is_an_error_with_the_file_name(title: str, tmp_path: Path) -> None:
    path = written(tmp_path, MALFORMED[title], "model.joblib")
    with pytest.raises((UnknownFormatError, MissingDependencyError)) as caught:
        JoblibLoader().inspect(path)
    assert "lz4" in title or "model.joblib" in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("cut", range(0, 200, 7))
def test_a_truncated_file_is_an_error(cut: int, tmp_path: Path) -> None:
    whole = joblib_bytes({"a": np.arange(9), "b": np.array(["x"], dtype=object)})
    with pytest.raises(UnknownFormatError):
        JoblibLoader().inspect(written(tmp_path, whole[:cut]))


def test_a_huge_memo_index_costs_nothing(tmp_path: Path) -> None:
    path = written(tmp_path, b"\x80\x04Nr\xff\xff\xff\xff.")
    assert PickleLoader().inspect(path).tier is Tier.CONFINED
    assert PickleLoader().load(path, CONFINED) is None


def test_a_state_can_not_make_numpy_leave_its_memory(tmp_path: Path) -> None:
    def load(content: bytes) -> object:
        return PickleLoader().load(written(tmp_path, content), CONFINED)

    assert load(stream(NO_OBJECT)) == np.dtype("O")
    assert load(stream(NO_OBJECT)).hasobject  # type: ignore[attr-defined]
    with pytest.raises(UnknownFormatError, match="itemsize"):
        load(stream(BEYOND))
    with pytest.raises(UnknownFormatError, match="another size"):
        load(stream(dtype_with("V8", (3, "|", (np.dtype("f8"), (2,)), None, None, 16, 1, 0))))
    with pytest.raises(UnknownFormatError, match="Python objects"):
        load(stream(SECRET_OBJECT))
    with pytest.raises(UnknownFormatError, match="than its shape"):
        load(stream(array_with(1, (100_000,), np.dtype("O"), False, [1])))
    once = array_with(1, (2,), np.dtype("i1"), False, b"ab")
    assert bytes(load(stream(once))) == b"ab"  # type: ignore[call-overload]
    with pytest.raises(UnknownFormatError, match="twice"):
        load(stream(once, ops((1, (1,), np.dtype("i1"), False, b"c")), b"b"))
    with pytest.raises(UnknownFormatError, match="scalar"):
        load(stream(apply(name("numpy._core.multiarray", "scalar"), np.dtype("O"), bytes(8))))


SEEDS = (
    pickle.dumps({"a": [1, (2.0, None)], "b": {3}, "c": fractions.Fraction(1, 3)}),
    pickle.dumps([np.arange(3), np.array(["x", None], dtype=object), np.datetime64("2026-01-01")]),
    joblib_bytes({"a": np.arange(3), "b": np.zeros(2, [("x", "f8"), ("y", "i1", (2,))])}),
    joblib_bytes(np.arange(30), compress=3),
    joblib_bytes(make_pipeline(StandardScaler(), LogisticRegression())),
)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    content = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 6))):
        place = draw(st.integers(0, len(content) - 1))
        content[place : place + draw(st.integers(0, 3))] = draw(st.binary(max_size=4))
        content = content or bytearray(b".")
    return bytes(content)


@settings(max_examples=600, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    content=st.one_of(
        st.binary(max_size=200), mutated(), st.binary(max_size=60).map(lambda tail: b"\x80\x04" + tail)
    )
)
@pytest.mark.filterwarnings("ignore")
def test_no_bytes_make_an_inspection_raise_anything_but_a_registry_error(
    content: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = written(tmp_path_factory.getbasetemp(), content, "random.joblib")
    for loader in LOADERS:
        loader.recognises(path, "random")
        try:
            found = loader.inspect(path)
        except RegistryError:
            continue
        assert (found.tier is Tier.NAMED) == bool(found.names)
        assert list(found.names) == sorted(set(found.names) - vouched().keys())


# ------------------------------------------------------------------ honest pickles

PLAIN = {
    "containers": {
        "a": [1, 2.5, "é", None, True],
        "b": (1, (2,)),
        "c": {4},
        "d": frozenset({5}),
        "e": b"",
        7: b"x",
    },
    "odd numbers": [1j, 10**40, -0.0, bytearray(b"q"), bytearray()],
    "ordered": collections.OrderedDict(a=1),
    "scalars": [np.float64(1.5), np.str_("hé"), np.str_(""), np.datetime64("2026-01-01"), np.bool_(True)],
}
ARRAYS = {
    "floats": np.linspace(0, 1, 50),
    "no dimension": np.array(5),
    "nothing in it": np.empty((0, 3)),
    "column order": np.asfortranarray(np.arange(12.0).reshape(3, 4)),
    "the other byte order": np.arange(4, dtype=">i4"),
    "objects": np.array(["x", None, (3, [4])], dtype=object),
    "text": np.array(["a", "bcd"]),
    "empty text": np.array(["", ""]),
    "dates": np.array(["2026-01-01"], dtype="M8[D]"),
    "columns": np.array([(1, [2.0, 3.0], "x")], dtype=[("a", "i1"), ("b", "f8", (2,)), ("c", "U3")]),
    "columns in the other byte order": np.zeros(2, [("a", ">f8"), ("b", ">i2")]),
    "padded columns": np.zeros(2, np.dtype([("a", "i1"), ("b", ">f8")], align=True)),
}


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("title", PLAIN)
def test_plain_values_are_confined_in_every_protocol(title: str, protocol: int, tmp_path: Path) -> None:
    path = written(tmp_path, pickle.dumps(PLAIN[title], protocol))
    assert recognised_by(path) == ["pickle"]
    found = PickleLoader().inspect(path)
    assert (found.tier, found.names) == (Tier.CONFINED, ())
    loaded = PickleLoader().load(path, CONFINED)
    assert loaded == PLAIN[title]
    assert type(loaded) is type(PLAIN[title])


@pytest.mark.parametrize("protocol", range(2, 6))
@pytest.mark.parametrize("compress", [None, *COMPRESSIONS])
@pytest.mark.parametrize("title", ARRAYS)
def test_arrays_are_confined_and_come_back_as_joblib_brings_them(
    title: str, compress: str | None, protocol: int, tmp_path: Path
) -> None:
    path = tmp_path / "model.pkl"
    joblib.dump([ARRAYS[title], "after"], path, compress=(compress, 3) if compress else 0, protocol=protocol)
    assert recognised_by(path) == ["joblib"]
    assert JoblibLoader().inspect(path).tier is Tier.CONFINED
    array, after = JoblibLoader().load(path, CONFINED)  # type: ignore[misc]
    expected = joblib.load(path)[0]
    assert after == "after"
    assert (array.dtype, array.shape, array.flags.f_contiguous) == (
        expected.dtype,
        expected.shape,
        expected.flags.f_contiguous,
    )
    assert np.array_equal(array, expected)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("title", ARRAYS)
def test_arrays_in_a_plain_pickle_are_confined(title: str, protocol: int, tmp_path: Path) -> None:
    path = written(tmp_path, pickle.dumps(ARRAYS[title], protocol))
    assert recognised_by(path) == ["pickle"]
    assert PickleLoader().inspect(path).tier is Tier.CONFINED
    array = PickleLoader().load(path, CONFINED)
    assert isinstance(array, np.ndarray)
    expected = pickle.loads(path.read_bytes())
    assert (array.dtype, array.shape) == (expected.dtype, expected.shape)
    assert np.array_equal(array, expected)


@pytest.mark.parametrize("how", ["pickle", "joblib", *COMPRESSIONS])
def test_a_type_that_is_not_listed_is_named_and_loads_with_just_that(how: str, tmp_path: Path) -> None:
    model = [np.arange(3), fractions.Fraction(1, 3), decimal.Decimal(2)]
    path = tmp_path / "model.pkl"
    if how == "pickle":
        path.write_bytes(pickle.dumps(model))
    else:
        joblib.dump(model, path, compress=0 if how == "joblib" else (how, 3))
    (loader,) = (each for each in LOADERS if each.recognises(path, "model.pkl"))
    found = loader.inspect(path)
    assert found.tier is Tier.NAMED
    assert found.names == ("decimal.Decimal", "fractions.Fraction")
    for permit in (Permit(frozenset(found.names)), Permit(code=True)):
        assert str(loader.load(path, permit)) == str(model)
    for name_ in found.names:
        with pytest.raises(UntrustedNamesError) as caught:
            loader.load(path, Permit(frozenset(found.names) - {name_}))
        assert caught.value.names == (name_,)


def test_a_listed_name_may_be_used_for_what_it_is_listed_for_only(tmp_path: Path) -> None:
    for content, needed in (
        (call("numpy.ndarray", (10**10,), "O"), "numpy.ndarray"),  # kept, as the type of an array
        (call("numpy.mean", [1.0]), "numpy.mean"),  # kept, as a model's function
        (call("sklearn.linear_model._logistic.LogisticRegression"), "sklearn.linear_model._logistic.LogisticRegression"),
        (Ops(name("sklearn.linear_model._logistic", "LogisticRegression") + b"(K\x01t\x81"), "sklearn.linear_model._logistic.LogisticRegression"),
    ):  # fmt: skip
        path = written(tmp_path, stream(content))
        assert PickleLoader().inspect(path).names == (needed,)
        with pytest.raises(UntrustedNamesError) as caught:
            PickleLoader().load(path, CONFINED)
        assert caught.value.names == (needed,)


LOGISTIC = Ops(name("sklearn.linear_model._logistic", "LogisticRegression") + b")\x81")


def with_state(made: Ops, state: object) -> Ops:
    return Ops(made + ops(state) + b"b")


UNLIKE_PICKLE = {
    "calls what it made": apply(call("functools.partial", name("numpy", "mean")), [1.0]),
    "makes an instance of what it made": Ops(LOGISTIC + b")\x81"),
    "keeps a partial of a class": call(
        "functools.partial", name("sklearn.linear_model._logistic", "LogisticRegression")
    ),
    "gives an address to numpy": with_state(LOGISTIC, {"__array_interface__": {"data": (8, False)}}),
    "gives an address to numpy in a bunch": Ops(
        name("sklearn.utils._bunch", "Bunch") + b")\x81}b" + ops("__array_interface__") + b"Ns"
    ),
    "gives a partial an attribute": Ops(
        call("functools.partial", name("numpy", "mean"))
        + b"("
        + name("numpy", "mean")
        + b")}"
        + ops({"a": 1})
        + b"tb"
    ),
    "replaces a method": with_state(LOGISTIC, {"predict": 1}),
    "replaces a property": with_state(Ops(name("sklearn.svm._classes", "SVC") + b")\x81"), {"coef_": 1}),
    "sets a slot that is none": with_state(
        Ops(name("sklearn._loss.link", "Interval") + b")\x81"), (None, {"low": 1})
    ),
    "sets an attribute that is no text": with_state(LOGISTIC, {1: 2}),
    "gives a state that is no plain value": Ops(LOGISTIC + LOGISTIC + b"b"),
    "appends to an estimator": Ops(LOGISTIC + b"Na"),
    "puts an item into an array": Ops(ops(np.arange(3)) + b"K\x00K\x01s"),
    "adds to a list": Ops(b"\x80\x04](K\x01\x90"),
    "uses an array as a key": Ops(b"}" + ops(np.arange(3)) + b"Ns"),
    "makes a structure of a thousand columns in columns": call("numpy.dtype", ",".join(["f8"] * 40)),
    "fills a bytes object": call("builtins.bytes", 10**9),
    "asks for a dtype by an object": apply(Ops(b"cnumpy\ndtype\n"), LOGISTIC),
}


@pytest.mark.parametrize("title", UNLIKE_PICKLE)
def test_listed_names_used_as_pickle_never_does_are_refused(title: str, tmp_path: Path) -> None:
    path = written(tmp_path, stream(UNLIKE_PICKLE[title]))
    with pytest.raises((UnknownFormatError, UntrustedNamesError)):
        PickleLoader().load(path, CONFINED)


def test_what_the_caller_vouches_for_may_be_more(tmp_path: Path) -> None:
    counted = collections.deque([1, 2])
    path = written(tmp_path, pickle.dumps([counted, collections.Counter("aab")]))
    permit = Permit(frozenset({"collections.deque", "collections.Counter"}))
    assert PickleLoader().load(path, permit) == [counted, collections.Counter("aab")]


PACKAGE = """
import os

class Outer:
    class Inner:
        pass

    os = os

def function():
    pass
"""


def test_a_dotted_name_goes_through_classes_only_and_only_as_a_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dotted_names.py").write_text(PACKAGE)
    monkeypatch.syspath_prepend(tmp_path)
    import dotted_names  # type: ignore[import-not-found]

    def load(module: str, qualname: str, *permitted: str) -> object:
        path = written(tmp_path, stream(name(module, qualname)))
        return PickleLoader().load(path, Permit(frozenset(permitted)))

    assert load("dotted_names", "Outer.Inner", "dotted_names.Outer.Inner") is dotted_names.Outer.Inner
    for module, qualname, permitted in (
        ("dotted_names", "Outer.Inner", "dotted_names.Outer"),
        ("dotted_names", "os.system", "dotted_names.os"),
        ("dotted_names", "os.system", "dotted_names.os.system"),
        ("dotted_names", "Outer.os.system", "dotted_names.Outer.os.system"),
        ("dotted_names", "os", "dotted_names.os"),
    ):
        with pytest.raises(UntrustedNamesError) as caught:
            load(module, qualname, permitted)
        assert caught.value.names == (f"{module}.{qualname}",)


def test_what_is_looked_up_by_name_is_never_changed(tmp_path: Path) -> None:
    path = written(tmp_path, stream(b"cfractions\nFraction\nN}", ops("limit_denominator"), b"Ns\x86b"))
    before = fractions.Fraction.limit_denominator
    with pytest.raises(UnknownFormatError, match="looked up"):
        PickleLoader().load(path, Permit(frozenset({"fractions.Fraction"})))
    assert fractions.Fraction.limit_denominator is before


def test_inspection_imports_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "imported_by_nobody.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    path = written(tmp_path, stream(call("imported_by_nobody.Model")))
    assert PickleLoader().inspect(path).names == ("imported_by_nobody.Model",)
    with pytest.raises(UntrustedNamesError):
        PickleLoader().load(path, CONFINED)
    assert "imported_by_nobody" not in sys.modules


@pytest.mark.timeout(20)
def test_inspection_never_hashes_what_takes_for_ever_to_hash(tmp_path: Path) -> None:
    endless = b")" + (pickle.DUP + pickle.TUPLE2) * 80
    for put in (
        b"}" + endless + b"Ns",
        b"}(" + endless + b"Nu",
        b"(" + endless + b"Nd",
        b"\x8f(" + endless + b"\x90",
    ):
        assert PickleLoader().inspect(written(tmp_path, stream(put))).tier is Tier.CONFINED
    assert PickleLoader().inspect(written(tmp_path, stream(b"(" + endless + b"\x91"))).tier is Tier.CONFINED


def test_inspection_keeps_no_array(tmp_path: Path) -> None:
    path = tmp_path / "model.joblib"
    joblib.dump(np.zeros(60_000_000, dtype="i1"), path, compress=1)
    import tracemalloc

    tracemalloc.start()
    assert JoblibLoader().inspect(path).tier is Tier.CONFINED
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000_000  # bytes


@pytest.mark.parametrize(
    ("file_name", "content", "expected"),
    [
        ("model.pkl", pickle.dumps([1]), ["pickle"]),
        ("Model.PICKLE", pickle.dumps([1]), ["pickle"]),
        ("model.v1.2.pkl", pickle.dumps([1], 0), ["pickle"]),
        ("model", pickle.dumps([1]), ["pickle"]),
        ("model.pkl", joblib_bytes(np.arange(3)), ["joblib"]),
        ("model", joblib_bytes(np.arange(3)), ["joblib"]),
        ("model.pkl", joblib_bytes(np.arange(3), compress=3), ["joblib"]),
        ("model.joblib", pickle.dumps([1]), ["joblib"]),
        ("model.joblib.gz", joblib_bytes([1], compress=("gzip", 3)), ["joblib"]),
        ("model.pkl.xz", joblib_bytes([1], compress=("xz", 3)), ["joblib"]),
        ("model.pkl", b"", ["pickle"]),
        ("model.pkl", b"PK\x03\x04", []),
        ("model.pt", pickle.dumps([1], 2), []),
        ("notes", b"hello", []),
        ("data.csv.gz", joblib_bytes([1], compress=("gzip", 3)), []),
    ],
)
def test_a_file_is_recognised_by_one_loader_whatever_the_cache_calls_it(
    file_name: str, content: bytes, expected: list[str], tmp_path: Path
) -> None:
    assert recognised_by(written(tmp_path, content, "d41d8cd98f00b204"), file_name) == expected


def test_a_folder_is_not_recognised_and_not_inspected(tmp_path: Path) -> None:
    assert recognised_by(tmp_path, "model.joblib") == []
    with pytest.raises(UnknownFormatError, match="folder"):
        PickleLoader().inspect(tmp_path)
