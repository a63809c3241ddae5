"""Rounding to each format agrees with the hardware's and with ml_dtypes', special values included."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opcheck.verification.truth.formats import FORMATS, format_of

ml_dtypes = pytest.importorskip("ml_dtypes")
TYPES = {"float32": np.float32, "float16": np.float16, "bfloat16": ml_dtypes.bfloat16, "float64": np.float64}


@pytest.mark.parametrize("name", sorted(FORMATS))
@given(bits=st.integers(0, 2**64 - 1))
def test_rounding_is_to_nearest_even(name, bits):
    x = np.array(bits, dtype=np.uint64).view(np.float64)
    with np.errstate(all="ignore"):
        # bfloat16 of a float64 goes through float32 in ml_dtypes, which rounds twice: ask of what float32 has
        x = np.float64(np.float32(x)) if name == "bfloat16" else x
        expected = x.astype(TYPES[name]).astype(np.float64)
    found = FORMATS[name].round(x)
    assert found == expected or (np.isnan(found) and np.isnan(expected))
    assert np.signbit(found) == np.signbit(expected) or np.isnan(expected)


@pytest.mark.parametrize("name", ["float32", "float16", "float64"])
def test_constants_are_those_of_the_type(name):
    info, f = np.finfo(TYPES[name]), format_of(name)
    assert (f.largest, f.tiny, f.smallest) == (info.max, info.tiny, info.smallest_subnormal)
    assert f.u == info.eps / 2


def test_truncation_goes_towards_zero():
    f = FORMATS["bfloat16"]
    assert f.round(1.999, truncate=True) == 1.9921875 and f.round(-1.999, truncate=True) == -1.9921875


def test_gamma_bounds_products_of_roundings():
    f = format_of("float16")
    n = np.arange(1, 100)
    assert np.all((1 + f.u) ** n - 1 <= f.gamma(n))
    assert np.isinf(f.gamma(5000))  # 5000 * 2**-11 > 1: nothing is known
