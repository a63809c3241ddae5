"""What is said about a notebook, whose code cells the sandbox takes out: `opcheck.sandbox.inside.cells`."""

from collections.abc import Iterator

from opcheck.language import counted, say
from opcheck.sandbox import Failure, Outcome, Skipped

NO_NOTEBOOK = "no notebook"  # the type of failure that a worker reports


def left_out(outcome: Outcome) -> Iterator[str]:
    """Notes for the teacher on the lines and cells that are not part of the module."""
    if outcome.commands:
        yield counted(
            outcome.commands,
            "1 line of notebook commands (% or !) was left out",
            "{lines} lines of notebook commands (% or !) were left out",
            lines=outcome.commands,
        )
    for each in outcome.skipped:
        yield say("code cell {number} was left out: {problem}", number=each.number, problem=_problem(each))


def _problem(cell: Skipped) -> str:
    if cell.why == "magic":
        return say("its first line is %%{name}", name=cell.text)
    if cell.why == "commands":
        return say("it has too many notebook commands (% or !)")
    if cell.line:
        return say("{problem} (line {line} of the cell)", problem=cell.text, line=cell.line)
    return cell.text


def problem_of(error: Failure) -> str:
    """Why a file is no notebook with Python in it."""
    if error.file == "json":
        return say("the notebook is not valid JSON ({error})", error=error.message)
    if error.file == "language":
        return say("the notebook's language is {language}, not Python", language=error.message)
    return say("the file is not a notebook: it has no list of cells")
