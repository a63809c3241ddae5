"""`opcheck.bounds` and `opcheck.check`: one call and its bound, for other people's harnesses.

Where a loop compares with a tolerance, one line takes its place:

    trouble = opcheck.check(kernel(x, w), "linear", x, w)   # "" if every element is within its bound
"""

import warnings
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from opcheck import specs
from opcheck.backends import environment
from opcheck.backends.base import Backend, NoCounterpart, Session
from opcheck.language import say
from opcheck.operators.spec import Array, Case, Op, widened
from opcheck.verification.casefile import Trial
from opcheck.verification.check import Check, differs
from opcheck.verification.truth.formats import Format, format_of
from opcheck.verification.verdict import told_apart


class Bounds(NamedTuple):
    """The exact value of each element rounded to float64, and how far each may be off; tuples for several outputs."""

    expected: Any
    error: Any


@environment.judging()
def bounds(spec: specs.Spec, *inputs: Any, dtype: str = "float32", **params: Any) -> Bounds:
    """What a call should return, and how far each element of it may be off when it is computed in `dtype`.

    spec: an operator's name, a Python function over annotated arrays, `FILE.py:NAME`. inputs, params: those of the
    call, numpy arrays or tensors. dtype: float64, float32, float16 or bfloat16 (the loosest of the ways to compute in
    the last two). The error is infinite where anything may come out: after an overflow, beside a singularity.

    Raises Refused for what is no such call.

    >>> import numpy as np
    >>> found = bounds("linear", np.array([0.1, 0.2]), np.array([[3.0, 4.0]]))
    >>> found.expected, found.error < 1e-6
    (array([1.1]), array([ True]))
    """
    op, f, check = _call(spec, inputs, params, dtype)
    names = [each.name for each in op.outputs if each.name in check.shapes]
    tolerance = check.tolerance("output", f, names)
    expected = [check.expected[name] for name in names]
    errors = [np.broadcast_to(tolerance[name], check.expected[name].shape) for name in names]
    return Bounds(expected[0], errors[0]) if len(names) == 1 else Bounds(tuple(expected), tuple(errors))


@environment.judging()
def check(output: Any, spec: specs.Spec, *inputs: Any, dtype: str | None = None, **params: Any) -> str:
    """ "" if every element of `output` is within its bound, else one message that says where it is not.

    Where any number would be within the bounds of every element, a UserWarning says that nothing was judged.

    output: what the call returned (a tuple of several outputs). dtype: the type that the call declares: it is judged by
    that, and an output of a lower precision is told. Without it the call is judged in the lower one of the types of its
    output and its inputs: float32 numbers in a float64 array are float32 numbers.

    >>> import numpy as np
    >>> x = np.array([1.0, 2.0], np.float32)
    >>> check(np.exp(x) / np.exp(x).sum(), "softmax", x, dim=0)
    ''
    >>> print(check(x / x.sum(), "softmax", x, dim=0))
    output[0] is 0.333333 but should be 0.268941, 279,000 bounds away; 2 of 2 elements are wrong
    """
    outputs = output if isinstance(output, (tuple, list)) else (output,)
    own = _lowest(outputs)
    op, _, made = _call(spec, inputs, params, dtype or _lowest([own, *inputs, *params.values()]) or "float32")
    names = [each.name for each in op.outputs if each.name in made.shapes]
    if len(outputs) != len(names):
        return say(
            "{op} returns {names}; got {n} results", op=op.title or op.name, names=", ".join(names), n=len(outputs)
        )
    if dtype is not None and own in _REAL[_REAL.index(dtype) + 1 :]:
        return say("the output is {got}; it should be {want}", got=own, want=dtype)
    got = {name: np.asarray(as_numpy(each), dtype=np.float64) for name, each in zip(names, outputs, strict=True)}
    told = next(filter(None, (_trouble(made, name, got[name]) for name in names)), "")
    if not told and all(_is_free(made, name) for name in names):
        warnings.warn(
            say(
                "nothing was judged: in {type} any number is within the bounds of these inputs (an overflow or a "
                "division by almost 0 on the way)",
                type=made.f.name,
            ),
            stacklevel=3,
        )
    return told


