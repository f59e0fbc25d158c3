"""The bytes of a pickle, decompressed, and never more of them than an honest file of its size holds."""

from __future__ import annotations

import io
import os
import zlib
from collections.abc import Iterator
from importlib.util import find_spec
from typing import IO, Any

from modelregistry.errors import MissingDependencyError

LZ4 = b"\x04\x22\x4d\x18"
COMPRESSED = (b"\x78", b"\x1f\x8b", b"BZ", b"\x5d\x00", b"\xfd7zXZ", LZ4)
"""The first bytes of zlib, gzip, bz2, lzma, xz and lz4, as joblib writes them. No pickle starts so."""

_PIECE = 1 << 20
_BELIEVED = 1 << 16
"""Lengths up to this are read without a look at what is left."""

LEAST_GROWN = 256 << 20
MOST_GROWN = 100
"""A file may decompress to the greater of that many bytes and that many times its size: forests grow four- to
tenfold, a bomb a thousandfold and more."""
LEAST_OPCODES = 4 << 20
MOST_OPCODES = 20
"""The same for the bytes outside arrays, each of which may cost hundreds of bytes of memory."""
_DICTIONARY = 128 << 20
"""The memory that xz may use; its strongest setting needs 65 MiB."""


class Source:
    """What a pickle is read from: lengths that the file can't hold are refused before memory is asked for.

    Args:
        file: The file, at its start.
    """

    def __init__(self, file: IO[bytes]) -> None:
        head = file.read(8)
        file.seek(0)
        size = os.fstat(file.fileno()).st_size
        self._raw: IO[bytes] = file
        self._left = self._opcodes = size
        self._is_plain = not head.startswith(COMPRESSED)
        if not self._is_plain:
            self._raw = io.BufferedReader(_Decompressed(file, head), _PIECE)
            self._left = max(LEAST_GROWN, MOST_GROWN * size)
            self._opcodes = max(LEAST_OPCODES, MOST_OPCODES * size)
        self._read = self._raw.read

    @property
    def raw(self) -> IO[bytes]:
        """The bytes without a bound, for who only looks at the first of them."""
        return self._raw

    def read(self, length: int) -> bytes:
        """The next bytes; fewer where the file ends."""
        if length > _BELIEVED:
            self.expect(length)
        found = self._read(length)
        self._spend(len(found))
        return found

    def readline(self) -> bytes:
        """The next bytes up to a newline."""
        found = self._raw.readline(self._opcodes + 1)
        self._spend(len(found))
        return found

    def expect(self, length: int) -> None:
        """Refuse a length that can't be there."""
        if length > self._left:
            raise ValueError(f"it claims {length} bytes more, and can't hold more than {self._left}")

    def fill(self, view: memoryview) -> None:
        """Read as many bytes as the view has into it."""
        self.expect(len(view))
        done = 0
        while done < len(view):
            if not (found := self._raw.readinto(view[done : done + _PIECE])):  # type: ignore[attr-defined]
                raise ValueError("the file ends within an array")
            done += found
        self._left -= done

    def skip(self, length: int) -> None:
        """Read past as many bytes."""
        self.expect(length)
        self._left -= length
        if self._is_plain:  # all that was expected is there
            self._raw.seek(length, os.SEEK_CUR)
            return
        for piece in _pieces(length):
            if len(self._read(piece)) < piece:
                raise ValueError("the file ends within an array")

    def _spend(self, length: int) -> None:
        self._left -= length
        self._opcodes -= length
        if self._left < 0 or self._opcodes < 0:
            raise ValueError("it decompresses to far more than its size lets expect")


def _pieces(length: int) -> Iterator[int]:
    while length:
        yield (piece := min(length, _PIECE))
        length -= piece


class _Decompressed(io.RawIOBase):
    """A compressed file as joblib writes it, decompressed as it is read."""

    def __init__(self, file: IO[bytes], head: bytes) -> None:
        self._file = file
        self._decompressor = _decompressor(head)

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Decompress some bytes into the buffer; how many, none at the end."""
        while not self._decompressor.eof:
            hungry = self._decompressor.needs_input
            more = self._file.read(_PIECE) if hungry else b""
            if found := self._decompressor.decompress(more, len(buffer)):
                buffer[: len(found)] = found
                return len(found)
            if hungry and not more:
                raise ValueError("the compressed file ends too early")
        return 0


class _Zlib:
    """Zlib's decompressor, also of gzip, with the manners of those of bz2 and lzma."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(zlib.MAX_WBITS | 32)

    @property
    def eof(self) -> bool:
        return self._stream.eof

    @property
    def needs_input(self) -> bool:
        return not self._stream.unconsumed_tail

    def decompress(self, data: bytes, most: int) -> bytes:
        return self._stream.decompress(self._stream.unconsumed_tail + data, most)


def _decompressor(head: bytes) -> Any:
    if head.startswith((b"\x78", b"\x1f\x8b")):
        return _Zlib()
    if head.startswith(b"BZ"):
        import bz2

        return bz2.BZ2Decompressor()
    if not head.startswith(LZ4):
        import lzma

        return lzma.LZMADecompressor(memlimit=_DICTIONARY)
    if not find_spec("lz4"):
        raise MissingDependencyError("the file is compressed with LZ4: pip install lz4")
    import lz4.frame

    return lz4.frame.LZ4FrameDecompressor()
