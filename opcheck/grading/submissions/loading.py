"""Loads a submission: what it defines, and, if it does not load, why and what to do about it."""

import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field

from opcheck.grading.assignments.assignment import Assignment
from opcheck.grading.known_errors import meaning, place_of
from opcheck.grading.submissions import notebook
from opcheck.grading.submissions.locate import Missing
from opcheck.grading.submissions.roster import is_pinned
from opcheck.grading.submissions.submission import Submission
from opcheck.language import say
from opcheck.sandbox import Definition, File, Isolation, Outcome, Source, Status, Worker
from opcheck.sandbox.protocol import NAME, NOT_ALLOWED, one_line

_REMOVED = re.compile(r"module 'numpy' has no attribute '(\w+)'")
_NO_MODULE = re.compile(r"No module named '([\w.]+)'")
# of a notebook, a line is a string of JSON
_TORCH = re.compile(r'(?:^|"|\\n)[ \t]*(?:import|from)[ \t]+torch\b', re.MULTILINE)
LARGEST_LOOKED_AT = 1 << 20
PRINTED = 400  # characters of what the file printed that a teacher gets to see


@dataclass(frozen=True, slots=True)
class Loaded:
    """A submission in its worker."""

    worker: Worker
    definitions: tuple[Definition, ...]
    problem: str = ""  # why it did not load, or not all of it
    notes: tuple[str, ...] = ()
    readable: bool = True  # whether it is Python, or a notebook, at all
    refused: bool = False  # whether the problem is an import that the assignment does not allow
    torch: bool = False  # whether its text imports torch
    files: Mapping[str, str] = field(
        default_factory=dict
    )  # by the module that it is: its path, where there are several

    def within(self, file: str) -> tuple[Definition, ...]:
        """What is defined in a file that an assignment pins, or anywhere if it pins none; raises Missing."""
        if not file or len(self.files) < 2:
            return self.definitions
        modules = [module for module, path in self.files.items() if is_pinned(path, [file])]
        if not modules:
            names = ", ".join(self.files.values())
            raise Missing(say("there is no file {file}; these were looked at: {names}", file=file, names=names))
        return tuple(each for each in self.definitions if each.module in modules)


def load(source: Submission, assignment: Assignment, isolation: Isolation, stack: ExitStack) -> Loaded:
    """Run the top level of the file, and where that does not come to an end, only the definitions in it."""
    worker = stack.enter_context(_worker(source, assignment, isolation))
    outcome = worker.load()
    if outcome.failure and outcome.failure.type == notebook.NO_NOTEBOOK:
        return Loaded(worker, (), notebook.problem_of(outcome.failure), readable=False)
    notes = []
    if outcome.printed.strip():
        notes.append(say("it printed: {text}", text=_shortened(outcome.printed.strip())))
    problem, refused = "", False
    for each in (outcome, *outcome.others):
        if each.status is not Status.OK:
            notes.append(_told(each, bool(outcome.definitions)))
            refused = refused if problem else _is_refused(each)
            problem = problem or problem_of(each)
    if outcome.status in (Status.CRASHED, Status.TIMED_OUT, Status.EXITED, Status.MALFORMED) and not worker.alive:
        worker.close()
        worker = stack.enter_context(_worker(source, assignment, isolation, definitions_only=True))
        outcome = worker.load()
        notes.append(say("only its definitions were used"))
    notes += _neighbours(source, outcome)
    found = (*notebook.left_out(outcome), *notes)
    torch = _imports_torch(source.code)
    return Loaded(worker, outcome.definitions, problem, found, refused=refused, torch=torch, files=_files(source.code))


def _worker(source: Submission, assignment: Assignment, isolation: Isolation, definitions_only: bool = False) -> Worker:
    return Worker(source.code, isolation, assignment.limits, assignment.forbidden, definitions_only, assignment.allowed)


def _files(code: File | Source) -> dict[str, str]:
    if not isinstance(code, File) or code.root is None:
        return {}
    paths = [path.relative_to(code.root).as_posix() for path in (code.path, *code.others)]
    return {f"module{k or ''}": one_line(path, NAME) for k, path in enumerate(paths)}


def _imports_torch(code: File | Source) -> bool:
    if isinstance(code, Source):
        return bool(_TORCH.search(code.text))
    with suppress(OSError):
        for path in (code.path, *code.others):
            with path.open(encoding="utf-8", errors="replace") as file:
                if _TORCH.search(file.read(LARGEST_LOOKED_AT)):
                    return True
    return False


def _neighbours(source: Submission, outcome: Outcome) -> Iterator[str]:
    """Where a lone file needs what lies beside it: how to grade it so."""
    error = outcome.failure
    if not isinstance(source.code, File) or source.code.root is not None or error is None:
        return
    path = source.code.path
    missing = _NO_MODULE.search(error.message)
    name = missing[1].partition(".")[0] if missing else ""
    relative = error.type == "ImportError" and "relative import" in error.message
    if relative or (name and (path.with_name(f"{name}.py").is_file() or path.with_name(name).is_dir())):
        yield say(
            "it imports files beside it: --within {folder} grades it inside its folder",
            folder=one_line(str(source.path.parent), NAME),
        )


def _told(outcome: Outcome, anything: bool) -> str:
    """The note on a file that does not load, or not all of it."""
    problem = problem_of(outcome)
    return say("part of the file failed; {problem}", problem=problem) if anything else problem


def _is_refused(outcome: Outcome) -> bool:
    error = outcome.failure
    return error is not None and error.type == "ModuleNotFoundError" and bool(NOT_ALLOWED.fullmatch(error.message))


def problem_of(outcome: Outcome) -> str:
    """Why a file did not load, in a sentence for the student."""
    error = outcome.failure
    assert error is not None
    if error.type == notebook.NO_NOTEBOOK:
        return notebook.problem_of(error)
    where = place_of(error)
    if outcome.status is Status.TIMED_OUT:
        return say('loading the file does not finish: put training loops under if __name__ == "__main__"')
    if outcome.status is Status.EXITED:
        return say("loading the file ends the program{where}", where=where)
    if outcome.status in (Status.CRASHED, Status.MALFORMED):
        return say("the file crashes while loading: {message}", message=error.message)
    if older := meaning(error.type, error.message) if error.type in ("SyntaxError", "NameError") else "":
        return say("{older}{where}", older=older, where=where)
    if error.type in ("SyntaxError", "IndentationError", "TabError"):
        return say("it is not valid Python: {message}{where}", message=error.message, where=where)
    if _is_refused(outcome):
        name = error.message.partition(" ")[0]
        return say("this assignment does not allow {name}{where}", name=name, where=where)
    removed = _REMOVED.search(error.message)
    if removed:
        return say(
            "the file needs an older numpy: np.{name} was removed{where}; write the builtin type or its new name",
            name=removed[1], where=where,
        )  # fmt: skip
    if error.type in ("ModuleNotFoundError", "ImportError"):
        return say("an import fails: {message}{where}", message=error.message, where=where)
    text = f"{error.type}: {error.message}"
    return say("it raises {text}{where}", text=text, where=where)


def _shortened(text: str) -> str:
    return text if len(text) <= PRINTED else text[:PRINTED] + " …"
