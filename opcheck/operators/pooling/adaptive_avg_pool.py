"""adaptive_avg_pool2d: the mean of bins, so many that the output has the size that is asked for."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from opcheck.language import say
from opcheck.operators.choosers import Chooser
from opcheck.operators.params import REQUIRED, Sizes
from opcheck.operators.program import Program
from opcheck.operators.spec import Array, Case, Closed, Input, Mistake, Output, Param, Params, Refused, Shape
from opcheck.tracing import total

Bins = Callable[[int, int], list[range]]  # (size of the input, how many) -> the places of each bin


def _bins(size: int, count: int) -> list[range]:
    """Bin i of n reaches from floor(i·size/n) to below ceil((i+1)·size/n): where n does not divide the size, neighbours
    overlap, and where n is larger, a place lies in several bins."""
    return [range(i * size // count, -(-(i + 1) * size // count)) for i in range(count)]


def _sizes(p: Params, shapes: Mapping[str, Shape]) -> Mapping[str, Any]:
    """Height and width before and after."""
    return dict(zip(("H", "W", "H′", "W′"), (*shapes["input"][-2:], *p.output_size), strict=True))


def _as_batch(p: Params, name: str, array: Array) -> Array:
    return array.reshape((1,) * (5 - array.ndim) + array.shape)


class AdaptiveAvgPool2d(Program):
    """output_size: (height, width), or one number for both; None in a tuple keeps the size of the input there.

    As in torch an output without rows or without channels may be asked for, but torch cannot differentiate it.
    """

    name = "adaptive_avg_pool2d"
    aliases = ("nn.AdaptiveAvgPool2d", "AdaptiveAvgPool2d", "global_average_pooling")
    summary = "the mean of each bin, with as many bins as the output has elements"
    formula = "y[n,c,i,j] = Σ_u Σ_v x[n,c,u,v] / divisor"
    closed = (
        Closed(
            "input",
            "x̄[n,c,q,r] = Σ_i Σ_j [a[i] ≤ q]·[q < b[i]]·[d[j] ≤ r]·[r < e[j]]·ȳ[n,c,i,j]/((b[i] − a[i])·(e[j] − d[j]))"
            "   with a[i] = ⌊i·H/H′⌋, b[i] = ⌈(i + 1)·H/H′⌉, d[j] = ⌊j·W/W′⌋, e[j] = ⌈(j + 1)·W/W′⌉",
            _sizes, _as_batch,
        ),
    )  # fmt: skip
    source = "He et al., Spatial Pyramid Pooling, arXiv:1406.4729, section 3.1; torch.nn.functional.adaptive_avg_pool2d"
    example = "adaptive_avg_pool2d([[[1, 2, 3], [4, 5, 6]]], (1, 2))", "array([[[3., 4.]]])"
    arguments = (
        Input("input", "x", "N C H W", "the images, or one image without N"),
        Param("output_size", REQUIRED, Sizes(0, 2, open=True), "the height and the width of the output", example=2),
    )
    outputs = (Output("output", "y", "N C Hout Wout"),)

    def settle(self, p: Params, shapes: Mapping[str, Shape]) -> Params:
        kept = zip(p.output_size, shapes["input"][-2:], strict=False)
        return p.replace(output_size=tuple(size if n is None else n for n, size in kept))

    def shape(self, p: Params, shapes: Mapping[str, Shape]) -> dict[str, Shape]:
        x = shapes["input"]
        if len(x) not in (3, 4):
            raise Refused(say("adaptive_avg_pool2d takes input (N, C, H, W), or one image without a batch, (C, H, W)"),
                          got=say("input {x}", x=x))  # fmt: skip
        if 0 in x[-2:]:
            raise Refused(say("an image must have at least one row and one column"), got=say("input {x}", x=x))
        return {"output": (*x[:-2], *p.output_size)}

    def default_shape(self, name: str, params: Mapping[str, Any], shapes: Mapping[str, Shape]) -> Shape:
        return (1, 3, 4)

    def notes(self, p: Params, shapes: Mapping[str, Shape]) -> tuple[str, ...]:
        bins = say(
            "u runs from ⌊i·H/H_out⌋ to below ⌈(i+1)·H/H_out⌉, and v alike; the divisor is the number of elements"
        )
        if any(n and size % n for n, size in zip(p.output_size, shapes["input"][-2:], strict=True)):
            return bins, say("where the sizes do not divide, neighbouring bins overlap")
        return (bins,)

    def element(self, p: Params, at: Shape, *, input: Any) -> Any:
        (*image, i, j), (h, w) = at, input.shape[-2:]
        rows, columns = _bins(h, p.output_size[0])[i], _bins(w, p.output_size[1])[j]
        return total([input[*image, u, v] for u in rows for v in columns]) / (len(rows) * len(columns))

    def program(self, p: Params, *, input: Any) -> Any:
        return _pooled(p, input)

    def sample(self, chooser: Chooser) -> Case:
        image = chooser.choice(((4, 6), (5, 3), (1, 1), (2, 7), (3, 5)))
        size = chooser.choice((2, 1, 3, (2, 3), (None, 2), (3, None), (1, 4), 5))
        x = chooser.array(*chooser.choice(((1, 2), (2,), (2, 1), (0, 2))), *image)
        return Case(self.name, {"input": x}, {"output_size": size})

    mistakes = (
        Mistake("sum_for_mean", "The bin was summed but not divided by the number of elements in it.",
                lambda op, p, input: _pooled(p, input, mean=False)),
        Mistake("bins_do_not_overlap", "A bin ends at ⌈(i+1)·H/Hout⌉; the end was rounded down, so bins do not "
                                       "overlap.", lambda op, p, input: _pooled(p, input, lambda n, k: [
                    range(i * n // k, max((i + 1) * n // k, i * n // k + 1)) for i in range(k)])),
        Mistake("bins_start_too_late", "A bin begins at ⌊i·H/Hout⌋: the start was rounded up.",
                lambda op, p, input: _pooled(p, input, lambda n, k: [
                    range(min(-(-i * n // k), n - 1), max(-(-(i + 1) * n // k), min(-(-i * n // k), n - 1) + 1))
                    for i in range(k)])),
        Mistake("bins_of_one_size", "All bins were given one size and one stride, as in avg_pool2d; here each bin "
                                    "has its own.",
                lambda op, p, input: _pooled(p, input, _one_size)),
        Mistake("one_divisor_for_all_bins", "Every bin was divided by H·W/(Hout·Wout); bins differ in size.",
                lambda op, p, input: _pooled(p, input, mean=False) * (
                    max(1, int(np.prod(p.output_size))) / int(np.prod(input.shape[-2:])))),
        Mistake("maximum_for_mean", "The bin's maximum was taken, not its "
                "mean.", lambda op, p, input: _largest(p, input)),
        Mistake("height_and_width_swapped", "Height and width were swapped: output_size is (height, width).",
                lambda op, p, input: _pooled(p.replace(output_size=p.output_size[::-1]), input)),
        Mistake("gradient_not_divided", "The gradient was passed on undivided; each element of a bin gets a share of "
                                        "it.",
                vjp=lambda op, p, g, input: op.vjp(p, g * _counts(p, input.shape), input=input)),
        Mistake("gradient_overwritten_where_bins_overlap", "An element in several bins kept only the gradient of "
            "the last one: use += instead of =.", vjp=lambda op, p, g, input: _overwritten(p, g, input)),
    )  # fmt: skip


def _gathered(p: Params, x: Any, bins: Bins) -> tuple[Any, Array]:
    """The places of each bin, padded to the largest, and which of them belong to it."""
    (h, w), (rows, columns) = x.shape[-2:], p.output_size
    (u, inside_u), (v, inside_v) = _places(bins(h, rows)), _places(bins(w, columns))
    return x[..., u[:, None, :, None], v[None, :, None, :]], inside_u[:, None, :, None] & inside_v[None, :, None, :]


def _places(bins: list[range]) -> tuple[Array, Array]:
    longest = max(map(len, bins), default=1)
    inside = np.array([[k < len(each) for k in range(longest)] for each in bins], dtype=bool).reshape(-1, longest)
    return np.array([[each[min(k, len(each) - 1)] for k in range(longest)] for each in bins], int).reshape(
        -1, longest
    ), inside


def _pooled(p: Params, x: Any, bins: Bins = _bins, mean: bool = True) -> Any:
    places, inside = _gathered(p, x, bins)
    sums = np.where(inside, places, 0.0).sum(axis=(-2, -1))
    return sums / inside.sum(axis=(-2, -1)) if mean else sums


def _counts(p: Params, shape: Shape) -> Array:
    return np.asarray(_gathered(p, np.ones(shape), _bins)[1].sum(axis=(-2, -1)))


def _largest(p: Params, x: Array) -> Array:
    places, inside = _gathered(p, x, _bins)
    return np.asarray(np.where(inside, places, -np.inf).max(axis=(-2, -1), initial=-np.inf))


def _one_size(size: int, count: int) -> list[range]:
    stride = max(1, size // max(count, 1))
    kernel = max(1, size - (count - 1) * stride)
    starts = [min(i * stride, size - 1) for i in range(count)]
    return [range(start, min(start + kernel, size)) for start in starts]


def _overwritten(p: Params, g: Array, x: Array) -> dict[str, Array]:
    gradient = np.zeros(x.shape)
    (h, w), (rows, columns) = x.shape[-2:], p.output_size
    for i, us in enumerate(_bins(h, rows)):
        for j, vs in enumerate(_bins(w, columns)):
            share = g[..., i : i + 1, j : j + 1] / (len(us) * len(vs))
            gradient[..., us.start : us.stop, vs.start : vs.stop] = share
    return {"input": gradient}


OPS = (AdaptiveAvgPool2d(),)
