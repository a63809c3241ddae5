"""Wrong implementations on purpose, and correct ones in other orders of summation: the tests of the tester.

Every mistake of the catalogue comes as a numpy function (with .vjp and .jvp) and as a torch function (with autograd);
every operator also gets the general ones: a gradient that is scaled, zeroed, negated or accumulated, changed inputs, memory layout
ignored, lower precision, one wrong element, answers that change. All take torch's call.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from opcheck.backends.base import Backend
from opcheck.backends.function import NumpyFunction
from opcheck.spec import Array, Mistake, Op, Params, widened
from opcheck.verify.formats import rounded


# autograd sums a gradient that is too large down to the shape of its input, so these are right in torch
MENDED_BY_AUTOGRAD = frozenset({"bias_gradient_not_summed", "bias_gradient_kept_as_a_row"})


class Reference:
    """The operator's fast reference as a numpy candidate: the part that a mutant replaces is a method."""

    def __init__(self, op: Op) -> None:
        self.op = op
        self.__name__ = self.__qualname__ = op.name

    # what mutants override, in float64; `self.dtype` is that of the call
    def forward(self, p: Params, arrays: dict[str, Array]) -> Any:
        return self.op.forward(p, **arrays)

    def pull(self, p: Params, cotangent: Any, arrays: dict[str, Array]) -> dict[str, Array]:
        return self.op.vjp(p, cotangent, **arrays)

    def push(self, p: Params, tangents: dict[str, Array], arrays: dict[str, Array]) -> Any:
        return self.op.jvp(p, tangents, **arrays)

    # the calling convention of numpy candidates
    def __call__(self, *args: Any, **options: Any) -> Any:
        p, arrays, dtype, _ = self._arguments(args, options)
        with np.errstate(all="ignore"):
            return self._returned(self.forward(p, arrays), dtype)

    def vjp(self, cotangent: Any, *args: Any, **options: Any) -> dict[str, Array]:
        p, arrays, dtype, names = self._arguments(args, options)
        g = {n: a.astype(np.float64) for n, a in cotangent.items()} if isinstance(cotangent, Mapping) else np.asarray(
            cotangent, dtype=np.float64)  # fmt: skip
        with np.errstate(all="ignore"):
            found = self.pull(p, g, arrays)
        return {name: np.asarray(each).astype(dtype) for name, each in found.items() if name in names}

    def jvp(self, tangents: Mapping[str, Array], *args: Any, **options: Any) -> Any:
        p, arrays, dtype, _ = self._arguments(args, options)
        with np.errstate(all="ignore"):
            found = self.push(p, {n: a.astype(np.float64) for n, a in tangents.items()}, arrays)
        return self._returned(found, dtype)

    def _arguments(self, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        given = dict(zip([each.name for each in self.op.inputs], args, strict=False))
        given |= options
        names = {each.name for each in self.op.inputs}
        dtype = next(a.dtype for n, a in given.items() if n in names and a.dtype.kind not in "iub")
        wide = {n: a.astype(np.float64) if n in names and a.dtype.kind not in "iub" else a for n, a in given.items()}
        case = self.op.case(**wide)
        p, _ = self.op.checked(case)
        return p, case.arrays, dtype, {each.name for each in self.op.inputs if each.differentiable}

    def _returned(self, found: Any, dtype: Any) -> Any:
        if isinstance(found, dict):
            return tuple(self._returned(each, dtype) for each in found.values())
        found = np.asarray(found)
        return found if found.dtype.kind in "iub" else found.astype(dtype)


@dataclass(frozen=True)
class Mutant:
    """A wrong implementation: its name, what form it has, and how to build it."""

    op: str
    name: str
    form: str  # numpy or torch
    build: Callable[[], Backend]


def numpy_mutants(op: Op) -> Iterator[Mutant]:
    """Every mistake and every general mutation, as numpy functions."""
    for mistake in op.mistakes:
        yield Mutant(op.name, mistake.name, "numpy", lambda mistake=mistake: backend(Mistaken(op, mistake)))
    for kind in GENERAL:
        if kind.fits(op):
            yield Mutant(op.name, kind.__name__, "numpy", lambda kind=kind: backend(kind(op)))


def torch_mutants(op: Op) -> Iterator[Mutant]:
    """The same as torch functions, whose gradients are autograd's of an autograd.Function around the numpy mutant."""
    for mutant in numpy_mutants(op):
        if mutant.name not in MENDED_BY_AUTOGRAD:
            yield Mutant(op.name, mutant.name, "torch", lambda mutant=mutant: in_torch(op, mutant.build()))


def backend(candidate: Any) -> NumpyFunction:
    return NumpyFunction(candidate, candidate.__name__)


def in_torch(op: Op, numpy_form: Any) -> Backend:
    """A numpy candidate as a torch function with gradients."""
    from opcheck.backends.function import TorchFunction
    from opcheck.verify.bridge import torch_form

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


class General(Reference):
    """A mutation that any operator can have."""

    @classmethod
    def fits(cls, op: Op) -> bool:
        return True


class WithGradient(General):
    """A mutation of gradients."""

    @classmethod
    def fits(cls, op: Op) -> bool:
        return any(each.differentiable for each in op.inputs) and any(each.differentiable for each in op.outputs)


class gradient_scaled(WithGradient):  # noqa: N801  # mutants are named as mistakes are
    def pull(self, p: Params, cotangent: Any, arrays: dict[str, Array]) -> dict[str, Array]:
        return {name: 2.001 * each for name, each in super().pull(p, cotangent, arrays).items()}


class gradient_zeroed(WithGradient):  # noqa: N801
    def pull(self, p: Params, cotangent: Any, arrays: dict[str, Array]) -> dict[str, Array]:
        return {name: 0.0 * each for name, each in super().pull(p, cotangent, arrays).items()}


class gradient_negated(WithGradient):  # noqa: N801
    def pull(self, p: Params, cotangent: Any, arrays: dict[str, Array]) -> dict[str, Array]:
        return {name: -each for name, each in super().pull(p, cotangent, arrays).items()}


class gradient_accumulated(WithGradient):  # noqa: N801
    """Each call adds to the gradient of the call before, where the shapes are equal."""

    def __init__(self, op: Op) -> None:
        super().__init__(op)
        self.kept: dict[str, Array] = {}

    def pull(self, p: Params, cotangent: Any, arrays: dict[str, Array]) -> dict[str, Array]:
        found = super().pull(p, cotangent, arrays)
        for name, each in found.items():
            before = self.kept.get(name)
            self.kept[name] = each + before if before is not None and before.shape == each.shape else each
        return dict(self.kept)


class gradients_swapped(WithGradient):  # noqa: N801
    """The gradients of two inputs change places where their shapes allow it, and are reversed where there is one."""

    def pull(self, p: Params, cotangent: Any, arrays: dict[str, Array]) -> dict[str, Array]:
        found = super().pull(p, cotangent, arrays)
        names = list(found)
        if len(names) > 1 and found[names[0]].shape == found[names[1]].shape:
            found[names[0]], found[names[1]] = found[names[1]], found[names[0]]
        else:
            found[names[0]] = found[names[0]].ravel()[::-1].reshape(found[names[0]].shape)
        return found


class tangent_halved(WithGradient):  # noqa: N801
    def push(self, p: Params, tangents: dict[str, Array], arrays: dict[str, Array]) -> Any:
        found = super().push(p, tangents, arrays)
        return {n: a * 0.5 for n, a in found.items()} if isinstance(found, dict) else found * 0.5


class inputs_changed(General):  # noqa: N801
    """The right answer, but the first input is overwritten."""

    def __call__(self, *args: Any, **options: Any) -> Any:
        found = super().__call__(*args, **options)
        args[0][...] = 0
        return found


class contiguous_only(General):  # noqa: N801
    """Reads the memory of the first input as if it were contiguous."""

    def __call__(self, *args: Any, **options: Any) -> Any:
        x = args[0]
        if x.size and not x.flags.c_contiguous:
            x = np.lib.stride_tricks.as_strided(x, strides=np.zeros(x.shape, x.dtype).strides)
        return super().__call__(x, *args[1:], **options)


class even_sizes_only(General):  # noqa: N801
    """Leaves out the last of an odd number of results."""

    def forward(self, p: Params, arrays: dict[str, Array]) -> Any:
        found = super().forward(p, arrays)
        return {n: self._spoiled(a) for n, a in found.items()} if isinstance(found, dict) else self._spoiled(found)

    def _spoiled(self, y: Array) -> Array:
        y = np.array(y)
        if y.ndim and y.shape[-1] % 2 and y.dtype.kind == "f":
            y[..., -1] = 0.5
        return y


class last_block_wrong(General):  # noqa: N801
    """One element of the last, incomplete block of 8 is left over from the block before."""

    @classmethod
    def fits(cls, op: Op) -> bool:
        return len(op.outputs[0].letters.split()) > 0 and not op.outputs[0].letters.startswith("one number")

    def forward(self, p: Params, arrays: dict[str, Array]) -> Any:
        found = super().forward(p, arrays)
        y = np.array(next(iter(found.values())) if isinstance(found, dict) else found)
        if y.size > 8 and y.size % 8:
            y.flat[-1] = y.flat[y.size - y.size % 8 - 1]
        return {**found, next(iter(found)): y} if isinstance(found, dict) else y


class computed_in_half(General):  # noqa: N801
    """float16 inside."""

    def forward(self, p: Params, arrays: dict[str, Array]) -> Any:
        coarse = {n: rounded(a, 11) if a.dtype.kind == "f" else a for n, a in arrays.items()}
        return _each(super().forward(p, coarse), lambda y: rounded(y, 11))


class changes_once_in_fifty(General):  # noqa: N801
    """One call in fifty is off by three units in the last place."""

    def __init__(self, op: Op) -> None:
        super().__init__(op)
        self.calls = 0

    def forward(self, p: Params, arrays: dict[str, Array]) -> Any:
        self.calls += 1
        found = super().forward(p, arrays)
        return _each(found, lambda y: y * (1 + 3 * 2.0**-23)) if self.calls % 50 == 0 else found


class not_a_number_lost(General):  # noqa: N801
    """NaN becomes 0."""

    def forward(self, p: Params, arrays: dict[str, Array]) -> Any:
        return _each(super().forward(p, arrays), lambda y: np.nan_to_num(y, nan=0.0, posinf=np.inf, neginf=-np.inf))


class wrong_dtype(General):  # noqa: N801
    """Always float64."""

    def _returned(self, found: Any, dtype: Any) -> Any:
        return super()._returned(found, np.float64)


class accepts_anything(General):  # noqa: N801
    """Computes zeros where it should refuse."""

    def __call__(self, *args: Any, **options: Any) -> Any:
        try:
            return super().__call__(*args, **options)
        except ValueError:
            return np.zeros(1)

    @classmethod
    def fits(cls, op: Op) -> bool:
        return len(op.inputs) > 1


def _each(found: Any, change: Callable[[Array], Array]) -> Any:
    """The change, made to every real output."""
    if isinstance(found, dict):
        return {name: _each(a, change) for name, a in found.items()}
    found = np.asarray(found)
    return change(found) if found.dtype.kind == "f" else found


GENERAL: tuple[type[General], ...] = (
    gradient_scaled, gradient_zeroed, gradient_negated, gradient_accumulated, gradients_swapped, tangent_halved,
    inputs_changed, contiguous_only, even_sizes_only, last_block_wrong, computed_in_half, changes_once_in_fifty,
    not_a_number_lost, wrong_dtype, accepts_anything,
)  # fmt: skip
