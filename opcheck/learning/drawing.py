"""Drawing a small call of an operator for somebody with a pen: distinct numbers, few terms, harder with the level.

Nothing here knows an operator. What is simplest is the first case that its sampler makes; what makes a call harder are
parameters that differ from that, optional arrays, and another dimension: a level has one of these more than the last.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np

from opcheck.errors import Refused
from opcheck.explanation.calculation import Calculation, Pages, lifted
from opcheck.explanation.document import prepare
from opcheck.language import say
from opcheck.operators.choosers import ExactValues, RandomChooser, ScopeChooser
from opcheck.operators.fills import FILLS, PLAIN
from opcheck.operators.spec import Array, Input, Op, Param, Params, Shape, widened
from opcheck.tracing import exact

LEVELS = 5
ATTEMPTS = 300  # draws until a level is given up for the one below
STRICT = 40  # draws in which every parameter must have a consequence: some never have one (a flag of memory)
SAMPLES = 60  # of which the parameters are seen
IGNORED = ("size_average", "reduce", "return_indices", "inplace")  # deprecated, or of no consequence for the numbers
MOST_NODES, MOST_CELLS, MOST_SLICES, MOST_NUMBERS, LONGEST = 60, 9, 3, 24, 6  # of what a person works out by hand
SOFT = 4  # the largest number that is put into an exponential or a root
SATURATED = 7  # beyond this an exponential, tanh or sigmoid says nothing to anybody who looks at three decimals
CURVED = ("exp", "tanh", "sigmoid", "sinh", "cosh", "log1p", "erf")
LARGE = "one more dimension"


def drawn(op: Op, level: int, rng: np.random.Generator, sizes_only: bool = False) -> Calculation:
    """A call of that level, or of the highest one below it that there is; `sizes_only`: it is not worked out."""
    for each in range(level, 0, -1):
        for k in range(ATTEMPTS):
            found = _attempt(op, each, rng, sizes_only, varies=k < ATTEMPTS // 2, small=k >= ATTEMPTS * 2 // 3)
            if found is not None and k < STRICT and _has_idle_parameters(op, found):
                continue
            if found is not None:
                return found
    raise Refused(
        say("{op} has no call small enough to work out by hand", op=op.title or op.name),
        fix=say("let some of its cases have sizes as small as 1 and 2"),
    )


@cache
def _simplest(op: Op) -> Mapping[str, Any]:
    return op.sample(ScopeChooser([], 0, ExactValues)).params


@cache
def _harder(op: Op) -> Mapping[str, Sequence[Any]]:
    """By parameter: the values other than the simplest one that the operator's sampler knows."""
    found: dict[str, list[Any]] = {}
    declared = {each.name: each for each in op.params}
    simplest = {name: _simplest(op).get(name, each.default) for name, each in declared.items()}
    for seed in range(SAMPLES):
        for name, value in op.sample(RandomChooser(seed, ExactValues)).params.items():
            known = found.setdefault(name, [])
            plain = simplest[name] is not None and _is_same(declared[name], value, simplest[name])
            if name not in IGNORED and _is_handy(value) and not plain and value not in known:
                known.append(value)
    return {name: values for name, values in found.items() if values}


def _is_handy(value: Any) -> bool:
    """Whether the numbers of a parameter are such as people compute with."""
    numbers = [each for each in (value if isinstance(value, tuple) else (value,)) if isinstance(each, (int, float))]
    return all(abs(each) <= 10 and round(each, 3) == each for each in numbers)


def _is_same(param: Param, a: Any, b: Any) -> bool:
    """Whether two values mean the same, as 1 and (1, 1) do."""
    return bool(param.kind.check(param.name, a) == param.kind.check(param.name, b))


def _attempt(
    op: Op, level: int, rng: np.random.Generator, sizes_only: bool, varies: bool = True, small: bool = False
) -> Calculation | None:
    """A call, if the draw is legal and fit for a pen: where many arrays hang together, sizes that vary rarely are.
    `small`: quarters, where whole numbers may saturate what is computed."""
    optional = [each.name for each in op.inputs if each.optional]
    extras = [*_harder(op), *optional, LARGE]
    chosen = [extras[k] for k in rng.permutation(len(extras))[: level - 1]]
    params = dict(_simplest(op))
    for name in chosen:
        if name in _harder(op):
            values = _harder(op)[name]
            params[name] = values[int(rng.integers(len(values)))]
    try:
        arrays = _arrays(op, params, chosen, level, rng, sizes_only, varies)
        if small and not is_rational(op):
            arrays = {name: array / 4 if array.dtype.kind == "f" else array for name, array in arrays.items()}
        calculation = prepare(op, {**params, **arrays})
        return calculation if sizes_only or _is_fit(calculation) else None
    except Refused:
        return None


def _has_idle_parameters(op: Op, calculation: Calculation) -> bool:
    """Whether one that was chosen to make the problem harder does nothing in it."""
    chosen = (name for name, value in calculation.case.params.items() if value != _simplest(op).get(name))
    return any(_does_nothing(op, calculation, name) for name in chosen if name in _harder(op))


def _does_nothing(op: Op, calculation: Calculation, name: str) -> bool:
    """Whether a parameter that makes a problem harder changes nothing here: a mode of padding without padding, a class
    to be ignored that no target has."""
    case, simplest = calculation.case, _simplest(op)
    plain = {**case.params, name: simplest[name]} if name in simplest else {**case.params}
    if name not in simplest:
        plain.pop(name, None)
    try:
        p, shapes = op.checked(case._replace(params=plain))
        if shapes != calculation.shapes:
            return False
        with np.errstate(all="ignore"):
            found, wanted = (
                op.by_name(op.forward(each, **widened(case.arrays)), shapes) for each in (p, calculation.p)
            )
    except (Refused, ValueError, IndexError, KeyError, TypeError):
        return False  # without it this is no call
    if not all(np.array_equal(found[each], wanted[each], equal_nan=True) for each in shapes):
        return False
    return not any(mistake.vjp for mistake in op.mistakes) or _same_gradients(op, calculation, p)


