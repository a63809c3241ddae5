"""Convolutions with a wrong gradient."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from opcheck.operators.convolution.mistakes.variants import bare, batched, flipped, gradients_on
from opcheck.operators.shared import windows
from opcheck.operators.spec import Array, Mistake, Params


def _cotangent_not_spread(op: Any, p: Params, *, cotangent: Array, **arrays: Array) -> dict[str, Any]:
    """At stride 1 there is room for more windows than there are; the rest of the cotangent is zero."""
    dense = p.replace(stride=(1,) * op.dims)
    wide = np.zeros((*cotangent.shape[: -op.dims], *op.output_sizes(dense, arrays["input"], arrays["weight"])))
    windows.crop(wide, (0,) * op.dims, cotangent.shape[-op.dims :])[...] = cotangent
    return {"p": dense, "cotangent": wide}


def _channels_not_swapped(op: Any, p: Params, *, weight: Array, **_: Any) -> dict[str, Any]:
    grouped = weight.reshape(p.groups, len(weight) // p.groups, *weight.shape[1:])
    square = grouped.shape[1] == grouped.shape[2]
    return {"weight": grouped.swapaxes(1, 2).reshape(weight.shape)} if square else {}


def _last_image(op: Any, p: Params, *, cotangent: Array, **_: Any) -> dict[str, Any]:
    last = np.zeros(cotangent.shape)
    batched(op, last)[-1:] = batched(op, cotangent)[-1:]
    return {"cotangent": last}


def _last_place(op: Any, p: Params, *, cotangent: Array, **_: Any) -> dict[str, Any]:
    last = np.zeros(cotangent.shape)
    corner: Any = (..., *[slice(-1, None)] * op.dims)
    last[corner] = cotangent[corner]
    return {"cotangent": last}


def _last_product(op: Any, p: Params, *, cotangent: Array, **_: Any) -> dict[str, Any]:
    """The last place of the last image: what loops over both leave where they write =."""
    return _last_place(op, p, **_last_image(op, p, cotangent=cotangent))


def _scaled(name: str, factor: Callable[..., float]) -> Callable[..., dict[str, Array]]:
    def vjp(op: Any, p: Params, cotangent: Array, **arrays: Array) -> dict[str, Array]:
        gradients: dict[str, Array] = op.vjp(p, cotangent, **arrays)
        if name in gradients:
            gradients[name] = gradients[name] * factor(op, cotangent)
        return gradients

    return vjp


def _weight_gradient_flipped(op: Any, p: Params, cotangent: Array, **arrays: Array) -> dict[str, Array]:
    gradients: dict[str, Array] = op.vjp(p, cotangent, **arrays)
    return {**gradients, "weight": flipped(op, gradients["weight"])}


def _overwritten(op: Any, p: Params, cotangent: Array, *, input: Array, weight: Array, **rest: Array) -> Any:
    """The input gradient of one output place at a time; each replaces what was there."""
    right = op.vjp(p, cotangent, input=input, weight=weight, **rest)
    wrong = np.zeros(input.shape)
    for place in itertools.product(*map(range, cotangent.shape[-op.dims :])):
        here: Any = (..., *place)
        one = np.zeros(cotangent.shape)
        one[here] = 1.0
        reached = op.vjp(p, one, input=input, weight=np.ones(weight.shape))["input"] != 0
        one[here] = cotangent[here]
        wrong[reached] = op.vjp(p, one, input=input, weight=weight)["input"][reached]
    return {**right, "input": wrong}


def _overwritten_by_features(op: Any, p: Params, cotangent: Array, **arrays: Array) -> Any:
    """Each output channel of a group replaces what the channels before it gave."""
    last = batched(op, np.array(cotangent)).reshape(
        -1, p.groups, len(arrays["weight"]) // p.groups, *cotangent.shape[-op.dims :]
    )
    last[:, :, :-1] = 0
    wrong = _overwritten(op, p, last.reshape(cotangent.shape), **arrays)
    return {**op.vjp(p, cotangent, **arrays), "input": wrong["input"]}


def _padding_kept(op: Any, p: Params, cotangent: Array, *, input: Array, weight: Array, **rest: Array) -> Any:
    before, after = op.margins(p, weight.shape[2:])
    padded = windows.pad(input, before, after, mode=p.padding_mode)
    wrong = op.vjp(bare(op, p), cotangent, input=padded, weight=weight)
    return {**op.vjp(p, cotangent, input=input, weight=weight, **rest), "input": wrong["input"]}


def _cropped_to_nothing(op: Any, p: Params, cotangent: Array, **arrays: Array) -> dict[str, Array]:
    kept = _padding_kept(op, p, cotangent, **arrays)
    margins = zip(*op.margins(p, arrays["weight"].shape[2:]), strict=True)
    places: Any = (..., *(slice(before, -after) for before, after in margins))
    return {**kept, "input": kept["input"][places]}


GRADIENTS = (
    Mistake(
        "input_gradient_kernel_not_flipped",
        "The input gradient used the kernel as it is; in the backward pass it is flipped.",
        vjp=gradients_on(lambda op, p, *, weight, **_: {"weight": flipped(op, weight)}, "input"),
    ),
    Mistake(
        "input_gradient_channels_not_swapped",
        "The input gradient summed over the weight's input channels; it sums over the output channels.",
        vjp=gradients_on(_channels_not_swapped, "input"),
    ),
    Mistake(
        "input_gradient_stride_ignored",
        "The output gradient was not spread out by the stride before the kernel was applied.",
        vjp=gradients_on(_cotangent_not_spread, "input"),
    ),
    Mistake(
        "weight_gradient_stride_ignored",
        "The weight gradient read the input at stride 1.",
        vjp=gradients_on(_cotangent_not_spread, "weight"),
    ),
    Mistake(
        "input_gradient_overwritten",
        "Where windows overlap, the input gradient kept only the last contribution: use += instead of =.",
        vjp=_overwritten,
    ),
    Mistake(
        "input_gradient_of_the_last_feature",
        "The input gradient was overwritten by every output channel and position: use += instead of =.",
        vjp=_overwritten_by_features,
    ),
    Mistake(
        "padding_kept_in_input_gradient",
        "The input gradient still has the padding on it; crop it to the input.",
        vjp=_padding_kept,
    ),
    Mistake(
        "input_gradient_cropped_to_nothing",
        "The padding was cropped by [p:-p], which is empty where p is 0.",
        vjp=_cropped_to_nothing,
    ),
    Mistake(
        "weight_gradient_of_the_last_image",
        "The weight gradient was overwritten by every image of the batch: use += instead of =.",
        vjp=gradients_on(_last_image, "weight"),
    ),
    Mistake(
        "weight_gradient_of_the_last_place",
        "The weight gradient was overwritten at every output position: use += instead of =.",
        vjp=gradients_on(_last_place, "weight"),
    ),
    Mistake(
        "weight_gradient_of_the_last_product",
        "The weight gradient was overwritten by every image and position: use += instead of =.",
        vjp=gradients_on(_last_product, "weight"),
    ),
    Mistake("weight_gradient_flipped", "The weight gradient was flipped.", vjp=_weight_gradient_flipped),
    Mistake(
        "weight_gradient_divided_by_batch",
        "The weight gradient was divided by the batch size; averaging is up to the loss, not the layer.",
        vjp=_scaled("weight", lambda op, cotangent: 1 / max(1, len(batched(op, cotangent)))),
    ),
    Mistake(
        "bias_gradient_of_the_last_image",
        "The bias gradient was overwritten by every image of the batch: use += instead of =.",
        vjp=gradients_on(_last_image, "bias"),
    ),
    Mistake(
        "bias_gradient_averaged",
        "The bias gradient was averaged over the output positions; it is their sum.",
        vjp=_scaled("bias", lambda op, cotangent: 1 / max(1, int(np.prod(cotangent.shape[-op.dims :])))),
    ),
)
