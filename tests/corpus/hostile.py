"""Hostile model files: some sixty ways to run something when a file is unpickled, in every wrapping a model comes in.

``build`` writes them into a folder, and ``python -m tests.corpus.hostile prove`` reads those of a folder the usual
way, to show that each would do what it says: the file with the name of its mark is there afterwards.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import json
import lzma
import marshal
import pickle
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np


class Ops(bytes):
    """Opcodes that leave one value on the stack."""

    __slots__ = ()


def ops(value: object) -> Ops:
    return value if isinstance(value, Ops) else Ops(pickle.dumps(value, 2)[2:-1])


def name(module: str, qualname: str) -> Ops:
    """STACK_GLOBAL, which resolves dotted names."""
    return Ops(ops(module) + ops(qualname) + pickle.STACK_GLOBAL)


def apply(function: Ops, *arguments: object) -> Ops:
    return Ops(function + b"(" + b"".join(ops(argument) for argument in arguments) + b"tR")


def call(function: str, *arguments: object) -> Ops:
    module, _, attribute = function.rpartition(".")
    return apply(Ops(f"c{module}\n{attribute}\n".encode()), *arguments)


def stream(*parts: bytes) -> bytes:
    return b"\x80\x04" + b"".join(parts) + b"."


def together(*parts: bytes) -> Ops:
    return Ops(b"".join(parts))


def touch(mark: str) -> str:
    return f"touch {mark}"


def opening(mark: str) -> str:
    return f"open({mark!r}, 'w').close()"


def os_module() -> Ops:
    return call("importlib.import_module", "os")


def bytecode(mark: str) -> bytes:
    return marshal.dumps(compile(opening(mark), "x", "exec"))


TECHNIQUES: dict[str, Callable[[str], Ops]] = {
    "posix.system": lambda mark: together(call("posix.system", touch(mark))),
    "os.system": lambda mark: together(call("os.system", touch(mark))),
    "os.system in protocol 0": lambda mark: Ops(b"cos\nsystem\n(V" + touch(mark).encode() + b"\ntR"),
    "INST": lambda mark: Ops(b"(V" + touch(mark).encode() + b"\nios\nsystem\n"),
    "OBJ": lambda mark: Ops(b"(cos\nsystem\nV" + touch(mark).encode() + b"\no"),
    "python 2 spelling": lambda mark: Ops(b"c__builtin__\neval\n(V" + opening(mark).encode() + b"\ntR"),
    "eval": lambda mark: together(call("builtins.eval", opening(mark))),
    "exec": lambda mark: together(call("builtins.exec", opening(mark))),
    "exec of compile": lambda mark: together(
        call("builtins.exec", call("builtins.compile", opening(mark), "x", "exec"))
    ),
    "open": lambda mark: together(call("builtins.open", mark, "w")),
    "io.open": lambda mark: together(call("io.open", mark, "w")),
    "codecs.open": lambda mark: together(call("codecs.open", mark, "w")),
    "subprocess.check_call": lambda mark: together(call("subprocess.check_call", ["touch", mark])),
    "subprocess.getoutput": lambda mark: together(call("subprocess.getoutput", touch(mark))),
    "os.spawnlp": lambda mark: together(call("os.spawnlp", 0, "touch", "touch", mark)),
    "importlib and getattr": lambda mark: together(
        apply(call("builtins.getattr", os_module(), "system"), touch(mark))
    ),
    "__import__ and getattr": lambda mark: together(
        apply(call("builtins.getattr", call("builtins.__import__", "os"), "system"), touch(mark))
    ),
    "inspect.getattr_static": lambda mark: together(
        apply(call("inspect.getattr_static", os_module(), "system"), touch(mark))
    ),
    "functools.partial": lambda mark: together(
        apply(call("functools.partial", name("os", "system"), touch(mark)))
    ),
    "operator.methodcaller": lambda mark: together(
        apply(call("operator.methodcaller", "system", touch(mark)), os_module())
    ),
    "operator.attrgetter": lambda mark: together(
        apply(apply(call("operator.attrgetter", "system"), os_module()), touch(mark))
    ),
    "marshal and FunctionType": lambda mark: together(
        apply(call("types.FunctionType", call("marshal.loads", bytecode(mark)), {}))
    ),
    "map": lambda mark: together(
        call("builtins.list", call("builtins.map", name("os", "system"), [touch(mark)]))
    ),
    "map eaten by a vouched type": lambda mark: together(
        call("builtins.set", call("builtins.map", name("os", "system"), [touch(mark)]))
    ),
    "starmap": lambda mark: together(
        call("builtins.list", call("itertools.starmap", name("os", "system"), [(touch(mark),)]))
    ),
    "joblib walks to os": lambda mark: together(apply(name("joblib.numpy_pickle", "os.system"), touch(mark))),
    "shutil walks to os": lambda mark: together(apply(name("shutil", "os.system"), touch(mark))),
    "numpy walks to os": lambda mark: together(
        apply(name("numpy.testing._private.utils", "os.system"), touch(mark))
    ),
    "Path.touch": lambda mark: together(apply(name("pathlib", "Path.touch"), call("pathlib.Path", mark))),
    "ndarray.tofile": lambda mark: together(apply(name("numpy", "ndarray.tofile"), np.arange(3), mark)),
    "numpy.savetxt": lambda mark: together(call("numpy.savetxt", mark, [1])),
    "joblib.dump": lambda mark: together(call("joblib.dump", 1, mark)),
    "logging.FileHandler": lambda mark: together(call("logging.FileHandler", mark)),
    "zipfile.ZipFile": lambda mark: together(call("zipfile.ZipFile", mark, "w")),
    "timeit": lambda mark: together(call("timeit.timeit", "pass", opening(mark))),
    "cProfile": lambda mark: together(call("cProfile.run", opening(mark), mark + ".stats")),
    "runpy": lambda mark: together(call("runpy.run_path", mark + ".py")),
    "numpy.load": lambda mark: together(call("numpy.load", mark + ".npy", None, True)),
    "pickle in a pickle": lambda mark: together(call("pickle.loads", stream(call("os.system", touch(mark))))),
    "result dropped": lambda mark: together(call("os.system", touch(mark)), b"0N"),
    "as a dict key": lambda mark: together(b"}", call("os.system", touch(mark)), b"Ns"),
    "behind a vouched name": lambda mark: together(
        call("collections.OrderedDict"), b"0", call("os.system", touch(mark))
    ),
    "spawnv_passfds": lambda mark: together(
        call("multiprocessing.util.spawnv_passfds", b"/usr/bin/env", [b"env", b"touch", mark.encode()], [])
    ),
    "pkgutil.resolve_name": lambda mark: together(
        apply(call("pkgutil.resolve_name", "os:system"), touch(mark))
    ),
    "code.InteractiveInterpreter": lambda mark: together(
        apply(
            name("code", "InteractiveInterpreter.runsource"),
            call("code.InteractiveInterpreter"),
            opening(mark),
        )
    ),
    "pydoc.pipepager": lambda mark: together(call("pydoc.pipepager", "", touch(mark))),
    "profile": lambda mark: together(call("profile.run", opening(mark), mark + ".stats")),
    "gzip.open": lambda mark: together(call("gzip.open", mark, "w")),
    "tarfile.open": lambda mark: together(call("tarfile.open", mark, "w")),
    "shutil.copyfile": lambda mark: together(call("shutil.copyfile", "/dev/null", mark)),
    "os.mkdir": lambda mark: together(call("os.mkdir", mark)),
    "os.open": lambda mark: together(call("os.open", mark, 65)),
    "subprocess.call": lambda mark: together(call("subprocess.call", ["touch", mark])),
    "logging.config": lambda mark: together(
        call(
            "logging.config.dictConfig",
            {"version": 1, "handlers": {"one": {"class": "logging.FileHandler", "filename": mark}}},
        )
    ),
    "numpy.memmap": lambda mark: together(call("numpy.memmap", mark, "u1", "w+", 0, (1,))),
    "functools.reduce": lambda mark: together(call("functools.reduce", name("io", "open"), [mark, "w"])),
    "a class made by type": lambda mark: together(
        apply(call("builtins.type", "Made", (), {"made": name("os", "system")})),
        b"0",
        call("os.system", touch(mark)),
    ),
    "sqlite3": lambda mark: together(
        apply(name("sqlite3", "Connection.execute"), call("sqlite3.connect", mark), "create table made (one)")
    ),
    "BUILD with slots": lambda mark: together(
        call("types.SimpleNamespace"), b"N}", ops("a"), call("os.system", touch(mark)), b"s\x86b"
    ),
}

OLD = {"python 2 spelling"}
"""What only protocols before 3 understand."""
HEADLESS = "pickle without a head"
DOTTED = {title for title in TECHNIQUES if "walks" in title or title in {
    "Path.touch", "ndarray.tofile", "code.InteractiveInterpreter", "sqlite3",
}}  # fmt: skip
"""What only protocols from 4 on understand, which have a head."""


def announced_array(
    *, dtype: object = np.dtype("f8"), shape: object = (1,), after: bytes = bytes(8)
) -> bytes:
    made = Ops(b"cjoblib.numpy_pickle\nNumpyArrayWrapper\n)\x81")
    state = {"subclass": None, "order": "C", "allow_mmap": False, "dtype": dtype, "shape": shape}
    items = b"".join(ops(key) + ops(value) for key, value in state.items())
    return stream(made, b"}(", items, b"ub", after)


class _Hostile:
    """An object that runs a command wherever it is unpickled."""

    def __init__(self, mark: str) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        import os

        return os.system, (touch(self.mark),)


def _in_array(pickled: bytes) -> bytes:
    """A numpy file of an array of objects."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": (1,)})
    return file.getvalue() + pickled


