"""The functional convention: NAME(*arrays, **params) and NAME_backward(dy, *arrays, **params)."""

from collections.abc import Callable
from typing import Any

from opcheck import specs
from opcheck.grading.solutions import engine
from opcheck.operators import catalog
from opcheck.operators.spec import Op


def _forward(op: Op) -> Callable[..., Any]:
    written = [each.name for each in op.outputs if each.updates]

    def function(*arrays: Any, **params: Any) -> Any:
        found = engine.forward(op.name, *arrays, **params)
        if not written or not isinstance(found, tuple):
            return found
        given = {**dict(zip(op.signature.parameters, arrays, strict=False)), **params}
        for name, value in zip(written, found[-len(written) :], strict=True):
            given[name][...] = value
        return found[0]

    return function


def _backward(op: Op) -> Callable[..., Any]:
    smooth = [each.name for each in op.outputs if each.differentiable]

    def function(upstream: Any, *arrays: Any, **params: Any) -> Any:
        several = isinstance(upstream, tuple)
        g = dict(zip(smooth, upstream, strict=False)) if several else upstream
        gradients = engine.vjp(op.name, g, *arrays, **params)
        found = tuple(each for name, each in gradients.items() if name != "target")
        return found if len(found) > 1 else found[0]

    return function


def define(name: str) -> None:
    """The functions of one operator, or of a teacher's own spec."""
    op = specs.get(name)
    globals()[op.title or op.name] = _forward(op)
    globals()[f"{op.title or op.name}_backward"] = _backward(op)


for _op in catalog.every():
    define(_op.name)
