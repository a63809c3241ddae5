"""softmax and log_softmax: numbers become probabilities that add up to 1, or their logarithms."""

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from opcheck.language import say
from opcheck.operators.choosers import Chooser
from opcheck.operators.params import Maybe, Whole
from opcheck.operators.shared.elementwise import log_of_sum
from opcheck.operators.shared.notes import shifted
from opcheck.operators.shared.roundoff import LogSoftmaxRounding, SoftmaxRounding
from opcheck.operators.spec import (
    NEGLIGIBLE,
    Array,
    Case,
    Closed,
    Form,
    Input,
    Mistake,
    Op,
    Output,
    Param,
    Params,
    Refused,
    Shape,
)
from opcheck.programs import kinks
from opcheck.programs.sums import log_sum_exp
from opcheck.tracing import detach, exp, log, maximum, named, total


def _rows(p: Params, name: str, array: Array) -> Array:
    """Rows along `dim`."""
    return np.moveaxis(array, p.dim, -1).reshape(-1, array.shape[p.dim]) if array.ndim else array.reshape(1, 1)


class AlongDim(Op):
    """What both share: they work on each row along `dim`, shifted by its maximum m.

    As in torch, dim=None is dimension 0 for inputs of 0, 1 or 3 dimensions and dimension 1 for others (deprecated
    there). torch's private `_stacklevel` is left out, and so is its `dtype`: float64 is computed with in any case.
    """

    taught = {"dim": (-1, 1)}
    family = "rows"
    extremes = "logits"
    source = "Goodfellow, Bengio and Courville, Deep Learning (2016), equation 4.1; torch.nn.functional"
    arguments = (
        Input("input", "x", "*", "the logits, any shape"),
        Param(
            "dim",
            None,
            Maybe(Whole()),
            "the dimension along which the probabilities add up to 1",
            example=-1,
            without=-1,
        ),
    )
    outputs = (Output("output", "y", "*"),)

    def settle(self, p: Params, shapes: Mapping[str, Shape]) -> Params:
        dims = len(shapes["input"])
        if p.dim is None:
            return p.replace(dim=0 if dims in (0, 1, 3) else 1)
        return p.replace(dim=p.dim + max(1, dims)) if -max(1, dims) <= p.dim < 0 else p

    def shape(self, p: Params, shapes: Mapping[str, Shape]) -> dict[str, Shape]:
        x = shapes["input"]
        last = max(1, len(x)) - 1
        if not 0 <= p.dim <= last:
            raise Refused(
                say(
                    "dim must be from {low} to {high} for an input of {n} dimensions",
                    low=-last - 1,
                    high=last,
                    n=len(x),
                ),
                got=say("dim={dim} and input {x}", dim=p.dim, x=x),
            )
        return {"output": x}

    def notes(self, p: Params, shapes: Mapping[str, Shape]) -> tuple[str, ...]:
        return (shifted(),)

    # --- definition -------------------------------------------------------------------------------------------

    def shifted(self, p: Params, at: Shape, input: Any) -> tuple[Any, list[Any], Any]:
        """The maximum m of the row through `at`, its e[k] = exp(x[k] - m), and their sum S: one of each for a row.

        The result does not depend on m, so m is held constant by differentiation.
        """
        before, after = at[: p.dim], at[p.dim + 1 :]
        row = [(*before, k, *after) for k in range(input.shape[p.dim])] if at else [()]

        def make() -> tuple[Any, list[Any], Any]:
            m = named("m", detach(maximum(*[input[place] for place in row])), (*before, *after))
            e = [named("e", exp(input[place] - m), place) for place in row]
            return m, e, named("S", total(e), (*before, *after))

        shared: tuple[Any, list[Any], Any] = input.once(row[0], make)
        return shared

    # --- fast reference ---------------------------------------------------------------------------------------

    def vjp(self, p: Params, cotangent: Array, *, input: Array) -> dict[str, Array]:
        with np.errstate(invalid="ignore", over="ignore"):
            return {"input": self.pull(p, cotangent, input)}

    def jvp(self, p: Params, tangents: dict[str, Array], *, input: Array) -> Array:
        with np.errstate(invalid="ignore", over="ignore"):
            return self.push(p, tangents["input"], input)

    def pull(self, p: Params, g: Array, x: Array) -> Array:
        raise NotImplementedError

    def push(self, p: Params, t: Array, x: Array) -> Array:
        raise NotImplementedError

    # --- cases ------------------------------------------------------------------------------------------------

    def sample(self, chooser: Chooser) -> Case:
        shape = chooser.choice(((3,), (2, 3), (3, 2, 2), (1,), (), (2, 0), (2, 2, 1, 3)))
        dims = max(1, len(shape))
        x = chooser.array(*shape)
        match chooser.choice(("plain", "ties", "saturated")):
            case "ties":
                x = chooser.classes(shape, (0, 1)).astype(np.float64)
            case "saturated":
                x = np.asarray(x * 1024.0)
        return Case(self.name, {"input": x}, {"dim": chooser.choice((*range(-dims, dims), None))})

    def torch(self, torch: Any, params: Mapping[str, Any], **tensors: Any) -> Any:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Implicit dimension choice")
            return super().torch(torch, params, **tensors)


