"""Messages over a pipe: plain values and arrays, never a pickle. Both ends use this file.

A message is a frame of JSON followed by one npy frame for each array in it:

    b"OPCK"   length of the JSON (4 bytes)   {"value": tree, "sizes": [length of each npy frame]}   npy frame   ...

The reader trusts nothing: every size is compared with a limit before a byte of it is read or allocated; the npy header
is matched against the one form that we write, so nothing is evaluated; objects, subclasses and structured dtypes have
no encoding at all.
"""

import json
import math
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias, Union

import numpy as np

Array: TypeAlias = np.ndarray[Any, Any]

MAGIC = b"OPCK"
HEADER_LIMIT = 1 << 20
MESSAGE_LIMIT = 1 << 28
DEPTH_LIMIT = 32
DIMENSION_LIMIT = 32  # the most that every supported numpy takes
LENGTH_LIMIT = 1 << 40  # of one dimension: an empty array may still claim a huge one
ARRAYS_LIMIT = 10_000  # in one message
ITEMS_LIMIT = 10_000  # of one dict: keys may be chosen so that they collide
DTYPES = frozenset(["|b1", "|i1", "|u1", "<i2", "<i4", "<i8", "<u2", "<u4", "<u8", "<f2", "<f4", "<f8"])

_NPY_MAGIC = b"\x93NUMPY\x01\x00"
_NPY_HEADER = re.compile(
    rb"\{'descr': '([<|][biuf][1248])', 'fortran_order': (True|False), "
    rb"'shape': \(((?:\d{1,13}, ?)*(?:\d{1,13})?)\), \} *\n"
)
_STARTS = struct.Struct(">4sI")
_NPY_LENGTH = struct.Struct("<H")


class WireError(Exception):
    """What arrived, or what should be sent, is not a message; the text says why."""


@dataclass(frozen=True, slots=True)
class Place:
    """A value that stays in the worker, named as in Python: `out[0]`, `layer.dW`, `layer.W['grad']`."""

    text: str


@dataclass(frozen=True, slots=True)
class Opaque:
    """Stands for a value that cannot travel, such as an object array; `description` says what it was."""

    description: str


@dataclass(frozen=True, slots=True)
class Outsized:
    """Stands for an array that is larger than whoever asked for it has room for."""

    shape: tuple[int, ...]


Value: TypeAlias = Union[  # noqa: UP007  a string in it has no operator |
    bool, int, float, str, Array, Place, Opaque, Outsized, list["Value"], tuple["Value", ...], dict[Any, "Value"], None
]


def octets(data: bytes) -> Array:
    """Bytes as they travel: a notebook may be larger than a message beside its arrays, and a path need not be text."""
    return np.frombuffer(data, np.uint8)


def encode(value: Value, limit: int = MESSAGE_LIMIT) -> bytes:
    """The bytes of one message; raises WireError for what is no plain value and for arrays of more than `limit` bytes.

    >>> import io
    >>> receive(io.BytesIO(encode({"y": np.zeros((2, 3))})).read)["y"].shape
    (2, 3)
    """
    frames: list[bytes] = []
    room = limit

    def tree(value: Value, depth: int) -> object:
        nonlocal room
        if depth > DEPTH_LIMIT:
            raise WireError(f"values nested deeper than {DEPTH_LIMIT}")
        kind = type(value)
        if value is None or kind in (bool, int, float, str):
            return value
        if kind is np.ndarray:
            assert isinstance(value, np.ndarray)
            room -= value.nbytes
            if room < 0:
                raise WireError(f"arrays of more than {limit} bytes")
            frames.append(_npy(value))
            return {"array": len(frames) - 1}
        if isinstance(value, Place):
            return {"place": value.text}
        if isinstance(value, Opaque):
            return {"opaque": value.description}
        if isinstance(value, Outsized):
            return {"outsized": [*value.shape]}
        if kind in (list, tuple):
            assert isinstance(value, (list, tuple))
            return {kind.__name__: [tree(item, depth + 1) for item in value]}
        if kind is dict:
            assert isinstance(value, dict)
            return {"dict": [[tree(key, depth + 1), tree(item, depth + 1)] for key, item in value.items()]}
        raise WireError(f"a value of type {kind.__name__}, which has no encoding")

    try:
        header = json.dumps({"value": tree(value, 0), "sizes": [len(frame) for frame in frames]}).encode()
    except (ValueError, RecursionError) as error:  # an integer of thousands of digits, say
        raise WireError(str(error)) from None
    if len(header) > HEADER_LIMIT:
        raise WireError(f"{len(header)} bytes of values beside the arrays; at most {HEADER_LIMIT} are allowed")
    return b"".join([_STARTS.pack(MAGIC, len(header)), header, *frames])


def receive(read: Callable[[int], bytes | bytearray], limit: int = MESSAGE_LIMIT) -> Value:
    """The next message, where `read(n)` gives exactly n bytes; raises WireError before reading anything oversized."""
    magic, length = _STARTS.unpack(_exactly(read, _STARTS.size))
    if magic != MAGIC:
        raise WireError("bytes that do not start a message")
    if length > HEADER_LIMIT:
        raise WireError(f"a header of {length} bytes; at most {HEADER_LIMIT} are allowed")
    try:
        header = json.loads(bytes(_exactly(read, length)))
    except (ValueError, RecursionError):
        raise WireError("a header that is not JSON") from None
    if not isinstance(header, dict) or set(header) != {"value", "sizes"} or not isinstance(header["sizes"], list):
        raise WireError("a header without value and sizes")
    sizes = header["sizes"]
    if len(sizes) > ARRAYS_LIMIT:
        raise WireError(f"{len(sizes)} arrays; at most {ARRAYS_LIMIT} are allowed")
    if any(type(size) is not int or not 0 <= size < 1 << 63 for size in sizes):
        raise WireError("a size that is not a length")
    if sum(sizes) > limit + 512 * len(sizes):  # an npy header is shorter than 512 bytes
        raise WireError(f"arrays of {sum(sizes)} bytes; at most {limit} are allowed")
    return _untree(header["value"], [_array(_exactly(read, size)) for size in sizes], 0)


