"""A tensor program as tables: shape, a few values and the norm of each line, and whose rule was used."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from opcheck.autodiff.drawing import Boxes
from opcheck.autodiff.scalar.lines import SUBSCRIPTS
from opcheck.autodiff.scalar.tables import Row, as_it_is, elided
from opcheck.autodiff.tensor.arrays import ArrayNode
from opcheck.autodiff.tensor.operators import Call
from opcheck.autodiff.tensor.trace import ArrayTrace
from opcheck.language import say
from opcheck.render.numbers import digits
from opcheck.steps import Block, Box, Number, Prose, Step, Symbol, Table
from opcheck.tracing.arithmetic import as_fraction

SIGNS = {"sum": "+", "sub": "−", "mul": "·", "div": "/", "matmul": "@", "power": "^", "less": "<", "greater": ">",
         "less_equal": "≤", "greater_equal": "≥"}  # fmt: skip
SPELLED = {"total": "sum", "largest": "max", "smallest": "min", "log": "ln", "sqrt": "√"}
FEW = 4  # an array of at most so many numbers is shown whole; of a longer one the first two and the last


def heading(trace: ArrayTrace) -> list[Block]:
    inputs = ", ".join(f"{name} {shape(trace.nodes[id].value)}" for name, id in trace.inputs.items())
    return [Prose(f"{trace.title}   {inputs}", "title")]


def evaluation(trace: ArrayTrace, everything: bool = False) -> Step:
    return Step("", (*heading(trace), *values_table(trace, everything), gradients_table(trace)))


def call_of(node: ArrayNode) -> Call | None:
    """The call of a catalogue operator that a node is, if it is one."""
    call = getattr(node.rule.forward, "__self__", None) if node.rule else None
    return call if isinstance(call, Call) else None


# --- tables ---------------------------------------------------------------------------------------------------------


def values_table(trace: ArrayTrace, everything: bool = False) -> list[Block]:
    """node, what it computes, shape, values, norm."""
    rows: list[Row] = []
    for id in trace.names:
        value = trace.nodes[id].value
        rows.append((called(trace, id), computes(trace, id), shape(value), few(value), norm(value)))
    headers = (say("node"), say("computes"), say("shape"), say("values"), say("norm"))
    return elided(headers, rows, as_it_is, say("evaluation trace"), everything)


def tangents_table(trace: ArrayTrace, everything: bool = False) -> list[Block]:
    """The tangents of all lines, for tangents of ones."""
    ones = {name: np.ones(trace.nodes[trace.inputs[name]].value.shape) for name in trace.tracked}
    tangents = trace.tangents(ones)
    rows: list[Row] = []
    for id in trace.names:
        if tangents[id] is not None:
            moved = tangents[id]
            rows.append(
                (Symbol(called(trace, id).name, tangent=True), rule(trace, id), shape(moved), few(moved), norm(moved))
            )
    headers = (say("tangent"), say("rule"), say("shape"), say("values"), say("norm"))
    return elided(
        headers, rows, as_it_is, say("forward mode: tangents v̇, where every tracked input moves by 1"), everything
    )


def adjoints_table(trace: ArrayTrace, seed: float = 1.0, everything: bool = False) -> list[Block]:
    """One row for each contribution, in the order in which the sweep makes them; a sum where there are several."""
    rows: list[Row] = []
    running: dict[int, Any] = {}

    def note(source: int, to: int, share: Any) -> None:
        if to not in trace.names or isinstance(share, dict):
            return
        before = running.get(to)
        running[to] = share if before is None else before + share
        total = running[to]
        told = rule(trace, source, to) + ("" if before is None else say(", added to what it had"))
        left = Symbol(called(trace, to).name, adjoint=True)
        origin = called(trace, source) if source in trace.names else ""
        rows.append((origin, left, told, shape(total), few(total), norm(total)))

    trace.adjoints(np.full(trace.value.shape, seed), note=note)
    headers = (say("from"), say("adjoint"), say("rule"), say("shape"), say("values"), say("norm"))
    return elided(headers, rows, as_it_is, say("reverse mode: adjoints v̄, last line first"), everything)


def gradients_table(trace: ArrayTrace) -> Table:
    """Each input's gradient: its values, "not computed" before a backward pass, or "not tracked"."""
    rows: list[Row] = []
    for name, gradient in trace.gradients.items():
        if not gradient.passes:
            rows.append((Symbol(name), gradient.state, "", ""))
            continue
        count = len(gradient.passes)
        told = few(gradient.value) + ("" if count == 1 else say(" (sum of {n} backward passes)", n=count))
        rows.append((Symbol(name), told, shape(gradient.value), norm(gradient.value)))
    headers = (say("input"), say("gradient"), say("shape"), say("norm"))
    return Table(headers, tuple(rows), say("gradient left by reverse mode"))


def arrays_table(title: str, arrays: Mapping[str, Any]) -> Table:
    """One array a row."""
    headers = (say("input"), say("shape"), say("values"), say("norm"))
    return Table(headers, tuple((Symbol(name), shape(x), few(x), norm(x)) for name, x in arrays.items()), title)


def matrix(title: str, rows: Sequence[str], columns: Sequence[str], array: Any) -> Table:
    """A Jacobian or a Hessian, its rows and columns named."""
    flat = np.reshape(array, (len(rows), len(columns)))
    entries: list[Row] = [(name, *(number(x) for x in row)) for name, row in zip(rows, flat, strict=True)]
    return Table(("", *columns), tuple(entries), title)


