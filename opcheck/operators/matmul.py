"""matmul: the product of matrices, of vectors, and of batches of them."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from opcheck.language import say
from opcheck.operators.choosers import Chooser
from opcheck.operators.program import Program
from opcheck.operators.spec import MULTILINEAR, Array, Case, Closed, Input, Mistake, Output, Params, Refused, Shape


def _are_matrices(p: Params, shapes: Mapping[str, Shape]) -> Mapping[str, Any] | None:
    return {} if all(len(shape) == 2 for shape in shapes.values()) else None


class Matmul(Program):
    """A vector on the left is a row and one on the right a column; the dimension that it lends is left out of the
    result. Leading dimensions are a batch, and broadcast. A sum over no products (K = 0) is 0."""

    name = "matmul"
    torch_path = "torch.matmul"
    aliases = ("mm", "bmm", "mv", "dot")
    summary = "each row of the first matrix times each column of the second"
    formula = "y[n,m] = Σ_k a[n,k]·b[k,m]"
    closed = (
        Closed("input", "ā[n,k] = Σ_m ȳ[n,m]·b[k,m]", _are_matrices),
        Closed("other", "b̄[k,m] = Σ_n a[n,k]·ȳ[n,m]", _are_matrices),
    )
    source = "Golub and Van Loan, Matrix Computations (2013), section 1.1; torch.matmul"
    example = "matmul([[1, 2], [3, 4]], [[5, 6], [7, 8]])", "array([[19., 22.],\n       [43., 50.]])"
    arguments = (
        Input("input", "a", "* N K", "a matrix, a batch of them, or a row of K numbers"),
        Input("other", "b", "* K M", "a matrix, a batch of them, or a column of K numbers"),
    )
    outputs = (Output("output", "y", "* N M"),)
    degree = MULTILINEAR
    family = "product"

    def shape(self, p: Params, shapes: Mapping[str, Shape]) -> dict[str, Shape]:
        a, b = shapes["input"], shapes["other"]
        if not a or not b:
            raise Refused(
                say("both arguments of matmul have at least one dimension"),
                got=say("input {a} and other {b}", a=a, b=b), fix=say("a number times an array is input * other"),
            )  # fmt: skip
        if a[-1] != b[max(0, len(b) - 2)]:
            raise Refused(
                say("input must have as many columns as other has rows"),
                got=say("input {a} and other {b}", a=a, b=b),
                fix=say("transpose one of them if it is the wrong way round"),
            )  # fmt: skip
        try:
            batch = np.broadcast_shapes(a[:-2], b[:-2])
        except ValueError:
            raise Refused(
                say("the leading dimensions must be equal, or 1 in one of them"),
                got=say("input {a} and other {b}", a=a, b=b),
            ) from None
        return {"output": (*batch, *a[-2:-1], *(b[-1:] if len(b) > 1 else ()))}

    def default_shape(self, name: str, params: Mapping[str, Any], shapes: Mapping[str, Shape]) -> Shape:
        if name == "input":
            return (2, shapes["other"][max(0, len(shapes["other"]) - 2)] if shapes.get("other") else 3)
        return (shapes["input"][-1] if shapes.get("input") else 3, 2)

    def program(self, p: Params, *, input: Any, other: Any) -> Any:
        return input @ other

    def sample(self, chooser: Chooser) -> Case:
        k = chooser.choice((3, 2, 1, 0, 5))
        rows, columns = chooser.choice(((2,), (3,), (1,), (0,), ())), chooser.choice(((2,), (4,), (1,), ()))
        batches = chooser.choice(
            (((), ()), ((2,), (2,)), ((2,), ()), ((), (2,)), ((2, 1), (3,)), ((1,), (2,)), ((0,), (1,)))
        )
        left, right = batches[0] if rows else (), batches[1] if columns else ()
        arrays = {"input": chooser.array(*left, *rows, k), "other": chooser.array(*right, k, *columns)}
        return Case(self.name, arrays, {})

    mistakes = (
        Mistake("operands_swapped", "The operands were swapped: a @ b is not b @ a.",
                lambda op, p, **a: _square(op, p, a, lambda x, y: y @ x)),
        Mistake("product_of_elements", "The matrices were multiplied element by element; a matrix product sums row "
                                       "times column.",
                lambda op, p, **a: _square(op, p, a, lambda x, y: x * y)),
        Mistake("first_operand_transposed", "The first operand was transposed.",
                lambda op, p, **a: _square(op, p, a, lambda x, y: _turned(x) @ y)),
        Mistake("second_operand_transposed",
                "The second operand was transposed, as in a linear layer; a matrix product does not transpose "
                "it.", lambda op, p, **a: _square(op, p, a, lambda x, y: x @ _turned(y))),
        Mistake("last_product_dropped", "The sum over k ends one product too early.",
                lambda op, p, *, input, other: input[..., :-1] @ _rows(other, slice(None, -1))),
        Mistake("batch_of_the_first_only", "Every matrix of the batch was multiplied by the first one of the other "
                "batch.", lambda op, p, *, input, other: _first(op, p, input, other)),
        Mistake("input_gradient_not_transposed", "The gradient of the first operand is g @ b.T: b was not transposed.",
                vjp=lambda op, p, g, **a: _square_gradient(op, p, g, a, "input", lambda x, y: g @ y)),
        Mistake("other_gradient_not_transposed", "The gradient of the second operand is a.T @ g: a was not transposed.",
                vjp=lambda op, p, g, **a: _square_gradient(op, p, g, a, "other", lambda x, y: x @ g)),
        Mistake("gradient_of_a_broadcast_batch_averaged",
                "An operand shared by a whole batch gets the sum of the batch's gradients, not their "
                "mean.", vjp=lambda op, p, g, **a: _averaged(op, p, g, **a)),
    )  # fmt: skip


def _turned(x: Array) -> Array:
    return x.swapaxes(-1, -2)


def _rows(x: Array, rows: slice) -> Array:
    return x[rows] if x.ndim == 1 else x[..., rows, :]


def _are_square(x: Array, y: Array) -> bool:
    """Whether nobody is told by the shapes."""
    return x.ndim > 1 and x.shape[-2:] == y.shape[-2:] and x.shape[-1] == x.shape[-2]


def _square(op: Any, p: Params, a: dict[str, Array], product: Callable[[Array, Array], Array]) -> Array:
    """Another product where both are square, and the right one elsewhere."""
    right: Array = op.forward(p, **a)
    return product(a["input"], a["other"]) if _are_square(a["input"], a["other"]) else right


def _square_gradient(
    op: Any, p: Params, g: Array, a: dict[str, Array], name: str, product: Callable[[Array, Array], Array]
) -> dict[str, Array]:
    right: dict[str, Array] = op.vjp(p, g, **a)
    if not _are_square(a["input"], a["other"]):
        return right
    found = product(a["input"], a["other"])
    return {**right, name: found} if found.shape == right[name].shape else right


def _first(op: Any, p: Params, input: Array, other: Array) -> Array:
    if other.ndim < 3 or not other.size:
        right: Array = op.forward(p, input=input, other=other)
        return right
    first = np.broadcast_to(other.reshape(-1, *other.shape[-2:])[0], other.shape)
    return np.asarray(op.forward(p, input=input, other=first))


def _averaged(op: Any, p: Params, g: Array, **a: Array) -> dict[str, Array]:
    right: dict[str, Array] = op.vjp(p, g, **a)
    batch = int(np.prod(np.broadcast_shapes(a["input"].shape[:-2], a["other"].shape[:-2])))
    return {name: x * max(1, int(np.prod(x.shape[:-2]))) / max(1, batch) for name, x in right.items()}


OPS = (Matmul(),)
