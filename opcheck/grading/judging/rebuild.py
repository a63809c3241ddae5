"""A failing case that is not drawn as a whole, as Python that makes it again: numbers, a packed .npz, or, where even
that is long, arrays that one line draws by a seed and on which the code fails in the same way."""

import base64
import io
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import numpy as np

from opcheck.errors import Refused
from opcheck.grading.conventions.layouts import SAME
from opcheck.grading.handouts.example import MODULE, Example, example, literal, names
from opcheck.grading.judging.student import Student
from opcheck.language import say
from opcheck.operators.spec import Array
from opcheck.steps import Block, Prose, Step
from opcheck.verification.casefile import Trial
from opcheck.verification.verdict import Verdict

WRITTEN = 3_000  # characters of arrays that are written as numbers; larger ones are drawn or packed
LINE = 64  # characters; an array that fits two lines stays as it is
Fails = Callable[[Trial], Verdict | None]
Recipes = Mapping[str, str]  # by what an array is called in the code: the line that draws it


def redrawn(student: Student, verdict: Verdict, fails: Fails) -> tuple[Verdict, Recipes]:
    """The same failure on arrays that a line draws again, as many of them as that can be said of; those that are
    short enough to be written stay as they are."""
    assert verdict.trial is not None
    made, recipes = _example(student, verdict.trial), dict[str, str]()
    if made is None or _written(made.arrays):
        return verdict, {}
    of = {symbol: name for name, symbol in names(student.question.op).items()}
    for seed, (symbol, array) in enumerate(made.arrays.items()):
        text, drawn = _drawn(array, seed)
        name, layout = of.get(symbol) or of.get(symbol[1:], symbol[1:]), made.layouts.get(symbol, SAME)
        try:
            trial = _with(verdict.trial, name, layout.take(drawn))
            found = fails(trial) if len(literal(array)) > 2 * LINE and trial is not None else None
        except (Refused, AssertionError, ValueError):
            continue
        if found is not None and found.trial is not None:
            verdict, recipes = replace(found, details=verdict.details), {**recipes, symbol: text}
    return verdict, recipes


def _drawn(array: Array, seed: int) -> tuple[str, Array]:
    """Numbers of the same kind in the same range, and the line that draws them."""
    rng, kind = np.random.default_rng(seed), array.dtype.name
    first = f"numpy.random.default_rng({seed})"
    low, high = (int(np.floor(array.min())), int(np.ceil(array.max()))) if np.isfinite(array).all() else (-9, 9)
    if np.array_equal(array, np.rint(array)):
        text = f'{first}.integers({low}, {high + 1}, {array.shape}).astype("{kind}")'
        return text, rng.integers(low, high + 1, array.shape).astype(kind)
    text = f'{first}.uniform({low}, {high}, {array.shape}).astype("{kind}")'
    return text, np.asarray(rng.uniform(low, high, array.shape)).astype(kind)


def _with(trial: Trial, name: str, array: Array) -> Trial | None:
    """The trial with one array or one upstream gradient replaced; None where it has none of that shape."""
    case = trial.case
    if name in case.arrays and case.arrays[name].shape == array.shape:
        given = array.astype(case.arrays[name].dtype)
        return trial.replace(case=case._replace(arrays={**case.arrays, name: given}))
    if name in trial.cotangent and trial.cotangent[name].shape == array.shape:
        return trial.replace(cotangent={**trial.cotangent, name: array.astype(trial.cotangent[name].dtype)})
    return None


def shown(student: Student, trial: Trial, recipes: Recipes) -> list[Block]:
    """The lines that make the arrays and the call of a trial."""
    if (made := _example(student, trial)) is None:
        return []
    calls = [line.replace(f"{MODULE}.", "") for line in (*made.forward, *made.backward)]
    imports = (f"import {name}" for name in dict.fromkeys(("numpy", *made.libraries)))
    code = (*imports, *_arrays(made.arrays, recipes), *calls)
    return [Step(say("The whole case, to run it yourself"), (Prose("\n".join(code), "code"),))]


def _example(student: Student, trial: Trial) -> Example | None:
    try:
        return example(student.question, trial, student.found)
    except (Refused, ValueError, KeyError, AssertionError):  # what was found takes no such call
        return None


def _arrays(arrays: Mapping[str, Array], recipes: Recipes) -> Iterator[str]:
    yield from (f"{name} = {recipes[name]}" for name in arrays if name in recipes)
    arrays = {name: array for name, array in arrays.items() if name not in recipes}
    if written := _written(arrays):
        yield from written
    if written or not arrays:
        return
    packed = io.BytesIO()
    np.savez_compressed(packed, **dict(arrays))  # type: ignore[arg-type]  # one of its names is a flag
    yield "import base64, io"
    yield 'packed = """'
    yield from textwrap.wrap(base64.b64encode(packed.getvalue()).decode(), LINE)
    yield '"""'
    yield "found = numpy.load(io.BytesIO(base64.b64decode(packed)))"
    yield from (f'{name} = found["{name}"]' for name in arrays)


def _written(arrays: Mapping[str, Array]) -> list[str]:
    """The arrays as numbers; nothing where these are too many."""
    if sum(array.size for array in arrays.values()) > WRITTEN:
        return []
    written = [f"{name} = {literal(array)}" for name, array in arrays.items()]
    return written if sum(map(len, written)) <= WRITTEN else []
