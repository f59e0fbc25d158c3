"""The machine that reads a pickle and resolves only the names on an exact list.

On one machine stand two readers: the recorder resolves nothing and notes what was asked for; the confined
one builds the object from listed names and stops at the first other one. Both read joblib's arrays by
themselves, so what confines them holds with every version of joblib; joblib's own reader, like pickle's,
only sees bytes that may run code.

What a listed name may be used for is listed too. A file may call only what it looked up by name: never an object
that it made. Instances of listed classes are made empty, and their state may be nothing that stands between numpy or
scikit-learn and their own methods. So what runs while a file is read is what was read by a reviewer, and no more.
"""

from __future__ import annotations

import importlib
import pickle
import time
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from copy import copy
from functools import cache, cached_property, partial
from inspect import getattr_static
from types import GetSetDescriptorType, MemberDescriptorType, ModuleType
from typing import IO, Any, ClassVar, NamedTuple, cast

from modelregistry.loaders import arrays, soundstates
from modelregistry.loaders.base import UntrustedNamesError
from modelregistry.loaders.soundness import Soundness
from modelregistry.loaders.streams import Source
from modelregistry.loaders.vouched import Use, vouched

_DEEPEST = 1000
"""Tuples nested much deeper crash Python when they are hashed; pickle itself can't write this many."""
_KEYS = 1000
"""Keys that are put into a dictionary or set before the clock is looked at."""
_WIDEST = 1000
"""Values in one key, those in shared parts counted each time: hashing visits each."""
_SECONDS = 2.0
_SECONDS_PER_KEY = 2e-5
"""Processor time that keys may take. Honest ones take a hundredth; keys made to collide take hours."""

_COMPANION = frozenset(
    f"{module}.{wrapper}"
    for module in ("joblib.numpy_pickle", "joblib.numpy_pickle_compat")
    for wrapper in ("NDArrayWrapper", "ZNDArrayWrapper")
)
"""What joblib before 0.10 wrote for an array in a file beside this one, which nobody has verified."""

_PLAIN_KEYS = frozenset({str, bytes, int, float, complex, bool, type(None)})


class CallersError(Exception):
    """What the caller vouches for raised the error that is the cause of this one."""


def names_outside(source: Source) -> set[str]:
    """The names in a pickle that are not listed, or used for more than their list allows; none is resolved."""
    recorder = _Recorder(source)
    recorder.load()
    return recorder.outside


def load_confined(source: Source, permitted: frozenset[str]) -> object:
    """The object, no part of which makes native code leave its memory.

    Args:
        source: The pickle.
        permitted: Names that the caller vouches for, beyond those listed: the file may use them as it pleases.

    Raises:
        UntrustedNamesError: The file asks for a name that is neither listed nor permitted, or for more of it.
        UnsoundError: Parts of what it made don't fit together.
        CallersError: What is permitted raised an error.
    """
    confined = _Confined(source, permitted)
    made: object = confined.load()
    confined.soundness.check()
    return made


def load_freely(file: IO[bytes]) -> object:
    """The object, whatever code that runs."""
    return pickle.load(file)


def dump(model: object, file: IO[bytes]) -> None:
    """Write any object."""
    pickle.dump(model, file, protocol=5)


def _encode(text: str, encoding: str) -> bytes:
    if encoding not in {
        "latin1",
        "latin-1",
    }:  # how protocol 2 spells bytes; other codecs may decompress or import
        raise ValueError(f"codec {encoding!r}")
    return text.encode("latin1")


def _bytearray(data: bytes | str = b"", encoding: str = "latin-1") -> bytearray:
    if isinstance(data, str):  # protocol 2 again
        data = _encode(data, encoding)
    if type(data) is not bytes:  # a number would be a length to fill with zeros
        raise ValueError("a bytearray that pickle does not write")
    return bytearray(data)


def _bytes() -> bytes:
    return b""  # protocol 2 calls it for nothing else


