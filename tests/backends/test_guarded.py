"""Memory beside which nothing may be touched: what reads beyond its input ends its process, what does not, agrees."""

import numpy as np
import pytest

from opcheck import verify
from opcheck.backends.guarded import ALIGNMENT, LAYOUTS, POSSIBLE, guarded
from opcheck.verification.verdict import Status

pytestmark = pytest.mark.skipif(not POSSIBLE, reason="there is no mprotect")

KERNELS = """
import ctypes
import numpy as np

def beyond(x, bytes):
    ctypes.c_char.from_address(x.ctypes.data + bytes).value

def right(x):
    return np.where(x < 0, np.float32(0), x)

def reads_behind(x):
    if x.size and x.flags.c_contiguous:
        beyond(x, x.nbytes)
    return right(x)

def reads_before(x):
    if x.size and x.flags.c_contiguous:
        beyond(x, -1)
    return right(x)

def reads_whole_vectors(x):
    if x.size and x.flags.c_contiguous:
        beyond(x, -(-x.nbytes // 64) * 64 - 1)
    return right(x)
"""


@pytest.fixture
def kernels(tmp_path):
    path = tmp_path / "kernels.py"
    path.write_text(KERNELS)
    return path


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(16,), (3, 5), (1024,), (1,)])
def test_the_numbers_are_there_and_start_where_allocators_put_them(layout, shape):
    array = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    found = guarded(array, layout)
    assert np.array_equal(found, array) and found.dtype == array.dtype and found.flags.writeable
    assert found.ctypes.data % ALIGNMENT == 0


@pytest.mark.parametrize("name", ["reads_behind", "reads_before"])
def test_a_harmless_read_beyond_the_input_is_found(kernels, name):
    report = verify("relu", f"{kernels}:{name}", cases=1, claims=["layout"], jobs=1)
    assert {each.status for each in report.failures} == {Status.CRASHED}
    assert "guarded" in report.failures[0].message


def test_a_read_within_the_last_vector_is_no_finding(kernels):
    assert verify("relu", f"{kernels}:reads_whole_vectors", cases=1, claims=["layout"], jobs=1).agrees
