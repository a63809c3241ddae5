"""A failing case that is not drawn as a whole, as Python that makes it again: numbers, or a packed .npz."""

import base64
import io
import textwrap
from collections.abc import Iterator, Mapping

import numpy as np

from opcheck.errors import Refused
from opcheck.grading.handouts.example import MODULE, example, literal
from opcheck.grading.judging.student import Student
from opcheck.language import say
from opcheck.operators.spec import Array
from opcheck.steps import Block, Prose, Step
from opcheck.verification.casefile import Trial

WRITTEN = 3_000  # characters of arrays that are written as numbers; larger ones are packed
PACKED = 9_000  # characters of what is packed
LINE = 64


def shown(student: Student, trial: Trial) -> list[Block]:
    """The lines that make the arrays and the call of a trial; none where even packed it is too large."""
    try:
        made = example(student.question, trial, student.found)
    except (Refused, ValueError, KeyError, AssertionError):  # what was found takes no such call
        return []
    lines = [*_arrays(made.arrays)]
    if not lines:
        return [Prose(say("The case is too large to print; the same --seed draws it again."), "note")]
    calls = [line.replace(f"{MODULE}.", "") for line in (*made.forward, *made.backward)]
    code = (*(f"import {name}" for name in dict.fromkeys(("numpy", *made.libraries))), *lines, *calls)
    return [Step(say("The whole case, to run it yourself"), (Prose("\n".join(code), "code"),))]


def _arrays(arrays: Mapping[str, Array]) -> Iterator[str]:
    if sum(array.size for array in arrays.values()) <= WRITTEN:
        written = [f"{name} = {literal(array)}" for name, array in arrays.items()]
        if sum(map(len, written)) <= WRITTEN:
            yield from written
            return
    packed = io.BytesIO()
    np.savez_compressed(packed, **dict(arrays))  # type: ignore[arg-type]  # one of its names is a flag
    text = base64.b64encode(packed.getvalue()).decode()
    if len(text) <= PACKED:
        chunks = " ".join(f'"{chunk}"' for chunk in textwrap.wrap(text, LINE))
        yield "import base64, io"
        yield f"found = numpy.load(io.BytesIO(base64.b64decode({chunks})))"
        yield from (f'{name} = found["{name}"]' for name in arrays)