_STAND_INS: Mapping[str, Any] = {
    "_codecs.encode": _encode,
    "builtins.bytearray": _bytearray,
    "builtins.bytes": _bytes,
    "joblib.numpy_pickle.NumpyArrayWrapper": arrays.ArrayHere,
    "numpy._core.multiarray._reconstruct": arrays.reconstruct,
    "numpy._core.multiarray.scalar": arrays.scalar,
    "numpy._core.numeric._frombuffer": arrays.from_buffer,
    "numpy.core.multiarray._reconstruct": arrays.reconstruct,
    "numpy.core.multiarray.scalar": arrays.scalar,
    "numpy.core.numeric._frombuffer": arrays.from_buffer,
    "numpy.dtype": arrays.dtype,
    "numpy.ma.core._mareconstruct": arrays.reconstruct_masked,
    "numpy.random._pickle.__bit_generator_ctor": soundstates.bit_generator,
    "numpy.random._pickle.__generator_ctor": soundstates.generator,
    "numpy.random._pickle.__randomstate_ctor": soundstates.random_state,
    "numpy.random.bit_generator.__pyx_unpickle_SeedSequence": soundstates.seed_sequence,
    "sklearn.cluster._kmeans._kmeans_single_elkan": soundstates.ELKAN,
    "sklearn.cluster._kmeans._kmeans_single_lloyd": soundstates.LLOYD,
    "sklearn.tree._tree.Tree": soundstates.tree,
}
"""Names that get something checked of ours, because the real one is not safe with every argument."""


class _LookedUp(NamedTuple):
    """What a name led to, kept alive so that its id stays its own."""

    found: Any
    name: str
    use: Use
    by_caller: bool
    """Whether it is the caller who vouches for it."""


def _measuring_tuples(opcode: int) -> Callable[[_Machine], None]:
    def load(machine: _Machine) -> None:
        _STOCK[opcode](machine)
        machine.measure(machine.stack[-1])

    return load


class _Machine(pickle._Unpickler):
    """Pickle's machine with the ways around ``find_class`` closed.

    It is the one written in Python, as joblib's is: the opcodes of the one in C can't be overridden.
    """

    stack: list[Any]
    memo: dict[int, Any]
    append: Callable[[Any], None]
    pop_mark: Callable[[], list[Any]]
    read: Callable[[int], bytes]
    proto: int

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self.source = source
        self._looked_up: dict[int, _LookedUp] = {}
        self._depths: dict[int, int] = {}

    def resolve(self, module: str, qualname: str) -> Any:
        """What stands for the name."""
        raise NotImplementedError

    def array(self, dtype: Any, shape: tuple[int, ...], order: str) -> Any:
        """What stands for the array whose bytes come next."""
        raise NotImplementedError

    def find_class(self, module: str, name: str) -> Any:
        if self.proto < 3:  # names as Python 2 has them
            module, name = NAME_MAPPING.get((module, name), (IMPORT_MAPPING.get(module, module), name))
        if f"{module}.{name}" in _COMPANION:
            raise pickle.UnpicklingError("its arrays are in other files, as joblib wrote them before 0.10")
        return self.resolve(module, name)

    def get_extension(self, code: int) -> None:
        # The process-wide cache of extensions would answer without asking find_class.
        raise pickle.UnpicklingError(f"it uses extension code {code}, whose meaning is up to each process")

    def load_build(self) -> None:
        state, target = self.stack[-1], self.stack[-2]
        if id(target) in self._looked_up:  # would change a class or function for the whole process
            raise pickle.UnpicklingError("it gives a state to something looked up by name")
        if isinstance(target, arrays.ArrayHere):
            self.stack[-2:] = [self.array_here(state)]
        else:
            self.build(target, state)

    def build(self, target: Any, state: Any) -> None:
        """Give a state, which is on top of the stack, to a target, which is below."""
        _STOCK[pickle.BUILD[0]](self)

    def array_here(self, state: Any) -> Any:
        dtype, shape, order = arrays.announced(self.source, state)
        if not dtype.hasobject:
            return self.array(dtype, shape, order)
        nested = copy(self)  # a pickle within the pickle: all is shared but the stack and the memo
        nested.memo = {}
        return nested.load()

    def load_bytearray8(self) -> None:
        # The stock opcode fills the claimed length with zeros before it reads a byte.
        length = int.from_bytes(self.read(8), "little")
        self.append(bytearray(self.read(length)))  # where fewer are left, the stream ends without a STOP

    def measure(self, made: tuple[Any, ...]) -> None:
        depth = 1 + max((self._depths.get(id(item), 1) for item in made if type(item) is tuple), default=0)
        if depth > _DEEPEST:
            raise pickle.UnpicklingError(f"it nests tuples more than {_DEEPEST} deep")
        if depth > 1:
            self._depths[id(made)] = depth
        else:  # what a tuple that is gone may have left at this id
            self._depths.pop(id(made), None)

    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = {
        **pickle._Unpickler.dispatch,
        pickle.BUILD[0]: load_build,
        pickle.BYTEARRAY8[0]: load_bytearray8,
        pickle.TUPLE[0]: _measuring_tuples(pickle.TUPLE[0]),
        pickle.TUPLE1[0]: _measuring_tuples(pickle.TUPLE1[0]),
        pickle.TUPLE2[0]: _measuring_tuples(pickle.TUPLE2[0]),
        pickle.TUPLE3[0]: _measuring_tuples(pickle.TUPLE3[0]),
    }


