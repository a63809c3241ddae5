"""max_pool1d and max_pool2d: the largest number of each window, and where it stands."""

import itertools
import math
from collections.abc import Mapping
from functools import reduce
from typing import Any

import numpy as np

from opcheck.language import say
from opcheck.operators.choosers import Chooser
from opcheck.operators.params import Flag
from opcheck.operators.pooling import base as pooling
from opcheck.operators.pooling.closed import closed, undilated
from opcheck.operators.shared.elementwise import kept
from opcheck.operators.shared.roundoff import Selection
from opcheck.operators.shared.windows import along_axes, gathered
from opcheck.operators.spec import Array, Case, Mistake, Param, Params, Shape
from opcheck.programs.rule import number
from opcheck.tracing import maximum

NOWHERE = -1  # the index of a window that sees padding only
MOST_COMPARED = 1000  # numbers of an input of which it is told that some are equal


class MaxPool(pooling.Pool):
    """The family; a subclass says how many spatial dimensions there are.

    As in torch: padding never wins; of equal numbers the first one wins, and takes the gradient; a NaN is larger than
    every number, and of several NaNs the last one wins. The index of a winner counts the places of its channel in C
    order, without padding. A window that sees padding only (the dilation is larger than the input) gives -inf and the
    index -1; torch 2.13 gives an index outside the input there, and its backward pass corrupts memory.
    """

    rounding = Selection()
    also_asked = ("ties", "batch")

    def __init_subclass__(cls) -> None:
        dims = cls.dims
        cls.taught = {**pooling.taught(dims), "ties": (True, False)}
        cls.arguments = pooling.arguments(
            dims,
            Param("ceil_mode", False, Flag(), "whether the last window may reach past the edge"),
            Param("return_indices", False, Flag(), "whether to return the positions of the maxima as well"),
            dilation=True,
        )
        cls.outputs = pooling.outputs(dims, "indices")
        cls.closed = closed(dims, "·[x̂ = ŷ]", undilated)  # where no two numbers of a window are its maximum
        cls.mistakes = (
            MISTAKES if dims == 1 else (*MISTAKES, pooling.KERNEL_HEIGHT_FOR_WIDTH, pooling.HEIGHT_AND_WIDTH_SWAPPED)
        )

    def shape(self, p: Params, shapes: Mapping[str, Shape]) -> dict[str, Shape]:
        out = super().shape(p, shapes)
        return {**out, "indices": out["output"]} if p.return_indices else out

    def notes(self, p: Params, shapes: Mapping[str, Shape]) -> tuple[str, ...]:
        padding = (say("padding is −∞, not zero: it is never the maximum"),) if any(p.padding) else ()
        return (*padding, *super().notes(p, shapes))

    def remarks(self, p: Params, /, **arrays: Array) -> tuple[str, ...]:
        input = arrays["input"]
        alike = 0 < input.size <= MOST_COMPARED and len(set(input.flat)) < input.size
        return (say("of equal numbers in a window the first one gets the gradient, as in torch"),) if alike else ()

    # --- definition -------------------------------------------------------------------------------------------

    def element(self, p: Params, at: Shape, *, input: Any) -> Any:
        """The maximum itself; `indices` says where it stands, which is no function of the numbers alone."""
        image, window = at[: -self.dims], at[-self.dims :]
        x, sizes = input.padded(-math.inf), input.shape[-self.dims :]
        places = [
            [i * s + u * d - b for i, s, u, d, b in zip(window, p.stride, entry, p.dilation, p.padding, strict=True)]
            for entry in itertools.product(*map(range, p.kernel_size))
        ]
        # padding stands last: of equals the first wins, and that is a place of the input, should it hold −∞ as well
        places.sort(key=lambda place: not all(0 <= i < n for i, n in zip(place, sizes, strict=True)))
        return maximum(*(x[*image, *place] for place in places))

    # --- fast reference ---------------------------------------------------------------------------------------

    def forward(self, p: Params, *, input: Array) -> Any:
        y = self._largest(p, input)
        if not p.return_indices and not ((y == 0).any() and _has_negative_zero(input)):
            return y
        entries = self._entries(p, input, y)
        y = np.where(entries == len(self.taps(p, input)), y, self._at(p, entries, input))  # 0.0 or -0.0: the first
        return {"output": y, "indices": self._places(p, input, entries)} if p.return_indices else y

    def vjp(self, p: Params, cotangent: Array, *, input: Array) -> dict[str, Array]:
        entries = self._entries(p, input, self._largest(p, input))
        gradient = np.zeros(input.shape)
        for k, (_, windows, places) in reversed([*enumerate(self.taps(p, input))]):
            gradient[places] += kept(cotangent, entries == k)[windows]
        return {"input": gradient}

    def jvp(self, p: Params, tangents: dict[str, Array], *, input: Array) -> Array:
        return self._at(p, self._entries(p, input, self._largest(p, input)), tangents["input"])

    def _largest(self, p: Params, input: Array) -> Array:
        """The largest number of each window; which of 0.0 and -0.0 is left open."""
        y = np.empty((*input.shape[: -self.dims], *pooling.counts(p, input.shape[-self.dims :])))
        (_, windows, places), *others = self.taps(p, input)
        if any(p.padding):  # else the first entry meets every window
            y.fill(-np.inf)
        y[windows] = input[places]
        for _, windows, places in others:
            np.maximum(y[windows], input[places], out=y[windows])
        return y

    def _entries(self, p: Params, input: Array, y: Array) -> Array:
        """Which kernel entry wins each window, given the largest numbers: how many come before it.

        A window that sees padding only is won by none, so all come before.
        """
        taps = self.taps(p, input)
        entries = np.zeros(y.shape, dtype=np.min_scalar_type(len(taps)))
        missed = np.ones(y.shape, dtype=bool)
        for _, windows, places in taps:
            np.logical_and(missed[windows], input[places] != y[windows], out=missed[windows])
            entries += missed
        if np.isnan(y).any():
            for k, (_, windows, places) in enumerate(taps):
                entries[windows][np.isnan(input[places])] = k
        return entries

    def _at(self, p: Params, entries: Array, x: Array) -> Array:
        """The numbers of `x` at the winning entries, 0.0 where none wins. One entry wins, the others add no bit."""
        bits = np.zeros(entries.shape, dtype=np.int64)
        for k, (_, windows, places) in enumerate(self.taps(p, x)):
            bits[windows] += kept(x[places], entries[windows] == k).view(np.int64)
        return bits.view(np.float64)

    def _places(self, p: Params, input: Array, entries: Array) -> Array:
        """Where in its channel, in C order and without padding, the winner of each window stands."""
        taps, sizes = self.taps(p, input), input.shape[-self.dims :]
        steps = [math.prod(sizes[k + 1 :]) for k in range(self.dims)]
        offsets = [sum(o * step for o, step in zip(tap.offsets, steps, strict=True)) for tap in taps]
        starts = np.zeros(entries.shape[-self.dims :], dtype=np.int64)
        for k, step in enumerate(steps):
            along = (np.arange(starts.shape[k]) * p.stride[k] - p.padding[k]) * step
            starts += along.reshape(-1, *[1] * (self.dims - 1 - k))
        return np.where(entries == len(taps), NOWHERE, np.array([*offsets, 0])[entries] + starts)

    # --- program ----------------------------------------------------------------------------------------------

    def program(self, p: Params, *, input: Any) -> Any:
        """The windows, gathered by their places. A place of the padding stands for the first place of the window
        that is none, which changes no maximum; if there is none, for the first of all."""
        sizes = input.shape[-self.dims :]
        places = [_read(at, n) for at, n in zip(pooling.places(p, sizes), sizes, strict=True)]
        windows = gathered(input, [at.clip(0) for at in places])
        y = windows.reshape(*windows.shape[: -self.dims], math.prod(p.kernel_size)).max(axis=-1)
        padding = reduce(np.logical_or, along_axes([at[:, :1] < 0 for at in places])).reshape(y.shape[-self.dims :])
        y = np.where(padding, -np.inf, y) if padding.any() else y
        return {"output": y, "indices": self.forward(p, input=number(input))["indices"]} if p.return_indices else y

    # --- cases ------------------------------------------------------------------------------------------------

    def sample(self, chooser: Chooser) -> Case:
        params, shape = pooling.sample_windows(chooser, self.dims, dilation=True)
        if chooser.choice((False, True)):
            params["return_indices"] = True
        ties = chooser.choice((False, True))
        x = chooser.classes(shape, range(-2, 2)).astype(np.float64) if ties else chooser.array(*shape)
        return Case(self.name, {"input": x}, params)


