"""coursera (DeepLearning.AI): functions in pairs with a cache, NHWC, kernels as (f, f, Cin, Cout), numpy.

    Z, cache = conv_forward(A_prev, W, b, {"stride": 2, "pad": 1})     b (1, 1, 1, Cout)
    dA_prev, dW, db = conv_backward(dZ, cache)
    A, cache = pool_forward(A_prev, {"f": 2, "stride": 2}, mode="max")   dA_prev = pool_backward(dA, cache, mode="max")
    Z, cache = linear_forward(A, W, b)                                  examples are columns: A (In, m), W (Out, In)
    dA_prev, dW, db = linear_backward(dZ, cache)                        dW and db are divided by m
    A, cache = relu(Z)   dZ = relu_backward(dA, cache)                  sigmoid, softmax (of columns)

The course's mask of a pool marks every place that equals the maximum, so ties are not asked.
"""

from collections.abc import Sequence
from typing import Any

from opcheck.grading.conventions import coursera_later, sentences
from opcheck.grading.conventions.base import (
    Convention,
    Cotangent,
    Entry,
    Plan,
    Reading,
    Request,
    is_function,
    only,
    power_of_two,
    several,
    whole,
)
from opcheck.grading.conventions.layouts import (
    CHANNELS_LAST,
    COLUMN,
    COLUMN_OF_COLUMNS,
    FOUR,
    KERNEL_LAST,
    SAME,
    TRANSPOSED,
    Layout,
    scaled,
)
from opcheck.operators.spec import Op
from opcheck.sandbox import Call, Definition, Place

_POOLS = {"max_pool2d": "max", "avg_pool2d": "average"}


def call(r: Request) -> Plan:
    if r.op.name in coursera_later.ENTRIES:
        return coursera_later.call(r)
    args: list[Any] = [r.array("input", _images(r))]
    keywords = {}
    if r.op.name == "linear":
        args += [r.array("weight"), r.array("bias", COLUMN)]
    elif r.op.name == "conv2d":
        args += [r.array("weight", KERNEL_LAST), r.array("bias", FOUR)]
        args.append({"stride": r.one("stride"), "pad": r.one("padding")})
    elif r.op.name in _POOLS:
        args.append({"f": r.one("kernel_size"), "stride": r.one("stride")})
        keywords = {"mode": _POOLS[r.op.name]}
    return Plan([Call(r.forward, args, keywords, keep="out")], {"output": Reading(_output(r), _images(r))})


def gradients(r: Request, cotangent: Cotangent) -> Plan:
    if r.op.name in coursera_later.ENTRIES:
        return coursera_later.gradients(r, cotangent)
    keywords = {"mode": _POOLS[r.op.name]} if r.op.name in _POOLS else {}
    args: list[Any] = [r.sent(cotangent["output"], _images(r)), Place("out[1]")]
    steps = [Call(r.backward, args, keywords, keep="gradients")]
    if r.op.name == "linear":
        by = 1 / len(r.case.arrays["input"])
        return Plan(steps, {
            "input": Reading("gradients[0]", TRANSPOSED),
            "weight": Reading("gradients[1]", scaled(by)),
            "bias": Reading("gradients[2]", scaled(by, COLUMN_OF_COLUMNS)),
        })  # fmt: skip
    if r.op.name == "conv2d":
        return Plan(steps, {
            "input": Reading("gradients[0]", CHANNELS_LAST),
            "weight": Reading("gradients[1]", KERNEL_LAST),
            "bias": Reading("gradients[2]", FOUR),
        })  # fmt: skip
    return Plan(steps, {"input": Reading("gradients", _images(r))})


def _output(r: Request) -> str | tuple[str, ...]:
    """The first of two results; some return a softmax alone."""
    return ("out", "out[0]") if r.op.name == "softmax" else "out[0]"


def _images(r: Request) -> Layout:
    if r.op.name in ("linear", "softmax"):
        return TRANSPOSED
    return SAME if r.op.name in ("relu", "sigmoid") else CHANNELS_LAST


def fits(op: Op, found: Definition, beside: Sequence[Definition]) -> bool:
    """Whose softmax is one of columns: only the course's own, which stands beside others of its functions or says Z."""
    if op.name != "softmax":
        return is_function(op, found)
    own = {name for entries in CONVENTION.entries.values() for entry in several(entries) for name in entry.forward}
    others = own - {"relu", "sigmoid", "softmax"} | {"rnn_cell_forward", "linear_activation_forward", "softmax_forward"}
    named = [each.name for each in found.parameters[:1]] == ["Z"]
    return is_function(op, found) and (named or any(each.name in others for each in beside))


_POOL = {"kernel_size": whole, "stride": whole, "padding": only(0), "dilation": only(1), "ceil_mode": only(False),
         "return_indices": only(False), "ties": only(False), "count_include_pad": only(True),
         "divisor_override": only(None)}  # fmt: skip
CONVENTION = Convention(
    "coursera",
    "DeepLearning.AI on Coursera: pairs of functions with a cache, NHWC",
    {
        **coursera_later.ENTRIES,
        "linear": Entry(("linear_forward",), ("linear_backward",), {"bias": only(True), "batch": power_of_two}),
        "relu": Entry(("relu",), ("relu_backward",)),
        "sigmoid": Entry(("sigmoid",), ("sigmoid_backward",)),
        "softmax": Entry(("softmax",), ("softmax_backward",), {"dim": only(1)}),
        "conv2d": Entry(
            ("conv_forward",),
            ("conv_backward",),
            {"kernel_size": whole, "stride": whole, "padding": whole, "dilation": only(1), "groups": only(1),
             "bias": only(True)},
        ),
        "max_pool2d": Entry(("pool_forward",), ("pool_backward",), _POOL),
        "avg_pool2d": Entry(("pool_forward",), ("pool_backward",), _POOL),
    },
    call,
    gradients,
    repeats=True,
    sentences=sentences.COLUMNS,
    fits=fits,
)  # fmt: skip