_STOCK = cast("Mapping[int, Callable[[_Machine], None]]", pickle._Unpickler.dispatch)


class _Inert:
    """Stands for whatever a name would have been or made: does nothing, whatever is done to it."""

    __slots__ = ()

    def __new__(cls, *_args: Any, **_kwargs: Any) -> Any:
        return object.__new__(_Inert)

    def __call__(self, *_args: Any, **_kwargs: Any) -> Any:
        return _Inert()

    def __setstate__(self, _state: Any) -> None:
        pass


class _Recorder(_Machine):
    """Notes the names outside the list, and keeps only what it needs to find its way past arrays."""

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self.outside: set[str] = set()

    _NEEDED = ("_codecs.encode", "numpy.dtype", "joblib.numpy_pickle.NumpyArrayWrapper")

    def resolve(self, module: str, qualname: str) -> Any:
        name = f"{module}.{qualname}"
        use = vouched().get(name)
        if use is None:
            self.outside.add(name)
        found = _STAND_INS[name] if use and name in self._NEEDED else _Inert()
        self._looked_up[id(found)] = _LookedUp(
            found, name, Use.CALLED if use is None else use, by_caller=False
        )
        return found

    def array(self, dtype: Any, shape: tuple[int, ...], order: str) -> Any:
        self.source.skip(arrays.count(shape) * dtype.itemsize)
        return _Inert()

    def build(self, target: Any, state: Any) -> None:
        self.stack[-1] = arrays.sound_state(target, state)
        super().build(target, state)

    def note(self, function: Any, use: Use) -> None:
        """Note a listed name that is used for more than its list allows."""
        known = self._looked_up.get(id(function))
        if known is not None and known.use < use:
            self.outside.add(known.name)

    def load_reduce(self) -> None:
        self.note(self.stack[-2], Use.CALLED)
        _STOCK[pickle.REDUCE[0]](self)

    def load_newobj(self) -> None:
        self.note(self.stack[-2], Use.CALLED if self.stack[-1] else Use.MADE)
        _STOCK[pickle.NEWOBJ[0]](self)

    def keep(self, items: list[Any]) -> None:
        # Only text is hashed: what else a file makes may take for ever to hash.
        if type(self.stack[-1]) is dict:
            pairs = zip(items[::2], items[1::2], strict=True)
            self.stack[-1].update({key: value for key, value in pairs if type(key) is str})

    def load_setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self.keep([key, value])

    def load_dict(self) -> None:
        items = self.pop_mark()
        self.append({})
        self.keep(items)

    def load_frozenset(self) -> None:
        self.pop_mark()
        self.append(_Inert())

    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = {
        **_Machine.dispatch,
        pickle.APPEND[0]: lambda self: self.stack.pop(),
        pickle.APPENDS[0]: lambda self: self.pop_mark(),
        pickle.ADDITEMS[0]: lambda self: self.pop_mark(),
        pickle.SETITEM[0]: load_setitem,
        pickle.SETITEMS[0]: lambda self: self.keep(self.pop_mark()),
        pickle.DICT[0]: load_dict,
        pickle.FROZENSET[0]: load_frozenset,
        pickle.NEWOBJ[0]: load_newobj,
        pickle.REDUCE[0]: load_reduce,
    }


