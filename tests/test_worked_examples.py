"""Every operator of worked-examples.toml comes out of definition, reference, torch and explain."""

import re
import tomllib
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import opcheck
from opcheck.explanation import explain
from opcheck.operators import catalog
from opcheck.operators.spec import Array, Case, Op
from opcheck.render.numbers import digits
from opcheck.tracing import Tape, View, exact
from opcheck.tracing.arithmetic import as_fraction

EXAMPLES = [
    example
    for example in tomllib.loads(Path(__file__).with_name("worked-examples.toml").read_text())["example"]
    if example["op"] not in ("trace", "program")
]
NOT_ARGUMENTS = {"op", "by_hand", "printed_by_torch", "note", "output", "output_starts", "output_length"}
EACH = pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: f"{e['op']}-{len(str(e['input']))}")


def array(text: Any) -> Array:
    """An array as the examples write it: a list, "ones 1x1x4x4" or "0..15 as 1x1x16"."""
    if not isinstance(text, str):
        return np.asarray(text, dtype=float)
    if text.startswith("ones "):
        return np.ones([int(n) for n in text.removeprefix("ones ").split("x")])
    match = re.fullmatch(r"(\d+)\.\.(\d+) as ([\dx]+)", text)
    assert match, text
    first, last, shape = match.groups()
    return np.arange(int(first), int(last) + 1, dtype=float).reshape([int(n) for n in shape.split("x")])


def call(example: dict[str, Any]) -> dict[str, Any]:
    arguments = {name: value for name, value in example.items() if name not in NOT_ARGUMENTS}
    return {name: value if isinstance(value, int) else array(value) for name, value in arguments.items()}


def expected(example: dict[str, Any]) -> tuple[list[Fraction], int]:
    """The numbers that the example states, as decimals, and how many elements the output has."""
    if "output_starts" in example:
        return decimals(example["output_starts"]), example["output_length"]
    stated = decimals(array(example.get("by_hand", example.get("output"))).reshape(-1).tolist())
    return stated, len(stated)


def decimals(numbers: list[float]) -> list[Fraction]:
    return [Fraction(repr(number)) for number in numbers]


def by_definition(op: Op, case: Case) -> list[Any]:
    """Every output element by the definition, exactly, each float standing for the decimal that it prints as."""
    p, shapes = op.checked(case)
    tape = Tape()
    views = {name: View(tape, name, a) for name, a in case.arrays.items()}
    outputs = [op.element(p, at, **views) for at in np.ndindex(shapes["output"])]
    numbers = exact(tape.graph(), decimal=True)
    return [as_fraction(numbers[output.id]) for output in outputs]


def units(values: Array, stated: list[Fraction]) -> list[float]:
    """How far each value is from the stated decimal, in units of float64's roundoff at the largest partial product."""
    return [abs(Fraction(float(v)) - e) for v, e in zip(values.reshape(-1), stated, strict=False)]


@EACH
def test_definition(example: dict[str, Any]) -> None:
    op = catalog.get(example["op"])
    stated, count = expected(example)
    found = by_definition(op, op.case(**call(example)))
    assert len(found) == count
    assert found[: len(stated)] == stated


def room(op: Op, arguments: dict[str, Any]) -> float:
    """A bound on float64's error that holds for every example: ten operations on the sum of absolute values.

    The decimals of the examples are stored with one rounding each, there are at most six products in a sum, and each
    product and sum rounds once: fewer than ten roundings of the operator on absolute values (Higham, section 3.1).
    """
    largest = {k: np.abs(v) if isinstance(v, np.ndarray) else v for k, v in arguments.items()}
    return 10 * 2.0**-53 * float(np.max(getattr(opcheck.reference, op.name)(**largest)))


@EACH
def test_reference(example: dict[str, Any]) -> None:
    op, arguments = catalog.get(example["op"]), call(example)
    stated, count = expected(example)
    found = getattr(opcheck.reference, op.name)(**arguments)
    assert found.size == count
    assert all(difference <= room(op, arguments) for difference in units(found, stated))


@pytest.mark.torch
@EACH
def test_torch(example: dict[str, Any]) -> None:
    import torch

    op, arguments = catalog.get(example["op"]), call(example)
    stated, count = expected(example)
    tensors = {name: torch.from_numpy(a) for name, a in arguments.items() if isinstance(a, np.ndarray)}
    parameters = {name: value for name, value in arguments.items() if name not in tensors}
    found = op.torch(torch, parameters, **tensors).numpy()
    assert found.size == count
    assert all(difference <= room(op, arguments) for difference in units(found, stated))


@EACH
def test_explain_shows_it(example: dict[str, Any]) -> None:
    stated, _ = expected(example)
    text = str(explain(example["op"], all=True, **call(example)))
    for number in stated:
        assert f" {digits(number)}" in text


def test_the_linear_difference_is_printed_digits_and_not_rounding() -> None:
    (example,) = (e for e in EXAMPLES if "printed_by_torch" in e)
    text = str(explain("linear", got=example["printed_by_torch"], printed_digits=4, **call(example)))
    assert "0.0126" in text and "0.0294" in text  # the differences
    assert "0.0150" in text and "0.0351" in text  # what printed digits allow: 0.01505 and 0.03505
    assert "Printed digits" in text and "It is not binary rounding" in text


def test_an_error_in_an_example_would_be_found() -> None:
    example = {**EXAMPLES[0], "by_hand": [[47.2513], [99.8512]]}
    with pytest.raises(AssertionError):
        test_definition(example)
    with pytest.raises(AssertionError):
        test_reference(example)
