"""avg_pool1d and avg_pool2d: the mean of each window."""

import itertools
import math
from collections.abc import Mapping
from functools import reduce
from typing import Any

import numpy as np

from opcheck.language import say
from opcheck.operators.choosers import Chooser
from opcheck.operators.params import Flag, Maybe, Whole
from opcheck.operators.pooling import base as pooling
from opcheck.operators.pooling.closed import closed, whole_windows
from opcheck.operators.shared.roundoff import WindowMean
from opcheck.operators.shared.windows import along_axes, gathered
from opcheck.operators.spec import Array, Case, Mistake, Param, Params, Refused, Shape
from opcheck.tracing import total


class AvgPool(pooling.Pool):
    """The family; a subclass says how many spatial dimensions there are.

    The sum of a window is divided by the number of its places that count: those inside the input, and with
    count_include_pad those in the padding as well, but never those beyond the padding, where a window of ceil_mode
    hangs over the edge. divisor_override (avg_pool2d) replaces that number.
    """

    rounding = WindowMean()
    also_asked = ("batch", "integers")

    def __init_subclass__(cls) -> None:
        dims = cls.dims
        cls.taught = pooling.taught(dims)
        override = Param("divisor_override", None, Maybe(Whole()), "divide by this whole number instead (not 0)")
        cls.arguments = pooling.arguments(
            dims,
            Param("ceil_mode", False, Flag(), "whether the last window may reach past the edge"),
            Param("count_include_pad", True, Flag(), "whether the divisor counts the padding"),
            *((override,) if dims > 1 else ()),
        )
        cls.outputs = pooling.outputs(dims)
        cls.closed = closed(dims, "/k^", whole_windows)
        cls.mistakes = MISTAKES if dims == 1 else (*MISTAKES, *MISTAKES_2D)

    def settle(self, p: Params, shapes: Mapping[str, Shape]) -> Params:
        return super().settle(p, shapes).replace(divisor_override=p.get("divisor_override"))

    def shape(self, p: Params, shapes: Mapping[str, Shape]) -> dict[str, Shape]:
        if p.divisor_override == 0:
            raise Refused(say("divisor_override must not be 0"), fix=say("omit it to divide by the window's size"))
        return super().shape(p, shapes)

    def notes(self, p: Params, shapes: Mapping[str, Shape]) -> tuple[str, ...]:
        if p.divisor_override is not None:
            divisor = say("the divisor is divisor_override, whatever the window covers")
        elif not any(p.padding):
            divisor = say("the divisor is the number of positions that the window covers")
        elif p.count_include_pad:
            divisor = say("the padding is zeros, and the divisor counts it (count_include_pad)")
        else:
            divisor = say("the divisor counts only the positions inside the input (count_include_pad is False)")
        return (divisor, *super().notes(p, shapes))

    # --- definition -------------------------------------------------------------------------------------------

    def element(self, p: Params, at: Shape, *, input: Any) -> Any:
        image, window = at[: -self.dims], at[-self.dims :]
        margin = p.padding if p.count_include_pad else (0,) * self.dims
        x = input.padded(0)
        counted = []
        for entry in itertools.product(*map(range, p.kernel_size)):
            place = [i * s + u - b for i, s, u, b in zip(window, p.stride, entry, p.padding, strict=True)]
            if all(-b <= i < n + b for i, n, b in zip(place, input.shape[-self.dims :], margin, strict=True)):
                counted.append(x[*image, *place])
        return total(counted) / (p.divisor_override or len(counted))

    # --- fast reference ---------------------------------------------------------------------------------------

    def forward(self, p: Params, *, input: Array) -> Array:
        out = pooling.counts(p, input.shape[-self.dims :])
        y = np.zeros((*input.shape[: -self.dims], *out))
        with np.errstate(invalid="ignore", over="ignore"):
            for _, windows, places in self.taps(p, input):
                y[windows] += input[places]
            y /= self._divisors(p, input)
        return y

    def vjp(self, p: Params, cotangent: Array, *, input: Array) -> dict[str, Array]:
        gradient = np.zeros(input.shape)
        with np.errstate(invalid="ignore", over="ignore"):
            share = cotangent / self._divisors(p, input)
            for _, windows, places in self.taps(p, input):
                gradient[places] += share[windows]
        return {"input": gradient}

    def jvp(self, p: Params, tangents: dict[str, Array], *, input: Array) -> Array:
        return self.forward(p, input=tangents["input"])

    def _divisors(self, p: Params, input: Array) -> Array:
        """What each window's sum is divided by; it is a product of one number for each dimension."""
        if p.divisor_override is not None:
            return np.asarray(float(p.divisor_override))
        if not p.ceil_mode and (p.count_include_pad or not any(p.padding)):  # every place of every window counts
            return np.asarray(float(math.prod(p.kernel_size)))
        divisors = np.ones(())
        sizes = input.shape[-self.dims :]
        for k, (n, windows) in enumerate(zip(sizes, pooling.counts(p, sizes), strict=True)):
            margin = p.padding[k] if p.count_include_pad else 0
            start = np.arange(windows) * p.stride[k] - p.padding[k]
            places = np.minimum(start + p.kernel_size[k], n + margin) - np.maximum(start, -margin)
            divisors = divisors[..., None] * places
        return divisors

    # --- program ----------------------------------------------------------------------------------------------

    def program(self, p: Params, *, input: Any) -> Any:
        """The windows, gathered by their places, with zeros for the padding."""
        sizes = input.shape[-self.dims :]
        places = pooling.places(p, sizes)
        windows = gathered(input, [at.clip(0, n - 1) for at, n in zip(places, sizes, strict=True)])
        inside = [(at >= 0) & (at < n) for at, n in zip(places, sizes, strict=True)]
        if not all(each.all() for each in inside):
            windows = np.where(reduce(np.logical_and, along_axes(inside)), windows, 0.0)
        margin = p.padding if p.count_include_pad else (0,) * self.dims
        counted = [(at >= -b) & (at < n + b) for at, n, b in zip(places, sizes, margin, strict=True)]
        divisor = reduce(np.multiply, along_axes([each.sum(axis=1, keepdims=True) for each in counted]))
        total = windows.sum(axis=tuple(range(-self.dims, 0)))
        return total / (p.divisor_override or divisor.reshape(total.shape[-self.dims :]).astype(np.float64))

    # --- cases ------------------------------------------------------------------------------------------------

    def sample(self, chooser: Chooser) -> Case:
        params, shape = pooling.sample_windows(chooser, self.dims)
        if "padding" in params and chooser.choice((True, False)):
            params["count_include_pad"] = False
        if self.dims > 1 and chooser.choice((False, True)):
            params["divisor_override"] = chooser.choice((2, 3, 1, -4))
        return Case(self.name, {"input": chooser.array(*shape)}, params)


