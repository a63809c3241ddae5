"""Convolutions with a wrong output."""

from collections.abc import Callable
from typing import Any

import numpy as np

from opcheck.operators.convolution.mistakes.variants import bare, batched, flipped, on
from opcheck.operators.shared import windows
from opcheck.operators.spec import Array, Mistake, Params, Shape


def _with_params(**changes: Callable[[Any], Any]) -> Callable[..., Any]:
    """The right forward with other parameters: stride=lambda stride: (1, 1)."""
    return on(lambda op, p, **_: {"p": p.replace(**{name: change(p[name]) for name, change in changes.items()})})


def _ones(values: Shape) -> Shape:
    return (1,) * len(values)


def _swapped(values: Any) -> Any:
    return values if isinstance(values, str) else values[::-1]  # "same" and "valid" stay


def _padded_on_one_side(before: bool) -> Callable[..., Any]:
    def change(op: Any, p: Params, *, input: Array, weight: Array, **_: Any) -> dict[str, Any]:
        widths, none = [sum(pair) for pair in zip(*op.margins(p, weight.shape[2:]), strict=True)], (0,) * op.dims
        padded = windows.pad(input, widths, none) if before else windows.pad(input, none, widths)
        return {"p": bare(op, p), "input": padded}

    return on(change)


def _odd_place_before(op: Any, p: Params, *, input: Array, weight: Array, **_: Any) -> dict[str, Any]:
    before, after = op.margins(p, weight.shape[2:])
    padded = windows.pad(input, after, before, mode=p.padding_mode)
    return {"p": bare(op, p), "input": padded}


def _edge_repeated(op: Any, p: Params, *, input: Array, weight: Array, **_: Any) -> dict[str, Any]:
    if p.padding_mode != "reflect":
        return {}
    margins = list(zip(*op.margins(p, weight.shape[2:]), strict=True))
    widths = [(0, 0)] * (input.ndim - op.dims) + margins
    return {"p": bare(op, p), "input": np.pad(input, widths, mode="symmetric")}


def _groups_read_the_first(op: Any, p: Params, *, input: Array, weight: Array, **_: Any) -> dict[str, Any]:
    channels: Any = (..., slice(weight.shape[1]), *[slice(None)] * op.dims)
    return {"p": p.replace(groups=1), "input": input[channels]}


def _channels_interleaved(op: Any, p: Params, *, input: Array, weight: Array, **_: Any) -> dict[str, Any]:
    order = np.arange(input.shape[-op.dims - 1]).reshape(weight.shape[1], p.groups).T.ravel()
    return {"input": np.take(input, order, axis=-op.dims - 1)}


def _first_channel_only(op: Any, p: Params, *, weight: Array, **_: Any) -> dict[str, Any]:
    first = np.zeros(weight.shape)
    first[:, :1] = weight[:, :1]
    return {"weight": first}


def _bias_times(count: Callable[[Shape], int]) -> Callable[..., Any]:
    return on(lambda op, p, *, weight, bias=None, **_: {} if bias is None else {"bias": bias * count(weight.shape[1:])})


def _windows_side_by_side(op: Any, p: Params, **arrays: Array) -> Array:
    """The first places of the output at stride 1."""
    dense: Array = op.forward(p.replace(stride=(1,) * op.dims), **arrays)
    return windows.crop(dense, (0,) * op.dims, op.output_sizes(p, arrays["input"], arrays["weight"]))


def _first_image_only(op: Any, p: Params, **arrays: Array) -> Array:
    right: Array = op.forward(p, **arrays)
    first = np.zeros(right.shape)
    batched(op, first)[:1] = batched(op, right)[:1]
    return first


def _one_less(op: Any, p: Params, **arrays: Array) -> Array:
    result: Array = op.forward(p, **arrays)
    return windows.crop(result, (0,) * op.dims, [max(0, n - 1) for n in result.shape[-op.dims :]])


def _one_more(op: Any, p: Params, **arrays: Array) -> Array:
    result: Array = op.forward(p, **arrays)
    return np.pad(result, [(0, 0)] * (result.ndim - op.dims) + [(0, 1)] * op.dims)


def _last_skipped(op: Any, p: Params, **arrays: Array) -> Array:
    result: Array = op.forward(p, **arrays)
    reached, stopped = [max(0, n - 1) for n in result.shape[-op.dims :]], np.zeros(result.shape)
    windows.crop(stopped, (0,) * op.dims, reached)[...] = windows.crop(result, (0,) * op.dims, reached)
    return stopped


def _height_for_width(op: Any, p: Params, **arrays: Array) -> Array:
    """As many columns as a square kernel would have; missing columns stay zero."""
    result: Array = op.forward(p, **arrays)
    weight = arrays["weight"]
    square = np.zeros((*weight.shape[:-1], weight.shape[-2]))
    columns = op.output_sizes(p, arrays["input"], square)[-1]
    made = np.zeros((*result.shape[:-1], max(columns, 0)))
    common = min(columns, result.shape[-1])
    made[..., :common] = result[..., :common]
    return made


def _size_without_padding(op: Any, p: Params, **arrays: Array) -> Array:
    result: Array = op.forward(p, **arrays)
    sizes = op.output_sizes(bare(op, p), arrays["input"], arrays["weight"])
    return windows.crop(result, (0,) * op.dims, sizes)


