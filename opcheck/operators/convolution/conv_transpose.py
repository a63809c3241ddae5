"""conv_transpose2d: each place of the input lays a weighted kernel over the output, and what overlaps is added."""

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from opcheck.language import say
from opcheck.operators.choosers import Chooser
from opcheck.operators.convolution.closed import batched, letters
from opcheck.operators.convolution.mistakes.variants import gradients_on, on
from opcheck.operators.params import Whole
from opcheck.operators.program import Program
from opcheck.operators.spec import (
    MULTILINEAR,
    Array,
    Case,
    Closed,
    Input,
    Mistake,
    Output,
    Param,
    Params,
    Refused,
    Shape,
)  # fmt: skip
from opcheck.programs.movement import put
from opcheck.tracing import total


class ConvTranspose2d(Program):
    """The transpose of conv2d as a linear map: its forward pass is conv2d's gradient by the input. `padding` takes
    places away from the output, `output_padding` adds rows below and columns to the right, where no kernel may reach.

    torch's order of parameters: groups stands before dilation. An input without channels has no result in torch.
    """

    name = "conv_transpose2d"
    taught = {"stride": (1, 2, 3), "padding": (0, 1, 2), "bias": (True, False)}
    dims = 2
    aliases = ("nn.ConvTranspose2d", "ConvTranspose2d", "deconvolution", "deconv2d")
    summary = "each element of the input lays a weighted kernel over the output; overlaps are added"
    formula = "y[n,o,i,j] = b[o] + Σ_c Σ_u Σ_v x[n,c, (i+p−u·d)/s, (j+p−v·d)/s]·w[c,o,u,v]"
    closed = (
        Closed("input", "x̄[n,c,i,j] = Σ_o Σ_u Σ_v ȳ[n,o,i·s+u·d−p,j·s+v·d−p]·w[c,o,u,v]", letters),
        Closed("weight", "w̄[c,o,u,v] = Σ_n Σ_i Σ_j x[n,c,i,j]·ȳ[n,o,i·s+u·d−p,j·s+v·d−p]", letters),
        Closed("bias", "b̄[o] = Σ_n Σ_i Σ_j ȳ[n,o,i,j]", batched),
    )
    source = (
        "Dumoulin and Visin, A guide to convolution arithmetic for deep learning, arXiv:1603.07285, chapter 4; "
        "torch.nn.functional.conv_transpose2d"
    )
    example = "conv_transpose2d([[[1, 2]]], [[[[1, 10]]]])", "array([[[ 1., 12., 20.]]])"
    arguments = (
        Input("input", "x", "N Cin H W", "the images, or one image without N"),
        Input("weight", "w", "Cin Cout/groups Kh Kw", "the kernels, the input channels first"),
        Input("bias", "b", "Cout", "one number for each output channel", optional=True),
        Param("stride", 1, Whole(1, 2), "the distance between neighbouring copies of the kernel"),
        Param("padding", 0, Whole(0, 2), "how much is cropped from each side of the output"),
        Param("output_padding", 0, Whole(0, 2), "rows added below and columns added to the right"),
        Param("groups", 1, Whole(1), "the number of independent groups that the channels are split into"),
        Param("dilation", 1, Whole(1, 2), "the distance between neighbouring kernel entries"),
    )
    outputs = (Output("output", "y", "N Cout Hout Wout"),)
    degree = MULTILINEAR

    def shape(self, p: Params, shapes: Mapping[str, Shape]) -> dict[str, Shape]:
        x, w, b = shapes["input"], shapes["weight"], shapes.get("bias")
        if len(w) != 4 or len(x) not in (3, 4):
            raise Refused(
                say("{op} takes input {x} or {one} and weight {w}", op=self.name, x="(N, Cin, H, W)", one="(Cin, H, W)",
                    w="(Cin, Cout/groups, Kh, Kw)"),
                got=say("input {x} and weight {w}", x=x, w=w),
            )  # fmt: skip
        if x[-3] != w[0] or w[0] % p.groups or not w[0] or not w[1]:
            raise Refused(
                say("input channels must be the first dimension of weight, a multiple of groups, and none may be 0"),
                got=say("input {x}, weight {w} and groups={g}", x=x, w=w, g=p.groups),
                fix=say("weight is (Cin, Cout/groups, Kh, Kw), the other way round from conv2d's"),
            )
        if b is not None and b != (w[1] * p.groups,):
            raise Refused(say("bias must have one number for each of the {n} output channels", n=w[1] * p.groups),
                          got=say("bias {b}", b=b))  # fmt: skip
        if 0 in w[2:] or 0 in x[-2:]:
            raise Refused(say("images and kernels must not be empty"),
                          got=say("input {x} and weight {w}", x=x, w=w))  # fmt: skip
        for k, extra in enumerate(p.output_padding):
            if extra >= max(p.stride[k], p.dilation[k]):
                raise Refused(
                    say("output_padding must be smaller than stride or dilation"),
                    got=say("output_padding {o}, stride {s} and dilation {d}", o=extra, s=p.stride[k], d=p.dilation[k]),
                )
        out = self.output_sizes(p, x[-2:], w[2:])
        if min(out) < 1:
            raise Refused(say("padding must leave at least one output"),
                          got=say("an output of size {n}", n=out), fix=say("use less padding"))  # fmt: skip
        return {"output": (*x[:-3], w[1] * p.groups, *out)}

    def output_sizes(self, p: Params, sizes: Shape, kernel: Shape) -> Shape:
        every = zip(sizes, kernel, p.stride, p.padding, p.dilation, p.output_padding, strict=True)
        return tuple((n - 1) * s - 2 * b + d * (k - 1) + o + 1 for n, k, s, b, d, o in every)

    def sizes(self, p: Params, shapes: Mapping[str, Shape], number: Callable[[str, int], Any]) -> dict[str, Any]:
        found = {}
        for k, letter in enumerate("HW"):
            laid = (number(letter, shapes["input"][k - 2]) - 1) * number("s", p.stride[k]) - 2 * number(
                "p", p.padding[k]
            )
            kernel = number("d", p.dilation[k]) * (number("k", shapes["weight"][k + 2]) - 1)
            found[f"{letter}_out"] = laid + kernel + number("output_padding", p.output_padding[k]) + 1
        return found

    def notes(self, p: Params, shapes: Mapping[str, Shape]) -> tuple[str, ...]:
        return (
            say(
                "the kernel is laid down as it is, not flipped; where a division by s leaves a remainder, the term is 0"
            ),
        )

    def default_shape(self, name: str, params: Mapping[str, Any], shapes: Mapping[str, Shape]) -> Shape:
        if name == "input":
            return (2, 2)
        channels = shapes["input"][-3] if len(shapes["input"]) > 2 else 1
        return (2, 2) if channels == 1 else (channels, 1, 2, 2)

    # --- definition: which places reach this one ----------------------------------------------------------------

    def element(self, p: Params, at: Shape, *, input: Any, weight: Any, bias: Any = None) -> Any:
        *image, o, i, j = at
        group, feature = divmod(o, weight.shape[1])
        channels = weight.shape[0] // p.groups
        terms = []
        for c in range(group * channels, (group + 1) * channels):
            for u, v in itertools.product(*map(range, weight.shape[2:])):
                h, left = divmod(i + p.padding[0] - u * p.dilation[0], p.stride[0])
                w, over = divmod(j + p.padding[1] - v * p.dilation[1], p.stride[1])
                if not left and not over and 0 <= h < input.shape[-2] and 0 <= w < input.shape[-1]:
                    terms.append(input[*image, c, h, w] * weight[c, feature, u, v])
        return total(terms if bias is None else [*terms, bias[o]])

    # --- program: every product, put where its kernel entry lies --------------------------------------------------

    def program(self, p: Params, *, input: Any, weight: Any, bias: Any = None) -> Any:
        channels, features, *kernel = weight.shape
        *image, _, height, width = input.shape
        lead, g = (*image, p.groups), p.groups
        x = input.reshape(*lead, channels // g, height * width).swapaxes(-1, -2)
        products = x @ weight.reshape(g, channels // g, -1)
        apart = products.reshape(*lead, height, width, features, *kernel)
        n = len(lead)
        apart = apart.transpose(*range(n), n + 2, n + 3, n + 4, n, n + 1)  # (..., feature, u, v, h, w)
        full = [d * (k - 1) + (size - 1) * s + 1 + extra for d, k, size, s, extra in
                zip(p.dilation, kernel, (height, width), p.stride, p.output_padding, strict=True)]  # fmt: skip
        u, v, h, w = np.ogrid[: kernel[0], : kernel[1], :height, :width]
        places = (..., u * p.dilation[0] + h * p.stride[0], v * p.dilation[1] + w * p.stride[1])
        laid = put(apart, places, (*lead, features, *full))
        (top, left), (rows, columns) = p.padding, self.output_sizes(p, (height, width), tuple(kernel))
        y = laid[..., top : top + rows, left : left + columns].reshape(*image, g * features, rows, columns)
        return y if bias is None else y + bias.reshape(-1, 1, 1)

    # --- cases and mistakes -----------------------------------------------------------------------------------------

    def sample(self, chooser: Chooser) -> Case:
        groups, channels, features = chooser.whole(1, 2), chooser.whole(1, 2), chooser.whole(1, 2)
        axes = [_axis(chooser) for _ in range(2)]
        sizes, kernel, strides, paddings, extra, dilations = zip(*axes, strict=True)
        arrays = {
            "input": chooser.array(*chooser.choice(((2,), (), (1,), (0,))), groups * channels, *sizes),
            "weight": chooser.array(groups * channels, features, *kernel),
        }
        if chooser.choice((True, False)):
            arrays["bias"] = chooser.array(groups * features)
        params = {"stride": strides, "padding": paddings, "output_padding": extra, "dilation": dilations}
        short = {name: n[0] if len(set(n)) == 1 and chooser.choice((True, False)) else n for name, n in params.items()}
        return Case(self.name, arrays, {**short, "groups": groups})

    mistakes = (
        Mistake("kernel_flipped", "The kernel was flipped: conv_transpose2d lays it down as it is.",
                on(lambda op, p, **a: _flipped(op, p, **a))),
        Mistake("channels_of_weight_swapped", "The weight is (Cin, Cout/groups, ...): input and output channels "
            "were swapped.", on(lambda op, p, *, weight, **a: {"weight": _channels_swapped(p, weight)})),
        Mistake("bias_missing", "The bias was not added.",
                lambda op, p, *, bias=None, **a: op.forward(p, **a)),
        Mistake("bias_added_for_every_kernel",
                "The bias was added once for every kernel that is laid down; it is added once in all.",
                lambda op, p, *, bias=None, **a: _bias_laid(op, p, bias, a)),
        Mistake("overlap_overwritten", "Where kernels overlap, only the last one was kept: use += instead of =.",
                lambda op, p, **a: _overwritten(op, p, **a)),
        Mistake("padding_added", "Padding crops the output of a transposed convolution; it was ignored, so the "
            "output is too large.", on(lambda op, p, **a: {"p": p.replace(padding=(0, 0))})),
        Mistake("output_padding_before", "The rows and columns of output_padding belong below and to the right; they "
                "were added above and to the left.", lambda op, p, **a: _added_before(op, p, **a)),
        Mistake("output_padding_filled_with_zeros",
                "The rows and columns that output_padding adds were filled with zeros; they hold sums of "
                "products.", lambda op, p, **a: _added_zeros(op, p, **a)),
        Mistake("output_padding_ignored", "The output_padding was ignored.",
                on(lambda op, p, **a: {"p": p.replace(output_padding=(0, 0))})),
        Mistake("stride_and_dilation_swapped", "The stride was used between kernel entries, and the dilation between "
                "kernels.", on(lambda op, p, **a: {"p": p.replace(stride=p.dilation, dilation=p.stride)})),
        Mistake("groups_shuffled", "The output channels of the groups are interleaved; those of a group stand "
                "together.",
                lambda op, p, *, weight, **a: _interleaved(p, op.forward(p, weight=weight, **a), weight)),
        Mistake("height_and_width_swapped", "Height and width were swapped in stride, padding or dilation.",
                on(lambda op, p, **a: {"p": p.replace(
                    **{name: p[name][::-1] for name in ("stride", "padding", "output_padding", "dilation")})})),
        Mistake("input_gradient_kernel_flipped",
                "The input gradient is conv2d of g with the unflipped weight; the kernel was "
                "flipped.", vjp=gradients_on(lambda op, p, **a: _flipped(op, p, **a), "input")),
        Mistake("weight_gradient_flipped", "The weight gradient came out flipped.",
                vjp=lambda op, p, g, **a: _changed(op.vjp(p, g, **a), "weight", lambda x: x[..., ::-1, ::-1])),
        Mistake("bias_gradient_averaged", "The bias gradient is the sum over images and positions, not the mean.",
                vjp=lambda op, p, g, **a: _changed(
                    op.vjp(p, g, **a), "bias", lambda x: x * len(x) / max(1, g.size))),
    )  # fmt: skip


def _axis(chooser: Chooser) -> tuple[int, ...]:
    """Size, kernel, stride, padding, output_padding and dilation of one dimension, with an output of one place at
    least."""
    size, kernel, stride, dilation = chooser.whole(1, 3), chooser.whole(1, 3), chooser.whole(1, 3), chooser.whole(1, 2)
    extra = min(chooser.whole(0, 1), max(stride, dilation) - 1)
    most = ((size - 1) * stride + dilation * (kernel - 1) + extra) // 2
    return size, kernel, stride, min(chooser.whole(0, 2), most), extra, dilation


def _changed(gradients: dict[str, Array], name: str, change: Callable[[Array], Array]) -> dict[str, Array]:
    return {**gradients, name: change(gradients[name])} if name in gradients else gradients


def _flipped(op: Any, p: Params, *, weight: Array, **a: Array) -> dict[str, Any]:
    return {"weight": weight[..., ::-1, ::-1]}


def _channels_swapped(p: Params, weight: Array) -> Array:
    """Where nobody is told by the shapes."""
    features = weight.shape[1]
    if weight.shape[0] // p.groups != features:
        return weight
    square = (p.groups, features, features, *weight.shape[2:])
    return weight.reshape(square).swapaxes(1, 2).reshape(weight.shape)


def _bias_laid(op: Any, p: Params, bias: Array | None, a: dict[str, Array]) -> Array:
    y: Array = op.forward(p, **a)
    ones = {name: np.ones(array.shape[-3:] if name == "input" else array.shape) for name, array in a.items()}
    products = op.forward(p, **ones) * p.groups / len(a["weight"])
    return y if bias is None else y + bias.reshape(-1, 1, 1) * products


def _overwritten(op: Any, p: Params, bias: Array | None = None, **a: Array) -> Array:
    """Only the last kernel that reaches a place is left there."""
    x, y = a["input"], np.zeros(())
    for h, w in np.ndindex(*x.shape[-2:]):
        one = np.zeros(x.shape)
        one[..., h, w] = x[..., h, w]
        reach = np.zeros(x.shape[-3:])
        reach[..., h, w] = 1.0
        here = op.forward(p, input=reach, weight=np.ones(a["weight"].shape)) != 0
        now = op.forward(p, input=one, weight=a["weight"])
        y = np.where(here, now, y)
    return y if bias is None else y + bias.reshape(-1, 1, 1)


def _added_before(op: Any, p: Params, **a: Array) -> Array:
    y: Array = op.forward(p, **a)
    return np.roll(y, p.output_padding, axis=(-2, -1))


def _added_zeros(op: Any, p: Params, bias: Array | None = None, **a: Array) -> Array:
    y: Array = op.forward(p, **a)
    rows, columns = (n - extra for n, extra in zip(y.shape[-2:], p.output_padding, strict=True))
    y[..., rows:, :] = 0.0
    y[..., columns:] = 0.0
    return y if bias is None else y + bias.reshape(-1, 1, 1)


def _interleaved(p: Params, y: Array, weight: Array) -> Array:
    shape = y.shape
    return y.reshape(*shape[:-3], p.groups, weight.shape[1], *shape[-2:]).swapaxes(-4, -3).reshape(shape)


OPS = (ConvTranspose2d(),)
