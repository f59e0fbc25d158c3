"""Small files that ask for much memory or time, and what reads them under a limit.

``python -m tests.corpus.bombs FOLDER`` reads each file of a folder by the confined reader, in a process of its own that
may have a gigabyte, and prints what came of it.
"""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import pickle
import resource
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tests.corpus.hostile import announced_array, apply, call, name, ops, stream

LIMIT = 1 << 30
"""Bytes of memory that a process may have."""
SECONDS = 20
"""Processor time that a process may take."""

COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "zlib": zlib.compress,
    "gzip": gzip.compress,
    "bz2": bz2.compress,
    "lzma": lambda data: lzma.compress(data, lzma.FORMAT_ALONE),
    "xz": lzma.compress,
}

_ENDLESS = b")" + (pickle.DUP + pickle.TUPLE2) * 80
"""A tuple of two of itself, eighty times: 2**80 values to whoever visits each."""


def _twins() -> bytes:
    """Two sets that are the same, and need to be compared 2**40 times to be found so."""
    one = b"(K\x01\x91"
    for _ in range(40):
        one = b"(" + one + b"2" + pickle.TUPLE1 + b"\x91"
    return b"}(" + one + b"N" + one + b"Nu"


def _colliding(count: int) -> bytes:
    """Numbers that all have one hash."""
    return b"".join(ops(number * (2**61 - 1)) for number in range(count))


def _nested_columns() -> bytes:
    """A structure of two of itself, eighty times, that takes no room."""
    empty, kept, again = call("numpy.dtype", "V0", False, True), b"q\xc8", b"h\xc8"
    column = again + b"K\x00\x86"
    state = ops(3) + ops("|") + b"N" + ops(("a", "b")) + b"}(" + ops("a") + column + ops("b") + column + b"u"
    return stream(empty, kept, (b"0" + empty + b"(" + state + b"K\x00K\x01K\x00tb" + kept) * 80)


def bombs() -> dict[str, bytes]:
    """Every bomb, by what it does. None is much larger than a megabyte."""
    zeros, many = bytes(300 << 20), 6_000_000
    packed = {
        f"300 MB of zeros by {title}": compress(
            stream(pickle.BINBYTES8 + struct.pack("<Q", len(zeros)) + zeros)
        )
        for title, compress in {
            "zlib": zlib.compress,
            "xz": lambda data: lzma.compress(data, preset=0),
        }.items()
    }
    packed |= {
        f"an array of 800 GB by {title}": compress(announced_array(shape=(10**11,)))
        for title, compress in COMPRESSIONS.items()
    }
    opcodes = {
        f"{title}, six million times": zlib.compress(b"\x80\x04" + code * (many // len(code)) + b"N.")
        for title, code in {
            "an empty dictionary": b"}",
            "an empty set": b"\x8f",
            "a mark": b"(",
            "a line": b"I1\n",
            "a memo": b"N\x94",
        }.items()
    }
    return {
        **packed,
        **opcodes,
        "an array of 800 GB": announced_array(shape=(10**11,)),
        "an array of 8 GB": announced_array(shape=(10**9,)),
        "an array made to order": stream(call("numpy.ndarray", (10**10,), "O")),
        "a frame of a terabyte": b"\x80\x04\x95" + struct.pack("<Q", 2**40) + b"N.",
        "text of an exabyte": b"\x80\x04\x8d" + struct.pack("<Q", 2**60) + b"N.",
        "bytes of a terabyte": b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b".",
        "a bytearray of a terabyte": b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b".",
        "a number of two gigabytes": b"\x80\x04\x8b" + struct.pack("<i", 2**31 - 1) + b"\x01.",
        "a number of a million digits": b"I" + b"9" * 10**6 + b"\n.",
        "zeros by a call of bytes": stream(call("builtins.bytes", 10**12)),
        "zeros by a call of bytearray": stream(call("builtins.bytearray", 10**12)),
        "tuples a million deep": b"\x80\x04})" + pickle.TUPLE1 * 10**6 + b"Ns.",
        "an endless key of a dictionary": stream(b"}" + _ENDLESS + b"Ns"),
        "an endless item of a set": stream(b"\x8f(" + _ENDLESS + b"\x90"),
        "an endless item of a frozen set": stream(b"(" + _ENDLESS + b"\x91"),
        "an endless item of a set of protocol 2": stream(
            apply(name("builtins", "set"), type(ops(1))(b"](" + _ENDLESS + b"e"))
        ),
        "an endless key of an ordered dictionary": stream(call("collections.OrderedDict"), _ENDLESS, b"Ns"),
        "keys that take for ever to be compared": stream(_twins()),
        "keys that collide in a dictionary": stream(b"}(" + _colliding(60_000) + b"u"),
        "items that collide in a set": stream(b"\x8f(" + _colliding(60_000) + b"\x90"),
        "structures in structures": _nested_columns(),
        "endless nested pickles": announced_array(dtype=np.dtype("O"), after=b"")[:-1] * 3000,
        "a dictionary for xz of four gigabytes": b"\x5d\x00\xff\xff\xff\xff" + b"\xff" * 8 + bytes(64),
        "a tree of a billion outputs": stream(call("sklearn.tree._tree.Tree", 1, np.array([2]), 10**9)),
    }


class Outcome(NamedTuple):
    """What came of a bomb."""

    title: str
    how: str
    """The name of the error, ``loaded``, or the signal that ended the process."""
    seconds: float
    megabytes: float
    """The most memory that the process had."""


def outcomes(folder: Path) -> list[Outcome]:
    """Write the bombs into a folder, and read each under the limit."""
    titles = {}
    for number, (title, content) in enumerate(bombs().items()):
        path = folder / f"bomb{number}.joblib"
        path.write_bytes(content)
        titles[str(path)] = title
    command = [sys.executable, "-W", "ignore", "-m", "tests.corpus.bombs", *titles]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    return [Outcome(titles[path], *rest) for path, *rest in json.loads(ran.stdout)]


def _read(path: str) -> str:
    from modelregistry.errors import RegistryError
    from modelregistry.loaders.base import Permit, UntrustedNamesError
    from modelregistry.loaders.pickles import JoblibLoader

    try:
        JoblibLoader().load(Path(path), Permit())
    except (RegistryError, UntrustedNamesError) as error:
        return type(error).__name__
    return "loaded"


if __name__ == "__main__":
    import signal

    import sklearn.tree  # noqa: F401  the time to import it is no bomb's

    found = []
    for path in sys.argv[1:]:
        ear, mouth = os.pipe()
        begun = time.monotonic()
        if not (child := os.fork()):
            resource.setrlimit(resource.RLIMIT_AS, (LIMIT, LIMIT))
            resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            answer = "another error"
            try:
                answer = _read(path)
            finally:
                os.write(mouth, answer.encode())
                os._exit(0)
        os.close(mouth)
        _, status, used = os.wait4(child, 0)
        with os.fdopen(ear) as heard:
            how = signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else heard.read()
        found.append((path, how, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024))
    json.dump(found, sys.stdout)
