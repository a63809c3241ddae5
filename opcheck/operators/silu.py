"""silu: x times its own sigmoid."""

from typing import Any

import numpy as np

from opcheck.operators.choosers import Chooser
from opcheck.operators.program import Program
from opcheck.operators.spec import Case, Closed, Input, Mistake, Output, Params, each_alone
from opcheck.programs.elementwise import sigmoid


class Silu(Program):
    name = "silu"
    aliases = ("swish", "nn.SiLU", "SiLU")
    summary = "the input times its own sigmoid: smooth, and below zero for negative inputs"
    formula = "y = x·σ(x)   with σ(x) = 1/(1 + exp(−x))"
    closed = (Closed("input", "x̄ = (σ(x) + y·(1 − σ(x)))·ȳ", rows=each_alone),)
    source = "Hendrycks and Gimpel, Gaussian Error Linear Units, arXiv:1606.08415, section 2; torch.nn.functional.silu"
    example = "silu([-1, 0, 1])", "array([-0.26894142,  0.        ,  0.73105858])"
    arguments = (Input("input", "x", "*", "any shape", default="signed"),)
    outputs = (Output("output", "y", "*"),)

    def program(self, p: Params, *, input: Any) -> Any:
        return input * sigmoid(input)

    def sample(self, chooser: Chooser) -> Case:
        return Case(self.name, {"input": chooser.array(*chooser.choice(((3,), (2, 3), (), (0,), (2, 2, 2))))}, {})

    mistakes = (
        Mistake("sigmoid_alone", "This is the sigmoid; silu is x times it.", lambda op, p, input: sigmoid(input)),
        Mistake("sign_of_the_exponent", "The sign in the exponent is wrong: σ(x) is 1/(1 + exp(−x)).",
                lambda op, p, input: input * sigmoid(-input)),
        Mistake("relu_instead", "This is relu; silu is smooth.", lambda op, p, input: np.maximum(input, 0)),
        Mistake("product_rule_forgotten", "The derivative of x is missing: it is σ(x) + x·σ(x)·(1 − σ(x)).",
                vjp=lambda op, p, g, input: {"input": g * input * sigmoid(input) * sigmoid(-input)}),
    )  # fmt: skip


OPS = (Silu(),)
