"""The tables of a trace as lectures print them: evaluation, forward tangents, reverse adjoints."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from opcheck.language import say
from opcheck.render.numbers import Style
from opcheck.render.signs import Signs
from opcheck.steps import Apply, Block, Box, Expression, Formula, Number, Prose, Step, Symbol, Table
from opcheck.traces.drawing import Boxes
from opcheck.traces.scalar.lines import Lines
from opcheck.traces.scalar.remarks import remarks
from opcheck.traces.scalar.trace import Adjoints, Tangents, Trace
from opcheck.tracing import contributions
from opcheck.tracing.arithmetic import as_typed

MOST_ROWS = 60  # longer tables show their first and last ENDS rows
ENDS = 20
SIDE_BY_SIDE = 2  # directions in one table of tangents
ON_THEIR_OWN = 3  # inputs that have a line each in the heading

Row = tuple[str | Expression, ...]
T = TypeVar("T")


def heading(trace: Trace) -> list[Block]:
    """What is traced, at which inputs, and what it gives."""
    at: list[Block] = [Formula(Symbol(name), (trace.lines.number(id),)) for name, id in trace.inputs.items()]
    if len(at) > ON_THEIR_OWN:
        at = [Prose(", ".join(spelled(trace, name) for name in trace.inputs))]
    notes = [Prose(note, "note") for note in (*trace.notes, *remarks(trace))]
    return [Prose(trace.title, "title"), *at, *notes]


def spelled(trace: Trace, name: str) -> str:
    """x1 = 2"""
    signs, number = Signs(Style(fractions=trace.fractions)), trace.lines.number(trace.inputs[name])
    return f"{name} {signs.relation(number)} {signs.write(number)}"


def evaluation(trace: Trace, everything: bool = False) -> Step:
    """The evaluation trace, and what is known of the gradients."""
    return Step("", (*heading(trace), *values_table(trace, everything), *gradients_tables(trace)))


def tangents(sweep: Tangents) -> Step:
    return Step("", (*heading(sweep.trace), *tangents_table(sweep)))


def adjoints(sweep: Adjoints) -> Step:
    return Step("", (*heading(sweep.trace), *adjoints_table(sweep)))


# --- evaluation -----------------------------------------------------------------------------------------------------


def values_table(trace: Trace, everything: bool = False) -> list[Block]:
    """node, formula, with numbers, value."""
    lines = trace.lines

    def row(id: int) -> Row:
        formula = lines.formula(id)
        numbers = lines.with_numbers(formula) if trace.graph.nodes[id].args else ""
        return node_name(trace, id), formula, numbers, lines.number(id)

    headers = (say("node"), say("formula"), say("with numbers"), say("value"))
    ids = list(shown(lines))
    return elided(headers, ids, row, say("evaluation trace"), everything) if ids else []


def shown(lines: Lines) -> Iterable[int]:
    """The nodes that have a line, in the order of evaluation."""
    return (id for id, name in enumerate(lines.names) if name)


def node_name(trace: Trace, id: int) -> str | Expression:
    """v₃, with the name that the function gave it and, for an output, that it is one."""
    symbol = trace.lines.symbol(id)
    node = trace.graph.nodes[id]
    return f"{symbol.name} ({node.label})" if node.label and node.args else symbol


def elided(
    headers: Sequence[str], items: Sequence[T], row: Callable[[T], Row], title: str, everything: bool
) -> list[Block]:
    """A table with a row for each item, or its two ends and how many rows were left out between them."""
    if everything or len(items) <= MOST_ROWS:
        return [Table(tuple(headers), tuple(map(row, items)), title)]
    note = Prose(say("… {n} rows left out (--all shows them)", n=len(items) - 2 * ENDS), "note")
    return [
        Table(tuple(headers), tuple(map(row, items[:ENDS])), title),
        note,
        Table(tuple(headers), tuple(map(row, items[-ENDS:]))),
    ]


def as_it_is(row: Row) -> Row:
    return row


# --- forward mode ---------------------------------------------------------------------------------------------------


def tangents_table(sweep: Tangents, everything: bool = False) -> list[Block]:
    """The tangent of each line: one formula, and for each direction its numbers and its value.

    A table has at most SIDE_BY_SIDE directions, so that a page has room for it.
    """
    names = list(sweep.columns)
    parts = [names[k : k + SIDE_BY_SIDE] for k in range(0, len(names), SIDE_BY_SIDE)]
    return [block for part in parts for block in directions_table(sweep, part, len(parts) > 1, everything)]


def directions_table(sweep: Tangents, names: Sequence[str], is_part: bool, everything: bool) -> list[Block]:
    trace = sweep.trace
    columns = {name: sweep.columns[name] for name in names}
    called = [f"∂/∂{name}" if name in trace.inputs else name for name in names]
    headers = [say("node"), say("tangent"), *(each for name in called for each in (say("with numbers"), name))]
    marked = {name: marked_tangents(trace.lines, column) for name, column in columns.items()}

    def row(id: int) -> Row:
        formula = tangent_formula(trace, id, columns.values())
        entries: list[str | Expression] = [trace.lines.symbol(id, tangent=True), formula]
        for name, column in columns.items():
            is_leaf = not trace.graph.nodes[id].args
            own = tangent_formula(trace, id, [column])
            entries += ["" if is_leaf else trace.lines.with_numbers(own, marked[name]), number(column[id])]
        return tuple(entries)

    title = say("forward mode: tangents v̇")
    if is_part:
        title = say("{title}, {names}", title=title, names=", ".join(called))
    return elided(headers, list(shown(trace.lines)), row, title, everything)


def tangent_formula(trace: Trace, id: int, columns: Iterable[Sequence[Any]]) -> Expression:
    """v̇ = Σ v̇ · partial. Terms whose tangent is 0 in all the columns are shown (0·5), unless a number of the line is
    ∞ or NaN."""
    lines = trace.lines
    node = lines.graph.nodes[id]
    if not node.args:
        return Symbol(node.label, node.at, tangent=True)
    reached = {arg for column in columns for arg in node.args if column[arg] is not None}
    finite = all(number == number and abs(number) != float("inf") for number in
                 (lines.numbers[id], *(lines.numbers[arg] for arg in node.args)))  # fmt: skip
    return lines.tangent(id, lambda arg: finite or arg in reached)


def marked_tangents(lines: Lines, column: Sequence[Any]) -> dict[Symbol, Any]:
    return {lines.symbol(id, tangent=True): zero(column[id]) for id in shown(lines)}


# --- reverse mode ---------------------------------------------------------------------------------------------------


def adjoints_table(sweep: Adjoints, everything: bool = False) -> list[Block]:
    """One row for each contribution, in the order in which the sweep makes them."""
    headers = (say("from"), say("adjoint"), say("formula"), say("with numbers"), say("value"))
    rows = list(adjoint_rows(sweep))
    return elided(headers, rows, as_it_is, say("reverse mode: adjoints v̄, last line first"), everything)


def adjoint_rows(sweep: Adjoints) -> Iterable[Row]:
    """v̄ of an argument = what it had + v̄ of the node · partial."""
    trace, lines = sweep.trace, sweep.trace.lines
    k = trace.arithmetic
    running: dict[int, Any] = {}
    for id, seed in sweep.seeds.items():
        running[id] = seed
        yield "", lines.symbol(id, adjoint=True), number(seed), "", number(seed)
    for id in range(len(lines.names) - 1, -1, -1):
        cotangent = sweep.column[id]
        if cotangent is None or not lines.names[id]:
            continue
        shares = iter(contributions(trace.graph, id, cotangent, trace.values, k))
        for place, arg in enumerate(trace.graph.nodes[id].args):
            term = lines.share(id, place)
            if term is None:
                continue
            _, share = next(shares)
            if not lines.names[arg]:
                continue
            left = lines.symbol(arg, adjoint=True)
            formula = Apply("sum", (left, term)) if arg in running else term
            before = {lines.symbol(id, adjoint=True): cotangent, left: running.get(arg)}
            numbers = lines.with_numbers(formula, {key: x for key, x in before.items() if x is not None})
            running[arg] = k.sum(running[arg], share) if arg in running else share
            yield lines.symbol(id), left, formula, numbers, number(running[arg])


def gradients_tables(trace: Trace) -> list[Block]:
    """What the backward passes left behind, if there are inputs."""
    return [gradients_table(trace)] if trace.inputs else []


def gradients_table(trace: Trace) -> Table:
    """Each input's gradient: a number, "not computed" before a backward pass, or "not tracked"."""
    rows: list[Row] = []
    for name, gradient in trace.gradients.items():
        entry: str | Expression = str(gradient)
        if gradient.passes:
            entry = number(gradient.value)
        how = ""
        if len(gradient.passes) > 1:
            total = Apply("sum", tuple(number(each) for each in gradient.passes))
            rows.append(
                (Symbol(name), entry, total, say("accumulated over {n} backward passes", n=len(gradient.passes)))
            )
            continue
        rows.append((Symbol(name), entry, "", how))
    accumulated = any(len(gradient.passes) > 1 for gradient in trace.gradients.values())
    headers = (say("input"), say("gradient"), say("sum of"), "")
    return Table(
        headers if accumulated else headers[:2],
        tuple(rows if accumulated else (row[:2] for row in rows)),
        say("gradient left by reverse mode"),
    )