def _exactly(read: Callable[[int], bytes | bytearray], size: int) -> bytes | bytearray:
    data = read(size)
    if len(data) != size:
        raise WireError("a message cut short")
    return data


def _npy(array: Array) -> bytes:
    little = array.dtype.newbyteorder("<")
    if little.str not in DTYPES:
        raise WireError(f"an array of dtype {array.dtype}, which has no encoding")
    if array.ndim > DIMENSION_LIMIT or any(length > LENGTH_LIMIT for length in array.shape):
        raise WireError(f"an array of shape {array.shape}, which is too large")
    fortran = array.flags.f_contiguous and not array.flags.c_contiguous
    header = repr({"descr": little.str, "fortran_order": fortran, "shape": tuple(int(n) for n in array.shape)})
    header = header[:-1] + ", }"  # numpy's own spelling
    start = len(_NPY_MAGIC) + _NPY_LENGTH.size
    header = header + " " * (-(start + len(header) + 1) % 64) + "\n"
    data = array.astype(little, copy=False).tobytes("F" if fortran else "C")
    return b"".join([_NPY_MAGIC, _NPY_LENGTH.pack(len(header)), header.encode("ascii"), data])


def _array(frame: bytes | bytearray) -> Array:
    """A plain, writable array of the bytes in `frame`: a shape that claims more or fewer is refused, not allocated."""
    start = len(_NPY_MAGIC) + _NPY_LENGTH.size
    if len(frame) < start or bytes(frame[: len(_NPY_MAGIC)]) != _NPY_MAGIC:
        raise WireError("an array that is not an npy frame of version 1.0")
    (length,) = _NPY_LENGTH.unpack(frame[len(_NPY_MAGIC) : start])
    match = _NPY_HEADER.fullmatch(bytes(frame[start : start + length]))
    if match is None or match[1].decode() not in DTYPES:
        raise WireError("an array whose npy header is not one of plain numbers")
    shape = tuple(int(text) for text in match[3].replace(b" ", b"").split(b",") if text)
    dtype = np.dtype(match[1].decode())
    if len(shape) > DIMENSION_LIMIT or any(n > LENGTH_LIMIT for n in shape):
        raise WireError("an array with too many or too large dimensions")
    claimed, given = math.prod(shape) * dtype.itemsize, len(frame) - start - length
    if claimed != given:
        raise WireError(
            f"an array of shape {shape} and dtype {dtype.name} ({claimed} bytes) in a frame of {given} bytes"
        )
    try:
        data = frame if isinstance(frame, bytearray) else bytearray(frame)
        flat = np.frombuffer(data, dtype, offset=start + length, count=math.prod(shape))
        return flat.reshape(shape, order="F" if match[2] == b"True" else "C")
    except ValueError as error:  # numpy multiplies the nonzero lengths of an empty array
        raise WireError(f"an array of shape {shape}: {error}") from None


def _untree(node: object, arrays: list[Array], depth: int) -> Value:
    if depth > DEPTH_LIMIT:
        raise WireError(f"values nested deeper than {DEPTH_LIMIT}")
    if node is None or isinstance(node, (bool, int, float)):
        return node
    if isinstance(node, str):
        return _text(node)
    if isinstance(node, dict) and len(node) == 1:
        ((form, content),) = node.items()
        match form, content:
            case "array", int(index) if 0 <= index < len(arrays):
                return arrays[index]
            case "place", str(text):
                return Place(_text(text))
            case "opaque", str(text):
                return Opaque(_text(text))
            case "outsized", list(shape):
                return Outsized(_lengths(shape))
            case "list", list(items):
                return [_untree(item, arrays, depth + 1) for item in items]
            case "tuple", list(items):
                return tuple([_untree(item, arrays, depth + 1) for item in items])
            case "dict", list(items) if len(items) <= ITEMS_LIMIT:
                return dict([_pair(item, arrays, depth + 1) for item in items])
    raise WireError("a value of no known form")


def _pair(node: object, arrays: list[Array], depth: int) -> tuple[Any, Value]:
    if not isinstance(node, list) or len(node) != 2:
        raise WireError("a dict whose items are not pairs")
    key = _untree(node[0], arrays, depth)
    if not (key is None or isinstance(key, (bool, int, float, str))):
        raise WireError("a dict key that is not a plain value")
    return key, _untree(node[1], arrays, depth)


def _lengths(shape: list[object]) -> tuple[int, ...]:
    lengths = tuple(length for length in shape if type(length) is int and 0 <= length < 1 << 63)
    if len(lengths) < len(shape) or len(shape) > 2 * DIMENSION_LIMIT:  # numpy 2 has 64
        raise WireError("a shape that is none")
    return lengths


def _text(text: str) -> str:
    """Half a surrogate pair is legal in JSON, but cannot be printed or saved."""
    return text.encode("utf-8", "replace").decode("utf-8")
