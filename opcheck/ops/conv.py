"""conv1d and conv2d: a small weight slides over the input, and each place gives a dot product."""

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from opcheck import windows
from opcheck.choosers import Chooser
from opcheck.language import say
from opcheck.params import Choice, Either, Whole
from opcheck.spec import Array, Case, Input, Op, Output, Param, Params, Refused, Shape
from opcheck.trace import floor, named, total

PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


class Conv(Op):
    """The family; a subclass says how many spatial dimensions there are."""

    dims: int
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
            Param("stride", 1, Whole(1, dims), "places from one window to the next"),
            Param("padding", 0, Either(Choice(("same", "valid")), Whole(0, dims)), "places added on each side"),
            Param("dilation", 1, Whole(1, dims), "places from one kernel entry to the next"),
            Param("groups", 1, Whole(1), "channels are split into that many independent groups"),
            Param("padding_mode", "zeros", Choice(PADDING_MODES), "what stands in the padding", keyword_only=True),
        )
        cls.outputs = (Output("output", "y", f"N Cout {places}"),)

    # --- shapes -----------------------------------------------------------------------------------------------

    def shape(self, p: Params, shapes: Mapping[str, Shape]) -> dict[str, Shape]:
        x, w, b = shapes["input"], shapes["weight"], shapes.get("bias")
        dims = self.dims
        if len(w) != dims + 2 or len(x) not in (dims + 1, dims + 2):
            raise Refused(
                say("{op} takes {inputs} or {one} and {weights}", op=self.name, inputs=self.inputs[0].letters,
                    one=self.inputs[0].letters[2:], weights=self.inputs[1].letters),
                got=say("input {x} and weight {w}", x=x, w=w),
            )  # fmt: skip
        channels = x[-dims - 1]
        if w[1] * p.groups != channels:
            raise Refused(
                say("input channels must be groups times the second dimension of weight"),
                got=say("input {x}, weight {w} and groups={g}", x=x, w=w, g=p.groups),
                fix=say("weight is (Cout, Cin/groups, ...): {n} channels need {m} there", n=channels,
                        m=channels / p.groups),
            )  # fmt: skip
        if w[0] % p.groups or w[0] == 0:
            raise Refused(
                say("output channels must divide into groups"),
                got=say("weight {w} and groups={g}", w=w, g=p.groups),
            )
        if b is not None and b != w[:1]:
            raise Refused(say("bias must have one number for each output channel"), got=say("bias {b}", b=b))
        if p.padding == "same" and any(s != 1 for s in p.stride):
            raise Refused(say('padding="same" needs stride 1'), got=say("stride={s}", s=p.stride))
        if 0 in w[2:]:
            raise Refused(say("the kernel must have at least one place"), got=say("weight {w}", w=w))
        before, after = self.margins(p, w[2:])
        for k, size in enumerate(x[-dims:]):
            span = p.dilation[k] * (w[2 + k] - 1) + 1
            if size + before[k] + after[k] < span:
                raise Refused(
                    say("the kernel must fit into the padded input"),
                    got=say("{size} places with padding, and a kernel that spans {span} (dilation counted)",
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
        out = (
            windows.output_size(x[-dims + k], w[2 + k], p.stride[k], before[k], after[k], p.dilation[k])
            for k in range(dims)
        )
        return {"output": (*x[: -dims - 1], w[0], *out)}

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
        x, images = self._padded(p, input, weight)
        out = self._out(p, input, weight)
        view = windows.windows(x, weight.shape[2:], p.stride, p.dilation, out)
        letters = "xyzuvw"
        place, taps = letters[: self.dims], letters[3 : 3 + self.dims]
        view = view.reshape(x.shape[0], p.groups, -1, *view.shape[2:])
        w = weight.reshape(p.groups, -1, *weight.shape[1:])
        y: Array = np.einsum(f"ngc{place}{taps},goc{taps}->ngo{place}", view, w, optimize=True)
        y = y.reshape(x.shape[0], weight.shape[0], *out)
        if bias is not None:
            y = y + bias.reshape(-1, *[1] * self.dims)
        return y.reshape(*images, *y.shape[1:])

    def vjp(
        self, p: Params, cotangent: Array, *, input: Array, weight: Array, bias: Array | None = None
    ) -> dict[str, Array]:
        raise NotImplementedError

    def jvp(
        self, p: Params, tangents: dict[str, Array], *, input: Array, weight: Array, bias: Array | None = None
    ) -> Array:
        raise NotImplementedError

    def _out(self, p: Params, input: Array, weight: Array) -> Shape:
        return self.shape(p, {"input": input.shape, "weight": weight.shape})["output"][-self.dims :]

    def _padded(self, p: Params, input: Array, weight: Array) -> tuple[Array, Shape]:
        """The padded images with a batch dimension, and the batch dimensions that the caller gave."""
        images = input.shape[: -self.dims - 1]
        before, after = self.margins(p, weight.shape[2:])
        x = input if images else input[None]
        mode = {"zeros": "constant", "replicate": "edge", "circular": "wrap"}.get(p.padding_mode, p.padding_mode)
        return windows.pad(x, before, after, mode=mode), images

    # --- cases ------------------------------------------------------------------------------------------------

    def sample(self, chooser: Chooser) -> Case:
        raise NotImplementedError


def _inside(i: int, n: int, mode: str) -> int:
    """Where a place outside of 0..n-1 is read from (zeros: nowhere, it stays outside)."""
    if mode == "reflect":
        return -i if i < 0 else 2 * (n - 1) - i if i >= n else i
    if mode == "replicate":
        return min(max(i, 0), n - 1)
    return i % n if mode == "circular" else i


class Conv1d(Conv):
    name = "conv1d"
    dims = 1
    aliases = ("nn.Conv1d", "Conv1d")
    summary = "a kernel slides along the input; each place gives a dot product"
    formula = "y[n,o,i] = b[o] + Σ_c Σ_u x[n,c, i·s+u·d−p]·w[o,c,u]"


class Conv2d(Conv):
    name = "conv2d"
    dims = 2
    aliases = ("nn.Conv2d", "Conv2d")
    summary = "a kernel slides over the input; each place gives a dot product"
    formula = "y[n,o,i,j] = b[o] + Σ_c Σ_u Σ_v x[n,c, i·s+u·d−p, j·s+v·d−p]·w[o,c,u,v]"


OPS = (Conv1d(), Conv2d())