def _largest(x: Array, dim: int | None) -> Array:
    """The maximum of each row, kept as a dimension of size 1; of an empty row -inf."""
    return np.asarray(np.max(x, axis=dim, keepdims=True, initial=-np.inf))


def _softmax(x: Array, dim: int | None) -> Array:
    with np.errstate(invalid="ignore", over="ignore"):
        e = np.asarray(x - _largest(x, dim))
        np.exp(e, out=e)  # in place throughout: fresh memory costs more than the arithmetic
        e /= e.sum(axis=dim, keepdims=True)
        return e


def _log_softmax(x: Array, dim: int) -> Array:
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        largest = _largest(x, dim)
        y = np.asarray(x - largest)
        sums = np.exp(y, out=y).sum(axis=dim, keepdims=True)
        log_sums = log_of_sum(y, sums, dim)
        np.subtract(x, largest, out=y)  # once more, rather than in memory of its own
        y -= log_sums
        return y


def _sum(x: Array, dim: int) -> Array:
    return np.asarray(x.sum(axis=dim, keepdims=True))


def _written(y: Any, probabilities: Any, pull: Any) -> tuple[Any, Any]:
    """A form's output y(x, dim), and its gradient pull(p, g, dim) from the probabilities that it has."""

    def forward(op: Any, p: Params, input: Any) -> Any:
        x = np.reshape(input, input.shape or (1,))
        return np.reshape(y(x, p.dim), input.shape) if x.size else input * 1.0

    def vjp(op: Any, p: Params, g: Any, input: Any) -> dict[str, Any]:
        x = np.reshape(input, input.shape or (1,))
        if not x.size:
            return {"input": g * 1.0}
        return {"input": np.reshape(pull(probabilities(x, p.dim), np.reshape(g, x.shape), p.dim), input.shape)}

    return forward, vjp


def _top(x: Any, dim: int | None) -> Any:
    """The maximum, which differentiation holds constant; in numpy's functions, as all that forms are made of."""
    return kinks.detach(np.max(x, axis=dim, keepdims=True))


def _shares(e: Any, dim: int) -> Any:
    return e / e.sum(axis=dim, keepdims=True)


def _pulled(y: Any, g: Any, dim: int) -> Any:
    """The gradient of softmax from its output y."""
    return y * (g - (g * y).sum(axis=dim, keepdims=True))


def _unshifted_log(x: Any, dim: int) -> Any:
    return x - np.log(np.exp(x).sum(axis=dim, keepdims=True))


def _log_pulled(y: Any, g: Any, dim: int) -> Any:
    """The gradient of log_softmax from the probabilities y."""
    return g - y * g.sum(axis=dim, keepdims=True)


