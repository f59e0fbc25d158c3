"""Numpy's arrays as pickles hold them, rebuilt without believing what a file says of them.

Numpy takes the state of a dtype or an array from a pickle as it comes: a size, an offset or an object flag
that lies makes it read and write outside its memory. Here each is checked, or worked out again by numpy's
own constructors. What is wrong with a file is a `ValueError`.
"""

from __future__ import annotations

import math
import sys
from typing import Any, cast

from modelregistry.loaders.streams import Source

_ALIGNED = 0x80
"""The bit in a dtype's flags that says its fields are padded as in C."""
_LONGEST_CODE = 30
_MOST_COLUMNS = 1000
"""Columns of a structured dtype, those in shared parts counted each time: comparing two visits each."""


class ArrayHere:
    """Stands for joblib's ``NumpyArrayWrapper``: the bytes of an array come right after its state."""


def count(shape: Any) -> int:
    """The number of elements in an array of that shape."""
    if not isinstance(shape, tuple) or not all(type(length) is int and length >= 0 for length in shape):
        raise ValueError("an array whose shape is none")
    return math.prod(shape)


def reconstruct(subtype: Any, shape: Any, code: Any) -> Any:
    """The empty array that a pickle makes before it sets its state."""
    import numpy as np

    if shape != (0,) or code not in {b"b", "b"} or not issubclass(subtype, np.ndarray):
        raise ValueError("an array that numpy does not write")
    return np.ndarray.__new__(subtype, (0,), "b")


def reconstruct_masked(kind: Any, base: Any, shape: Any, code: Any) -> Any:
    """The empty masked array that a pickle makes before it sets its state."""
    import numpy as np

    if kind is not np.ma.MaskedArray or base is not np.ndarray:
        raise ValueError("a masked array that numpy does not write")
    return kind(reconstruct(base, shape, code))


def dtype(code: Any, *_how: Any) -> Any:
    """The dtype that a pickle spells by its code, before it sets its state."""
    import numpy as np

    if type(code) is not str or len(code) > _LONGEST_CODE:  # an object can spell one that is endless
        raise ValueError("a dtype that numpy does not write")
    return np.dtype(code, copy=True)  # its state must not change the one that everybody has


def scalar(dtype: Any, data: Any = b"") -> Any:
    """One number, date or text."""
    import numpy as np

    if not isinstance(dtype, np.dtype) or dtype.hasobject or type(data) is not bytes:
        raise ValueError("a scalar that numpy does not write")
    return np.ndarray((), dtype, data)[()] if dtype.itemsize else dtype.type()


def from_buffer(buffer: Any, dtype: Any, shape: Any, order: Any, axes: Any = None) -> Any:
    """The array over a buffer, as protocol 5 writes it."""
    import numpy as np

    array: Any = np.frombuffer(buffer, dtype=dtype)
    if order == "K" and axes is not None:
        return array.reshape(shape, order="C").transpose(axes)
    return array.reshape(shape, order=order)


def sound_state(target: Any, state: Any) -> Any:
    """The state that ``target`` may be given in place of ``state``; the same if it is nothing of numpy's."""
    np = sys.modules.get("numpy")
    if np is None:
        return state
    if isinstance(target, np.dtype):
        return _dtype_state(target, state)
    if isinstance(target, np.ma.MaskedArray):
        _, shape, dtype, _, data, mask, fill = state
        _check_array(target, shape, dtype, data)
        if type(mask) is not bytes or not (
            fill is None or isinstance(fill, (str, bytes, int, float, np.generic))
        ):
            raise ValueError("a masked array that numpy does not write")
    elif isinstance(target, np.ndarray):
        _, shape, dtype, _, data = state
        _check_array(target, shape, dtype, data)
    return state


def _check_array(target: Any, shape: Any, dtype: Any, data: Any) -> None:
    if target.size:  # a view of the old data would outlive it
        raise ValueError("an array that is given its state twice")
    if type(data) is not (list if dtype.hasobject else bytes):
        raise ValueError("an array that numpy does not write")
    if dtype.hasobject and len(data) != count(shape):  # numpy would read on past its end
        raise ValueError("an array of another size than its shape")


def _dtype_state(dtype: Any, state: Any) -> tuple[Any, ...]:
    import numpy as np

    version, byte_order, subarray, names, fields, _, _, flags, *metadata = state
    if dtype.names is not None or dtype.subdtype is not None:
        raise ValueError("a dtype that is given its state twice")
    if fields is not None:
        columns = [(*fields[name], None)[:3] for name in names]
        _count_columns([column[0] for column in columns], _MOST_COLUMNS)
        layout = {
            "names": list(names),
            "formats": [column[0] for column in columns],
            "offsets": [column[1] for column in columns],
            "titles": [column[2] for column in columns],
            "itemsize": dtype.itemsize,
        }
        rebuilt = np.dtype(cast("Any", layout), align=bool(flags & _ALIGNED))
    elif subarray is not None:
        rebuilt = np.dtype((subarray[0], subarray[1]))
    else:
        true = (dtype.itemsize, dtype.alignment, dtype.flags)
        return (version, byte_order, None, None, None, *true, *metadata)
    # Arrays and other dtypes may hold this one already, so a state never changes its size or adds objects.
    if rebuilt.itemsize != dtype.itemsize or rebuilt.hasobject:
        raise ValueError("a structured dtype of another size, or with Python objects in it")
    return cast("tuple[Any, ...]", cast("tuple[Any, ...]", rebuilt.__reduce__())[2])


def _count_columns(dtypes: list[Any], left: int) -> int:
    import numpy as np

    left -= len(dtypes)
    if left < 0:
        raise ValueError(f"a structured dtype of more than {_MOST_COLUMNS} columns")
    for dtype in dtypes:
        if not isinstance(dtype, np.dtype):
            raise ValueError("a dtype that numpy does not write")
        if nested := dtype.base.fields:
            left = _count_columns([field[0] for field in nested.values()], left)
    return left


def announced(source: Source, state: Any) -> tuple[Any, tuple[int, ...], str]:
    """The dtype, shape and order of the array whose bytes come next, and the stream moved to the first one."""
    import numpy as np

    dtype, shape, order = state["dtype"], state["shape"], state["order"]
    if not isinstance(dtype, np.dtype):
        raise ValueError("an array that joblib does not write")
    if not dtype.hasobject:
        source.expect(count(shape) * dtype.itemsize)
        if state.get("numpy_array_alignment_bytes") is not None:
            source.read(source.read(1)[0])
    return dtype, shape, order


def read(source: Source, dtype: Any, shape: tuple[int, ...], order: str) -> Any:
    """The array, in the byte order of this machine where joblib would bring it there."""
    import numpy as np

    array = np.empty(count(shape), dtype)
    if array.nbytes:
        source.fill(memoryview(cast("Any", array.view("u1"))))
    foreign = ">" if sys.byteorder == "little" else "<"
    columns = [field[0] for field in (dtype.fields or {}).values()] or [dtype]
    if all(column.byteorder == foreign for column in columns):
        array = array.astype(dtype.newbyteorder("="))
    return array.reshape(shape[::-1]).transpose() if order == "F" else array.reshape(shape)


def is_number(value: object) -> bool:
    """Whether it is a scalar of numpy's, which is hashed at once."""
    np = sys.modules.get("numpy")
    return np is not None and isinstance(value, np.generic) and not isinstance(value, np.void)
