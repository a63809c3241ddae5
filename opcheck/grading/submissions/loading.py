"""Loads a submission: what it defines, and, if it does not load, why and what to do about it."""

import re
from contextlib import ExitStack
from dataclasses import dataclass

from opcheck.grading.assignments.assignment import Assignment
from opcheck.grading.known_errors import meaning
from opcheck.grading.submissions import notebook
from opcheck.grading.submissions.submission import Submission
from opcheck.language import say
from opcheck.sandbox import Definition, Isolation, Outcome, Status, Worker

_REMOVED = re.compile(r"module 'numpy' has no attribute '(\w+)'")
PRINTED = 400  # characters of what the file printed that a teacher gets to see


@dataclass(frozen=True, slots=True)
class Loaded:
    """A submission in its worker."""

    worker: Worker
    definitions: tuple[Definition, ...]
    problem: str = ""  # why it did not load, or not all of it
    notes: tuple[str, ...] = ()
    readable: bool = True  # whether it is Python, or a notebook, at all


def load(source: Submission, assignment: Assignment, isolation: Isolation, stack: ExitStack) -> Loaded:
    """Run the top level of the file, and where that does not come to an end, only the definitions in it."""
    worker = stack.enter_context(Worker(source.code, isolation, assignment.limits, assignment.forbidden))
    outcome = worker.load()
    if outcome.failure and outcome.failure.type == notebook.NO_NOTEBOOK:
        return Loaded(worker, (), notebook.problem_of(outcome.failure), readable=False)
    notes = []
    if outcome.printed.strip():
        notes.append(say("it printed: {text}", text=_shortened(outcome.printed.strip())))
    problem = "" if outcome.status is Status.OK else problem_of(outcome)
    if problem:
        notes.append(
            problem if not outcome.definitions else say("not all of the file runs; {problem}", problem=problem)
        )
    if outcome.status in (Status.CRASHED, Status.TIMED_OUT, Status.EXITED, Status.MALFORMED) and not worker.alive:
        worker.close()
        worker = stack.enter_context(
            Worker(source.code, isolation, assignment.limits, assignment.forbidden, definitions_only=True)
        )
        outcome = worker.load()
        notes.append(say("only its definitions were used"))
    return Loaded(worker, outcome.definitions, problem, (*notebook.left_out(outcome), *notes))


def problem_of(outcome: Outcome) -> str:
    """Why a file did not load, in a sentence for the student."""
    error = outcome.failure
    assert error is not None
    where = say(" (line {line} of {file})", line=error.line, file=error.file) if error.line else ""
    if outcome.status is Status.TIMED_OUT:
        return say('the file does not finish when it is loaded: put training loops under if __name__ == "__main__"')
    if outcome.status is Status.EXITED:
        return say("the file ends the program when it is loaded{where}", where=where)
    if outcome.status in (Status.CRASHED, Status.MALFORMED):
        return say("the file does not survive being loaded: {message}", message=error.message)
    if older := meaning(error.type, error.message) if error.type in ("SyntaxError", "NameError") else "":
        return say("{older}{where}", older=older, where=where)
    if error.type in ("SyntaxError", "IndentationError", "TabError"):
        return say("it is not Python: {message}{where}", message=error.message, where=where)
    removed = _REMOVED.search(error.message)
    if removed:
        return say(
            "the file needs an older numpy: np.{name} is no more{where}; write the builtin type or its new name",
            name=removed[1], where=where,
        )  # fmt: skip
    if error.type in ("ModuleNotFoundError", "ImportError"):
        return say("an import fails: {message}{where}", message=error.message, where=where)
    text = f"{error.type}: {error.message}"
    return say("it raises {text}{where}", text=text, where=where)


def _shortened(text: str) -> str:
    return text if len(text) <= PRINTED else text[:PRINTED] + " …"
