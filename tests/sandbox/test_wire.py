import io
import json
import struct
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from opcheck.sandbox.inside import wire
from opcheck.sandbox.inside.wire import Opaque, Outsized, Place, WireError, encode, receive

arrays = st.sampled_from(sorted(wire.DTYPES)).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec="utf-8"))
values = st.recursive(
    scalars
    | arrays
    | st.builds(Place, st.sampled_from(["x", "out[0]"]))
    | st.builds(Opaque, st.just("a value"))
    | st.just(Outsized((3, 1 << 40))),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=4)
    ),
    max_leaves=8,
)


def same(a: object, b: object) -> bool:
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    return a == b or (a != a and b != b)


def message(value: object, *frames: bytes, sizes: list[int] | None = None) -> bytes:
    sizes = [len(frame) for frame in frames] if sizes is None else sizes
    header = json.dumps({"value": value, "sizes": sizes}).encode()
    return struct.pack(">4sI", b"OPCK", len(header)) + header + b"".join(frames)


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version=(1, 0))
    return file.getvalue()


@given(values)
def test_every_plain_value_comes_back_as_it_was(value):
    assert same(receive(io.BytesIO(encode(value)).read), value)


@given(arrays)
def test_a_frame_is_exactly_what_numpy_writes(array):
    assert encode(array).endswith(npy(array))


@given(st.binary(max_size=200))
def test_no_bytes_do_more_than_raise_a_wire_error(data):
    with pytest.raises(WireError):
        receive(io.BytesIO(data).read)


@given(values, st.data())
def test_a_message_with_one_byte_changed_is_a_value_or_a_wire_error(value, data):
    changed = bytearray(encode(value))
    at = data.draw(st.integers(0, len(changed) - 1))
    changed[at] ^= data.draw(st.integers(1, 255))
    with suppress(WireError):
        receive(io.BytesIO(bytes(changed)).read, limit=1 << 16)


@given(arrays.filter(lambda array: array.ndim > 1))
def test_the_order_of_memory_survives(array):
    there = receive(io.BytesIO(encode(np.asfortranarray(array))).read)
    assert there.flags.f_contiguous == np.asfortranarray(array).flags.f_contiguous


def test_arrays_come_back_writable_aligned_and_of_the_base_class():
    array = receive(io.BytesIO(encode(np.arange(6.0))).read)
    assert type(array) is np.ndarray and array.flags.writeable and array.flags.aligned


def test_a_big_endian_array_arrives_with_the_same_values():
    assert same(receive(io.BytesIO(encode(np.array([1.5, 2.5], ">f4"))).read), np.array([1.5, 2.5], "<f4"))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.array([None]), "an array of dtype object, which has no encoding"),
        (np.zeros(2, np.complex128), "an array of dtype complex128"),
        (np.zeros(2, [("a", "f4")]), "an array of dtype"),
        (np.ma.zeros(2), "a value of type MaskedArray, which has no encoding"),
        (np.float64(1), "a value of type float64"),
        (lambda: 0, "a value of type function"),
        ({(1, 2): 3}, "a dict key"),
        (10**5000, "integer string conversion"),
        ("x" * (2 << 20), "values beside the arrays; at most 1048576 are allowed"),
    ],
    ids=["object", "complex", "structured", "subclass", "scalar", "function", "tuple key", "huge int", "long text"],
)
def test_what_is_not_plain_is_refused_by_name(value, text):
    with pytest.raises(WireError, match=text):
        receive(io.BytesIO(encode(value)).read)


def test_a_list_that_holds_itself_is_refused():
    loop: list[object] = []
    loop.append(loop)
    with pytest.raises(WireError, match="nested deeper than 32"):
        encode(loop)


def test_more_than_the_limit_is_refused_before_it_is_sent():
    with pytest.raises(WireError, match="arrays of more than 79 bytes"):
        encode([np.zeros(5), np.zeros(5)], limit=79)


def header(shape: str, descr: str = "<f8", order: str = "False") -> bytes:
    text = f"{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


@pytest.mark.parametrize(
    ("frame", "text"),
    [
        (header("(2,)") + bytes(8), r"shape \(2,\) and dtype float64 \(16 bytes\) in a frame of 8 bytes"),
        (header("(2,)") + bytes(24), r"\(16 bytes\) in a frame of 24 bytes"),
        (header("(-1,)") + bytes(8), "npy header is not one of plain numbers"),
        (header("(1e3,)") + bytes(8), "npy header is not one of plain numbers"),
        (header("(99999999999999999999,)"), "npy header is not one of plain numbers"),
        (header("(9999999999999, 9999999999999)"), "too large dimensions"),
        (header("(1000000000000, 1000000000000, 0)"), "shape"),
        (header(f"({'1, ' * 40})") + bytes(8), "too many or too large dimensions"),
        (header("(1,)", "|O") + bytes(8), "not one of plain numbers"),
        (header("(1,)", "|b8") + bytes(8), "not one of plain numbers"),
        (header("(1,)", order="__import__('os')") + bytes(8), "not one of plain numbers"),
        (npy(np.zeros(3))[:7], "not an npy frame of version 1.0"),
        (b"\x80\x04K\x01." * 10, "not an npy frame of version 1.0"),
    ],
)
def test_frames_that_lie_about_themselves_are_refused(frame, text):
    with pytest.raises(WireError, match=text):
        receive(io.BytesIO(message({"array": 0}, frame)).read)


@pytest.mark.parametrize(
    "value",
    [{"array": 0}, {"array": -1}, {"array": True}, {"object": 1}, {"list": 3}, {"dict": [[1]]}, [1], {}, {"place": 1},
     {"list": [], "tuple": []}, {"dict": [[{"list": []}, 1]]}, {"outsized": [-1]}, {"outsized": [1 << 63]},
     {"outsized": [True]}, {"outsized": [1] * 65}, {"dict": [[k * ((1 << 61) - 1), 0] for k in range(10_001)]}],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
def test_values_of_no_known_form_are_refused(value):
    with pytest.raises(WireError):
        receive(io.BytesIO(message(value)).read)


def test_sizes_are_checked_before_anything_is_read():
    asked = []

    def read(size: int) -> bytes:
        asked.append(size)
        return stream.read(size)

    stream = io.BytesIO(message({"array": 0}, sizes=[1 << 60]))
    with pytest.raises(WireError, match="bytes; at most 1000 are allowed"):
        receive(read, limit=1000)
    stream = io.BytesIO(struct.pack(">4sI", b"OPCK", 0xFFFFFFFF))
    with pytest.raises(WireError, match="a header of 4294967295 bytes; at most 1048576 are allowed"):
        receive(read)
    assert max(asked) < 1000
    for sizes in ([-8], [True], ["8"], [8.0], [None], [10**4299, 9 * 10**4299]):
        with pytest.raises(WireError, match="a size that is not a length"):
            receive(io.BytesIO(message({"array": 0}, sizes=sizes)).read)


def test_a_header_full_of_arrays_is_refused_before_any_is_read():
    stream = io.BytesIO(message(None, sizes=[0] * 100_000))
    with pytest.raises(WireError, match="100000 arrays; at most 10000 are allowed"):
        receive(stream.read)


def test_a_message_cut_short_is_refused_at_every_byte():
    whole = encode({"y": np.arange(3.0)})
    for length in range(len(whole)):
        with pytest.raises(WireError):
            receive(io.BytesIO(whole[:length]).read)


def test_half_a_surrogate_pair_cannot_reach_a_printer():
    assert receive(io.BytesIO(encode("a\ud800b")).read) == "a?b"
