"""Where a curve says it: an activation with its derivative, a loss over one number, bars before and after, a path."""

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from opcheck.explanation.calculation import Calculation, Pages, leaves
from opcheck.explanation.gradient import differentiable
from opcheck.explanation.observed import difference, element
from opcheck.language import say
from opcheck.operators.spec import Array, Case, Refused, Shape
from opcheck.steps import Block, Curve, Plot
from opcheck.tracing.machine import machine

SAMPLES, FEW = 201, 61
REACH = 4.0  # how far a curve goes beyond the numbers that are given
MOST = 64  # numbers that are marked on a curve
STEPS = 30  # of an optimiser
LARGEST, RESOLVED = 1e300, 1e-9  # the range of an axis: at most so much, and such a part of its numbers at least


def plots(calculation: Calculation) -> list[Block]:
    """The plots of a call; none where no curve says more than its numbers."""
    try:
        with np.errstate(all="ignore"):
            found = next((draw for fits, draw in KINDS if fits(calculation)), None)
            return [] if found is None else [plot for plot in found(calculation) if is_drawable(plot)]
    except (ValueError, TypeError, ArithmeticError, IndexError, NotImplementedError):
        return []  # a program does not take what lies beside or between the given numbers


def is_drawable(plot: Plot) -> bool:
    """Whether its numbers can be told apart on an axis: not beyond what a float holds, nor alike in all its digits."""
    points = [each for curve in plot.curves for each in curve.points if all(map(math.isfinite, each))]
    return bool(points) and all(_has_room(axis) for axis in zip(*points, strict=True))


def _has_room(numbers: Sequence[float]) -> bool:
    low, high = min(numbers), max(numbers)
    return high - low < LARGEST and (high == low or high - low > RESOLVED * max(abs(low), abs(high)))


def _single(calculation: Calculation) -> Array | None:
    """The one real array that makes one output of its own shape."""
    arrays, shapes = list(calculation.case.arrays.values()), list(calculation.shapes.values())
    if len(arrays) != 1 or arrays[0].dtype.kind != "f" or not 0 < arrays[0].size <= MOST:
        return None
    return arrays[0] if shapes[:1] == [arrays[0].shape] else None


def is_activation(calculation: Calculation) -> bool:
    """Whether each output element is made of its own input element alone, however many there are."""
    array = _single(calculation)
    if array is None or array.ndim == 0 or array.size == 1:
        return False
    last = tuple(n - 1 for n in array.shape)
    return _read(calculation, last) == {last} and _of(calculation, _row(array, np.zeros(3))).size == 3


def _read(calculation: Calculation, at: Shape) -> set[Shape]:
    """The elements of the input that an output element is made of."""
    tape = Pages()
    recorded = calculation.record(tape, [at])
    return {place for _, place in leaves(tape, [recorded[calculation.main_output, at].id])}


def _row(array: Array, numbers: Array) -> Array:
    """The numbers as a row of as many dimensions as the array has."""
    return numbers.reshape((1,) * (array.ndim - 1) + (-1,))


def _of(calculation: Calculation, x: Array) -> Array:
    """The output for another input of the same call."""
    name = calculation.op.inputs[0].name
    found = calculation.op.run(Case(calculation.op.name, {name: x}, calculation.case.params))
    return np.asarray(found[calculation.main_output])


def activation(calculation: Calculation) -> Iterator[Plot]:
    op = calculation.op
    (name,), (array,) = calculation.case.arrays.keys(), calculation.case.arrays.values()
    given = array[np.isfinite(array)]
    low, high = min(-REACH, given.min(initial=0) - 1), max(REACH, given.max(initial=0) + 1)
    x = np.linspace(max(low, -50), min(high, 50), SAMPLES)
    x = np.unique(np.append(x, 0.0))

    row = _row(array, x)
    slope = np.asarray(op.vjp(calculation.p, np.ones(row.shape), **{name: row})[name]).reshape(-1)
    symbol, result = op.inputs[0].symbol, op.outputs[0].symbol
    points, values = array.reshape(-1), _of(calculation, array).reshape(-1)
    yield Plot(say("{op} and its derivative", op=op.title or op.name), symbol, (
        Curve(result, _points(x, _of(calculation, row).reshape(-1))),
        Curve(say("derivative"), _points(x, slope), "dashed"),
        Curve(say("given"), _points(points, values), "points"),
    ))  # fmt: skip


def is_loss(calculation: Calculation) -> bool:
    return not calculation.shapes[calculation.main_output] and len(calculation.op.outputs) == 1


