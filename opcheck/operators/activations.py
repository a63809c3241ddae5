"""relu, sigmoid and tanh: each output is a function of the one input at the same place."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np

from opcheck.language import say
from opcheck.operators.choosers import Chooser
from opcheck.operators.params import Flag
from opcheck.operators.shared import elementwise
from opcheck.operators.shared.roundoff import Selection, SigmoidRounding, TanhRounding
from opcheck.operators.spec import (
    PIECEWISE_LINEAR,
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
    Shape,
    each_alone,
)
from opcheck.programs import elementwise as arrays
from opcheck.tracing import maximum, sigmoid, tanh

DIMS = (1, 2, 3, 4)  # an activation takes any number of dimensions


class Activation(Op):
    """An elementwise function; a subclass says which, and how it passes on a tangent or a cotangent."""

    source = "Goodfellow, Bengio and Courville, Deep Learning (2016), sections 3.10 and 6.3; torch.nn.functional"
    arguments: tuple[Input | Param, ...] = (Input("input", "x", "*", "numbers, any shape", default="signed"),)
    outputs = (Output("output", "y", "*"),)

    @abstractmethod
    def chain(self, x: Array, g: Array) -> Array:
        """g times the derivative at x; the same rule for cotangents and tangents."""

    def shape(self, p: Params, shapes: Mapping[str, Shape]) -> dict[str, Shape]:
        return {"output": shapes["input"]}

    def vjp(self, p: Params, cotangent: Array, *, input: Array) -> dict[str, Array]:
        with np.errstate(invalid="ignore"):
            return {"input": self.chain(input, cotangent)}

    def jvp(self, p: Params, tangents: dict[str, Array], *, input: Array) -> Array:
        with np.errstate(invalid="ignore"):
            return self.chain(input, tangents["input"])

    def sample(self, chooser: Chooser) -> Case:
        shape = chooser.choice(((5,), (2, 3), (), (0,), (1, 2, 1, 2)))
        x = chooser.array(*shape)
        match chooser.choice(("plain", "zeros", "saturated")):
            case "zeros":
                x = chooser.classes(shape, (0, -1, 1)).astype(np.float64)
            case "saturated":
                x = np.asarray(x * 1024.0)
        return Case(self.name, {"input": x}, {})


def _gradient(slope: Any) -> Any:
    """A wrong gradient: slope(x, g) for each place."""
    return lambda op, p, g, input: {"input": np.asarray(slope(input, g), dtype=np.float64)}


def _written(name: str, sentence: str, domain: str, y: Any, slope: Any) -> Form:
    """A form of an activation: its output, and its derivative from input and output."""
    return Form(
        name, sentence, domain,
        lambda op, p, input: y(input),
        lambda op, p, g, input: {"input": g * slope(input, y(input))},
    )  # fmt: skip


class ReLU(Activation):
    name = "relu"
    taught = {"ties": (True, False), "dims": DIMS}
    also_asked = ("ties", "dims")
    family = "elementwise"
    aliases = ("nn.ReLU", "ReLU")
    summary = "sets negative numbers to 0"
    formula = "y = max(0, x)"
    closed = (Closed("input", "x̄ = [x > 0]·ȳ", rows=each_alone),)
    example = "relu([-1, 0, 2])", "array([0., 0., 2.])"
    rounding = Selection()
    degree = PIECEWISE_LINEAR
    arguments = (
        *Activation.arguments,
        Param("inplace", False, Flag(), "accepted as in torch; the result is a new array either way"),
    )

    def notes(self, p: Params, shapes: Mapping[str, Shape]) -> tuple[str, ...]:
        return (say("at 0 the derivative is taken to be 0, as torch does"),)

    def element(self, p: Params, at: Shape, *, input: Any) -> Any:
        return maximum(0, input[at])  # the first of equals takes the gradient: at 0 that is the constant

    def forward(self, p: Params, *, input: Array) -> Array:
        return elementwise.kept(input, ~(input < 0))  # -0.0 and NaN stay what they are, as in torch

    def chain(self, x: Array, g: Array) -> Array:
        return elementwise.kept(g, ~(x <= 0))

    def program(self, p: Params, *, input: Any) -> Any:
        return np.maximum(0.0, input)

    mistakes = (
        Mistake(
            "gradient_one_at_zero",
            "The gradient at 0 was passed on; the convention is relu'(0) = 0 (x > 0, not x >= 0).",
            vjp=_gradient(lambda x, g: np.where(x >= 0, g, 0.0)),
            is_subgradient=True,
        ),
        Mistake(
            "gradient_half_at_zero",
            "Half of the gradient at 0 was passed on; the convention is relu'(0) = 0.",
            vjp=_gradient(lambda x, g: np.where(x > 0, g, np.where(x == 0, g / 2, 0.0))),
            is_subgradient=True,
        ),
        Mistake(
            "gradient_masked_by_the_upstream_gradient",
            "The sign of the upstream gradient was tested; the input of the forward pass decides what passes.",
            vjp=_gradient(lambda x, g: np.where(g > 0, g, 0.0)),
        ),
        Mistake(
            "gradient_not_masked",
            "The gradient was passed on everywhere; where the input was negative it is 0.",
            vjp=_gradient(lambda x, g: g),
        ),
        Mistake(
            "minimum_for_maximum",
            "The minimum with 0 was taken; relu is the maximum.",
            forward=lambda op, p, input: np.minimum(input, 0.0),
        ),
        Mistake(
            "absolute_value",
            "The sign of negative numbers was flipped; they become 0.",
            forward=lambda op, p, input: np.abs(input),
        ),
    )


class Sigmoid(Activation):
    name = "sigmoid"
    taught = {"dims": DIMS}
    also_asked = ("dims", "integers")
    family = "elementwise"
    extremes = "logits"
    aliases = ("nn.Sigmoid", "Sigmoid", "logistic")
    summary = "squashes a number into the range 0 to 1"
    formula = "y = σ(x) = 1 / (1 + e^−x)"
    closed = (Closed("input", "x̄ = y·(1 − y)·ȳ", rows=each_alone),)
    example = "sigmoid([-1, 0, 1])", "array([0.26894142, 0.5       , 0.73105858])"
    rounding = SigmoidRounding()

    def notes(self, p: Params, shapes: Mapping[str, Shape]) -> tuple[str, ...]:
        return (say("for negative x computed as e^x / (1 + e^x), the same number, because e^−x may overflow"),)

    def element(self, p: Params, at: Shape, *, input: Any) -> Any:
        return sigmoid(input[at])

    def forward(self, p: Params, *, input: Array) -> Array:
        return elementwise.sigmoid(input)

    def chain(self, x: Array, g: Array) -> Array:
        y = elementwise.sigmoid(x)
        slope = np.asarray(1.0 - y)
        slope *= y
        slope *= g
        return slope

    def program(self, p: Params, *, input: Any) -> Any:
        return arrays.sigmoid(input)

    forms = (
        _written(
            "by_tanh", "it loses digits for very negative x, where 1 + tanh cancels: use 1 / (1 + e^−x)", "x > −8",
            lambda x: (1 + np.tanh(x / 2)) / 2, lambda x, y: y * (1 - y),
        ),
        _written(
            "exponential_over_one_plus", "e^x overflows for large x, and ∞/∞ is NaN: use 1 / (1 + e^−x)", "x < 88",
            lambda x: np.exp(x) / (1 + np.exp(x)), lambda x, y: np.exp(x) / (1 + np.exp(x)) ** 2,
        ),
        _written(
            "one_minus", "it loses digits for very negative x: use 1 / (1 + e^−x)",
            "x > −8", lambda x: 1 - 1 / (1 + np.exp(x)), lambda x, y: y * (1 - y),
        ),
        _written(
            "slope_by_exponentials", "in its gradient e^−x overflows for very negative x: use σ(x)·(1 − σ(x))",
            "x > −44", lambda x: 1 / (1 + np.exp(-x)), lambda x, y: np.exp(-x) / (1 + np.exp(-x)) ** 2,
        ),
    )  # fmt: skip
    mistakes = (
        Mistake(
            "sign_of_the_exponent",
            "The exponent has the wrong sign: 1/(1 + e^x) falls where the sigmoid rises.",
            forward=lambda op, p, input: op.forward(p, input=-input),
        ),
        Mistake(
            "gradient_from_the_input",
            "The derivative σ(1 − σ) was computed with x in place of σ: x(1 − x).",
            vjp=_gradient(lambda x, g: g * x * (1 - x)),
        ),
        Mistake(
            "gradient_at_the_output",
            "The derivative was taken at the output instead of the input: the sigmoid was applied twice.",
            vjp=lambda op, p, g, input: op.vjp(p, g, input=op.forward(p, input=input)),
        ),
        Mistake(
            "upstream_gradient_missing",
            "The derivative was not multiplied by the upstream gradient.",
            vjp=lambda op, p, g, input: op.vjp(p, np.ones_like(g), input=input),
        ),
    )


class Tanh(Activation):
    name = "tanh"
    taught = {"dims": DIMS}
    also_asked = ("dims", "integers")
    family = "elementwise"
    extremes = "logits"
    aliases = ("nn.Tanh", "Tanh")
    summary = "squashes a number into the range -1 to 1"
    formula = "y = tanh(x) = (e^x − e^−x) / (e^x + e^−x)"
    closed = (Closed("input", "x̄ = (1 − y²)·ȳ", rows=each_alone),)
    example = "tanh([-1, 0, 1])", "array([-0.76159416,  0.        ,  0.76159416])"
    rounding = TanhRounding()

    def element(self, p: Params, at: Shape, *, input: Any) -> Any:
        return tanh(input[at])

    def forward(self, p: Params, *, input: Array) -> Array:
        return np.asarray(np.tanh(input))

    def chain(self, x: Array, g: Array) -> Array:
        slope = np.asarray(np.tanh(x))
        slope *= slope
        np.subtract(1.0, slope, out=slope)
        slope *= g
        return slope

    def program(self, p: Params, *, input: Any) -> Any:
        return np.tanh(input)

    forms = (
        _written(
            "by_sigmoid", "it loses digits for small x: use np.tanh", "|x| > 0.001",
            lambda x: 2 / (1 + np.exp(-2 * x)) - 1, lambda x, y: 1 - y * y,
        ),
        _written(
            "by_exponentials", "it loses digits for small x, and e^x overflows for large x: use np.tanh",
            "0.001 < |x| < 88",
            lambda x: (np.exp(x) - np.exp(-x)) / (np.exp(x) + np.exp(-x)), lambda x, y: 1 - y * y,
        ),
        _written(
            "by_one_exponential", "it loses digits for small x, and e^2x overflows for large x: use np.tanh",
            "0.001 < |x| < 44",
            lambda x: (np.exp(2 * x) - 1) / (np.exp(2 * x) + 1), lambda x, y: 1 - y * y,
        ),
    )  # fmt: skip
    mistakes = (
        Mistake(
            "gradient_from_the_input",
            "The derivative 1 − tanh² was computed with x in place of tanh(x): 1 − x².",
            vjp=_gradient(lambda x, g: g * (1 - x * x)),
        ),
        Mistake(
            "gradient_at_the_output",
            "The derivative was taken at the output instead of the input: tanh was applied twice.",
            vjp=lambda op, p, g, input: op.vjp(p, g, input=np.tanh(input)),
        ),
        Mistake(
            "square_missing",
            "The derivative is 1 − tanh², not 1 − tanh.",
            vjp=_gradient(lambda x, g: g * (1 - np.tanh(x))),
        ),
        Mistake(
            "upstream_gradient_missing",
            "The derivative was not multiplied by the upstream gradient.",
            vjp=lambda op, p, g, input: op.vjp(p, np.ones_like(g), input=input),
        ),
    )


OPS = (ReLU(), Sigmoid(), Tanh())
