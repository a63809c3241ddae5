"""Mutations that any operator can have: of gradients, of inputs, of memory, of precision, of one element, of time."""

from collections.abc import Callable
from typing import Any

import numpy as np

from opcheck.operators.choosers import ExactValues, RandomChooser
from opcheck.operators.spec import Array, Case, Op, Params, Refused
from opcheck.verification.claims.behaviour import longer
from opcheck.verification.mutation.reference_form import Reference
from opcheck.verification.truth.formats import rounded


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


class gradient_scaled(WithGradient):
    def pull(self, p: Params, cotangent: Any, arrays: dict[str, Array]) -> dict[str, Array]:
        return {name: 2.001 * each for name, each in super().pull(p, cotangent, arrays).items()}


class gradient_zeroed(WithGradient):
    def pull(self, p: Params, cotangent: Any, arrays: dict[str, Array]) -> dict[str, Array]:
        return {name: 0.0 * each for name, each in super().pull(p, cotangent, arrays).items()}


class gradient_negated(WithGradient):
    def pull(self, p: Params, cotangent: Any, arrays: dict[str, Array]) -> dict[str, Array]:
        return {name: -each for name, each in super().pull(p, cotangent, arrays).items()}


class gradient_accumulated(WithGradient):
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


class gradients_swapped(WithGradient):
    """The gradients of two inputs change places where their shapes allow it, and are reversed if there is one."""

    def pull(self, p: Params, cotangent: Any, arrays: dict[str, Array]) -> dict[str, Array]:
        found = super().pull(p, cotangent, arrays)
        names = list(found)
        if len(names) > 1 and found[names[0]].shape == found[names[1]].shape:
            found[names[0]], found[names[1]] = found[names[1]], found[names[0]]
        else:
            found[names[0]] = found[names[0]].ravel()[::-1].reshape(found[names[0]].shape)
        return found


class tangent_halved(WithGradient):
    def push(self, p: Params, tangents: dict[str, Array], arrays: dict[str, Array]) -> Any:
        found = super().push(p, tangents, arrays)
        return {n: a * 0.5 for n, a in found.items()} if isinstance(found, dict) else found * 0.5


class inputs_changed(General):
    """The right answer, but the first input is overwritten."""

    def __call__(self, *args: Any, **options: Any) -> Any:
        found = super().__call__(*args, **options)
        args[0][...] = 0
        return found


class contiguous_only(General):
    """Reads the memory of the first input as if it were contiguous."""

    def __call__(self, *args: Any, **options: Any) -> Any:
        x = args[0]
        if x.size and not x.flags.c_contiguous:
            x = np.lib.stride_tricks.as_strided(x, strides=np.zeros(x.shape, x.dtype).strides)
        return super().__call__(x, *args[1:], **options)


class even_sizes_only(General):
    """Leaves out the last of an odd number of results."""

    def forward(self, p: Params, arrays: dict[str, Array]) -> Any:
        found = super().forward(p, arrays)
        return {n: self._spoiled(a) for n, a in found.items()} if isinstance(found, dict) else self._spoiled(found)

    def _spoiled(self, y: Array) -> Array:
        y = np.array(y)
        if y.ndim and y.shape[-1] % 2 and y.dtype.kind == "f":
            y[..., -1] = 0.5
        return y


class last_block_wrong(General):
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


class computed_in_half(General):
    """float16 inside."""

    def forward(self, p: Params, arrays: dict[str, Array]) -> Any:
        coarse = {n: rounded(a, 11) if a.dtype.kind == "f" else a for n, a in arrays.items()}
        return _each(super().forward(p, coarse), lambda y: rounded(y, 11))


class changes_once_in_fifty(General):
    """One call in fifty is off by three units in the last place."""

    def __init__(self, op: Op) -> None:
        super().__init__(op)
        self.calls = 0

    def forward(self, p: Params, arrays: dict[str, Array]) -> Any:
        self.calls += 1
        found = super().forward(p, arrays)
        return _each(found, lambda y: y * (1 + 3 * 2.0**-23)) if self.calls % 50 == 0 else found


class not_a_number_lost(General):
    """NaN becomes 0."""

    def forward(self, p: Params, arrays: dict[str, Array]) -> Any:
        return _each(super().forward(p, arrays), lambda y: np.nan_to_num(y, nan=0.0, posinf=np.inf, neginf=-np.inf))


class wrong_dtype(General):
    """Always float64."""

    def _returned(self, found: Any, dtype: Any) -> Any:
        return super()._returned(found, np.float64)


class accepts_anything(General):
    """Computes zeros where it should refuse."""

    def __call__(self, *args: Any, **options: Any) -> Any:
        try:
            return super().__call__(*args, **options)
        except ValueError:
            return np.zeros(1)

    @classmethod
    def fits(cls, op: Op) -> bool:
        """Whether some array of a case cannot be longer; those of an embedding can."""
        samples = (op.sample(RandomChooser(seed, ExactValues)) for seed in range(20))
        return any(_is_refused(op, bad) for case in samples for bad in longer(case))


def _is_refused(op: Op, case: Case) -> bool:
    try:
        op.checked(case)
    except Refused:
        return True
    return False


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
