"""gelu: x times the share of a normal distribution below x."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from opcheck.operators.choosers import Chooser
from opcheck.operators.params import Choice
from opcheck.operators.program import Program
from opcheck.operators.spec import Case, Closed, Input, Mistake, Output, Param, Params, Shape, each_alone
from opcheck.programs.elementwise import erf, sigmoid


def _exact(p: Params, shapes: Mapping[str, Shape]) -> Mapping[str, Any] | None:
    return {"π": math.pi} if p.approximate == "none" else None


def _by_tanh(p: Params, shapes: Mapping[str, Shape]) -> Mapping[str, Any] | None:
    return {"π": math.pi} if p.approximate == "tanh" else None


class Gelu(Program):
    name = "gelu"
    formulas = ("approximate",)
    aliases = ("nn.GELU", "GELU")
    summary = "the input times the fraction of a normal distribution below it"
    formula = "y = x·P   with P = (1 + erf(x/√2))/2"
    closed = (
        Closed("input", "x̄ = (P + x·φ)·ȳ   with P = (1 + erf(x/√(2)))/2, φ = exp(−x²/2)/√(2·π)",
               _exact, each_alone, near=1e-15),
        Closed("input", "x̄ = (P + x·(1 − tanh(u)²)/2·√(2/π)·(1 + 3·0.044715·x²))·ȳ   with P = (1 + tanh(u))/2, "
               "u = √(2/π)·(x + 0.044715·x·x²)", _by_tanh, each_alone, near=1e-15),
    )  # fmt: skip
    source = "Hendrycks and Gimpel, Gaussian Error Linear Units, arXiv:1606.08415, section 2; torch.nn.functional.gelu"
    example = "gelu([-1, 0, 1])", "array([-0.15865525,  0.        ,  0.84134475])"
    arguments = (
        Input("input", "x", "*", "any shape", default="signed"),
        Param("approximate", "none", Choice(("none", "tanh")), "tanh: a formula without erf", keyword_only=True),
    )
    outputs = (Output("output", "y", "*"),)

    def formula_of(self, p: Params, shapes: Mapping[str, Shape]) -> str:
        tanh = "y = x·P   with P = (1 + tanh(u))/2, u = √(2/π)·(x + 0.044715·x³)"
        return tanh if p.approximate == "tanh" else self.formula

    def program(self, p: Params, *, input: Any) -> Any:
        if p.approximate == "none":
            t = erf(input / np.sqrt(2))
        else:
            u = np.sqrt(2 / np.pi) * (input + 0.044715 * input**3)
            t = np.tanh(u)
        P = 0.5 * (1 + t)  # noqa: N806
        return input * P

    def sample(self, chooser: Chooser) -> Case:
        x = chooser.array(*chooser.choice(((3,), (2, 3), (), (0,), (2, 2, 2))))
        return Case(self.name, {"input": x}, chooser.choice(({}, {"approximate": "tanh"}, {"approximate": "none"})))

    mistakes = (
        Mistake("the_other_formula", 'This is the other of the two formulas: "none" means erf, "tanh" means tanh.',
                lambda op, p, input: op.forward(_other(p), input=input)),
        Mistake("quick_gelu", "This is x·σ(1.702·x), a coarser approximation than the one asked for.",
                lambda op, p, input: input * sigmoid(1.702 * input)),
        Mistake("root_of_two_forgotten", "The erf takes x/√2, not x: the normal distribution has exp(−x²/2).",
                lambda op, p, input: op.forward(p, input=input * np.sqrt(2)) / np.sqrt(2)),
        Mistake("phi_alone", "This is P; gelu is x times it.",
                lambda op, p, input: op.forward(p, input=input) / input),
        Mistake("half_forgotten", "The factor 1/2 is missing: P grows from 0 to 1, not to 2.",
                lambda op, p, input: 2 * op.forward(p, input=input)),
        Mistake("product_rule_forgotten", "The derivative is P + x·P′; only P was used.",
                vjp=lambda op, p, g, input: {"input": g * op.forward(p, input=input) / input}),
    )  # fmt: skip


def _other(p: Params) -> Params:
    return p.replace(approximate="tanh" if p.approximate == "none" else "none")


OPS = (Gelu(),)