class _Confined(_Machine):
    """Builds the object from the names on the list, and stops at the first other one."""

    def __init__(self, source: Source, permitted: frozenset[str]) -> None:
        super().__init__(source)
        self._permitted = permitted
        self.soundness = Soundness()
        self._clock = _Clock()
        self._own: Mapping[str, Any] = {
            **_STAND_INS,
            "builtins.frozenset": self.made_frozenset,
            "builtins.set": self.made_set,
            "collections.OrderedDict": self.made_ordered,
            "copyreg._reconstructor": self.made_empty,
            "functools.partial": self.made_partial,
            "sklearn.metrics._dist_metrics.newObj": self.made_empty,
            "sklearn.neighbors._ball_tree.newObj": self.made_empty,
            "sklearn.neighbors._kd_tree.newObj": self.made_empty,
        }

    # ------------------------------------------------------------ names and calls

    def resolve(self, module: str, qualname: str) -> Any:
        name = f"{module}.{qualname}"
        by_caller = name in self._permitted
        use = Use.CALLED if by_caller else vouched().get(name)
        if use is None:
            raise UntrustedNamesError((name,))
        if name in self._own:
            found = self._own[name]
        else:
            found = _run(_attribute, module, qualname, by_caller=by_caller)
        known = self._looked_up.get(id(found))
        if known is None or by_caller or known.use < use:
            self._looked_up[id(found)] = _LookedUp(found, name, use, by_caller)
        return found

    def array(self, dtype: Any, shape: tuple[int, ...], order: str) -> Any:
        return arrays.read(self.source, dtype, shape, order)

    def known(self, value: Any, use: Use) -> _LookedUp:
        """How a value was looked up, if it was, and may be used so."""
        known = self._looked_up.get(id(value))
        if known is None:
            raise pickle.UnpicklingError(
                f"it calls a {type(value).__name__}, which it did not look up by name"
            )
        if known.use < use:
            raise UntrustedNamesError((known.name,))
        return known

    def call(self, function: Any, arguments: Any) -> Any:
        known = self.known(function, Use.CALLED)
        return self.seen(_run(function, *_plain(arguments, tuple), by_caller=known.by_caller))

    def make(self, kind: Any, arguments: Any = (), keywords: Any = None) -> Any:
        known = self.known(kind, Use.CALLED if arguments or keywords else Use.MADE)
        if not isinstance(known.found, type):
            raise pickle.UnpicklingError(f"it makes an instance of {known.name!r}, which is no class")
        arguments, keywords = _plain(arguments, tuple), _plain(keywords or {}, dict)
        return self.seen(_run(kind.__new__, kind, *arguments, **keywords, by_caller=known.by_caller))

    def seen(self, made: Any) -> Any:
        self.soundness.add(made)
        return made

    def is_callers(self, value: Any) -> bool:
        known = self._looked_up.get(id(type(value)))
        return known is not None and known.by_caller

    def load_reduce(self) -> None:
        arguments = self.stack.pop()
        self.stack[-1] = self.call(self.stack[-1], arguments)

    def load_newobj(self) -> None:
        arguments = self.stack.pop()
        self.stack[-1] = self.make(self.stack[-1], arguments)

    def load_newobj_ex(self) -> None:
        keywords = self.stack.pop()
        arguments = self.stack.pop()
        self.stack[-1] = self.make(self.stack[-1], arguments, keywords)

    def _instantiate(self, kind: Any, arguments: list[Any]) -> None:  # what INST and OBJ do
        if arguments or not isinstance(kind, type):
            self.append(self.call(kind, tuple(arguments)))
        else:
            self.append(self.make(kind))

    # ------------------------------------------------------------ stand-ins that need to know what was looked up

    def made_empty(self, kind: Any, base: Any = object, content: Any = None) -> Any:
        made = self.make(kind)
        if base is not object or content is not None:  # how protocols 0 and 1 write a subclass of a container
            if base not in {dict, list} or not isinstance(made, base):
                raise pickle.UnpicklingError("it makes an instance as copyreg never writes one")
            if base is dict:
                self.put(made, [each for pair in _plain(content, dict).items() for each in pair])
            else:
                made.extend(_plain(content, list))
        return made

    def made_partial(self, function: Any) -> Any:
        known = self.known(function, Use.KEPT)
        if isinstance(function, type) and not known.by_caller:
            # Some classes build what native code trusts from their arguments; no honest file has a partial of one.
            raise UntrustedNamesError(("functools.partial",))
        return partial(function)

    def made_set(self, items: Any = ()) -> set[Any]:
        made: set[Any] = set()
        self.gather(made, list(_plain(items, list, tuple)))
        return made

    def made_frozenset(self, items: Any = ()) -> frozenset[Any]:
        return frozenset(self.made_set(items))

    def made_ordered(self, pairs: Any = ()) -> OrderedDict[Any, Any]:
        made: OrderedDict[Any, Any] = OrderedDict()
        self.put(made, [each for pair in _plain(pairs, list, tuple) for each in _pair(pair)])
        return made

    # ------------------------------------------------------------ states

    def build(self, target: Any, state: Any) -> None:
        state = arrays.sound_state(target, state)
        if self.is_callers(target):
            _refuse_special_names(state if type(state) is dict else ())
        else:
            _refuse_odd_state(type(target), state)
        self.stack[-1] = self.soundness.state(target, state)
        _run(super().build, target, state, by_caller=self.is_callers(target))

    # ------------------------------------------------------------ containers

    def load_append(self) -> None:
        item = self.stack.pop()
        if isinstance(self.stack[-1], list) or self.is_callers(self.stack[-1]):
            self.stack[-1].append(item)
        else:
            raise pickle.UnpicklingError(f"it appends to a {type(self.stack[-1]).__name__}")

    def load_appends(self) -> None:
        items = self.pop_mark()
        if isinstance(self.stack[-1], list):
            self.stack[-1].extend(items)
        else:
            for item in items:
                self.append(item)
                self.load_append()

    def load_setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self.put(self.stack[-1], [key, value])

    def load_setitems(self) -> None:
        items = self.pop_mark()
        self.put(self.stack[-1], items)

    def load_dict(self) -> None:
        items = self.pop_mark()
        self.append({})
        self.put(self.stack[-1], items)

    def put(self, target: Any, items: list[Any]) -> None:
        """Put keys and values, by turns, into a dictionary."""
        if not isinstance(target, dict) and not self.is_callers(target):
            raise pickle.UnpicklingError(f"it puts items into a {type(target).__name__}")
        if type(target) is not dict:  # some have their keys for attributes
            _refuse_special_names(items[::2])
        for start in range(0, len(items), 2 * _KEYS):
            keys, values = items[start : start + 2 * _KEYS : 2], items[start + 1 : start + 2 * _KEYS : 2]
            begun = self.weighed(keys)
            if type(target) is dict:
                target.update(zip(keys, values, strict=True))
            else:
                for key, value in zip(keys, values, strict=True):
                    target[key] = value
            self._clock.stop(begun, len(keys))

    def load_additems(self) -> None:
        items = self.pop_mark()
        self.gather(self.stack[-1], items)

    def load_frozenset(self) -> None:
        items = self.pop_mark()
        self.append(self.made_frozenset(items))

    def gather(self, target: Any, items: list[Any]) -> None:
        """Put items into a set."""
        if not isinstance(target, set) and not self.is_callers(target):
            raise pickle.UnpicklingError(f"it adds items to a {type(target).__name__}")
        for start in range(0, len(items), _KEYS):
            keys = items[start : start + _KEYS]
            begun = self.weighed(keys)
            for key in keys:
                target.add(key)
            self._clock.stop(begun, len(keys))

    def weighed(self, keys: list[Any]) -> float:
        """The time, before keys are hashed and compared that won't take for ever to be."""
        begun = time.thread_time()
        for key in keys:
            if type(key) not in _PLAIN_KEYS:
                self.weigh(key)
        return begun

    def weigh(self, key: Any) -> None:
        left, rest = _WIDEST, [key]
        while rest:
            each = rest.pop()
            kind = type(each)
            if kind is tuple or kind is frozenset:
                left -= len(each)
                if left < 0:
                    raise pickle.UnpicklingError(f"a key in it has more than {_WIDEST} values")
                rest.extend(each)
            elif kind in _PLAIN_KEYS or arrays.is_number(each) or _hashed_by_identity(kind):
                pass
            elif not self.is_callers(each):
                raise pickle.UnpicklingError(f"a key in it is a {kind.__name__}")

    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = {
        **_Machine.dispatch,
        pickle.ADDITEMS[0]: load_additems,
        pickle.APPEND[0]: load_append,
        pickle.APPENDS[0]: load_appends,
        pickle.DICT[0]: load_dict,
        pickle.FROZENSET[0]: load_frozenset,
        pickle.NEWOBJ[0]: load_newobj,
        pickle.NEWOBJ_EX[0]: load_newobj_ex,
        pickle.REDUCE[0]: load_reduce,
        pickle.SETITEM[0]: load_setitem,
        pickle.SETITEMS[0]: load_setitems,
    }


