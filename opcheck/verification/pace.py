"""How long an implementation takes: one that is slow gets smaller cases, and is not said to hang.

What a call takes is foretold from the fastest one so far, for each number of its work: of those that are large along
the same size, since a kernel that does one row at a time takes as long for a short row as for a long one (in Triton's
interpreter, milliseconds). Where that is too long, small parts of the case are called first, each twice: a first call
may compile something. Only then is the case cut.
"""

import time
from contextlib import suppress
from typing import NamedTuple

from opcheck.backends.base import Backend
from opcheck.operators.program import Program
from opcheck.operators.spec import Op, Refused
from opcheck.verification.casefile import Trial
from opcheck.verification.cuts import cut, size_of, sizes
from opcheck.verification.widening import sees_its_input

MOST = 0.5  # seconds that one of the some twenty calls of a case may take
TELLING = 200  # numbers from which on the time of a call says something
SMALL = 500  # numbers of a part that is called first,
STEP = 8  # and how many times larger the next one is: the time of a small call is mostly that of calling

Kind = tuple[str, str]  # an operator, and the letter of the largest size


class Slow(NamedTuple):
    """The largest case that was cut for one operator."""

    shapes: str
    seconds: float
    cases: int = 1


class Pace:
    """Seconds for each number of the work of one implementation, by operator and largest size."""

    def __init__(self) -> None:
        self.rates: dict[Kind, float] = {}

    @staticmethod
    def of(backend: Backend) -> "Pace":
        found: Pace = backend.__dict__.setdefault("_pace", Pace())
        return found

    def learns(self, op: Op, trial: Trial, seconds: float) -> None:
        """A call took so long."""
        if (work := work_of(op, trial)) >= TELLING:
            kind = kind_of(op, trial)
            self.rates[kind] = min(self.rates.get(kind, float("inf")), seconds / work)

    def seconds(self, op: Op, trial: Trial) -> float:
        """How long a call will take, as far as that is known."""
        return self.rates.get(kind_of(op, trial), 0.0) * work_of(op, trial)

    def bearable(self, op: Op, trial: Trial, backend: Backend) -> Trial:
        """The trial, or a part of it that takes no longer than MOST."""
        work, part, kind = work_of(op, trial), float(SMALL), kind_of(op, trial)
        if work <= SMALL or (kind in self.rates and self.seconds(op, trial) <= MOST):
            return trial
        while part < work:
            tried = smaller(op, trial, part)
            seconds = self._try(op, tried, backend)
            if kind in self.rates and self.seconds(op, trial) <= MOST:
                return trial
            if seconds * STEP > MOST:  # what took less is mostly the time of calling
                return smaller(op, trial, MOST / seconds * work_of(op, tried))
            part *= STEP
        return trial

    def _try(self, op: Op, part: Trial, backend: Backend) -> float:
        """How long the quicker of two calls took; 0 if they raised."""
        took = []
        for _ in range(2):
            with suppress(Exception):  # what it raises is judged where it is asked
                start = time.perf_counter()
                backend.open(op, part.case, part.dtype, gradients=False).outputs()
                took.append(time.perf_counter() - start)
                self.learns(op, part, took[-1])
        return min(took, default=0.0)


def kind_of(op: Op, trial: Trial) -> Kind:
    """Where calls take alike."""
    found = sizes(op, trial)
    return op.name, max(found, key=lambda letter: found[letter], default="")


def work_of(op: Op, trial: Trial) -> int:
    """How many numbers a call makes, at least as many as it is given."""
    shapes = {name: array.shape for name, array in trial.case.arrays.items()}
    given = size_of(trial)
    if type(op).shape is not Program.shape or not isinstance(op, Program):
        return given
    try:
        return max(given, op.work(op.settle(op.parameters(trial.case.params), shapes), shapes))
    except Refused:
        return given


def smaller(op: Op, trial: Trial, most: float) -> Trial:
    """The end of the case along its largest sizes, halved until its work is no more than that."""
    while work_of(op, trial) > most:
        largest = sorted(sizes(op, trial).items(), key=lambda each: -each[1])
        parts = (cut(op, trial, {letter: slice(n // 2, None)}) for letter, n in largest if n > 1)
        # a window that lies in the padding entirely may end the process, which is asked in cases of its own
        part = next((each for found in parts for each in found if sees_its_input(op, each.case)), None)
        if part is None:
            break
        trial = part.replace(block=part.block // 2)
    return trial