def _loop_ended_early(op: Any, p: Params, **arrays: Array) -> Array:
    result: Array = op.forward(p, **arrays)
    reached = [-(-n // s) for n, s in zip(result.shape[-op.dims :], p.stride, strict=True)]
    stopped = np.zeros(result.shape)
    windows.crop(stopped, (0,) * op.dims, reached)[...] = windows.crop(result, (0,) * op.dims, reached)
    return stopped


def _reshaped(op: Any, p: Params, **arrays: Array) -> Array:
    y = op.forward(p, **arrays)
    return batched(op, y).swapaxes(0, 1).reshape(y.shape)


def _transposed(gradients: dict[str, Array], name: str) -> dict[str, Array]:
    return {**gradients, name: gradients[name].swapaxes(-1, -2)}


OUTPUTS = (
    Mistake(
        "kernel_flipped",
        "The kernel was flipped, as convolution does in mathematics; layers compute the cross-correlation.",
        forward=on(lambda op, p, *, weight, **_: {"weight": flipped(op, weight)}),
    ),
    Mistake(
        "padding_ignored",
        "The input was not padded.",
        forward=on(lambda op, p, **_: {"p": bare(op, p)}),
    ),
    Mistake(
        "padding_before_only",
        "All of the padding was put before the input; half of it belongs after.",
        forward=_padded_on_one_side(before=True),
    ),
    Mistake(
        "padding_after_only",
        "All of the padding was put after the input; half of it belongs before.",
        forward=_padded_on_one_side(before=False),
    ),
    Mistake(
        "same_padding_odd_place_before",
        'With padding="same" the extra position was put before the input; torch puts it after.',
        forward=on(_odd_place_before),
    ),
    Mistake(
        "padding_mode_ignored",
        "The padding was filled with zeros, whatever padding_mode says.",
        forward=_with_params(padding_mode=lambda mode: "zeros"),
    ),
    Mistake(
        "reflection_repeats_the_edge",
        "The reflection repeated the edge; padding_mode reflect starts one position further in.",
        forward=on(_edge_repeated),
    ),
    Mistake("stride_ignored", "The stride was ignored.", forward=_with_params(stride=_ones)),
    Mistake(
        "windows_side_by_side",
        "The windows are one position apart; each should start one stride after the one before.",
        forward=_windows_side_by_side,
    ),
    Mistake("dilation_ignored", "The dilation was ignored.", forward=_with_params(dilation=_ones)),
    Mistake(
        "groups_read_the_first_channels",
        "Every group read the channels of the first group.",
        forward=on(_groups_read_the_first),
    ),
    Mistake(
        "channels_interleaved_between_groups",
        "Channels were dealt to the groups in turn; a group is a run of neighbouring channels.",
        forward=on(_channels_interleaved),
    ),
    Mistake(
        "first_channel_only",
        "Only the first input channel was read: the sum over the channels is missing.",
        forward=on(_first_channel_only),
    ),
    Mistake(
        "bias_missing",
        "The bias was not added.",
        forward=on(lambda op, p, *, bias=None, **_: {} if bias is None else {"bias": np.zeros(bias.shape)}),
    ),
    Mistake(
        "bias_added_to_every_product",
        "The bias was added to every product; it is added once to their sum.",
        forward=_bias_times(lambda kernel: int(np.prod(kernel))),
    ),
    Mistake(
        "bias_added_for_every_channel",
        "The bias was added once for every input channel; it is added once to the sum over them.",
        forward=_bias_times(lambda kernel: kernel[0]),
    ),
    Mistake(
        "output_one_short",
        "The last row and column are missing: the output size ends in + 1.",
        forward=_one_less,
    ),
    Mistake(
        "output_one_too_long",
        "There is a last row or column too many: the output size is floor((n − k) / s) + 1, with the padding in n.",
        forward=_one_more,
    ),
    Mistake(
        "last_places_skipped",
        "The last row and column of the output stayed zero: the loop ends one place too early.",
        forward=_last_skipped,
    ),
    Mistake(
        "output_size_without_padding",
        "The output size was computed from the input without its padding.",
        forward=_size_without_padding,
    ),
    Mistake(
        "loop_ends_early",
        "The loop bound was divided by the stride once more, so the last outputs stayed zero.",
        forward=_loop_ended_early,
    ),
    Mistake(
        "first_image_only",
        "Only the first image of the batch was computed; the others stayed zero.",
        forward=_first_image_only,
    ),
    Mistake(
        "reshaped_where_a_transpose_is_due",
        "The product of shape (Cout, N, ...) was reshaped to (N, Cout, ...); its first two axes must be swapped.",
        forward=_reshaped,
    ),
)

HEIGHT_AND_WIDTH = (
    Mistake(
        "kernel_height_for_width",
        "The number of columns was computed with the kernel's height; it needs its width.",
        forward=_height_for_width,
    ),
    Mistake(
        "input_gradient_transposed",
        "Height and width of the input gradient were swapped.",
        vjp=lambda op, p, g, **a: _transposed(op.vjp(p, g, **a), "input"),
    ),
    Mistake(
        "weight_gradient_transposed",
        "Height and width of the weight gradient were swapped.",
        vjp=lambda op, p, g, **a: _transposed(op.vjp(p, g, **a), "weight"),
    ),
    Mistake(
        "kernel_transposed",
        "The kernel's height and width were swapped.",
        forward=on(lambda op, p, *, weight, **_: {"weight": weight.swapaxes(-1, -2)}),
    ),
    Mistake("strides_swapped", "The strides of height and width were swapped.", forward=_with_params(stride=_swapped)),
    Mistake(
        "paddings_swapped", "The paddings of height and width were swapped.", forward=_with_params(padding=_swapped)
    ),
    Mistake(
        "dilations_swapped",
        "The dilations of height and width were swapped.",
        forward=_with_params(dilation=_swapped),
    ),
    Mistake(
        "output_transposed",
        "Height and width of the output were swapped.",
        forward=lambda op, p, **arrays: op.forward(p, **arrays).swapaxes(-1, -2),
    ),
)