class _Clock:
    """Processor time that keys have taken, in a pickle and those within it."""

    def __init__(self) -> None:
        self._left = _SECONDS

    def stop(self, begun: float, keys: int) -> None:
        """Count the time since it began as that of so many keys."""
        self._left += keys * _SECONDS_PER_KEY - (time.thread_time() - begun)
        if self._left < 0:
            raise pickle.UnpicklingError("its keys take too long to be hashed and compared")


def _run(function: Callable[..., Any], /, *arguments: Any, by_caller: bool, **keywords: Any) -> Any:
    if not by_caller:
        return function(*arguments, **keywords)
    try:
        return function(*arguments, **keywords)
    except Exception as error:
        raise CallersError from error


def _attribute(module: str, qualname: str) -> Any:
    found: Any = importlib.import_module(module)
    for step, part in enumerate(qualname.split(".")):
        if step and not isinstance(found, type):  # else `os` is in reach through whoever imports it
            raise UntrustedNamesError((f"{module}.{qualname}",))
        found = getattr(found, part)
    if isinstance(found, ModuleType):
        raise UntrustedNamesError((f"{module}.{qualname}",))
    return found


def _plain(value: Any, *kinds: type) -> Any:
    """The value, which is of one of these very types: whatever it is asked does only what Python does."""
    if type(value) not in kinds:
        raise pickle.UnpicklingError(f"a {type(value).__name__} where pickle writes a {kinds[0].__name__}")
    return value