# --- entries --------------------------------------------------------------------------------------------------------


def called(trace: ArrayTrace, id: int) -> Symbol:
    return Symbol(trace.names[id].translate(SUBSCRIPTS))


def computes(trace: ArrayTrace, id: int) -> str:
    """What a line is: its input's name, or its operation on other lines."""
    node = trace.nodes[id]
    if node.rule is None:
        return node.label
    if node.rule.name == "item":
        return f"{computes(trace, node.args[0])} → {node.params['name']}"
    args = [operand(trace, arg) for arg in node.args]
    name = node.rule.name
    if name in SIGNS:
        return (
            f" {SIGNS[name]} ".join(args)
            if name in ("sum", "sub", "matmul") or " " in SIGNS[name]
            else SIGNS[name].join(args)
        )
    if name == "neg":
        return f"−{args[0]}"
    if name == "getitem":
        return f"{args[0]}[{index(node.params['index'])}]"
    if name == "clip":
        return f"clip({args[0]}, {number_text(node.params['low'])}, {number_text(node.params['high'])})"
    return f"{SPELLED.get(name, name)}({', '.join([*args, *settings(node)])})"


def settings(node: ArrayNode) -> list[str]:
    """What a call says beside its arrays, where that is not its default: axis=1, stride=2."""
    call = call_of(node)
    if call is not None:
        defaults = {each.name: each.default for each in call.op.params}
        return [f"{key}={value!r}" for key, value in call.case.params.items() if value != defaults[key]]
    params = node.params
    given = [f"axis={params['axis']}"] if params.get("axis") is not None else []
    given += ["keepdims=True"] if params.get("keepdims") else []
    given += [shape_text(params["shape"])] if "shape" in params else []
    given += [params["dtype"]] if "dtype" in params else []
    axes = params.get("axes")
    given += [f"axes={axes}"] if axes is not None and axes != tuple(reversed(range(len(axes)))) else []
    return given


def operand(trace: ArrayTrace, id: int) -> str:
    if id in trace.names:
        return called(trace, id).name
    value = trace.nodes[id].value
    if isinstance(value, dict):
        return computes(trace, id)
    return constant(value)


def constant(value: Any) -> str:
    """A number or a short list as a program writes it; of a larger array, its shape."""
    if np.ndim(value) == 0:
        return number_text(value)
    listed = np.ndim(value) == 1 and len(value) <= FEW
    return f"[{', '.join(map(number_text, value))}]" if listed else say("array {shape}", shape=shape(value))


def rule(trace: ArrayTrace, id: int, to: int | None = None) -> str:
    """Whose rule differentiated line `id`, and by which argument."""
    node = trace.nodes[id]
    if node.rule is None:
        return ""
    if node.rule.name == "item":
        return rule(trace, node.args[0], to)
    call = call_of(node)
    if call and to is not None and to in node.args:
        return say("{op}: gradient of {name}", op=call.op.name, name=call.names[node.args.index(to)])
    return SPELLED.get(node.rule.name, SIGNS.get(node.rule.name, node.rule.name))


def index(key: Any) -> str:
    """A slice as it is written."""
    parts = key if isinstance(key, tuple) else (key,)
    words = []
    for part in parts:
        if isinstance(part, slice):
            ends = ["" if each is None else str(each) for each in (part.start, part.stop, part.step)]
            words.append(":".join(ends[:2] if not ends[2] else ends))
        else:
            words.append("..." if part is Ellipsis else str(part) if np.ndim(part) == 0 else constant(part))
    return ", ".join(words)


def shape(value: Any) -> str:
    return shape_text(np.shape(value))


def shape_text(sizes: tuple[int, ...]) -> str:
    return "×".join(map(str, sizes)) if sizes else say("number")


def number(x: Any) -> Number:
    return Number(as_fraction(float(x)))


def number_text(x: Any) -> str:
    value = as_fraction(float(x))
    return digits(value if isinstance(value, float) else Fraction(value))


def few(value: Any) -> str:
    """All of a few values; else the first two and the last one."""
    flat = np.asarray(value).reshape(-1)
    if flat.size <= FEW:
        return ", ".join(map(number_text, flat))
    return f"{number_text(flat[0])}, {number_text(flat[1])}, …, {number_text(flat[-1])}"


def norm(value: Any) -> str | Number:
    """The Euclidean norm of real numbers."""
    array = np.asarray(value)
    return number(np.linalg.norm(array.reshape(-1))) if array.dtype.kind == "f" and array.size > 1 else ""


# --- graph ----------------------------------------------------------------------------------------------------------


def boxes(trace: ArrayTrace) -> Boxes:
    found: Boxes = {}
    for id in trace.names:
        role = "input" if trace.nodes[id].label else "output" if id in trace.outputs else ""
        args = tuple(each for arg in trace.nodes[id].args for each in lines_of(trace, arg))
        value = trace.nodes[id].value
        detail = shape(value) if value.size > 1 else number_text(value.reshape(-1)[0]) if value.size else shape(value)
        found[id] = Box(f"{called(trace, id).name} = {computes(trace, id)}", (detail,), args, role)
    return found


def lines_of(trace: ArrayTrace, id: int) -> tuple[int, ...]:
    """The lines behind an argument: itself, or those that go into a node that has no line."""
    if id in trace.names:
        return (id,)
    return tuple(each for arg in trace.nodes[id].args for each in lines_of(trace, arg))