def as_numpy(value: Any) -> Any:
    """A tensor or an array of any library as numpy's, bfloat16 in float64; other values as they are."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = value.double() if value.is_floating_point() else value
        return value.numpy()
    if hasattr(value, "__array__"):
        array = np.asarray(value)
        return array.astype(np.float64) if array.dtype.name == "bfloat16" else array
    return value


def dtype_of(value: Any) -> str:
    """The name of the type of a tensor or an array."""
    return str(getattr(value, "dtype", "")).rpartition(".")[2]


def _lowest(values: Iterable[Any]) -> str:
    """The type of the lowest precision among arrays, tensors and names of types; empty if none is of real numbers."""
    kinds = {kind for each in values for kind in (each if isinstance(each, str) else dtype_of(each),) if kind in _REAL}
    return max(kinds, key=_REAL.index, default="")


_REAL = ("float64", "float32", "float16", "bfloat16")  # the most precise first


class Unasked(Backend):
    """In place of an implementation where its answer is there already."""

    name = "given"

    def open(self, op: Op, case: Case, dtype: str, layout: str = "contiguous", gradients: bool = True) -> Session:
        raise NoCounterpart(say("there is nothing to call here"))


def _call(spec: specs.Spec, inputs: tuple[Any, ...], params: Mapping[str, Any], dtype: str) -> tuple[Op, Format, Check]:
    """The call as a check without an implementation, and the loosest way to compute in `dtype`."""
    op, f = specs.get(spec), format_of(dtype)
    case = op.case(*map(as_numpy, inputs), **{name: as_numpy(value) for name, value in params.items()})
    arrays = widened(case.arrays)
    whole = all(np.array_equal(each, np.rint(each)) for each in arrays.values())
    trial = Trial(case._replace(arrays=arrays), dtype, "exact" if whole else "real")
    return op, f.tiers()[-1], Check(op, trial, Unasked())


def _trouble(made: Check, name: str, got: Array) -> str:
    """What is wrong with one output, in a sentence."""
    expected = made.expected[name]
    if got.shape != expected.shape:
        return say("{name} has shape {got}; it should be {want}", name=name, got=got.shape, want=expected.shape)
    wrong = np.ones(expected.shape, bool)
    error = expected
    for f in made.f.tiers():
        error = np.broadcast_to(made.tolerance("output", f, [name])[name], expected.shape)
        wrong, _, _ = differs(got, expected, error, made.f)
        if not wrong.any():
            return ""
    with np.errstate(all="ignore"):
        away = np.where(wrong, np.abs(got - expected) / np.where(error > 0, error, np.finfo(float).tiny), 0.0)
    at = np.unravel_index(int(np.argmax(np.where(np.isnan(away), np.inf, away))), away.shape)
    found, right = told_apart(got[at], expected[at])
    told = say(
        "{name}{at} is {got} but should be {want}, {times}",
        name=name, at=list(map(int, at)) if at else "", got=found, want=right,
        times=_times(float(away[at]), float(error[at])),
    )  # fmt: skip
    if wrong.size == 1:
        return told
    return say("{told}; {n} of {all} elements are wrong", told=told, n=int(wrong.sum()), all=wrong.size)


def _is_free(made: Check, name: str) -> bool:
    """Whether anything may come out as each element of an output."""
    expected = made.expected[name]
    return expected.size > 0 and bool(np.isinf(made.tolerance("output", made.f.tiers()[-1], [name])[name]).all())


def _times(away: float, error: float) -> str:
    if not error > 0 or not np.isfinite(away):
        return say("and nothing else is accepted")
    return say("{n} bounds away", n=f"{away:,.3g}" if away < 1000 else f"{float(f'{away:.3g}'):,.0f}")


__all__ = ["Bounds", "bounds", "check"]
