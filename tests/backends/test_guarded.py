"""Memory beside which nothing may be touched: what reads beyond its input ends its process, what does not, agrees."""

import shutil

import numpy as np
import pytest

from opcheck import verify
from opcheck.backends.guarded import ALIGNMENT, LAYOUTS, POSSIBLE, guarded
from opcheck.verification.verdict import Status

pytestmark = pytest.mark.skipif(not POSSIBLE, reason="there is no mprotect")

KERNELS = """
import ctypes
import shutil

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


@pytest.mark.skipif(not shutil.which("cc"), reason="there is no C compiler")
def test_what_a_function_in_c_writes_beyond_its_output_is_found(tmp_path):
    source = tmp_path / "kernels.c"
    source.write_text("void relu(const float *x, float *y, int n) {"
                      " for (int i = 0; i < n; i++) y[i] = x[i] < 0 ? 0 : x[i];"
                      " if (n % 16 == 0) y[n + 100] = 0; }")  # fmt: skip
    report = verify("relu", f"{source}:relu", cases=8, seed=1, claims=["layout"], jobs=1)
    assert {each.status for each in report.failures} == {Status.CRASHED}
    assert "guarded behind" in report.failures[0].message
