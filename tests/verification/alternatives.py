"""Correct implementations that are computed another way: other orders of summation, other forms of one operator.

None of them may ever be accused. `orders_of(op)` gives, for every operator, its definition computed in the type of its
inputs, one rounding an operation, outputs, gradients and tangents, with the sums in one of several orders. `forms()`
gives the forms that libraries compute convolutions, products and means in.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from opcheck.operators import catalog
from opcheck.operators.spec import Op
from opcheck.tracing import FLOATS, TRACED, Tracer, View, forward, reverse, values
from opcheck.verification.mutation.reference_form import Reference
from opcheck.verification.truth.adjudication import Short, TooLong
from opcheck.verification.truth.definition import Definition, places

Sum = Callable[[Any], Any]  # terms along the last axis -> their sum, in the type of the terms


def reversed_order(terms):
    return in_order(terms[..., ::-1])


def in_order(terms):
    """One after the other, in the type of the terms."""
    total = np.zeros(terms.shape[:-1], terms.dtype)
    for k in range(terms.shape[-1]):
        total = (total + terms[..., k]).astype(terms.dtype)
    return total


def pairwise(terms):
    while terms.shape[-1] > 1:
        odd = terms[..., -1:] if terms.shape[-1] % 2 else terms[..., :0]
        even = terms[..., : terms.shape[-1] // 2 * 2]
        terms = np.concatenate([even[..., ::2] + even[..., 1::2], odd], axis=-1)
    return in_order(terms)


def blocked(terms):
    parts = [in_order(terms[..., k : k + 8]) for k in range(0, max(terms.shape[-1], 1), 8)]
    return in_order(np.stack(parts, axis=-1))


def shuffled(terms):
    return in_order(terms[..., np.random.default_rng(terms.shape[-1]).permutation(terms.shape[-1])])


def widened(terms):
    return terms.astype(np.float64).sum(axis=-1).astype(terms.dtype)


ORDERS: tuple[Sum, ...] = (reversed_order, in_order, pairwise, blocked, shuffled, widened)


class Alternative(NamedTuple):
    """A correct implementation: of which operator, what it is called, the numpy function, what it has."""

    op: str
    name: str
    function: Any
    claims: tuple[str, ...]


# --- every operator ---------------------------------------------------------------------------------------------------


class InOrder(Reference):
    """An operator's definition in the type of its inputs: every operation is rounded, sums are in one order.

    Calls of more than `most` nodes are left out (and counted): the few largest would take nearly all of the time.
    """

    def __init__(self, op: Op, order: Sum, most: float = math.inf) -> None:
        super().__init__(op)
        self.order, self.most = order, most
        self.__name__ = self.__qualname__ = f"{op.name}_{order.__name__}"

    def __call__(self, *args, **options):
        definition, dtype = self._traced(args, options)
        return self._outputs(definition, dtype, self._nodes(definition))

    def vjp(self, cotangent, *args, **options):
        definition, dtype = self._traced(args, options)
        given = cotangent if isinstance(cotangent, Mapping) else {next(iter(self._nodes(definition))): cotangent}
        nodes, seeds = self._nodes(definition), {}
        leaves = {
            name: [view[at].id for at in places(view.shape)]
            for name, view in definition.views.items()
            if isinstance(view, View) and self.op.input(name).differentiable
        }
        for name, each in given.items():
            for node, share in zip(nodes[name], np.asarray(each).ravel().tolist(), strict=True):
                leaf = definition.tape.input("cotangent", share)
                seeds[node.id] = seeds[node.id] + leaf if node.id in seeds else leaf
        tape = definition.tape
        adjoints = reverse(definition.graph(), seeds, tape.tracers(), TRACED, values(definition.graph()))
        rows = {name: [adjoints[id] for id in ids] for name, ids in leaves.items()}
        return self._arrays(definition, dtype, rows, {name: definition.views[name].shape for name in leaves})

    def jvp(self, tangents, *args, **options):
        definition, dtype = self._traced(args, options)
        nodes, tape = self._nodes(definition), definition.tape
        seeds = {
            id: tape.input("tangent", float(tangents[leaf.label][leaf.at]))
            for id, leaf in enumerate(list(tape.nodes))
            if leaf.op == "input" and leaf.label in tangents
        }
        moved = forward(definition.graph(), seeds, tape.tracers(), TRACED, values(definition.graph()))
        rows = {n: [moved[node.id] for node in row] for n, row in nodes.items()}
        results = tuple(self._arrays(definition, dtype, rows, definition.shapes).values())
        return results[0] if len(results) == 1 else results

    def _traced(self, args, options):
        case, dtype = self._case(args, options)
        case = self.op.completed(case)
        if self.most < math.inf and self._is_long(case):
            raise NotImplementedError("calls of so many operations")
        return Definition(self.op, case), np.dtype(dtype)

    def _is_long(self, case):
        if sum(array.size for array in case.arrays.values()) > self.most:  # each is a node, whatever is made of it
            return True
        try:
            return Definition(self.op, case, Short(self.most)).size() > self.most
        except TooLong:
            return True

    def _nodes(self, definition):
        """The node of each element of each real output."""
        return {
            each.name: [definition.node(each.name, at) for at in places(definition.shapes[each.name])]
            for each in self.op.outputs
            if each.differentiable and each.name in definition.shapes
        }

    def _outputs(self, definition, dtype, rows):
        found = self._arrays(definition, dtype, rows, definition.shapes)
        whole = self.op.by_name(self.op.forward(definition.p, **definition.case.arrays), definition.shapes)
        results = [found.get(name, whole[name]) for name in definition.shapes]
        return results[0] if len(results) == 1 else tuple(results)

    def _arrays(self, definition, dtype, rows, shapes):
        numbers = self._computed(definition.graph(), dtype)

        def number(node):
            return 0.0 if node is None else numbers[node.id] if isinstance(node, Tracer) else node

        return {n: np.array([number(x) for x in row], dtype=dtype).reshape(shapes[n]) for n, row in rows.items()}

    def _computed(self, graph, dtype):
        def apply(node, args):
            if node.op == "sum":
                return float(self.order(np.array(args, dtype=dtype)))
            return float(dtype.type(FLOATS.functions[node.op](*args)))

        with np.errstate(all="ignore"):
            return graph.fold(lambda node: float(dtype.type(node.value)), apply)


def orders_of(op: Op, most: float = math.inf) -> Iterator[Alternative]:
    """Its definition in every order of summation; each operation is rounded to the type of the inputs. `most`: of
    InOrder."""
    for order in ORDERS:
        yield Alternative(op.name, order.__name__, InOrder(op, order, most), ("values", "vjp", "jvp"))


# --- other forms ------------------------------------------------------------------------------------------------------


def linear(order: Sum) -> Callable[..., Any]:
    def function(x, weight, bias=None):
        if bias is not None and bias.shape != weight.shape[:-1]:
            raise ValueError("bias has one number for each row")
        rows = weight.reshape(-1, weight.shape[-1])
        y = order(x[..., None, :] * rows).astype(x.dtype).reshape(x.shape[:-1] + weight.shape[:-1])
        return y if bias is None else (y + bias).astype(x.dtype)

    return function


def convolution(dims: int, form: str, order: Sum = in_order) -> Callable[..., Any]:
    """im2col: a matrix of windows times a matrix of kernels; einsum: numpy's; direct: one tap after the other."""

    def function(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
        if x.ndim == dims + 1:
            return function(x[None], weight, bias, stride, padding, dilation, groups)[0]
        stride, dilation, kernel = each_axis(stride, dims), each_axis(dilation, dims), weight.shape[2:]
        windows = windows_of(padded(x, padding, kernel, dilation, dims), kernel, stride, dilation, dims)
        parts = [
            product(part, weights, form, order, dims).astype(x.dtype)
            for part, weights in zip(np.split(windows, groups, 1), np.split(weight, groups), strict=True)
        ]
        y = np.concatenate(parts, axis=1)
        return y if bias is None else (y + bias.reshape(-1, *[1] * dims)).astype(x.dtype)

    return function


def product(windows, weight, form, order, dims):
    """Windows (N, C, out..., kernel...) times kernels (O, C, kernel...): (N, O, out...)."""
    out, axes = "ij"[:dims], "uv"[:dims]
    if form == "einsum":
        return np.einsum(f"nc{out}{axes},oc{axes}->no{out}", windows, weight)
    columns = np.moveaxis(windows, 1, 1 + dims).reshape(len(windows), *windows.shape[2 : 2 + dims], weight[0].size)
    if form == "im2col":
        return order(columns[:, None] * weight.reshape(1, len(weight), *[1] * dims, -1))
    total = np.zeros((len(windows), len(weight), *windows.shape[2 : 2 + dims]), windows.dtype)
    for tap in range(columns.shape[-1]):
        total = total + columns[:, None, ..., tap] * weight.reshape(len(weight), -1)[:, tap].reshape(1, -1, *[1] * dims)
    return total


def padded(x, padding, kernel, dilation, dims):
    if padding == "valid":
        padding = 0
    if padding == "same":
        total = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        margins = [(t // 2, t - t // 2) for t in total]
    else:
        margins = [(p, p) for p in each_axis(padding, dims)]
    return np.pad(x, [(0, 0), (0, 0), *margins])


def windows_of(x, kernel, stride, dilation, dims):
    axes = tuple(range(2, 2 + dims))
    wide = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    view = np.lib.stride_tricks.sliding_window_view(x, wide, axes)
    steps = [slice(None, None, s) for s in stride]
    return view[(slice(None), slice(None), *steps, *[slice(None, None, d) for d in dilation])]


def each_axis(value, dims):
    numbers = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    return numbers * dims if len(numbers) == 1 else numbers


def mean_square(order: Sum) -> Callable[..., Any]:
    def function(x, target, weight=None, reduction="mean"):
        x, target = np.broadcast_arrays(x, target)
        squares = (x - target) * (x - target)
        if weight is not None:
            raise NotImplementedError("weight")
        if reduction == "none":
            return np.array(squares)
        total = order(squares.reshape(-1))
        return np.asarray(total if reduction == "sum" else total / x.dtype.type(squares.size))

    return function


def softmax(order: Sum) -> Callable[..., Any]:
    def function(x, dim=None):
        if dim is None:
            raise NotImplementedError("the dimension that torch chooses")
        if x.ndim == 0 or not x.size:
            return np.exp(x - x)  # 1, and NaN where there is no number
        e = np.moveaxis(np.exp(x - x.max(axis=dim, keepdims=True)), dim, -1)
        return np.moveaxis(e / order(e)[..., None], -1, dim).astype(x.dtype)

    return function


def forms() -> Iterator[Alternative]:
    """The forms that libraries compute in, each in every order where it has a sum of its own."""
    numbers = ("dtype", "values", "layout", "pure", "repeat")
    for order in ORDERS:
        yield Alternative("linear", f"rows {order.__name__}", linear(order), numbers)
        yield Alternative("mse_loss", f"flat {order.__name__}", mean_square(order), numbers)
        yield Alternative("softmax", f"shifted {order.__name__}", softmax(order), numbers)
        for dims in (1, 2):
            yield Alternative(f"conv{dims}d", f"im2col {order.__name__}", convolution(dims, "im2col", order), numbers)
    for dims in (1, 2):
        yield Alternative(f"conv{dims}d", "direct", convolution(dims, "direct"), numbers)
        yield Alternative(f"conv{dims}d", "einsum", convolution(dims, "einsum"), numbers)


def everything() -> list[Alternative]:
    return [*forms(), *(each for op in catalog.every() for each in orders_of(op))]
