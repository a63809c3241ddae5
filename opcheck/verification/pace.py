"""How long an implementation takes: one that is slow gets smaller cases, and is not said to hang.

What a call takes is foretold from the fastest one so far, for each number of its work. Where that is too long, small
parts of the case are called first, each twice: a first call may compile something. Only then is the case cut.
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
TELLING = 500  # numbers from which on the time of a call says something
SMALL = 2_000  # numbers of a part that is called first,
STEP = 8  # and how many times larger the next one is: the time of a small call is mostly that of calling


class Slow(NamedTuple):
    """The largest case that was cut for one operator."""

    shapes: str
    seconds: float
    cases: int = 1


class Pace:
    """What the calls of one implementation take, by operator: seconds for each number of their work."""

    def __init__(self) -> None:
        self.rates: dict[str, float] = {}

    @staticmethod
    def of(backend: Backend) -> "Pace":
        found: Pace = backend.__dict__.setdefault("_pace", Pace())
        return found

    def learns(self, op: Op, trial: Trial, seconds: float) -> None:
        """A call took so long."""
        if (work := work_of(op, trial)) >= TELLING:
            self.rates[op.name] = min(self.rates.get(op.name, float("inf")), seconds / work)

    def seconds(self, op: Op, trial: Trial) -> float:
        """How long a call will take, as far as that is known."""
        return self.rates.get(op.name, 0.0) * work_of(op, trial)

    def bearable(self, op: Op, trial: Trial, backend: Backend) -> Trial:
        """The trial, or a part of it that takes no longer than MOST."""
        work, part = work_of(op, trial), float(SMALL)
        if work <= SMALL or (op.name in self.rates and self.seconds(op, trial) <= MOST):
            return trial
        while part < work:
            self._try(op, smaller(op, trial, part), backend)
            if self.seconds(op, trial) <= MOST:
                return trial
            part *= STEP
            if self.rates.get(op.name, 0.0) * part > MOST:
                return smaller(op, trial, MOST / self.rates[op.name])
        return trial

    def _try(self, op: Op, part: Trial, backend: Backend) -> None:
        for _ in range(2):
            with suppress(Exception):  # what it raises is judged where it is asked
                start = time.perf_counter()
                backend.open(op, part.case, part.dtype, gradients=False).outputs()
                self.learns(op, part, time.perf_counter() - start)


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
