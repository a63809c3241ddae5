"""`opcheck.grade`: submissions and an assignment become grades."""

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from opcheck.grading import formats
from opcheck.grading.assignments import assignment as assignments
from opcheck.grading.assignments.assignment import Assignment
from opcheck.grading.classes.classroom import grade_class
from opcheck.grading.results import Result


@dataclass(frozen=True)
class Grade:
    """What was graded: one result for each student, with its checks; `str()` of it is the report.

    `failed` names the students whose code opcheck itself could not grade, and why.
    """

    results: tuple[Result, ...]
    assignment: Assignment
    failed: tuple[tuple[str, str], ...] = ()

    @property
    def score(self) -> float:
        """Of the only submission, or of all of them together."""
        return sum(result.score for result in self.results)

    @property
    def points(self) -> float:
        """What could be earned."""
        return sum(result.points for result in self.results)

    def render(self, format: str = "text") -> str:
        """The report as text, json, csv, junit, ...; raises Refused for a format with one file for each student."""
        rendered = formats.render(format, self.results, self.assignment)
        return rendered if isinstance(rendered, str) else "\n".join(text for _, text in rendered)

    def __str__(self) -> str:
        return self.render()


def grade(
    path: str | PathLike[str] | Sequence[str | PathLike[str]],
    assignment: str | PathLike[str] | Assignment,
    *,
    jobs: int = 1,
    seed: int | None = None,
    unsafe: bool = False,
) -> Grade:
    """Grade what students handed in: a file, a folder of them, or an export of Gradescope, Moodle or Canvas.

    assignment: a TOML file, or what `opcheck.grading.assignments.assignment` reads from one. The code runs in a
    sandbox; `unsafe` lets it run where this machine has none. seed: repeats a run; by default it is drawn after each
    file was read.

    Raises opcheck.Refused for a bad assignment or path, CouldNotRun where code cannot be isolated.

    >>> import opcheck
    >>> opcheck.grade("hw2.py", "hw2.toml").score
    9.0
    """
    asked = assignment if isinstance(assignment, Assignment) else assignments.read(Path(assignment))
    several = isinstance(path, Sequence) and not isinstance(path, str)
    paths = [Path(each) for each in path] if several else [Path(path)]  # type: ignore[union-attr, arg-type]
    with grade_class(paths, asked, jobs=jobs, seed=seed, unsafe=unsafe, progress=False) as graded:
        if graded.interrupted:
            raise KeyboardInterrupt
        return Grade(tuple(graded.results), asked, tuple(graded.failed))
