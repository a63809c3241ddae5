"""The computation behind every solution: an operator's reference, or a mistake or a form of the catalogue that was
chosen."""

from typing import Any

import numpy as np

from opcheck import specs
from opcheck.operators.spec import Array
from opcheck.verification.mutation.mutants import Mistaken, Written, joined
from opcheck.verification.mutation.reference_form import Reference

_chosen: dict[str, str] = {}


def choose(op: str, mistake: str) -> None:
    """Make this mistake, or write it in this form, from now on, and no other; two names are two mistakes at once, and
    none for an empty name."""
    _chosen.clear()
    if mistake:
        _chosen[op] = mistake


def _solution(op: str) -> Reference:
    operator = specs.get(op)
    if op not in _chosen:
        return Reference(operator)
    name = _chosen[op]
    form = next((each for each in operator.forms if each.name == name), None)
    if form is not None:
        return Written(operator, form)
    mistakes = [next(each for each in operator.mistakes if each.name == one) for one in name.split()]
    if len(mistakes) == 1:
        return Mistaken(operator, mistakes[0])
    first, second = mistakes
    return Mistaken(operator, joined(operator, first, second, gradient=first.forward is None))


def forward(op: str, *arrays: Any, **options: Any) -> Any:
    """The outputs, called as torch.nn.functional would be."""
    first, *others = arrays
    if first.dtype.kind != "f" and not specs.get(op).inputs[0].whole:  # real numbers may come as integers
        first = first.astype(np.float64)
    found = _solution(op)(first, *others, **options)
    return found[0] if isinstance(found, tuple) and len(found) == 1 else found


def vjp(op: str, cotangent: Any, *arrays: Any, **options: Any) -> dict[str, Array]:
    """The gradients by input name."""
    return _solution(op).vjp(cotangent, *arrays, **options)
