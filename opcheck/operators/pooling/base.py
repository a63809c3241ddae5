"""What pools share: the rules that their arguments obey, the number of windows, and what a kernel entry meets.

The definitions of pools do their own arithmetic, one index at a time; only the rules of the shapes are theirs as well.
"""

import itertools
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple

import numpy as np

from opcheck.language import say
from opcheck.operators.choosers import Chooser
from opcheck.operators.params import REQUIRED, Maybe, Whole
from opcheck.operators.shared.windows import met
from opcheck.operators.spec import PIECEWISE_LINEAR, Array, Input, Mistake, Op, Output, Param, Params, Refused, Shape
from opcheck.tracing import ceil, floor, minimum

Places = tuple[Any, ...]  # an index of slices


class Tap(NamedTuple):
    """A kernel entry: y[windows] and x[places] have the same shape, the entry of these windows lies on these places."""

    offsets: Shape  # in the window
    windows: Places  # those in which it lies inside the input
    places: Places


class Pool(Op):
    """A pool of `dims` spatial dimensions: each output element sums up one window of one channel."""

    dims: ClassVar[int]
    degree = PIECEWISE_LINEAR
    family = "pooling"
    source = "Goodfellow, Bengio and Courville, Deep Learning (2016), section 9.3; torch.nn.functional"

    def settle(self, p: Params, shapes: Mapping[str, Shape]) -> Params:
        stride = p.kernel_size if p.stride is None else p.stride
        return p.replace(stride=stride, dilation=p.get("dilation", (1,) * self.dims))

    def shape(self, p: Params, shapes: Mapping[str, Shape]) -> dict[str, Shape]:
        x = shapes["input"]
        if len(x) not in (self.dims + 1, self.dims + 2):
            letters = ", ".join(self.inputs[0].letters.split())
            raise Refused(
                say("{op} takes input ({batch}), or one without a batch, ({one})", op=self.name, batch=letters,
                    one=letters[3:]),
                got=say("input {x}", x=x),
            )  # fmt: skip
        if 0 in x[-self.dims - 1 :]:
            raise Refused(say("only the batch dimension of input may be empty"), got=say("input {x}", x=x))
        for k, size in enumerate(x[-self.dims :]):
            if p.padding[k] > p.kernel_size[k] // 2:
                raise Refused(
                    say("padding must be at most half of kernel_size"),
                    got=say("padding {b} and kernel_size {k}", b=p.padding[k], k=p.kernel_size[k]),
                    fix=say("use padding up to {most}", most=p.kernel_size[k] // 2),
                )
            if count(p, k, size) < 1:
                padded = size + 2 * p.padding[k]
                raise Refused(
                    say("the window must fit into the padded input"),
                    got=say("{n} positions with padding, and a window that spans {m}", n=padded, m=span(p, k)),
                    fix=say("use a larger input or a smaller window"),
                )
        return {"output": (*x[: -self.dims], *counts(p, x[-self.dims :]))}

    def sizes(self, p: Params, shapes: Mapping[str, Shape], number: Callable[[str, int], Any]) -> dict[str, Any]:
        result = {}
        dilated = any(each.name == "dilation" for each in self.params)
        for k, letter in enumerate(self.inputs[0].letters.split()[2:]):
            size, padding = number(letter, shapes["input"][k - self.dims]), number("p", p.padding[k])
            kernel, stride = number("k", p.kernel_size[k]), number("s", p.stride[k])
            rest = size + 2 * padding - (number("d", p.dilation[k]) * (kernel - 1) + 1 if dilated else kernel)
            started = ceil((size + padding) / stride)  # windows that start before the end of the input
            fitting = minimum(ceil(rest / stride) + 1, started) if p.ceil_mode else floor(rest / stride) + 1
            result[f"{letter}_out"] = fitting
        return result

    def default_shape(self, name: str, params: Mapping[str, Any], shapes: Mapping[str, Shape]) -> Shape:
        return (4,) * self.dims

    def notes(self, p: Params, shapes: Mapping[str, Shape]) -> tuple[str, ...]:
        if not p.ceil_mode:
            return ()
        return (
            say("ceil_mode: the last window may reach past the edge, but it must start before the end of the input"),
        )

    def taps(self, p: Params, input: Array) -> tuple[Tap, ...]:
        """The kernel entries: a loop over them takes the place of an array of all windows, and of a padded input."""
        sizes = input.shape[-self.dims :]
        return _taps(p.kernel_size, p.stride, p.padding, p.dilation, sizes, counts(p, sizes))


def taught(dims: int) -> dict[str, tuple[Any, ...]]:
    """What a course asks of a pool where an assignment says nothing."""
    oblong = ((2, 3), (3, 2)) if dims > 1 else ()
    return {"kernel_size": (2, 3, *oblong), "stride": (None, 1, 2, 3), "padding": (0, 1)}


def arguments(dims: int, *others: Param, dilation: bool = False) -> tuple[Input | Param, ...]:
    """The arguments that both pools have, in torch's order, and then the `others`."""
    apart = (
        (Param("dilation", 1, Whole(1, dims), "the distance between neighbouring kernel entries"),) if dilation else ()
    )
    return (
        Input("input", "x", "N C L" if dims == 1 else "N C H W", "the images, or one image without N"),
        Param("kernel_size", REQUIRED, Whole(1, dims), "the size of the window", example=2),
        Param("stride", None, Maybe(Whole(1, dims)), "how far the window moves each time; None means kernel_size"),
        Param("padding", 0, Whole(0, dims), "how much padding is added on each side, at most half of kernel_size"),
        *apart,
        *others,
    )


def outputs(dims: int, *others: str) -> tuple[Output, ...]:
    """The output, and the `others` that cannot be differentiated."""
    letters = "N C Lout" if dims == 1 else "N C Hout Wout"
    return (Output("output", "y", letters), *(Output(name, name, letters, differentiable=False) for name in others))


# --- how many windows -----------------------------------------------------------------------------------------------


def span(p: Params, k: int) -> int:
    """How many places a window reaches over along dimension k."""
    return int(p.dilation[k] * (p.kernel_size[k] - 1) + 1)


def count(p: Params, k: int, size: int) -> int:
    """The number of windows along dimension k: floor((size + 2*padding - span) / stride) + 1.

    In ceil_mode the last window may hang over the edge, but it must start before the end of the input.
    """
    rest, stride = size + 2 * p.padding[k] - span(p, k), p.stride[k]
    if not p.ceil_mode:
        return int(rest // stride + 1)
    return int(min(-(-rest // stride) + 1, -(-(size + p.padding[k]) // stride)))


def counts(p: Params, sizes: Shape) -> Shape:
    """The number of windows along each dimension, 0 where none fits."""
    return tuple(max(0, count(p, k, size)) for k, size in enumerate(sizes))


def places(p: Params, sizes: Shape) -> list[Array]:
    """The places that each window meets, one table (windows, kernel) for each dimension: for programs."""
    axes = zip(counts(p, sizes), p.kernel_size, p.stride, p.dilation, p.padding, strict=True)
    return [met(*each) for each in axes]


# --- what a kernel entry meets --------------------------------------------------------------------------------------


@lru_cache(256)
def _taps(
    kernel_size: Shape, stride: Shape, padding: Shape, dilation: Shape, sizes: Shape, out: Shape
) -> tuple[Tap, ...]:
    """The kernel entries in C order; the same for every call with these sizes."""
    axes = [
        [_meeting(u * dilation[k], padding[k], stride[k], sizes[k], out[k]) for u in range(kernel_size[k])]
        for k in range(len(sizes))
    ]
    entries = (zip(*entry, strict=True) for entry in itertools.product(*axes))
    return tuple(Tap(offsets, (..., *windows), (..., *places)) for offsets, windows, places in entries)


def _meeting(offset: int, padding: int, stride: int, size: int, out: int) -> tuple[int, slice, slice]:
    """Of `out` windows, those whose place `offset` lies inside 0..size-1, and the places that it takes there."""
    first = max(0, -((offset - padding) // stride))
    last = min(out - 1, (size - 1 + padding - offset) // stride)
    if last < first:
        return offset, slice(0, 0), slice(0, 0)
    start = first * stride + offset - padding
    return offset, slice(first, last + 1), slice(start, start + (last - first) * stride + 1, stride)


# --- cases ----------------------------------------------------------------------------------------------------------


def sample_windows(chooser: Chooser, dims: int, dilation: bool = False) -> tuple[dict[str, Any], Shape]:
    """Any legal parameters of a pool, as a caller writes them, and the shape of an input that they fit.

    Every window sees at least one place of the input: for one that does not (a dilation larger than the input makes
    it possible), torch's backward pass writes outside the gradient.
    """
    axes = 1 if dims == 1 or chooser.choice((True, False)) else dims
    kernel = [chooser.choice((2, 3, 1, 4)) for _ in range(axes)]
    given = {"kernel_size": kernel}
    if chooser.choice((False, True)):
        given["stride"] = [chooser.choice((1, 2, 3)) for _ in range(axes)]
    if chooser.choice((False, True)):
        given["padding"] = [chooser.whole(0, k // 2) for k in kernel]
    if dilation and chooser.choice((False, True)):
        given["dilation"] = [2] if axes == 1 else [chooser.choice((2, 1)) for _ in range(axes)]
    params = {name: _as_written(chooser, values) for name, values in given.items()}
    params["ceil_mode"] = chooser.choice((False, True))

    sizes = []
    for k in range(dims):
        own = {name: values[k % axes] for name, values in given.items()}
        apart, padding = own.get("dilation", 1), own.get("padding", 0)
        overhang = own.get("stride", own["kernel_size"]) - 1 if params["ceil_mode"] else 0
        fits = apart * (own["kernel_size"] - 1) + 1 - 2 * padding - overhang
        sizes.append(max(apart, fits) + chooser.whole(0, 4))
    leading = chooser.choice(((2, 3), (1, 1), (2,), (0, 2)))
    return params, (*leading, *sizes)


def _as_written(chooser: Chooser, values: list[int]) -> Any:
    """One number for all dimensions, alone or in a tuple, or a number for each."""
    return tuple(values) if len(values) > 1 or chooser.choice((False, True)) else values[0]


# --- mistakes -------------------------------------------------------------------------------------------------------


def with_params(**changes: Callable[[Any], Any]) -> Callable[..., Any]:
    """The operator with other parameters, each a function of the right one: most mistakes about pools are that."""

    def forward(op: Op, p: Params, input: Array) -> Any:
        wrong = {name: change(p[name]) for name, change in changes.items()}
        return op.forward(p.replace(**wrong), input=input)

    return forward


def _reversed(values: Shape) -> Shape:
    return values[::-1]


def _on_output(change: Callable[[Any, Array], Array]) -> Callable[..., Any]:
    """The right output, changed; places are left as they are."""

    def forward(op: Any, p: Params, input: Array) -> Any:
        right = op.forward(p, input=input)
        return {**right, "output": change(op, right["output"])} if isinstance(right, dict) else change(op, right)

    return forward


def _ends(op: Any) -> tuple[Any, ...]:
    """All but the last place in each direction."""
    return (..., *[slice(None, -1)] * op.dims)


def _last_skipped(op: Any, y: Array) -> Array:
    stopped = np.zeros(y.shape)
    stopped[_ends(op)] = y[_ends(op)]
    return stopped


MISTAKES = (
    Mistake(
        "output_one_short",
        "The last row and column are missing: the output size ends in + 1.",
        forward=_on_output(lambda op, y: y[_ends(op)]),
    ),
    Mistake(
        "output_one_too_long",
        "There is a last row or column too many: the output size is floor((n − k) / s) + 1, with the padding in n.",
        forward=_on_output(lambda op, y: np.pad(y, [(0, 0)] * (y.ndim - op.dims) + [(0, 1)] * op.dims)),
    ),
    Mistake(
        "last_places_skipped",
        "The last row and column of the output stayed zero: the loop ends one place too early.",
        forward=_on_output(_last_skipped),
    ),
    Mistake(
        "output_size_rounded_the_other_way",
        "The number of windows was rounded the other way: down by default, up with ceil_mode.",
        forward=with_params(ceil_mode=lambda up: not up),
    ),
    Mistake(
        "stride_one",
        "The windows moved by one position; the stride of a pool is its kernel_size by default.",
        forward=with_params(stride=lambda stride: (1,) * len(stride)),
    ),
    Mistake(
        "padding_ignored",
        "The padding was ignored.",
        forward=with_params(padding=lambda padding: (0,) * len(padding)),
    ),
)
KERNEL_HEIGHT_FOR_WIDTH = Mistake(
    "kernel_height_for_width",
    "The kernel's height was used for its width as well.",
    forward=with_params(kernel_size=lambda kernel: (kernel[0],) * len(kernel)),
)
HEIGHT_AND_WIDTH_SWAPPED = Mistake(
    "height_and_width_swapped",
    "Height and width were swapped in the parameters: kernel_size=(2, 3) is 2 rows and 3 columns.",
    forward=with_params(kernel_size=_reversed, stride=_reversed, padding=_reversed, dilation=_reversed),
)