def loss(calculation: Calculation) -> Iterator[Plot]:
    """The loss as its first number changes and all others stay."""
    op, arrays = calculation.op, calculation.case.arrays
    name = differentiable(calculation)[0]
    array = np.asarray(arrays[name], dtype=float)
    if not array.size:
        return
    at = (0,) * array.ndim
    value = float(array[at])
    found = []
    count = FEW if op.has_program else SAMPLES  # a program is recorded again for each
    for x in np.linspace(value - REACH, value + REACH, count):
        moved = array.copy()
        moved[at] = x
        try:
            case = Case(op.name, {**arrays, name: moved}, calculation.case.params)
            op.checked(case)
            found.append((float(x), float(next(iter(op.run(case).values())))))
        except Refused:
            continue  # no probability, say
    symbol = op.input(name).symbol
    shown = f"{symbol}[{','.join(map(str, at[calculation.hidden.get(symbol, 0) :]))}]" if at else symbol
    here = (value, float(next(iter(op.run(calculation.case).values()))))
    title = say("{op} as {name} changes", op=op.title or op.name, name=shown)
    result = op.output(calculation.main_output).symbol
    yield Plot(title, shown, (Curve(result, tuple(found)), Curve(say("given"), (here,), "points")))


def is_bars(calculation: Calculation) -> bool:
    """Whether a row becomes a row."""
    array = _single(calculation)
    if array is None or array.ndim == 0 or array.shape[-1] == 1:
        return False
    row = (0,) * (array.ndim - 1)
    return _read(calculation, (*row, 0)) == {(*row, k) for k in range(array.shape[-1])}


def bars(calculation: Calculation) -> Iterator[Plot]:
    """The first row before and after."""
    (array,) = calculation.case.arrays.values()
    after = _of(calculation, array)
    symbol, result = calculation.op.inputs[0].symbol, calculation.op.outputs[0].symbol
    row = (0,) * (array.ndim - 1)
    places = np.arange(array.shape[-1])
    title = say("{op}, before and after", op=calculation.op.title or calculation.op.name)
    yield Plot(title, say("position in the row"), (
        Curve(symbol, _points(places, array[row]), "bars"), Curve(result, _points(places, after[row]), "bars"),
    ))  # fmt: skip


def is_optimiser(calculation: Calculation) -> bool:
    """Whether every output is a new value of an input, and another input moves them."""
    names = {each.name for each in calculation.op.inputs}
    made = {each.name for each in calculation.op.outputs}
    return made < names and "lr" in {each.name for each in calculation.op.params}


def optimiser(calculation: Calculation) -> Iterator[Plot]:
    """The path down a valley that is ten times as steep one way as the other, in steps of the size of lr."""
    op, lr = calculation.op, float(calculation.p["lr"])
    steepness = np.array([0.1, 1.0])
    made = [each.name for each in op.outputs]
    gradient = next(each.name for each in op.inputs if each.name not in made)
    arrays = {made[0]: np.array([-18.0, 8.0]) * lr}
    path, params = [arrays[made[0]]], dict(calculation.case.params)
    for k in range(STEPS):
        arrays[gradient] = steepness * arrays[made[0]] / lr
        params |= {"step": k + 1} if "step" in calculation.p else {}
        arrays |= op.run(Case(op.name, dict(arrays), params))
        path.append(arrays[made[0]])
    reach = max(float(np.abs(each).max()) for each in path)
    if not math.isfinite(reach) or reach > 1000 * lr:
        return
    turn = np.linspace(0, 2 * np.pi, 73)
    sizes = [18 * lr * share for share in (0.25, 0.5, 0.75, 1.0, 1.25)]
    levels = [
        Curve("", _points(size * np.cos(turn), size * np.sin(turn) * math.sqrt(steepness[0])), "level")
        for size in sizes
    ]
    across, up = zip(*path, strict=True)
    name = say("{n} steps", n=STEPS)
    yield Plot(say("{op} on (a² + 10·b²)/(20·lr)", op=op.title or op.name), say("a (upwards: b)"),
               (*levels, Curve(name, _points(across, up), "path")))  # fmt: skip


def errors(calculation: Calculation, dtype: str) -> list[Block]:
    """How far each element is off where it is computed in `dtype`, as a share of what rounding allows."""
    shares = []
    for k, at in enumerate(calculation.cells[: 2 * MOST]):
        focus = element(calculation, at)
        computed = machine(focus.graph, dtype)[focus.id]
        error, allowed = abs(float(difference(computed, focus.exact))), focus.rounding(dtype)
        if not (math.isfinite(error) and math.isfinite(allowed)):
            return []
        shares.append((float(k), 100 * error / allowed if allowed else 0.0))
    if len(shares) < 2:
        return []
    title = say("errors in {dtype}, as a percentage of what rounding allows", dtype=dtype)
    return [Plot(title, say("element of the output, in order"), (Curve(say("error"), tuple(shares), "bars"),))]


def _points(x: Sequence[float] | Array, y: Sequence[float] | Array) -> tuple[tuple[float, float], ...]:
    return tuple((float(a), float(b)) for a, b in zip(x, y, strict=True) if math.isfinite(a))


KINDS: tuple[tuple[Callable[[Calculation], bool], Callable[[Calculation], Iterator[Plot]]], ...] = (
    (is_activation, activation), (is_loss, loss), (is_bars, bars), (is_optimiser, optimiser),
)  # fmt: skip
