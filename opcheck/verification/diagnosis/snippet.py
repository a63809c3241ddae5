"""A failing case as Python that needs nothing but numpy or torch, to paste into a bug report."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from opcheck.backends import KNOWN as BACKENDS
from opcheck.backends.base import Backend, arguments
from opcheck.backends.function import NumpyFunction, TorchFunction
from opcheck.language import say
from opcheck.operators.spec import Array, Op, Refused
from opcheck.verification.casefile import Trial

# how a tensor gets into another memory layout, the numbers unchanged
LAYOUTS = {
    "transposed": "{x}.transpose(0, -1).contiguous().transpose(0, -1)",
    "strided": "{x}.repeat_interleave(2, dim=-1)[..., ::2]",
    "offset": "torch.cat([{x}.new_zeros(3), {x}.flatten()])[3:].view({x}.shape)",
    "channels_last": "{x}.contiguous(memory_format=torch.channels_last)",
    "expanded": "{x}[0].expand({x}.shape)",
}
ONE_NUMBER = "{x}.flatten()[0].expand({x}.shape)"  # expanded, where all numbers are equal


def snippet(
    op: Op, trial: Trial, found: Mapping[str, Any], place: str = "torch", backend: Backend | None = None
) -> str:
    """The call with its exact numbers, and what should come out: of torch, or of the function at `place` (FILE.py:NAME
    or module:NAME), which `backend` calls.

    Floats are written so that they are the same bits again (repr of float64; each is a number of the dtype). Raises
    Refused for a module class, which is built for each case.
    """
    own = backend if isinstance(backend, (NumpyFunction, TorchFunction)) else None
    if backend is not None and own is None and ":" in place and place not in BACKENDS:
        raise Refused(say("a module class has no snippet: it is built for each case"), got=place,
                      fix=say("opcheck replay runs it"))  # fmt: skip
    write = written_numpy if isinstance(own, NumpyFunction) else written_torch
    preamble, function, words = _own_call(op, trial, place, own) if own else _torch_call(op, trial)
    lines = ["import numpy as np\nfrom numpy import inf, nan" if write is written_numpy else
             "import torch\nfrom torch import inf, nan", *preamble, ""]  # fmt: skip
    for name, array in trial.case.arrays.items():
        lines.append(f"{name} = {write(array, trial.dtype)}")
        lines += laid_out(name, array, trial.layout) if write is written_torch else []
    claim, name, at = str(found.get("claim", "")), str(found.get("name", "")), tuple(found.get("at", ()))
    gradient = claim.startswith("vjp:") or found.get("of") == "gradient"
    lines, got = _result(op, trial, claim, name, gradient, lines, function, words, write)
    index = f"[{', '.join(map(str, at))}]" if at else ""
    printed = f"{got}{index}.item()" if found.get("expected") is not None and (at or name) else got
    return "\n".join([*lines, f"print({printed}){_comment(found)}"])


def _result(
    op: Op, trial: Trial, claim: str, name: str, gradient: bool, lines: list[str], function: str, words: list[str],
    write: Any,
) -> tuple[list[str], str]:  # fmt: skip
    """The lines that compute what is wrong, and what it is called."""
    call = f"{function}({', '.join(words)})"
    directions = {n: write(array, trial.dtype) for n, array in trial.tangents.items()}
    if gradient and trial.cotangent:
        array = next(iter(trial.cotangent.values()))
        cotangent = write(array, trial.dtype)
        if write is written_numpy:
            return [*lines, f"gradients = {function}.vjp({', '.join([cotangent, *words])})"], f"gradients[{name!r}]"
        laid = laid_out("g", array, trial.layout)
        lines += [f"g = {cotangent}", *laid] if laid else []
        lines += [f"{each}.requires_grad_()" for each in trial.tangents if each not in trial.frozen]
        lines.append(f"y = {call}")
        given = "g" if laid else cotangent
        if claim == "state":
            lines += [f"y.backward({given}, retain_graph=True)", f"{name}.grad = None  # a second backward pass"]
        return [*lines, f"y.backward({given})"], f"{name}.grad"
    if claim == "jvp" and directions:
        if write is written_numpy:
            along = ", ".join(f"{n!r}: {each}" for n, each in directions.items())
            return [*lines, f"y = {function}.jvp({', '.join([f'{{{along}}}', *words])})"], "y"
        names, along = ", ".join(directions), ", ".join(directions.values())
        return [*lines, f"_, y = torch.func.jvp(lambda {names}: {call}, ({names},), ({along},))"], "y"
    if claim == "refuses":
        return [*lines, f"y = {call}"], "y"
    shapes = op.checked(trial.case)[1]
    got = "y" if len(shapes) == 1 or not name else f"y[{list(shapes).index(name) if name in shapes else name!r}]"
    return [*lines, f"y = {call}"], got


def _own_call(op: Op, trial: Trial, place: str, backend: Any) -> tuple[list[str], str, list[str]]:
    """The lines that import somebody's function, how it is called, and with what."""
    where, _, name = place.rpartition(":")
    path, params = Path(where), trial.case.params
    imports = [f"from {path.stem if where.endswith('.py') else where} import {name.partition('.')[0]}"]
    if where.endswith(".py"):
        imports = ["import sys", f"sys.path.insert(0, {str(path.resolve().parent)!r})", *imports]
    if getattr(backend, "is_function_class", False):
        values = {**{each.name: each.default for each in op.params}, **params}
        words = [each if each in trial.case.arrays else repr(values.get(each)) for each in backend.places(op)]
        return imports, f"{name}.apply", words
    positional, keywords = arguments(op, {each: each for each in trial.case.arrays}, params, backend.candidate)
    keywords = {k: v if k in trial.case.arrays else repr(v) for k, v in keywords.items()}
    return imports, name, [*positional, *(f"{k}={v}" for k, v in keywords.items())]