def _read(at: Array, n: int) -> Array:
    """Of places (windows, kernel) the first one inside 0..n-1 for those outside; NOWHERE if there is none."""
    inside = (at >= 0) & (at < n)
    first = np.where(inside.any(axis=1), at[np.arange(len(at)), inside.argmax(axis=1)], NOWHERE)
    return np.where(inside, at, first[:, None])


def _has_negative_zero(x: Array) -> bool:
    """Whether -0.0 is among the numbers: its bits are those of the smallest whole number, which one pass finds."""
    return x.size > 0 and x.dtype == np.float64 and int(x.view(np.int64).min()) == np.iinfo(np.int64).min


# --- mistakes ---------------------------------------------------------------------------------------------------------


def _wrong(op: Any, p: Params, input: Array, y: Array) -> Any:
    """Wrong numbers beside right indices, if those were asked for."""
    return {**op.forward(p, input=input), "output": y} if p.return_indices else y


def _over_the_batch(op: Any, y: Array) -> Array:
    if y.ndim < op.dims + 2 or not y.size:
        return y
    return np.array(np.broadcast_to(y.max(axis=0, keepdims=True), y.shape))


def _padded_with_zeros(op: Any, p: Params, input: Array) -> Any:
    margins = [(0, 0)] * (input.ndim - op.dims) + [(b, b) for b in p.padding]
    y = op._largest(p.replace(padding=(0,) * op.dims), np.pad(input, margins))
    return _wrong(op, p, input, y[(..., *map(slice, pooling.counts(p, input.shape[-op.dims :])))])


