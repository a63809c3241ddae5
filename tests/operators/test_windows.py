"""Padding, windows and their adjoints."""

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opcheck.operators.choosers import ExactValues
from opcheck.operators.shared import windows

NUMPY_MODES = {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}
MODES = st.sampled_from(sorted(NUMPY_MODES))


@st.composite
def padded(draw: Any) -> tuple[np.ndarray, tuple[int, ...], tuple[int, ...], str]:
    """An array, the places before and after its last one or two dimensions, and a mode that allows them."""
    mode, sizes = draw(MODES), draw(st.lists(st.integers(1, 4), min_size=1, max_size=2))
    before, after = ([draw(st.integers(0, n - 1 if mode == "reflect" else n)) for n in sizes] for _ in range(2))
    x = ExactValues(np.random.default_rng(draw(st.integers(0, 99)))).array(2, *sizes)
    return x, tuple(before), tuple(after), mode


@st.composite
def geometries(draw: Any) -> tuple[np.ndarray, tuple[tuple[int, ...], ...]]:
    """Images (N, C, ...) and (kernel, stride, dilation, out) that fit them."""
    dims = draw(st.integers(1, 2))
    kernel, stride, dilation, out = (tuple(draw(st.integers(1, high)) for _ in range(dims)) for high in (3, 3, 2, 4))
    rest = [draw(st.integers(0, 1)) for _ in range(dims)]
    sizes = [
        (n - 1) * s + (k - 1) * d + 1 + r for k, s, d, n, r in zip(kernel, stride, dilation, out, rest, strict=True)
    ]
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    x = ExactValues(rng).array(draw(st.integers(0, 3)), draw(st.integers(1, 2)), *sizes)
    return x, (kernel, stride, dilation, out)


@given(padded())
def test_padding_is_numpys(drawn: Any) -> None:
    x, before, after, mode = drawn
    widths = [(0, 0), *zip(before, after, strict=True)]
    assert np.array_equal(windows.pad(x, before, after, mode=mode), np.pad(x, widths, mode=NUMPY_MODES[mode]))


def test_padding_with_a_value() -> None:
    assert windows.pad(np.array([1.0]), (1,), (2,), -np.inf).tolist() == [-np.inf, 1, -np.inf, -np.inf]


@given(padded(), st.integers(0, 99))
def test_adjoint_of_padding(drawn: Any, seed: int) -> None:
    x, before, after, mode = drawn
    y = windows.pad(x, before, after, mode=mode)
    g = ExactValues(np.random.default_rng(seed)).array(*y.shape)
    assert (g * y).sum() == (windows.pad_adjoint(g, before, x.shape[1:], mode) * x).sum()


@given(geometries())
def test_columns_are_the_windows(drawn: Any) -> None:
    x, (kernel, stride, dilation, out) = drawn
    columns = windows.columns(x, kernel, stride, dilation, out).reshape(x.shape[1], *kernel, len(x), *out)
    for c, n in itertools.product(range(x.shape[1]), range(len(x))):
        for entry, place in itertools.product(np.ndindex(kernel), np.ndindex(out)):
            read = [i * s + u * d for i, s, u, d in zip(place, stride, entry, dilation, strict=True)]
            assert columns[c, *entry, n, *place] == x[n, c, *read]


@given(geometries(), st.integers(0, 9))
def test_columns_in_memory_that_is_used_again(drawn: Any, before: int) -> None:
    x, geometry = drawn
    scratch = windows.Scratch()
    scratch.array(before).fill(np.nan)
    assert np.array_equal(windows.columns(x, *geometry, scratch=scratch), windows.columns(x, *geometry))


def test_scratch_memory_grows_with_what_is_asked_for() -> None:
    scratch = windows.Scratch()
    small, large, again = scratch.array(2, 3), scratch.array(4, 5), scratch.array(3, 2)
    assert [each.shape for each in (small, large, again)] == [(2, 3), (4, 5), (3, 2)]
    assert np.shares_memory(large, again) and not np.shares_memory(small, again)
    assert scratch.array(0, 3).shape == (0, 3)


@given(geometries(), st.integers(0, 99))
def test_adjoint_of_columns(drawn: Any, seed: int) -> None:
    x, geometry = drawn
    columns, back = windows.columns(x, *geometry), np.zeros(x.shape)
    g = ExactValues(np.random.default_rng(seed)).array(*columns.shape)
    windows.columns_adjoint(g, back, *geometry)
    assert (g * columns).sum() == (back * x).sum()


@given(geometries(), st.sampled_from([1, 5, 30, 10**6]))
def test_blocks_cover_every_window_once(drawn: Any, size: int) -> None:
    x, geometry = drawn
    covered = np.zeros((len(x), 1, *geometry[-1]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(windows, "BLOCK", size)
        patch.setattr(windows, "FEWEST", 1)
        for here, there, out in windows.blocks(x, *geometry):
            covered[there] += 1
            part = windows.windows(x[here], *geometry[:-1], out)
            whole = windows.windows(x, *geometry)
            assert np.array_equal(part, whole[there])
    assert (covered == 1).all()


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "before", "after", "dilation", "windows_that_fit"),
    [(4, 2, 1, 0, 0, 1, 3), (5, 3, 2, 1, 1, 1, 3), (5, 2, 1, 0, 1, 1, 5), (4, 3, 1, 0, 0, 2, 0), (1, 9, 3, 0, 0, 1, 0)],
)
def test_output_size(
    size: int, kernel: int, stride: int, before: int, after: int, dilation: int, windows_that_fit: int
) -> None:
    assert windows.output_size(size, kernel, stride, before, after, dilation) == windows_that_fit