def _torch_call(op: Op, trial: Trial) -> tuple[list[str], str, list[str]]:
    """torch's function; where torch has a class and no function, opcheck builds it."""
    params, words = trial.case.params, [f"{name}={name}" for name in trial.case.arrays]
    if not op.torch_forward_mode or params.get("padding_mode", "zeros") != "zeros":
        function = f"catalog.get({op.name!r}).torch"
        return ["from opcheck.operators import catalog"], function, ["torch", repr(params), *words]
    words += [f"{name}={value!r}" for name, value in params.items() if name != "padding_mode"]
    return [], f"torch.nn.functional.{op.name}", words


def laid_out(name: str, array: Array, layout: str) -> list[str]:
    """The line that brings a tensor into a memory layout, where that means something for it."""
    if not fits(array, layout):
        return []
    way = ONE_NUMBER if layout == "expanded" and equal(array) else LAYOUTS[layout]
    return [f"{name} = {way.format(x=name)}  # {layout}"]


def equal(array: Array) -> bool:
    """Whether all its numbers are one."""
    return array.size > 0 and bool((array == array.flat[0]).all())


def fits(array: Array, layout: str) -> bool:
    """Whether a layout means something for this array."""
    if layout == "channels_last":
        return array.ndim == 4
    if layout == "expanded":
        return array.ndim > 0 and (array.shape[0] == 1 or equal(array))
    return layout in LAYOUTS and array.ndim > (1 if layout == "transposed" else 0)


def written_torch(array: Array, dtype: str) -> str:
    return f"torch.tensor({array.tolist()}, dtype=torch.{_kind(array, dtype)}){_shape(array)}"


def written_numpy(array: Array, dtype: str) -> str:
    return f"np.array({array.tolist()}, dtype={_kind(array, dtype)!r}){_shape(array)}"


def _kind(array: Array, dtype: str) -> str:
    """The type of an array: that of the case for real numbers, and a mask stays one."""
    return {"f": dtype, "b": "bool"}.get(array.dtype.kind, "int64")


def _shape(array: Array) -> str:
    """What a list cannot say: the shape of an empty array."""
    return f".reshape({array.shape})" if array.size == 0 else ""


def _comment(found: Mapping[str, Any]) -> str:
    if found.get("claim") == "refuses":
        return say("  # should raise")
    if found.get("expected") is None:
        return ""
    expected, got = (None if found.get(k) is None else float.fromhex(str(found[k])) for k in ("expected", "got"))
    comment = say("  # should be {expected}", expected=repr(expected))
    return comment + (say("; was {got}", got=repr(got)) if got is not None else "")
