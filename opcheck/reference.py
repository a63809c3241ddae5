"""The reference functions: `opcheck.reference.conv2d(x, weight, stride=2)`, with `.vjp` and `.jvp`.

Names, order and defaults are torch.nn.functional's (optimiser steps: torch.optim's). Arrays are numpy's, or anything
that numpy reads.

Precision: everything is computed in float64. If every real array of a call is float32 (float16), the result is
rounded to float32 (float16) once, at the end; so it is the float64 result correctly rounded, and at most one unit in
the last place of float32 from the exact value unless the float64 computation itself cancels. Mixed types give the
widest. Whole-number arrays count as float64, except classes and indices.
"""

import textwrap
from collections.abc import Mapping
from functools import cache, cached_property
from typing import Any

import numpy as np

from opcheck.language import say
from opcheck.operators import catalog
from opcheck.operators.spec import Array, Case, Op, Output, Params, Refused, as_array, result_dtype, widened


class Reference:
    """One operator as a function of numpy arrays."""

    def __init__(self, op: Op) -> None:
        self.op = op
        self.__name__ = self.__qualname__ = op.name
        self.__signature__ = op.signature
        self.__doc__ = _document(op)

    def __repr__(self) -> str:
        return f"<opcheck.reference.{self.op.name}>"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The output; a tuple if there are several. What torch would write in place comes behind it with
        `return_updated=True`."""
        everything = kwargs.pop("return_updated", False) if self._updates else False
        traced = _traced(args, kwargs)
        if traced is not None:
            from opcheck.operators.recorded import record

            return record(traced.tape, self.op, args, kwargs)
        case = self.op.completed(self.op.bind(*args, **kwargs))
        p, shapes = self.op.checked(case)
        results = self.op.by_name(self.op.forward(p, **widened(case.arrays)), shapes)
        hidden = () if everything else self.op.updated(shapes)
        return _rounded({name: results[name] for name in results if name not in hidden}, case)

    def vjp(self, cotangent: Any, *args: Any, **kwargs: Any) -> dict[str, Array]:
        """The gradient of each differentiable input for the cotangent of the output (a tuple or dict if several)."""
        case = self.op.completed(self.op.bind(*args, **kwargs))
        p, shapes = self.op.checked(case)
        names = [each.name for each in self._differentiable if each.name in shapes]
        given = _by_output(cotangent, names)
        for name, array in given.items():
            if array.shape != shapes[name]:
                raise Refused(
                    say("the cotangent has the shape of the output, {shape}", shape=shapes[name]), got=f"{array.shape}"
                )
        wide = widened(given)
        gradients = self.op.vjp(p, wide if len(self._differentiable) > 1 else wide[names[0]], **widened(case.arrays))
        dtype = result_dtype(case)
        return self.op.gathered({name: gradient.astype(dtype, copy=False) for name, gradient in gradients.items()})

    def jvp(self, tangents: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        """The tangent of the output for tangents of some inputs, by name; a tuple if there are several outputs."""
        case = self.op.completed(self.op.bind(*args, **kwargs))
        p, shapes = self.op.checked(case)
        given = widened(self._tangents(tangents, case))
        names = [each.name for each in self._differentiable if each.name in shapes]
        result = self.op.jvp(p, given, **widened(case.arrays))
        return _rounded(self.op.by_name(result, names), case)

    def _tangents(self, tangents: Mapping[str, Any], case: Case) -> dict[str, Array]:
        """The tangents as arrays; raises Refused for what has none."""
        movable = [
            each.name
            for each in self.op.inputs
            if each.differentiable and each.name in case.arrays and case.arrays[each.name].dtype.kind == "f"
        ]
        if not tangents or not movable:
            raise Refused(say("give a tangent of at least one input"), fix=_allowed(movable))
        given = {name: as_array(tangent, name, real=True) for name, tangent in self.op.parted(tangents).items()}
        for name, tangent in given.items():
            if name not in case.arrays:
                raise Refused(say("tangents are given by input name"), got=name, fix=_allowed(movable))
            if name not in movable:
                raise Refused(say("{name} is not differentiable", name=name), fix=_allowed(movable))
            if tangent.shape != case.arrays[name].shape:
                raise Refused(
                    say("the tangent of {name} has its shape, {shape}", name=name, shape=case.arrays[name].shape),
                    got=f"{tangent.shape}",
                )
        return given

    @cached_property
    def _updates(self) -> bool:
        return any(each.updates for each in self.op.outputs)

    @cached_property
    def _differentiable(self) -> list[Output]:
        return [each for each in self.op.outputs if each.differentiable]


def _allowed(names: list[str]) -> str:
    return say("give tangents of {names}", names=", ".join(names)) if names else say("no input here has one")


def _by_output(cotangent: Any, names: list[str]) -> dict[str, Array]:
    """The cotangents by the name of their output, from one, a tuple or a dict of them."""
    if isinstance(cotangent, Mapping):
        given = dict(cotangent)
    elif len(names) > 1 and isinstance(cotangent, (tuple, list)):
        given = dict(zip(names, cotangent, strict=False))
    else:
        given = {names[0]: cotangent}
    return {name: as_array(array, "cotangent", real=True) for name, array in given.items() if array is not None}


def _rounded(results: Mapping[str, Array], case: Case) -> Any:
    dtype = result_dtype(case)
    arrays = [a.astype(dtype, copy=False) if a.dtype.kind == "f" else a for a in map(np.asarray, results.values())]
    return arrays[0] if len(arrays) == 1 else tuple(arrays)


def _traced(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """The first argument that wants to record the call instead (a traced array), if there is one."""
    for each in (*args, *kwargs.values()):
        for one in each if isinstance(each, tuple) else (each,):
            if getattr(one, "is_traced", False):
                return one
    return None


def _document(op: Op) -> str:
    """The docstring that follows from the declaration."""
    head = [f"{op.summary}.", "", f"    {op.formula}", ""]
    lines = [f"{op.name}{op.signature}", ""]
    for spec in op.inputs:
        optional = say(" (optional)") if spec.optional else ""
        lines.append(f"{spec.name} ({spec.letters}): {spec.help}{optional}")
    for param in op.params:
        symbol = f" ({param.symbol})" if param.symbol else ""
        lines.append(f"{param.name}{symbol}: {param.help}; {param.kind.describe()}")
    updates = [out.name for out in op.outputs if out.updates]
    if updates:
        lines.append(say("{names}: torch writes them in place; return_updated=True returns them after the output",
                         names=", ".join(updates)))  # fmt: skip
    returned = [f"{out.name} ({out.letters})" for out in op.outputs if not out.updates]
    lines += [
        "",
        say("Returns {outputs}.", outputs=", ".join(returned)),
        say("Takes numpy arrays, or anything numpy converts to one; class numbers are int64 or uint8."),
        say("Computes in float64 and rounds once, to the widest dtype of the real arrays."),
        say(
            "Raises opcheck.Refused, a ValueError or TypeError that says what is allowed, where torch refuses the call."
        ),
        say("Gradients: {op}.vjp(cotangent, ...) by input name; {op}.jvp(tangents by input name, ...).", op=op.name),
        say("Formula: {source}.", source=op.source),
    ]
    body = [part for line in lines for part in textwrap.wrap(line, 100, subsequent_indent="    ") or [""]]
    call, result = op.example
    return "\n".join([*head, *body, "", f">>> from opcheck.reference import {op.name}", f">>> {call}", result])


@cache
def function(name: str) -> Reference:
    return Reference(catalog.get(name))


def __getattr__(name: str) -> Reference:
    if name.startswith("_"):
        raise AttributeError(name)
    try:
        return function(name)
    except Refused as error:
        raise AttributeError(str(error)) from None


def __dir__() -> list[str]:
    return [op.name for op in catalog.every()]


__all__ = ["Params", "Reference", "function", "result_dtype"]
