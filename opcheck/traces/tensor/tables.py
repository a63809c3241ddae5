"""A tensor program as tables: shape, a few values and the norm of each line, and by which formula it was computed."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from opcheck.language import say
from opcheck.steps import Apply, Block, Box, Number, Prose, Step, Symbol, Table
from opcheck.traces.drawing import Boxes
from opcheck.traces.scalar.tables import Row, elided
from opcheck.traces.tensor.formulas import called, computes, shares, tangent, through
from opcheck.traces.tensor.remarks import remarks
from opcheck.traces.tensor.trace import ArrayTrace
from opcheck.traces.tensor.written import FEW, number_text, shape_text, write
from opcheck.tracing.arithmetic import as_typed


def heading(trace: ArrayTrace) -> list[Block]:
    real = [f"{name} {shape(trace.nodes[id].value)}" for name, id in trace.inputs.items()]
    whole = [f"{name} = [{few(value)}]" if np.ndim(value) == 1 else f"{name} {shape(value)}: {few(value)}"
             for name, value in trace.whole.items()]  # fmt: skip
    return [
        Prose(f"{trace.title}   {', '.join((*real, *whole))}", "title"),
        *(Prose(each, "note") for each in remarks(trace)),
    ]


def evaluation(trace: ArrayTrace, everything: bool = False) -> Step:
    return Step("", (*heading(trace), *values_table(trace, everything), gradients_table(trace)))


# --- tables ---------------------------------------------------------------------------------------------------------


def values_table(trace: ArrayTrace, everything: bool = False) -> list[Block]:
    """node, what it computes, shape, values, norm."""

    def row(id: int) -> Row:
        value = trace.nodes[id].value
        return called(trace, id), computes(trace, id), shape(value), few(value), norm(value)

    headers = (say("node"), say("computes"), say("shape"), say("values"), say("norm"))
    return elided(headers, list(trace.names), row, say("evaluation trace"), everything)


def tangents_table(trace: ArrayTrace, everything: bool = False) -> list[Block]:
    """The tangents of all lines that move with the tracked inputs."""
    tangents = tangents_of_ones(trace)

    def row(id: int) -> Row:
        moved = tangents[id]
        return called(trace, id, tangent=True), tangent(trace, id, tangents), shape(moved), few(moved), norm(moved)

    moving = [id for id in trace.names if tangents[id] is not None]
    headers = (say("tangent"), say("formula"), say("shape"), say("values"), say("norm"))
    title = say("forward mode: tangents v̇, where every tracked input moves by 1")
    return elided(headers, moving, row, title, everything)


def tangents_of_ones(trace: ArrayTrace) -> list[Any]:
    return trace.tangents({name: np.ones(trace.nodes[trace.inputs[name]].value.shape) for name in trace.tracked})


class Contribution(NamedTuple):
    """What a line adds to the adjoint of its argument `to`, and that adjoint afterwards."""

    source: int
    place: int
    to: int
    is_first: bool
    total: Any


def contributions(trace: ArrayTrace, seed: float = 1.0) -> tuple[list[Contribution], list[Any]]:
    """All of a reverse sweep, in the order in which it makes them; and the adjoints that it ends with."""
    found: list[Contribution] = []
    running: dict[int, Any] = {}

    def note(source: int, place: int, share: Any) -> None:
        to = trace.nodes[source].args[place]
        if to in trace.names:
            is_first = to not in running
            running[to] = share if is_first else running[to] + share
            found.append(Contribution(source, place, to, is_first, running[to]))

    return found, trace.adjoints(np.full(trace.value.shape, seed), note=note)


def adjoint_formulas(trace: ArrayTrace, adjoints: Sequence[Any]) -> Callable[[Contribution], str]:
    """A function that writes what an adjoint becomes: a share, added to what is there before."""
    of_line = cache(lambda source: shares(trace, source, adjoints))

    def formula(each: Contribution) -> str:
        share = of_line(each.source)[each.place]
        return write(share if each.is_first else Apply("sum", (called(trace, each.to, adjoint=True), share)))

    return formula


def origins(trace: ArrayTrace, each: Contribution, adjoints: Sequence[Any]) -> list[int]:
    """The lines that a contribution comes from: several outputs of an operator may share one."""
    return [line for _, line in through(trace, each.source, adjoints)]


def adjoints_table(trace: ArrayTrace, seed: float = 1.0, everything: bool = False) -> list[Block]:
    """The seed, and one row for each contribution; a sum where there are several."""
    found, adjoints = contributions(trace, seed)
    (output,) = trace.outputs
    formula = adjoint_formulas(trace, adjoints)

    def row(each: Contribution | None) -> Row:
        if each is None:
            start = adjoints[output]
            return "", called(trace, output, adjoint=True), number_text(seed), shape(start), few(start), norm(start)
        first, *others = (called(trace, line) for line in origins(trace, each, adjoints))
        origin = ", ".join(line.name for line in (first, *others)) if others else first
        left = called(trace, each.to, adjoint=True)
        return origin, left, formula(each), shape(each.total), few(each.total), norm(each.total)

    headers = (say("from"), say("adjoint"), say("formula"), say("shape"), say("values"), say("norm"))
    return elided(headers, [None, *found], row, say("reverse mode: adjoints v̄, last line first"), everything)


def legend(blocks: Sequence[Block]) -> list[Block]:
    """Explains the terms that appear in the formulas of sweeps but not in programs."""
    tables = (block for block in blocks if isinstance(block, Table))
    text = " ".join(each for table in tables for row in table.rows for each in row if isinstance(each, str))
    told = {
        "assigned(": say(
            "assigned(p, s) says for each element of an array of shape s which element of what is assigned to "
            "the positions p it becomes; −1: none."
        ),
        "put(": say("put(a, at=[…], shape=s) is an array of zeros of shape s with a added at these positions."),
        "first_max(": say("first_max(a) is true at the maximum of a; of equal ones, at the first."),
        "first_min(": say("first_min(a) is true at the minimum of a; of equal ones, at the first."),
    }
    found = [Prose(sentence, "note") for word, sentence in told.items() if word in text]
    return [*found, Prose(say("norm: the square root of the sum of the squares"), "note")]


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
    """One array per row."""
    headers = (say("input"), say("shape"), say("values"), say("norm"))
    return Table(headers, tuple((Symbol(name), shape(x), few(x), norm(x)) for name, x in arrays.items()), title)


def matrix(title: str, rows: Sequence[str], columns: Sequence[str], array: Any) -> Table:
    """A Jacobian or a Hessian, its rows and columns named."""
    flat = np.reshape(array, (len(rows), len(columns)))
    entries: list[Row] = [(name, *(number(x) for x in row)) for name, row in zip(rows, flat, strict=True)]
    return Table(("", *columns), tuple(entries), title)


# --- entries --------------------------------------------------------------------------------------------------------


def shape(value: Any) -> str:
    return shape_text(np.shape(value))


def number(x: Any) -> Number:
    return Number(as_typed(float(x)))


def few(value: Any) -> str:
    """All values if there are only a few, else the first two and the last one."""
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
        detail = number_text(value.reshape(-1)[0]) if value.size == 1 else say("shape {shape}", shape=shape(value))
        found[id] = Box(f"{called(trace, id).name} = {computes(trace, id)}", (detail,), args, role)
    return found


def lines_of(trace: ArrayTrace, id: int) -> tuple[int, ...]:
    """The lines behind an argument: itself, or those that go into a node that has no line."""
    if id in trace.names:
        return (id,)
    return tuple(each for arg in trace.nodes[id].args for each in lines_of(trace, arg))
