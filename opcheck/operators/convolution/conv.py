"""conv1d and conv2d: a small weight slides over the input, and each place gives a dot product."""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any

import numpy as np

from opcheck.language import say
from opcheck.operators.choosers import Chooser
from opcheck.operators.convolution import closed
from opcheck.operators.convolution.mistakes import mistakes
from opcheck.operators.params import Choice, Either, Whole
from opcheck.operators.shared import windows
from opcheck.operators.shared.roundoff import Multilinear
from opcheck.operators.spec import MULTILINEAR, Array, Case, Input, Op, Output, Param, Params, Refused, Shape
from opcheck.tracing import floor, named, total

PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


class Conv(Op):
    """The family; a subclass says how many spatial dimensions there are."""

    dims: int
    also_asked = ("kernel_size", "batch", "integers")
    family = "convolution"
    rounding = Multilinear()
    degree = MULTILINEAR
    source = (
        "Goodfellow, Bengio and Courville, Deep Learning (2016), equation 9.6 (cross-correlation); "
        "Dumoulin and Visin, A guide to convolution arithmetic for deep learning (2016); torch.nn.functional"
    )

    def __init_subclass__(cls) -> None:
        dims = cls.dims
        places = " ".join("LHW"[:1] if dims == 1 else "HW")
        cls.arguments = (
            Input("input", "x", f"N Cin {places}", "the images, or one image without N"),
            Input("weight", "w", "Cout Cin/groups " + " ".join(f"K{c.lower()}" for c in places.split()), "the kernels"),
            Input("bias", "b", "Cout", "one number for each output channel", optional=True),
            Param("stride", 1, Whole(1, dims), "how far the window moves each time"),
            Param(
                "padding",
                0,
                Either(Choice(("same", "valid")), Whole(0, dims)),
                "how much padding is added on each side",
            ),
            Param("dilation", 1, Whole(1, dims), "the distance between neighbouring kernel entries"),
            Param("groups", 1, Whole(1), "the number of independent groups that the channels are split into"),
            Param("padding_mode", "zeros", Choice(PADDING_MODES), "what the padding holds", True, quiet=True),
        )
        cls.outputs = (Output("output", "y", f"N Cout {places}"),)
        cls.mistakes = mistakes(dims)
        cls.closed = closed.closed(dims)
        oblong = ((2, 3), (3, 2)) if dims > 1 else ()
        cls.taught = {"kernel_size": (2, 3, 1, *oblong), "stride": (1, 2, 3), "padding": (0, 1, 2),
                      "bias": (True, False)}  # fmt: skip

    # --- shapes -----------------------------------------------------------------------------------------------

    def shape(self, p: Params, shapes: Mapping[str, Shape]) -> dict[str, Shape]:
        x, w, b, dims = shapes["input"], shapes["weight"], shapes.get("bias"), self.dims
        if len(w) != dims + 2 or len(x) not in (dims + 1, dims + 2):
            raise Refused(
                say("{op} takes {inputs} or {one} and {weights}", op=self.name, inputs=self.inputs[0].letters,
                    one=self.inputs[0].letters[2:], weights=self.inputs[1].letters),
                got=say("input {x} and weight {w}", x=x, w=w),
            )  # fmt: skip
        channels = x[-dims - 1]
        if channels % p.groups or w[0] % p.groups or w[0] == 0:
            raise Refused(
                say(
                    "groups must divide the input channels and the output channels, and there must be at least one "
                    "of each"
                ),
                got=say("input {x}, weight {w} and groups={g}", x=x, w=w, g=p.groups),
            )
        if w[1] * p.groups != channels:
            raise Refused(
                say("input channels must be groups times the second dimension of weight"),
                got=say("input {x}, weight {w} and groups={g}", x=x, w=w, g=p.groups),
                fix=say("{n} channels in {g} groups need a weight of shape {needed}", n=channels, g=p.groups,
                        needed=(w[0], channels // p.groups, *w[2:])),
            )  # fmt: skip
        if b is not None and b != w[:1]:
            raise Refused(say("bias must have one number for each output channel"), got=say("bias {b}", b=b))
        if p.padding == "same" and any(s != 1 for s in p.stride):
            raise Refused(say('padding="same" needs stride 1'), got=say("stride={s}", s=p.stride))
        if 0 in w[2:]:
            raise Refused(say("the kernel must not be empty"), got=say("weight {w}", w=w))
        if 0 in x[-dims:] and 0 not in x[:-dims]:
            raise Refused(say("only the batch dimension of input may be empty"), got=say("input {x}", x=x))
        before, after = self._fitting(p, x[-dims:], w[2:])
        out = (
            windows.output_size(x[-dims + k], w[2 + k], p.stride[k], before[k], after[k], p.dilation[k])
            for k in range(dims)
        )
        return {"output": (*x[: -dims - 1], w[0], *out)}

    def _fitting(self, p: Params, sizes: Shape, kernel: Shape) -> tuple[Shape, Shape]:
        """The padding before and after; raises Refused where the kernel does not fit into the padded input."""
        before, after = self.margins(p, kernel)
        for k, size in enumerate(sizes):
            span = p.dilation[k] * (kernel[k] - 1) + 1
            if size + before[k] + after[k] < span:
                raise Refused(
                    say("the kernel must fit into the padded input"),
                    got=say("{size} positions with padding, and a kernel that spans {span} (with dilation)",
                            size=size + before[k] + after[k], span=span),
                    fix=say("use more padding, less dilation or a smaller kernel"),
                )  # fmt: skip
            if p.padding_mode != "zeros":
                most = {"reflect": size - 1, "circular": size}.get(p.padding_mode, before[k] + after[k])
                if max(before[k], after[k]) > most or size == 0:
                    raise Refused(
                        say("{mode} padding can be at most {most} here", mode=p.padding_mode, most=most),
                        got=say("padding {n}", n=max(before[k], after[k])),
                    )
        return before, after

    def margins(self, p: Params, kernel: Shape) -> tuple[Shape, Shape]:
        """The padding before and after each dimension; "same" puts the odd one after, as torch does."""
        if p.padding == "valid":
            return (0,) * self.dims, (0,) * self.dims
        if p.padding == "same":
            both = [d * (k - 1) for d, k in zip(p.dilation, kernel, strict=True)]
            return tuple(n // 2 for n in both), tuple(n - n // 2 for n in both)
        return p.padding, p.padding

    def notes(self, p: Params, shapes: Mapping[str, Shape]) -> tuple[str, ...]:
        return (say("cross-correlation: the kernel is not flipped"),)

    def sizes(self, p: Params, shapes: Mapping[str, Shape], number: Callable[[str, int], Any]) -> dict[str, Any]:
        kernel = shapes["weight"][2:]
        before, after = self.margins(p, kernel)
        result = {}
        for k, letter in enumerate("L" if self.dims == 1 else "HW"):
            size = number(letter, shapes["input"][-self.dims + k])
            padding = 2 * number("p", before[k]) if before == after else number("p", before[k]) + number("q", after[k])
            span = number("d", p.dilation[k]) * (number("k", kernel[k]) - 1)
            result[f"{letter}_out"] = floor((size + padding - span - 1) / number("s", p.stride[k])) + 1
        return result

    def default_shape(self, name: str, params: Mapping[str, Any], shapes: Mapping[str, Shape]) -> Shape:
        if name == "input":
            return (4,) * self.dims
        channels = shapes["input"][-self.dims - 1] // params.get("groups", 1)
        return (2,) * self.dims if channels == 1 else (1, channels, *(2,) * self.dims)

    # --- definition -------------------------------------------------------------------------------------------

    def element(self, p: Params, at: Shape, *, input: Any, weight: Any, bias: Any = None) -> Any:
        *image, o = at[: -self.dims]
        place = at[-self.dims :]
        first = (o * p.groups // weight.shape[0]) * weight.shape[1]  # the first input channel of this group
        before, _ = self.margins(p, weight.shape[2:])
        x = input.padded(0) if p.padding_mode == "zeros" else input
        channels = []
        for c in range(weight.shape[1]):
            terms = []
            for taps in itertools.product(*map(range, weight.shape[2:])):
                where = [
                    _inside(i * s + t * d - b, n, p.padding_mode)
                    for i, s, t, d, b, n in zip(
                        place, p.stride, taps, p.dilation, before, input.shape[-self.dims :], strict=True
                    )
                ]
                terms.append(x[*image, first + c, *where] * weight[o, c, *taps])
            channels.append(terms)
        if len(channels) == 1:
            return total(channels[0] if bias is None else [*channels[0], bias[o]])
        partial = [named("channel", total(terms), (first + c,)) for c, terms in enumerate(channels)]
        return total(partial if bias is None else [*partial, bias[o]])

    # --- fast reference ---------------------------------------------------------------------------------------

    def forward(self, p: Params, *, input: Array, weight: Array, bias: Array | None = None) -> Array:
        """One matrix product a group: the kernels are the rows, the windows are the columns."""
        x, w, window = self._padded(p, input, weight), _rows(p, weight), (weight.shape[2:], p.stride, p.dilation)
        y, scratch = np.empty((len(x), len(weight), *self.output_sizes(p, input, weight))), windows.Scratch()
        for here, there, out in windows.blocks(x, *window, y.shape[2:]):
            columns, part = windows.columns(x[here], *window, out, p.groups, scratch), y[there]
            if len(part) == 1:  # in place; the rows of several images do not stand behind each other
                np.matmul(w, columns, out=part.reshape(*w.shape[:2], -1))
            else:
                part[...] = (w @ columns).reshape(len(weight), -1, *out).swapaxes(0, 1)
        if bias is not None:
            y += bias.reshape(-1, *[1] * self.dims)
        return y.reshape(*input.shape[: -self.dims - 1], *y.shape[1:])

    def vjp(
        self, p: Params, cotangent: Array, *, input: Array, weight: Array, bias: Array | None = None
    ) -> dict[str, Array]:
        """The same product transposed: by the columns for the weight, by the rows for the input."""
        x, w, window = self._padded(p, input, weight), _rows(p, weight), (weight.shape[2:], p.stride, p.dilation)
        dy = cotangent.reshape(len(x), *cotangent.shape[-self.dims - 1 :])
        dx, dw, product, scratch = np.zeros(x.shape), np.zeros(w.shape), np.empty(w.shape), windows.Scratch()
        for here, there, out in windows.blocks(x, *window, dy.shape[2:]):
            columns = windows.columns(x[here], *window, out, p.groups, scratch)
            g = dy[there].swapaxes(0, 1).reshape(p.groups, w.shape[1], -1)
            dw += np.matmul(g, columns.swapaxes(1, 2), out=product)
            by_column = np.matmul(w.swapaxes(1, 2), g, out=scratch.array(*columns.shape))
            windows.columns_adjoint(by_column, dx[here], *window, out)
        before, _ = self.margins(p, weight.shape[2:])
        dx = windows.pad_adjoint(dx, before, input.shape[-self.dims :], p.padding_mode)
        gradients = {"input": dx.reshape(input.shape), "weight": dw.reshape(weight.shape)}
        return gradients if bias is None else {**gradients, "bias": dy.sum(axis=(0, *range(2, dy.ndim)))}

    def jvp(
        self, p: Params, tangents: dict[str, Array], *, input: Array, weight: Array, bias: Array | None = None
    ) -> Array:
        """The product rule: the operator is linear in the input and in the weight."""
        parts = [
            self.forward(p, **{"input": input, "weight": weight, name: tangents[name]})
            for name in ("input", "weight")
            if name in tangents
        ]
        if "bias" in tangents:
            zeros = np.zeros((*input.shape[: -self.dims - 1], len(weight), *self.output_sizes(p, input, weight)))
            parts.append(zeros + tangents["bias"].reshape(-1, *[1] * self.dims))
        return np.asarray(sum(parts))

    def output_sizes(self, p: Params, input: Array, weight: Array) -> Shape:
        before, after = self.margins(p, weight.shape[2:])
        sizes = zip(input.shape[-self.dims :], weight.shape[2:], p.stride, before, after, p.dilation, strict=True)
        return tuple(windows.output_size(*each) for each in sizes)

    def _padded(self, p: Params, input: Array, weight: Array) -> Array:
        """The padded images, with a batch dimension."""
        x = input if input.ndim == self.dims + 2 else input[None]
        return windows.pad(x, *self.margins(p, weight.shape[2:]), mode=p.padding_mode)

    # --- program ----------------------------------------------------------------------------------------------

    def program(self, p: Params, *, input: Any, weight: Any, bias: Any = None) -> Any:
        """The windows, gathered by their places, times the kernels: one product for each group."""
        (features, channels, *kernel), lead = weight.shape, input.shape[: -self.dims - 1]
        sizes, out = input.shape[-self.dims :], self.output_sizes(p, input, weight)
        before, _ = self.margins(p, weight.shape[2:])
        places = [windows.met(*each) for each in zip(out, kernel, p.stride, p.dilation, before, strict=True)]
        mode = "replicate" if p.padding_mode == "zeros" else p.padding_mode
        x = windows.gathered(input, [windows.source(at, n, mode) for at, n in zip(places, sizes, strict=True)])
        if p.padding_mode == "zeros" and any(((at < 0) | (at >= n)).any() for at, n in zip(places, sizes, strict=True)):
            inside = [(at >= 0) & (at < n) for at, n in zip(places, sizes, strict=True)]
            x = np.where(reduce(np.logical_and, windows.along_axes(inside)), x, 0.0)
        x = x.reshape(*lead, p.groups, channels, math.prod(out), math.prod(kernel)).swapaxes(-3, -2)
        x = x.reshape(*x.shape[:-2], channels * math.prod(kernel))
        y = weight.reshape(p.groups, features // p.groups, x.shape[-1]) @ x.swapaxes(-2, -1)
        y = y.reshape(*lead, features, *out)
        return y if bias is None else y + bias.reshape(-1, *[1] * self.dims)

    # --- torch and cases --------------------------------------------------------------------------------------

    def torch(self, torch: Any, params: Mapping[str, Any], **tensors: Any) -> Any:
        """torch.nn.functional's, or for a padding mode, which it has not, that of the layer."""
        if params.get("padding_mode", "zeros") == "zeros":
            given = {name: value for name, value in params.items() if name != "padding_mode"}
            return getattr(torch.nn.functional, self.name)(**tensors, **given)
        p, (out, channels, *kernel) = self.parameters(params), tensors["weight"].shape
        layer = getattr(torch.nn, f"Conv{self.dims}d")
        module = layer(channels * p.groups, out, kernel, **p, bias="bias" in tensors, device="meta")
        return torch.func.functional_call(module, tensors, tensors.pop("input"))

    def construction(
        self, params: Mapping[str, Any], shapes: Mapping[str, Shape]
    ) -> tuple[Sequence[Any], dict[str, Any]]:
        out, into, *kernel = shapes["weight"]
        sizes = {"in_channels": into * int(params.get("groups", 1)), "out_channels": out, "kernel_size": tuple(kernel)}
        # the classes take one number or all of them; the functions take a tuple of one number as well
        full = {name: value * self.dims if isinstance(value, tuple) and len(value) == 1 else value
                for name, value in params.items()}  # fmt: skip
        return (), {**full, **sizes}

    def sample(self, chooser: Chooser) -> Case:
        images = chooser.choice([(2,), (), (1,), (3,), (0,)])
        groups, channels, features = chooser.whole(1, 3), chooser.whole(1, 2), chooser.whole(1, 2)
        padding = chooser.choice(["numbers", "same", "valid"])
        mode = chooser.choice(PADDING_MODES)
        axes = [_axis(chooser, padding, mode) for _ in range(self.dims)]
        sizes, kernel, strides, paddings, dilations = zip(*axes, strict=True)
        arrays = {
            "input": chooser.array(*images, groups * channels, *sizes),
            "weight": chooser.array(groups * features, channels, *kernel),
        }
        if chooser.choice([True, False]):
            arrays["bias"] = chooser.array(groups * features)
        short = chooser.choice([True, False])
        params = {
            "stride": _written(strides, short),
            "padding": _written(paddings, short) if padding == "numbers" else padding,
            "dilation": _written(dilations, short),
            "groups": groups,
            "padding_mode": mode,
        }
        return Case(self.name, arrays, params)


def _rows(p: Params, weight: Array) -> Array:
    """One matrix a group, one kernel a row."""
    return weight.reshape(p.groups, len(weight) // p.groups, math.prod(weight.shape[1:]))


def _axis(chooser: Chooser, padding: str, mode: str) -> tuple[int, int, int, int, int]:
    """Input size, kernel size, stride, padding and dilation of one dimension, such that 1 to 3 windows fit."""
    # every decision is asked for, whether it matters or not, so that any two options can meet in one case
    kernel, stride, dilation = chooser.whole(1, 3), chooser.whole(1, 3), chooser.whole(1, 2)
    before, out, rest = chooser.whole(0, 2), chooser.whole(1, 3), chooser.whole(0, 2)
    span = dilation * (kernel - 1) + 1
    if padding == "same":
        size, stride, largest = out + rest, 1, span // 2
    else:
        before = before if padding == "numbers" else 0
        size, largest = span + (out - 1) * stride + min(rest, stride - 1) - 2 * before, before
    least = {"reflect": largest + 1, "circular": largest}.get(mode, 1)
    return max(1, least, size), kernel, stride, before, dilation


def _written(values: tuple[int, ...], short: bool) -> Any:
    """Numbers as a caller may write them: one number, or a tuple of one, where all are equal."""
    if len(set(values)) > 1:
        return values
    return values[0] if short else values[:1]


def _inside(i: int, n: int, mode: str) -> int:
    """Where a place outside 0..n-1 is read from (zeros: nowhere, it stays outside)."""
    if mode == "reflect":
        return -i if i < 0 else 2 * (n - 1) - i if i >= n else i
    if mode == "replicate":
        return min(max(i, 0), n - 1)
    return i % n if mode == "circular" else i


class Conv1d(Conv):
    name = "conv1d"
    dims = 1
    aliases = ("nn.Conv1d", "Conv1d")
    summary = "a kernel slides along the input; each position gives a dot product"
    formula = "y[n,o,i] = b[o] + Σ_c Σ_u x[n,c, i·s+u·d−p]·w[o,c,u]"
    example = "conv1d([[1, 2, 3, 4]], [[[1, 0, -1]]])", "array([[-2., -2.]])"


class Conv2d(Conv):
    name = "conv2d"
    dims = 2
    aliases = ("nn.Conv2d", "Conv2d")
    summary = "a kernel slides over the input; each position gives a dot product"
    formula = "y[n,o,i,j] = b[o] + Σ_c Σ_u Σ_v x[n,c, i·s+u·d−p, j·s+v·d−p]·w[o,c,u,v]"
    example = "conv2d([[[1, 2, 3], [4, 5, 6]]], [[[[1, 0], [0, 1]]]])", "array([[[6., 8.]]])"


OPS = (Conv1d(), Conv2d())