def zero(x: Any) -> Any:
    return 0 if x is None else x


def number(x: Any) -> Number:
    """The number of a tangent or an adjoint; 0 where no path leads."""
    return Number(as_typed(zero(x)))


def matrix(title: str, rows: dict[str, dict[str, Any]]) -> Table:
    """A Jacobian or a Hessian, its rows and columns named."""
    names = list(next(iter(rows.values()), ()))
    return Table(
        ("", *names), tuple((row, *(number(entries[name]) for name in names)) for row, entries in rows.items()), title
    )


def product_table(direction: Mapping[str, Any], product: Mapping[str, Any]) -> Table:
    """A Hessian times a direction v."""
    rows = tuple((Symbol(name), number(direction.get(name, 0)), number(x)) for name, x in product.items())
    return Table((say("input"), "v", "Hv"), rows, say("Hessian times v, by forward over reverse"))


def in_order(trace: Trace, tangents: Tangents | None) -> list[Block]:
    """One step per line: its value, and beside it its tangent in each direction."""
    lines, blocks = trace.lines, list[Block]()
    ids = [id for id in shown(lines) if trace.graph.nodes[id].args]
    columns = tangents.columns.values() if tangents else ()
    known = [marked_tangents(lines, column) for column in columns]
    if tangents and len(columns) > 1:
        names = ", ".join(f"∂/∂{name}" if name in trace.inputs else name for name in tangents.columns)
        blocks.append(Prose(say("Each v̇ is worked out for {names}, in this order.", names=names), "note"))
    for k, id in enumerate(ids):
        formula = lines.formula(id)
        formulas = [Formula(lines.symbol(id), (formula, lines.with_numbers(formula), lines.number(id)))]
        for column, marked in zip(columns, known, strict=True):
            tangent = tangent_formula(trace, id, [column])
            numbers = lines.with_numbers(tangent, marked)
            left = lines.symbol(id, tangent=True)
            formulas.append(Formula(left, tuple(dict.fromkeys((tangent, numbers, number(column[id]))))))
        blocks.append(Step(say("step {k} of {n}", k=k + 1, n=len(ids)), tuple(formulas)))
    return blocks


def backwards_in_order(sweep: Adjoints) -> list[Block]:
    """One step a contribution of the reverse sweep."""
    rows = list(adjoint_rows(sweep))
    blocks: list[Block] = []
    for k, (_, left, formula, numbers, value) in enumerate(rows):
        rights = tuple(dict.fromkeys(each for each in (formula, numbers, value) if not isinstance(each, str)))
        assert not isinstance(left, str)
        blocks.append(Step(say("back {k} of {n}", k=k + 1, n=len(rows)), (Formula(left, rights),)))
    return blocks


# --- the graph --------------------------------------------------------------------------------------------------------


def boxes(trace: Trace) -> Boxes:
    """The lines of a trace as nodes of a drawing."""
    lines, write = trace.lines, Signs(Style(fractions=trace.fractions)).write
    found: Boxes = {}
    for id in shown(lines):
        node = trace.graph.nodes[id]
        role = "input" if node.op == "input" else "output" if id in trace.graph.outputs else ""
        title = f"{write(lines.symbol(id))} = {write(lines.formula(id))}"
        found[id] = Box(title, (write(lines.number(id)),), tuple(arg for arg in node.args if lines.names[arg]), role)
    return found
