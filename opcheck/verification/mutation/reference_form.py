"""An operator's fast reference as a numpy candidate; mutants replace parts of it."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from opcheck.operators.spec import Array, Case, Op, Params


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
        case, dtype = self._case(args, options)
        p, _ = self.op.checked(case)
        return p, case.arrays, dtype, {each.name for each in self.op.inputs if each.differentiable}

    def _case(self, args: tuple[Any, ...], options: dict[str, Any]) -> tuple[Case, Any]:
        """The call in float64, and the type of its numbers, which a default may depend on."""
        given = dict(zip(self.op.signature.parameters, args, strict=False))
        given = self.op.parted({**given, **options})
        names = {each.name for each in self.op.inputs}
        real = {n: a for n, a in given.items() if n in names and a is not None and a.dtype.kind not in "iub"}
        dtype = next(a.dtype for a in real.values())
        wide = {n: a.astype(np.float64) if n in real else a for n, a in given.items()}
        return self.op.case(**wide)._replace(dtype=np.dtype(dtype).name), np.dtype(dtype)

    def _returned(self, found: Any, dtype: Any) -> Any:
        if isinstance(found, dict):
            return tuple(self._returned(each, dtype) for each in found.values())
        found = np.asarray(found)
        return found if found.dtype.kind in "iub" else found.astype(dtype)