# --- mistakes ---------------------------------------------------------------------------------------------------------


def _by_whole_kernel(op: Any, p: Params, input: Array) -> Any:
    return op.forward(p.replace(divisor_override=int(np.prod(p.kernel_size))), input=input)


def _overwritten(op: Any, p: Params, cotangent: Array, input: Array) -> dict[str, Array]:
    gradient = np.zeros(input.shape)
    share = cotangent / op._divisors(p, input)
    for _, windows, places in op.taps(p, input):
        gradient[places] = share[windows]
    return {"input": gradient}


def _not_divided(op: Any, p: Params, cotangent: Array, input: Array) -> dict[str, Array]:
    gradient: dict[str, Array] = op.vjp(p.replace(divisor_override=1), cotangent, input=input)
    return gradient


def _to_the_maximum(op: Any, p: Params, input: Array) -> Any:
    y = np.full((*input.shape[: -op.dims], *pooling.counts(p, input.shape[-op.dims :])), -np.inf)
    for _, windows, places in op.taps(p, input):
        np.maximum(y[windows], input[places], out=y[windows])
    return y


MISTAKES = (
    *pooling.MISTAKES,
    Mistake(
        "divisor_missing",
        "The window was summed but not divided by the number of elements in it.",
        forward=lambda op, p, input: op.forward(p.replace(divisor_override=1), input=input),
    ),
    Mistake(
        "padding_always_counted",
        "The divisor counts the padding even though count_include_pad is False.",
        forward=pooling.with_params(count_include_pad=lambda counted: True),
    ),
    Mistake(
        "padding_never_counted",
        "The divisor leaves the padding out; torch counts it unless count_include_pad is False.",
        forward=pooling.with_params(count_include_pad=lambda counted: False),
    ),
    Mistake(
        "divisor_is_always_the_kernel",
        "The sum was always divided by the size of the kernel; positions that do not count (beyond the edge in "
        "ceil_mode, or padding that is not included) must be left out.",
        forward=_by_whole_kernel,
    ),
    Mistake("maximum_for_mean", "The window's maximum was taken, not its mean.", forward=_to_the_maximum),
    Mistake(
        "gradient_not_divided",
        "The gradient was passed on undivided; each element of a window gets its share, 1/divisor.",
        vjp=_not_divided,
    ),
    Mistake(
        "gradient_overwritten_where_windows_overlap",
        "An element in several windows kept only the gradient of the last one: use += instead of =.",
        vjp=_overwritten,
    ),
)


MISTAKES_2D = (
    Mistake(
        "divisor_override_ignored",
        "The sum was divided by the number of elements even though divisor_override was given.",
        forward=pooling.with_params(divisor_override=lambda divisor: None),
    ),
    pooling.KERNEL_HEIGHT_FOR_WIDTH,
    pooling.HEIGHT_AND_WIDTH_SWAPPED,
)


class AvgPool1d(AvgPool):
    name = "avg_pool1d"
    dims = 1
    aliases = ("nn.AvgPool1d", "AvgPool1d")
    summary = "the mean of each window along the input"
    formula = "y[n,c,i] = Σ_u x[n,c, i·s+u−p] / divisor"
    example = "avg_pool1d([[3, 1, 2, 5]], 2)", "array([[2. , 3.5]])"


class AvgPool2d(AvgPool):
    name = "avg_pool2d"
    dims = 2
    aliases = ("nn.AvgPool2d", "AvgPool2d")
    summary = "the mean of each window of the input"
    formula = "y[n,c,i,j] = Σ_u Σ_v x[n,c, i·s+u−p, j·s+v−p] / divisor"
    example = "avg_pool2d([[[1, 2, 5, 6], [3, 4, 7, 8]]], 2)", "array([[[2.5, 6.5]]])"


OPS = (AvgPool1d(), AvgPool2d())
