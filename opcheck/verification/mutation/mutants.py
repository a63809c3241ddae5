"""Wrong implementations on purpose: the tests of the tester.

Every mistake of the catalogue comes as a numpy function (with .vjp and .jvp) and as a torch function (with autograd);
so do the general mutations. All take torch's call.
"""

from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass
from functools import partial
from typing import Any

from opcheck.backends.base import Backend
from opcheck.backends.function import NumpyFunction
from opcheck.operators.spec import Array, Form, Mistake, Op, Params, results_of
from opcheck.verification.mutation.mutations import GENERAL, General
from opcheck.verification.mutation.reference_form import Reference
from opcheck.verification.truth import forms

# autograd sums a gradient that is too large down to the shape of its input, so these are right in torch
MENDED_BY_AUTOGRAD = frozenset({"bias_gradient_not_summed", "bias_gradient_kept_as_a_row"})


@dataclass(frozen=True)
class Mutant:
    """A wrong implementation: its name, what form it has, and how to build it."""

    op: str
    name: str
    form: str  # numpy or torch
    build: Callable[[], Backend]


def numpy_mutants(op: Op) -> Iterator[Mutant]:
    """Every mistake, every form and every general mutation, as numpy functions."""
    for mistake in op.mistakes:
        yield Mutant(op.name, mistake.name, "numpy", partial(_mistaken, op, mistake))
    for form in op.forms:
        if not form.as_wide:
            yield Mutant(op.name, form.name, "numpy", partial(_written, op, form))
    for kind in GENERAL:
        if kind.fits(op):
            yield Mutant(op.name, kind.__name__, "numpy", partial(_general, op, kind))


def torch_mutants(op: Op) -> Iterator[Mutant]:
    """The same as torch functions, whose gradients are autograd's of an autograd.Function around the numpy mutant."""
    for mutant in numpy_mutants(op):
        if mutant.name not in MENDED_BY_AUTOGRAD:
            yield Mutant(op.name, mutant.name, "torch", partial(_in_torch, op, mutant))


def _mistaken(op: Op, mistake: Mistake) -> Backend:
    return backend(Mistaken(op, mistake))


def _written(op: Op, form: Form) -> Backend:
    return backend(Written(op, form))


def _general(op: Op, kind: type[General]) -> Backend:
    return backend(kind(op))


def _in_torch(op: Op, mutant: Mutant) -> Backend:
    return in_torch(op, mutant.build())


def backend(candidate: Any) -> NumpyFunction:
    return NumpyFunction(candidate, candidate.__name__)


def in_torch(op: Op, numpy_form: Any) -> Backend:
    """A numpy candidate as a torch function with gradients."""
    from opcheck.backends.function import TorchFunction
    from opcheck.verification.bridge import torch_form

    return TorchFunction(torch_form(op, numpy_form.candidate), name=numpy_form.name)


class Mistaken(Reference):
    """A mistake of the catalogue; what it does not concern is right."""

    def __init__(self, op: Op, mistake: Mistake) -> None:
        super().__init__(op)
        self.mistake = mistake
        self.__name__ = mistake.name

    def forward(self, p: Params, arrays: dict[str, Array]) -> Any:
        if self.mistake.forward is None:
            return super().forward(p, arrays)
        return self.mistake.forward(self.op, p, **arrays)

    def pull(self, p: Params, cotangent: Any, arrays: dict[str, Array]) -> dict[str, Array]:
        if self.mistake.vjp is None:
            return super().pull(p, cotangent, arrays)
        return self.mistake.vjp(self.op, p, cotangent, **arrays)


def joined(op: Op, a: Mistake, b: Mistake, gradient: bool) -> Mistake:
    """Mistake `a`, made by somebody whose operator has mistake `b`: two at once."""
    other, name = copy(op), f"{a.name} {b.name}"
    if gradient:
        vjp, made_back = b.vjp, a.vjp
        assert vjp is not None and made_back is not None
        other.vjp = lambda p, g, **arrays: vjp(op, p, g, **arrays)  # type: ignore[method-assign]
        return Mistake(name, "", vjp=lambda _, p, g, **arrays: made_back(other, p, g, **arrays))
    forward, made = b.forward, a.forward
    assert forward is not None and made is not None
    other.forward = lambda p, **arrays: forward(op, p, **arrays)  # type: ignore[method-assign]
    return Mistake(name, "", lambda _, p, **arrays: made(other, p, **arrays))


class Written(Reference):
    """A form of the operator, computed in the type of the call."""

    def __init__(self, op: Op, form: Form) -> None:
        super().__init__(op)
        self.form = form
        self.__name__ = form.name

    def _arguments(self, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        found = super()._arguments(args, options)
        self.dtype = found[2]
        return found

    def forward(self, p: Params, arrays: dict[str, Array]) -> Any:
        made = forms.written_outputs(self.op, p, self.form, forms.in_precision(arrays, self.dtype))
        return made if len(made) > 1 else next(iter(made.values()))

    def pull(self, p: Params, cotangent: Any, arrays: dict[str, Array]) -> dict[str, Array]:
        seeds = forms.in_precision(results_of(self.op, cotangent), self.dtype)
        made = forms.written_gradients(self.op, p, self.form, forms.in_precision(arrays, self.dtype), seeds)
        return {**self.op.vjp(p, cotangent, **arrays), **made}
