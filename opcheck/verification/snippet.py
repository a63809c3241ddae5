"""A failing case as Python that needs nothing but numpy or torch, to paste into a bug report."""

from collections.abc import Mapping
from typing import Any

from opcheck.language import say
from opcheck.spec import Array, Op
from opcheck.verification.casefile import Trial


def snippet(op: Op, trial: Trial, found: Mapping[str, Any]) -> str:
    """The call in torch with its exact numbers, and what should come out.

    Floats are written so that they are the same bits again (repr of float64; each is a number of the dtype).
    """
    lines = ["import torch", "from torch import inf, nan", ""]
    for name, array in trial.case.arrays.items():
        kind = f"torch.{trial.dtype}" if array.dtype.kind == "f" else "torch.int64"
        lines.append(f"{name} = torch.tensor({_literal(array)}, dtype={kind}){_shape(array)}")
    arguments = [f"{name}={name}" for name in trial.case.arrays]
    arguments += [f"{name}={value!r}" for name, value in trial.case.params.items()]
    call = f"torch.nn.functional.{op.name}({', '.join(arguments)})"
    claim, name, at = str(found.get("claim", "")), str(found.get("name", "")), tuple(found.get("at", ()))
    if claim.startswith("vjp:"):
        leaf = claim.removeprefix("vjp:")
        cotangent = next(iter(trial.cotangent.values()))
        lines += [
            f"{leaf}.requires_grad_()",
            f"y = {call}",
            f"y.backward(torch.tensor({_literal(cotangent)}, dtype=torch.{trial.dtype}){_shape(cotangent)})",
        ]
        got = f"{leaf}.grad"
    else:
        lines.append(f"y = {call}")
        got = "y"
    index = f"[{', '.join(map(str, at))}]" if at else ""
    comment = ""
    if found.get("expected") is not None:
        expected = float.fromhex(str(found["expected"]))
        comment = say("  # should be {expected}", expected=repr(expected))
        if found.get("got") is not None:
            comment += say("; was {got}", got=repr(float.fromhex(str(found["got"]))))
    lines.append(f"print({got}{index}.item()){comment}" if at or not name else f"print({got}){comment}")
    return "\n".join(lines)


def _literal(array: Array) -> str:
    return str(array.tolist())


def _shape(array: Array) -> str:
    """What a list cannot say: the shape of an empty array."""
    return f".reshape({array.shape})" if array.size == 0 else ""