def _same_gradients(op: Op, calculation: Calculation, p: Params) -> bool:
    """Whether other parameters give the same gradients here."""
    names = [each.name for each in op.outputs if each.differentiable and each.name in calculation.shapes]
    ones = {name: np.ones(calculation.shapes[name]) for name in names}
    arrays = widened(calculation.case.arrays)
    with np.errstate(all="ignore"):
        found, wanted = (
            op.vjp(each, ones if len(names) > 1 else ones[names[0]], **arrays) for each in (p, calculation.p)
        )
    return all(np.array_equal(found[each], wanted[each], equal_nan=True) for each in wanted)


@cache
def is_rational(op: Op) -> bool:
    """Whether its numbers are fractions: nothing of it takes a root or an exponential."""
    calculation = prepare(op, dict(_simplest(op)))
    tape = Pages()
    calculation.record(tape, calculation.cells)
    return all(isinstance(value, (int, Fraction)) for value in exact(tape.graph(), decimal=True))


def _arrays(
    op: Op,
    params: Mapping[str, Any],
    chosen: Sequence[str],
    level: int,
    rng: np.random.Generator,
    sizes_only: bool,
    varies: bool,
) -> dict[str, Array]:
    """The required arrays and the chosen optional ones; a size that another array cannot have is refused later."""
    arrays: dict[str, Array] = {}
    shapes: dict[str, Shape] = {}
    for each in op.inputs:
        first = not arrays
        if each.optional and each.name not in chosen:
            continue
        if each.optional:
            shape = _letters(op, each, shapes)
        else:
            shape = op.default_shape(each.name, params, shapes)
            whole = lifted(op, each.name, np.zeros(shape))[0].shape
            if varies:
                shape = _varied(whole if len(whole) <= 2 else shape, rng, sizes_only and first)
        if first and LARGE in chosen:
            shape = (2, *shape)
        choices = op.choices(each.name, params, shapes) if each.whole else 0
        arrays[each.name] = _filled(each, shape, level, choices, rng, soft=not is_rational(op))
        shapes[each.name] = lifted(op, each.name, arrays[each.name])[0].shape
    return arrays


def _varied(shape: Shape, rng: np.random.Generator, wide: bool) -> Shape:
    """Sizes near these, or for a question about sizes much larger ones."""
    if wide:
        return tuple(int(n) for n in rng.integers(5, 11, size=len(shape)))
    return tuple(n + int(rng.integers(-1 if n > 2 else 0, 2)) for n in shape)


def _letters(op: Op, optional: Input, shapes: Mapping[str, Shape]) -> Shape:
    """The shape of an optional array: that of the first one, or the sizes that its letters have in the others."""
    if "*" in optional.letters.split():
        return shapes[op.inputs[0].name]
    sizes: dict[str, int] = {}
    for name, shape in shapes.items():
        words = op.input(name).letters.split()
        if words[-1] == "*":
            words = words[:-1]
            sizes |= dict(zip(words, shape if len(shape) > 1 else (1, *shape), strict=False))
        else:
            sizes |= dict(zip(reversed(words), reversed(shape), strict=False))
    return tuple(sizes.get(word, 1) for word in optional.letters.split())


def _filled(
    spec: Input, shape: Shape, level: int, choices: int, rng: np.random.Generator, soft: bool = False
) -> Array:  # fmt: skip
    """Small numbers without zeros, all of them different; signs from the second level on. `soft`: none above SOFT, and
    some may come twice."""
    count = int(np.prod(shape))
    distinct = rng.permutation(np.arange(1.0, max(9, count) + 1))[:count]
    if soft:  # an exponential of 9 says nothing to anybody, and its gradient is 0.000
        distinct = 1.0 + rng.permutation(max(SOFT, count))[:count] % SOFT
    signs = rng.choice([-1.0, 1.0], size=count)
    if spec.whole:
        return rng.integers(0, max(choices, 1), size=shape)
    plain = spec.default in PLAIN and (level == 1 or spec.optional)
    found = distinct if plain else FILLS[spec.default].drawn(distinct, signs)
    return rng.permutation(found).reshape(shape)


def _is_fit(calculation: Calculation) -> bool:
    """Whether a person can work it out: few elements, few terms, numbers that can be written down."""
    cells = calculation.cells
    arrays = calculation.case.arrays.values()
    if not 1 <= len(cells) <= MOST_CELLS or any(max(a.shape, default=1) > LONGEST for a in arrays):
        return False
    if any(array.size > MOST_NUMBERS or int(np.prod(array.shape[:-2])) > MOST_SLICES for array in arrays):
        return False
    tape = Pages()
    outputs = calculation.record(tape, cells)
    if sum(not node.is_leaf for node in tape.nodes) > MOST_NODES * len(cells):
        return False
    values = exact(tape.graph(), decimal=True)
    if any(node.op in CURVED and abs(values[node.args[0]]) > SATURATED for node in tape.nodes):
        return False
    results = [float(values[tracer.id]) for tracer in outputs.values()]
    return all(np.isfinite(x) and (x == 0 or 0.01 <= abs(x) < 10_000) for x in results)