def _in_zip(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name_, content in members.items():
            archive.writestr(name_, content)
    return file.getvalue()


class Wrapping(NamedTuple):
    """How a pickle becomes a model file."""

    name: str
    """What the file is called, a number before the suffix."""
    wrap: Callable[[bytes, Ops], bytes]
    """The file, from the opcode that tells the protocol and the opcodes that do harm."""
    reader: str = "pickle"
    """Who reads such files the usual way."""


def _compressed(compress: Callable[[bytes], bytes]) -> Callable[[bytes, Ops], bytes]:
    return lambda head, harm: compress(head + harm + b".")


def _beside_array(head: bytes, harm: Ops) -> bytes:
    array = announced_array()[2:-9]  # the opcodes, without the first bytes, STOP and the array's own
    return head + b"](" + array + bytes(8) + harm + b"e."


ESTIMATOR = Ops(name("sklearn.linear_model._logistic", "LogisticRegression") + b")\x81")

WRAPPINGS = {
    "pickle": Wrapping("model.pkl", lambda head, harm: head + harm + b"."),
    "joblib, beside an array": Wrapping("model.joblib", _beside_array, "joblib"),
    "pickle in frames": Wrapping(
        "model.pickle", lambda head, harm: head + b"\x95" + struct.pack("<Q", len(harm) + 1) + harm + b"."
    ),
    HEADLESS: Wrapping("model.pkl", lambda _, harm: harm + b"."),
    "pickle without a suffix": Wrapping("model", lambda head, harm: head + harm + b"."),
    "pickle after an honest model": Wrapping(
        "model.pkl", lambda head, harm: head + ops([1, {"a": (2.0, None)}]) + b"0" + harm + b"."
    ),
    "pickle, in the state of an estimator": Wrapping(
        "model.pkl", lambda head, harm: head + ESTIMATOR + b"}" + ops("coef_") + harm + b"sb."
    ),
    "pickle compressed by gzip": Wrapping("model.pkl.gz", _compressed(gzip.compress), "joblib"),
    "pickle that is called otherwise": Wrapping("model.onnx", lambda head, harm: head + harm + b"."),
    "joblib by zlib": Wrapping("model.joblib", _compressed(zlib.compress), "joblib"),
    "joblib by gzip": Wrapping("model.joblib.gz", _compressed(gzip.compress), "joblib"),
    "joblib by bz2": Wrapping("model.joblib", _compressed(bz2.compress), "joblib"),
    "joblib by lzma": Wrapping(
        "model.joblib", _compressed(lambda data: lzma.compress(data, lzma.FORMAT_ALONE)), "joblib"
    ),
    "joblib by xz": Wrapping("model.pkl.xz", _compressed(lzma.compress), "joblib"),
    "joblib, in an array of objects": Wrapping(
        "model.joblib",
        lambda head, harm: announced_array(dtype=np.dtype("O"), after=head + harm + b".")[:-1],
        "joblib",
    ),
    "joblib that is called a pickle": Wrapping("model.pkl", _beside_array, "joblib"),
    "numpy array of objects": Wrapping("model.npy", lambda head, harm: _in_array(head + harm + b"."), "numpy"),
    "zip of numpy arrays": Wrapping(
        "model.npz", lambda head, harm: _in_zip({"a.npy": _in_array(head + harm + b".")}), "numpy"
    ),
    "zip as torch writes it": Wrapping(
        "model.pt",
        lambda head, harm: _in_zip({"model/data.pkl": head + harm + b".", "model/version": b"3\n"}),
        "torch",
    ),
}  # fmt: skip

EACH = 6
"""Files of each technique: a pickle, a joblib file, and four others by turns."""


class HostileFile(NamedTuple):
    """One file of the corpus."""

    path: str
    mark: str
    reader: str
    technique: str
    wrapping: str


def build(folder: Path) -> list[HostileFile]:
    """Write the corpus into a folder."""
    always, others = list(WRAPPINGS)[:2], list(WRAPPINGS)[2:]
    made = []
    for turn, (technique, harm) in enumerate(TECHNIQUES.items()):
        by_turns = [others[(turn * 4 + step) % len(others)] for step in range(EACH - len(always))]
        if technique in DOTTED:
            by_turns = ["pickle in frames" if wrapping == HEADLESS else wrapping for wrapping in by_turns]
        for wrapping in (*always, *by_turns):
            kind = WRAPPINGS[wrapping]
            number = f"{len(made):03}"
            mark = str(folder / f"mark{number}")
            first, _, suffixes = kind.name.partition(".")
            path = folder / (f"{first}{number}.{suffixes}" if suffixes else f"{first}{number}")
            path.write_bytes(kind.wrap(b"\x80\x02" if technique in OLD else b"\x80\x04", harm(mark)))
            if technique == "runpy":
                Path(f"{mark}.py").write_text(opening(mark))
            if technique == "numpy.load":
                np.save(f"{mark}.npy", np.array([_Hostile(mark)], dtype=object), allow_pickle=True)
            made.append(HostileFile(str(path), mark, kind.reader, technique, wrapping))
    return made


def _read(path: str, reader: str) -> None:
    import joblib

    match reader:
        case "pickle":
            with open(path, "rb") as file:
                pickle.load(file)
        case "joblib":
            joblib.load(path)
        case "numpy":
            loaded = np.load(path, allow_pickle=True)
            if path.endswith(".npz"):
                loaded["a"]
        case _:  # as torch does where it is told to believe the file
            with zipfile.ZipFile(path) as archive:
                pickle.loads(archive.read("model/data.pkl"))


def live(files: list[HostileFile], *, processes: int = 2) -> set[str]:
    """The files that leave their mark when they are read the usual way, in other processes."""
    shares = [
        json.dumps([(each.path, each.reader) for each in files[start::processes]])
        for start in range(processes)
    ]
    command = [sys.executable, "-W", "ignore", "-m", "tests.corpus.hostile", "prove"]
    root = Path(__file__).parents[2]
    running = [
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=root,
        )
        for _ in shares
    ]
    for process, share in zip(running, shares, strict=True):
        process.communicate(share)
    return {each.path for each in files if Path(each.mark).exists()}


if __name__ == "__main__":
    for path_, reader_ in json.load(sys.stdin):
        with contextlib.suppress(Exception, SystemExit):
            _read(path_, reader_)