def _with_a_window_of_padding(op: Any, p: Params, input: Array) -> Any:
    y = op._largest(p, input)
    if p.ceil_mode:
        margins = [(0, 0)] * y.ndim
        for k, (n, b, s) in enumerate(zip(input.shape[-op.dims :], p.padding, p.stride, strict=True)):
            windows = -(-(n + 2 * b - pooling.span(p, k)) // s) + 1
            margins[k - op.dims] = (0, windows - y.shape[k - op.dims])
        y = np.pad(y, margins, constant_values=-np.inf)
    return _wrong(op, p, input, y)


def _mean(op: Any, p: Params, input: Array) -> Array:
    """That of each window, its padding counted as zeros."""
    y = np.zeros((*input.shape[: -op.dims], *pooling.counts(p, input.shape[-op.dims :])))
    for _, windows, places in op.taps(p, input):
        y[windows] += input[places]
    return np.asarray(y / math.prod(p.kernel_size))


def _first_window_only(op: Any, p: Params, input: Array) -> Any:
    y = op._largest(p, input)
    first = np.zeros_like(y)
    first.reshape(-1)[:1] = y.reshape(-1)[:1]
    return _wrong(op, p, input, first)


def _spread(every_tie: bool = False, last_tie: bool = False, overwrite: bool = False, everywhere: bool = False) -> Any:
    """The gradient by a loop over the kernel, wrong in one way."""

    def vjp(op: Any, p: Params, cotangent: Array, input: Array) -> dict[str, Array]:
        y, gradient = op._largest(p, input), np.zeros(input.shape)
        missed = np.ones(y.shape, dtype=bool)
        taps = list(op.taps(p, input))
        hits = []
        for _, windows, places in reversed(taps) if last_tie else taps:
            hit = missed[windows] & (everywhere | (input[places] == y[windows]))
            if not (every_tie or everywhere):
                missed[windows] &= ~hit
            hits.append((hit, windows, places))
        for hit, windows, places in reversed(hits):  # of a place's windows, the last one meets it with its first tap
            before = 0.0 if overwrite else gradient[places]
            gradient[places] = np.where(hit, before + cotangent[windows], gradient[places])
        return {"input": gradient}

    return vjp


MISTAKES = (
    *pooling.MISTAKES,
    Mistake(
        "padded_with_zeros",
        "The padding was filled with zeros, which are larger than negative numbers; it is −∞, so that it is never "
        "the maximum.",
        forward=_padded_with_zeros,
    ),
    Mistake(
        "maximum_starts_at_zero",
        "The running maximum started at 0, so that a window of negative numbers gives 0; start at −∞.",
        forward=lambda op, p, input: _wrong(op, p, input, np.maximum(op._largest(p, input), 0.0)),
    ),
    Mistake(
        "minimum_for_maximum",
        "The smallest number of each window was taken; max pooling takes the largest.",
        forward=lambda op, p, input: _wrong(op, p, input, -op._largest(p, -input)),
    ),
    Mistake(
        "mean_for_maximum",
        "The mean of each window was taken; max pooling takes the largest number.",
        forward=lambda op, p, input: _wrong(op, p, input, _mean(op, p, input)),
    ),
    Mistake(
        "window_of_padding_only",
        "With ceil_mode, a last window was kept that starts past the end of the input and covers only padding.",
        forward=_with_a_window_of_padding,
    ),
    Mistake(
        "dilation_ignored",
        "The dilation was ignored.",
        forward=pooling.with_params(dilation=lambda dilation: (1,) * len(dilation)),
    ),
    Mistake(
        "index_instead_of_value",
        "The position of the maximum was returned instead of its value: argmax in place of max.",
        forward=lambda op, p, input: _wrong(
            op, p, input, op._places(p, input, op._entries(p, input, op._largest(p, input))) + 0.0
        ),
    ),
    Mistake(
        "first_window_only",
        "Only the first window was computed: the return stands inside the loop.",
        forward=_first_window_only,
    ),
    Mistake(
        "maximum_over_the_batch",
        "The maximum was also taken over the batch; each image has its own.",
        forward=lambda op, p, input: _wrong(op, p, input, _over_the_batch(op, op._largest(p, input))),
    ),
    Mistake(
        "gradient_to_every_tie",
        "Every element that equals the maximum got the whole gradient; only one may, in torch the first.",
        vjp=_spread(every_tie=True),
    ),
    Mistake(
        "gradient_to_the_last_tie",
        "Of equal maxima the last one got the gradient (>= in place of >); the first one should.",
        vjp=_spread(last_tie=True),
        is_subgradient=True,
    ),
    Mistake(
        "gradient_overwritten_where_windows_overlap",
        "An element that is the maximum of several windows kept only the gradient of the last one: use += instead "
        "of =.",
        vjp=_spread(overwrite=True),
    ),
    Mistake(
        "gradient_to_the_whole_window",
        "Every element of the window got the gradient; only the maximum does.",
        vjp=_spread(everywhere=True),
    ),
)


class MaxPool1d(MaxPool):
    name = "max_pool1d"
    dims = 1
    aliases = ("nn.MaxPool1d", "MaxPool1d")
    summary = "the largest number of each window along the input"
    formula = "y[n,c,i] = max_u x[n,c, i·s+u·d−p]"
    example = "max_pool1d([[3, 1, 2, 5]], 2)", "array([[3., 5.]])"


class MaxPool2d(MaxPool):
    name = "max_pool2d"
    dims = 2
    aliases = ("nn.MaxPool2d", "MaxPool2d")
    summary = "the largest number of each window of the input"
    formula = "y[n,c,i,j] = max_{u,v} x[n,c, i·s+u·d−p, j·s+v·d−p]"
    example = "max_pool2d([[[1, 2, 5, 6], [3, 4, 7, 8]]], 2)", "array([[[4., 8.]]])"


OPS = (MaxPool1d(), MaxPool2d())