class Softmax(AlongDim):
    name = "softmax"
    aliases = ("nn.Softmax", "Softmax")
    summary = "turns numbers into probabilities that add up to 1"
    rounding = SoftmaxRounding()
    formula = "y[i] = e[i] / S   with m = max_k x[k], e[k] = exp(x[k] − m), S = Σ_k e[k]"
    closed = (Closed("input", "x̄[i] = y[i]·(ȳ[i] − Σ_k y[k]·ȳ[k])", rows=_rows),)
    example = "softmax([1, 2, 3], dim=0)", "array([0.09003057, 0.24472847, 0.66524096])"

    def element(self, p: Params, at: Shape, *, input: Any) -> Any:
        _, e, S = self.shifted(p, at, input)  # noqa: N806  # S is the textbook's letter
        return e[at[p.dim] if at else 0] / S

    def forward(self, p: Params, *, input: Array) -> Array:
        return _softmax(input, p.dim)

    def pull(self, p: Params, g: Array, x: Array) -> Array:
        y = _softmax(x, p.dim)
        result = np.asarray(g * y)
        np.subtract(g, _sum(result, p.dim), out=result)
        result *= y
        return result

    def push(self, p: Params, t: Array, x: Array) -> Array:
        return self.pull(p, t, x)  # the Jacobian diag(y) - y y' is symmetric

    def program(self, p: Params, *, input: Any) -> Any:
        x = np.reshape(input, input.shape or (1,))
        if not x.size:
            return input
        e = np.exp(x - kinks.detach(x.max(axis=p.dim, keepdims=True)))
        return np.reshape(e / e.sum(axis=p.dim, keepdims=True), input.shape)

    forms = (
        Form(
            "maximum_not_subtracted",
            "exponentials overflow for large numbers or vanish, and ∞/∞ and 0/0 are NaN: subtract the maximum of each "
            "row first",
            "|x| < 80",
            *_written(lambda x, dim: _shares(np.exp(x), dim), lambda x, dim: _shares(np.exp(x), dim), _pulled),
        ),
        Form(
            "maximum_of_the_whole_array",
            "the maximum of the whole array was subtracted, so that a row of small numbers underflows to 0/0: subtract "
            "the maximum of each row",
            "no two rows are further apart than 80",
            *_written(
                lambda x, dim: _shares(np.exp(x - _top(x, None)), dim),
                lambda x, dim: _shares(np.exp(x - _top(x, None)), dim),
                _pulled,
            ),
        ),
        Form(
            "exponential_of_log_softmax",
            "e^(x − ln Σ e^x) loses digits for large x, and without the maximum it overflows: use "
            "e^(x − m) / Σ e^(x − m)",
            "|x| < 80",
            *_written(
                lambda x, dim: np.exp(_unshifted_log(x, dim)), lambda x, dim: np.exp(_unshifted_log(x, dim)), _pulled
            ),
        ),
    )
    mistakes = (
        Mistake(
            "maximum_over_the_batch",
            "The maximum of each column was subtracted, which changes the result; the maximum of each row does not.",
            forward=lambda op, p, input: _softmax(_shifted_by_columns(input), p.dim),
        ),
        Mistake(
            "wrong_dim",
            "The probabilities add up to 1 along the wrong dimension.",
            forward=lambda op, p, input: _softmax(input, _next_dim(p, input)),
        ),
        Mistake(
            "normalised_over_everything",
            "All numbers of the array add up to 1 together; each row along dim must.",
            forward=lambda op, p, input: _softmax(input, None),
        ),
        Mistake(
            "applied_twice",
            "Softmax was applied to numbers that are already probabilities.",
            forward=lambda op, p, input: _softmax(_softmax(input, p.dim), p.dim),
        ),
        Mistake(
            "diagonal_of_the_jacobian_only",
            "Only y(1 − y), the diagonal of the Jacobian, was used; every output depends on every input of its row.",
            vjp=lambda op, p, g, input: {"input": _diagonal_only(_softmax(input, p.dim), g)},
        ),
        Mistake(
            "sum_over_the_row_missing",
            "The gradient is y·(g − Σ g·y); the sum over the row is missing.",
            vjp=lambda op, p, g, input: {"input": _softmax(input, p.dim) * g},
        ),
    )


def _shifted_by_columns(x: Array) -> Array:
    return np.asarray(x - x.max(axis=0, keepdims=True)) if x.ndim > 1 and x.size else x


def _next_dim(p: Params, x: Array) -> int:
    return (int(p.dim) + 1) % max(1, x.ndim)


def _diagonal_only(y: Array, g: Array) -> Array:
    return np.asarray(g * y * (1 - y))


