"""group_norm: the channels of each image, a group at a time, are brought to mean 0 and variance 1."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from opcheck.language import say
from opcheck.operators.choosers import Chooser
from opcheck.operators.normalisation import base
from opcheck.operators.normalisation.base import (
    ONE_PASS,
    RIGHT,
    Statistics,
    moments,
    on_channel,
    scale,
    standardised,
    weighted,
)
from opcheck.operators.params import REQUIRED, Whole
from opcheck.operators.program import Program
from opcheck.operators.spec import Array, Case, Closed, Input, Mistake, Output, Param, Params, Refused, Shape


def _by_group(p: Params, name: str, array: Array) -> Array:
    return array.reshape(array.shape[0] * p.num_groups, math.prod(array.shape[1:]) // p.num_groups)


def _by_channel(p: Params, name: str, array: Array) -> Array:
    return array[None] if array.ndim == 1 else array.reshape(1, *array.shape[:2], math.prod(array.shape[2:]))


def _unweighted(p: Params, shapes: Mapping[str, Shape]) -> Mapping[str, Any] | None:
    """n numbers a group, and ε, where no channel has a weight."""
    x = shapes["input"]
    return None if len(shapes) > 1 else {"n": math.prod(x[1:]) // p.num_groups, "ε": p.eps}


def _weighted(p: Params, shapes: Mapping[str, Shape]) -> Mapping[str, Any] | None:
    """m channels and d numbers a group, and ε, where they have."""
    x = shapes["input"]
    letters = {"m": x[1] // p.num_groups, "d": math.prod(x[1:]) // p.num_groups, "ε": p.eps}
    return letters if "weight" in shapes else None


# of image n and group q, to which m channels and d numbers belong
STATISTICS = "σ[n,q] = √((Σ_k Σ_j [⌊k/m⌋ = q]·(x[n,k,j] − μ[n,q])²)/d + ε), μ[n,q] = (Σ_k Σ_j [⌊k/m⌋ = q]·x[n,k,j])/d"


class GroupNorm(Program):
    """Channels that follow each other make a group. The statistics are those of one image, in training and evaluation.

    As torch has it, a single group of a single number in a batch of one is refused; other groups of one number give the
    bias.
    """

    name = "group_norm"
    taught = dict.fromkeys(("weight", "bias"), (True, False))
    aliases = ("nn.GroupNorm", "GroupNorm")
    summary = "each group of channels of each image gets mean 0 and variance 1"
    formula = "y[i] = w[i]·(x[i] − μ)/σ + b[i]   with μ = (1/n)·Σ_i x[i], σ = √((1/n)·Σ_i (x[i] − μ)² + ε)"
    closed = (
        Closed(
            "input",
            "x̄[i] = (ȳ[i] − (Σ_k ȳ[k])/n − h[i]·(Σ_k ȳ[k]·h[k])/n)/σ   with h[i] = (x[i] − μ)/σ, "
            "σ = √((Σ_k (x[k] − μ)²)/n + ε), μ = (Σ_k x[k])/n",
            _unweighted, _by_group,
        ),
        Closed(
            "input",
            "x̄[n,c,i] = (w[c]·ȳ[n,c,i] − A[n,⌊c/m⌋] − h[n,c,i]·B[n,⌊c/m⌋])/σ[n,⌊c/m⌋]   with "
            "A[n,q] = (Σ_k Σ_j [⌊k/m⌋ = q]·w[k]·ȳ[n,k,j])/d, B[n,q] = (Σ_k Σ_j [⌊k/m⌋ = q]·w[k]·ȳ[n,k,j]·h[n,k,j])/d, "
            f"h[n,k,j] = (x[n,k,j] − μ[n,⌊k/m⌋])/σ[n,⌊k/m⌋], {STATISTICS}",
            _weighted, _by_channel,
        ),
        Closed("weight", f"w̄[c] = Σ_n Σ_i ȳ[n,c,i]·(x[n,c,i] − μ[n,⌊c/m⌋])/σ[n,⌊c/m⌋]   with {STATISTICS}",
               _weighted, _by_channel),
        Closed("bias", "b̄[c] = Σ_n Σ_i ȳ[n,c,i]", rows=_by_channel),
    )  # fmt: skip
    source = "Wu and He, Group Normalization, arXiv:1803.08494, equations 1 to 4; torch.nn.functional.group_norm"
    example = "group_norm([[1, 3, 10, 30]], 2, eps=0)", "array([[-1.,  1., -1.,  1.]])"
    arguments = (
        Input("input", "x", "N C *", "images with any number of dimensions, or rows of C numbers"),
        Param("num_groups", REQUIRED, Whole(1), "how many groups the channels are split into", example=1),
        base.weight("C", "one factor for each channel"),
        base.bias("C", "one number for each channel, added at the end"),
        base.EPS,
    )
    outputs = (Output("output", "y", "N C *", upstream="squares"),)

    def shape(self, p: Params, shapes: Mapping[str, Shape]) -> dict[str, Shape]:
        x = shapes["input"]
        if len(x) < 2:
            raise Refused(say("input must have a batch and channels, (N, C, ...)"), got=say("input {x}", x=x))
        if x[1] % p.num_groups:
            raise Refused(say("num_groups must divide the {n} channels", n=x[1]), got=f"num_groups={p.num_groups}")
        if x[0] * x[1] // p.num_groups * int(np.prod(x[2:])) == 1:
            raise Refused(say("a group must have more than one number"), got=say("input {x}", x=x),
                          fix=say("use fewer groups"))  # fmt: skip
        for name in ("weight", "bias"):
            if shapes.get(name, x[1:2]) != x[1:2]:
                raise Refused(say("{name} must have one number for each of the {n} channels", name=name, n=x[1]),
                              got=say("{name} {shape}", name=name, shape=shapes[name]))  # fmt: skip
        return {"output": x}

    def default_shape(self, name: str, params: Mapping[str, Any], shapes: Mapping[str, Shape]) -> Shape:
        return (1, 2 * params.get("num_groups", 1), 2)

    def notes(self, p: Params, shapes: Mapping[str, Shape]) -> tuple[str, ...]:
        return (say("i runs over one group of channels of one image; each channel has one w and one b"),)

    def element(self, p: Params, at: Shape, *, input: Any, weight: Any = None, bias: Any = None) -> Any:
        n, c, *_ = at
        size = input.shape[1] // p.num_groups
        group = range(c - c % size, c - c % size + size)
        row = [(n, k, *place) for k in group for place in np.ndindex(*input.shape[2:])]
        return on_channel(standardised(input, at, row, p.eps), c, weight, bias)

    def program(self, p: Params, *, input: Any, weight: Any = None, bias: Any = None, form: Statistics = RIGHT) -> Any:
        n, channels, *sizes = input.shape
        x = input.reshape(n, p.num_groups, channels // p.num_groups, int(np.prod(sizes)))
        mean, variance = moments(x, (2, 3), form)
        w, b = (each if each is None else each.reshape(p.num_groups, -1, 1) for each in (weight, bias))
        return weighted(x, mean * form.centred, scale(variance, p.eps, form), w, b).reshape(input.shape)

    def sample(self, chooser: Chooser) -> Case:
        groups, size = chooser.choice((2, 1, 3)), chooser.choice((2, 3, 1, 4))
        lead = chooser.choice((2, 3, 0) if size == 1 else (2, 1, 3, 0))
        channels = groups * size
        arrays = {"input": chooser.array(lead, channels, *chooser.choice(((2,), (), (3, 2), (1,), (2, 1, 2))))}
        for name in chooser.choice((("weight", "bias"), (), ("weight",), ("bias",))):
            arrays[name] = chooser.array(channels)
        return Case(self.name, arrays, {"num_groups": groups, **chooser.choice(({}, {"eps": 0.5}, {"eps": 1e-3}))})

    forms = (ONE_PASS,)
    mistakes = (
        *base.MISTAKES,
        Mistake("statistics_of_each_channel",
                "Every channel was normalised separately; mean and variance are those of a group of "
                "channels.", lambda op, p, **a: op.program(p.replace(num_groups=a["input"].shape[1]), **a)),
        Mistake("statistics_of_all_channels", "All channels were normalised together, as layer_norm does.",
                lambda op, p, **a: op.program(p.replace(num_groups=1), **a)),
        Mistake("channels_interleaved", "Neighbouring channels form a group; here every num_groups-th channel was "
                                        "taken.",
                lambda op, p, input, **a: op.program(p, input=_dealt(input, p.num_groups), **a)),
        Mistake("statistics_of_the_batch", "Mean and variance were taken over the whole batch; each image has its own.",
                lambda op, p, **a: _of_the_batch(op, p, **a)),
    )  # fmt: skip


def _dealt(x: Array, groups: int) -> Array:
    return x.reshape(len(x), x.shape[1] // groups, groups, *x.shape[2:]).swapaxes(1, 2).reshape(x.shape)


def _of_the_batch(op: Any, p: Params, input: Array, **a: Array) -> Array:
    if not input.size:
        return input
    one = np.moveaxis(input, 0, -1)[None]
    return np.moveaxis(op.program(p, input=one, **a)[0], -1, 0)


OPS = (GroupNorm(),)