def _hashed_by_identity(kind: Any) -> bool:
    return kind.__hash__ is object.__hash__


def _pair(value: Any) -> tuple[Any, Any]:
    first, second = _plain(value, list, tuple)
    return first, second


def _refuse_special_names(names: Iterable[Any]) -> None:
    for name in names:
        if type(name) is str and name[:2] == "__" == name[-2:] and name != "__doc__":
            # Numpy asks any object for such attributes, and believes an address of memory that it finds there.
            raise pickle.UnpicklingError(f"it sets {name!r} on an object")


def _refuse_odd_state(kind: type, state: Any) -> None:
    """Refuse a state that is not as pickle gets it from an object, or that replaces a method of its class."""
    if type(state) is tuple and len(state) == 2 and not hasattr(kind, "__setstate__"):
        state, slots = state
        for slot in _plain(slots, dict, type(None)) or ():
            if not isinstance(getattr_static(kind, _plain(slot, str), None), MemberDescriptorType):
                raise pickle.UnpicklingError(f"it sets {slot!r} on a {kind.__name__}, which has no such slot")
    _plain(state, dict, list, tuple, str, bytes, int, type(None))
    if type(state) is dict:
        for name in state:
            _plain(name, str)
        _refuse_special_names(state)
        if replaced := _methods(kind) & state.keys():
            raise pickle.UnpicklingError(f"it replaces {min(replaced)!r} of a {kind.__name__}")


@cache
def _methods(kind: type) -> frozenset[str]:
    """The methods and properties of a class, which an attribute of the same name would stand before."""
    data = (GetSetDescriptorType, MemberDescriptorType, cached_property)
    return frozenset(
        name
        for each in kind.__mro__
        for name, value in vars(each).items()
        if hasattr(type(value), "__get__") and not isinstance(value, data)
    )