class LogSoftmax(AlongDim):
    name = "log_softmax"
    aliases = ("nn.LogSoftmax", "LogSoftmax")
    summary = "the logarithm of softmax, without its underflow"
    rounding = LogSoftmaxRounding()
    formula = "y[i] = x[i] − m − L   with m = max_k x[k], e[k] = exp(x[k] − m), L = ln Σ_k e[k]"
    closed = (Closed("input", "x̄[i] = ȳ[i] − exp(y[i])·Σ_k ȳ[k]", rows=_rows),)
    example = "log_softmax([1, 2, 3], dim=0)", "array([-2.40760596, -1.40760596, -0.40760596])"

    def element(self, p: Params, at: Shape, *, input: Any) -> Any:
        m, _, S = self.shifted(p, at, input)  # noqa: N806  # S is the textbook's letter
        others = (*at[: p.dim], *at[p.dim + 1 :])
        return input[at] - m - input.once(("L", others), lambda: named("L", log(S), others))

    def forward(self, p: Params, *, input: Array) -> Array:
        return _log_softmax(input, p.dim)

    def pull(self, p: Params, g: Array, x: Array) -> Array:
        result = _softmax(x, p.dim)
        result *= _sum(g, p.dim)
        return np.subtract(g, result, out=result)

    def push(self, p: Params, t: Array, x: Array) -> Array:
        return np.asarray(t - _sum(_softmax(x, p.dim) * t, p.dim))

    def program(self, p: Params, *, input: Any) -> Any:
        x = np.reshape(input, input.shape or (1,))
        return np.reshape(x - log_sum_exp(x, p.dim), input.shape)

    forms = (
        Form(
            "logarithm_of_softmax",
            "ln(softmax) is ln 0 = −∞ where a probability underflows, and loses digits where it is near 1: use "
            "x − m − ln Σ e^(x − m)",
            "every probability is 0.001 to 0.999",
            *_written(
                lambda x, dim: np.log(_shares(np.exp(x - _top(x, dim)), dim)),
                lambda x, dim: _shares(np.exp(x - _top(x, dim)), dim),
                _log_pulled,
            ),
        ),
        Form(
            "maximum_not_subtracted",
            "the exponentials of ln Σ e^x overflow for large numbers: subtract the maximum of each row first",
            "|x| < 80",
            *_written(lambda x, dim: _unshifted_log(x, dim), lambda x, dim: _shares(np.exp(x), dim), _log_pulled),
        ),
        Form(
            "maximum_of_the_whole_array",
            "the maximum of the whole array was subtracted, so that a row of small numbers underflows to ln 0: "
            "subtract the maximum of each row",
            "no two rows are further apart than 80",
            *_written(
                lambda x, dim: _unshifted_log(x - _top(x, None), dim),
                lambda x, dim: _shares(np.exp(x - _top(x, None)), dim),
                _log_pulled,
            ),
        ),
        Form(
            "small_number_inside_the_logarithm",
            "a small number inside the logarithm, ln(p + ε), changes it where p is tiny: use x − m − ln Σ e^(x − m)",
            "every probability is at least 0.001, and ε at most 1e-6",
            *_written(
                lambda x, dim: np.log(_shares(np.exp(x - _top(x, dim)), dim) + NEGLIGIBLE),
                lambda x, dim: _shares(np.exp(x - _top(x, dim)), dim),
                _log_pulled,
            ),
        ),
    )
    mistakes = (
        Mistake(
            "maximum_over_the_batch",
            "The maximum of each column was subtracted, which changes the result; the maximum of each row does not.",
            forward=lambda op, p, input: _log_softmax(_shifted_by_columns(input), p.dim),
        ),
        Mistake(
            "wrong_dim",
            "The probabilities add up to 1 along the wrong dimension.",
            forward=lambda op, p, input: _log_softmax(input, _next_dim(p, input)),
        ),
        Mistake(
            "logarithm_missing",
            "This is softmax itself, not its logarithm.",
            forward=lambda op, p, input: _softmax(input, p.dim),
        ),
        Mistake(
            "applied_to_probabilities",
            "Softmax was applied before log_softmax, which takes logits.",
            forward=lambda op, p, input: _log_softmax(_softmax(input, p.dim), p.dim),
        ),
        Mistake(
            "sum_over_the_row_missing",
            "The gradient is g − y·Σ g, where y is the softmax; only g was passed on.",
            vjp=lambda op, p, g, input: {"input": np.array(g)},
        ),
        Mistake(
            "gradient_of_softmax",
            "This is the gradient of softmax; that of log_softmax is g − y·Σ g, where y is the softmax.",
            vjp=lambda op, p, g, input: {"input": Softmax().pull(p, g, input)},
        ),
    )


OPS = (Softmax(), LogSoftmax())
