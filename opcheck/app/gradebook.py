"""What `opcheck grade` does with the results of a class: names, adjustments, lateness, comparison, anonymity."""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from opcheck.app.output import page_width
from opcheck.errors import Refused
from opcheck.grading.assignments.assignment import Assignment
from opcheck.grading.classes import anonymous, comparison, people
from opcheck.grading.classes.classroom import ClassResult
from opcheck.grading.classes.people import People
from opcheck.grading.classes.roll import Finish, Roll, absent
from opcheck.grading.formats import TABLES, clean
from opcheck.grading.formats import json as json_format
from opcheck.grading.results import WHOLE, Adjustment, Result
from opcheck.language import counted, say

ALL = "all"  # what a person writes for the whole submission
NAMED = 12  # students that a note names


class Gradebook:
    """The options of one run that concern the class as a whole, checked before anything is graded."""

    def __init__(self, options: dict[str, Any], asked: Assignment) -> None:
        self.asked, self.journal = asked, options["journal"]
        self.roster: People | None = people.read(options["roster"]) if options["roster"] else None
        self.old: list[Result] | None = _old(options["compare"]) if options["compare"] else None
        self.key: Path | None = options["anonymise"]
        self.adjustments = [self._adjustment(*words) for words in options["adjust"]]
        if self.adjustments and self.journal is None:
            raise Refused(say("adjustments are kept in the journal"), fix=say("name one: --journal run.db"))
        if self.key is not None and options["format"] in TABLES[1:]:
            raise Refused(say("{format} needs the names of the students", format=options["format"]),
                          fix=say("leave out --anonymise, or choose another format"))  # fmt: skip
        if self.old is not None and options["format"] != "text" and options["output"] is None:
            raise Refused(say("the comparison and the results cannot both be printed"),
                          fix=say("write the results to a file: -o FILE"))  # fmt: skip

    def _adjustment(self, student: str, question: str, points: str, reason: str) -> Adjustment:
        names = [each.name for each in self.asked.questions]
        if question not in (*names, ALL):
            raise Refused(say("there is no question {name!r} to adjust", name=question),
                          fix=say("one of {names}, or {all}", names=", ".join(names), all=ALL))  # fmt: skip
        try:
            number = float(points)
        except ValueError:
            number = float("nan")
        if not abs(number) < 1e9:
            raise Refused(say("an adjustment is a number of points, such as +1 or -0.5"), got=repr(points))
        return Adjustment(student, WHOLE if question == ALL else question, number, reason)

    def finished(self, graded: ClassResult) -> Roll:
        """The results as they are written, and notes on stderr."""
        students = [result.student for result in graded.results] if self._needs_names() else []
        for each in self.adjustments:
            graded.journal.adjust(self._whose(each, students))
        kept = graded.journal.adjustments()
        missing = absent(self.roster, students) if self.roster is not None else []
        roll = Roll(graded.results, Finish(self.roster, self.asked.late, kept), missing)
        self._notes(graded, sum(map(len, kept.values())), students, roll)
        return self._anonymous(roll) if self.key is not None else roll

    def _needs_names(self) -> bool:
        return bool(self.adjustments) or self.roster is not None

    def _whose(self, adjustment: Adjustment, students: Sequence[str]) -> Adjustment:
        """The adjustment, with the student's name as in the submissions; raises Refused if there is no such student."""
        asked = adjustment.student
        found = [each for each in students if each == asked]
        if not found and self.roster is not None:
            person = self.roster.of(asked)
            found = [each for each in students if person and person[0] in self.roster.of(each)]
        if not found:
            found = [each for each in students if people.squeezed(asked) == people.squeezed(each)]
        if len(found) != 1:
            raise Refused(say("there is no submission of {name!r}", name=asked),
                          fix=say("there are {names}", names=_listed(students)))  # fmt: skip
        return Adjustment(found[0], adjustment.question, adjustment.points, adjustment.reason)

    def _notes(self, graded: ClassResult, adjusted: int, students: Sequence[str], roll: Roll) -> None:
        if self.journal is not None:
            _note(say("{n} of {all} results came from the journal {path}", n=graded.reused, all=len(graded.results),
                      path=self.journal))  # fmt: skip
        if adjusted:
            _note(
                counted(adjusted, "the journal has {n} adjustment by hand", "the journal has {n} adjustments by hand")
            )
        if self.roster is None:
            if self.asked.late is not None:
                _note(say("lateness is read from a roster: --roster FILE, with late days or submission times"))
            return
        if unknown := [each for each in students if not self.roster.of(each)]:
            _note(say("not in the roster ({n}): {names}", n=len(unknown), names=_listed(unknown)))
        if roll.absent:
            names = _listed([each.label for each in roll.absent])
            _note(say("nothing handed in ({n}): {names}", n=len(roll.absent), names=names))

    def _anonymous(self, roll: Roll) -> Roll:
        assert self.key is not None
        students = [result.student for result in roll]
        numbers = anonymous.numbers(self.key, students)
        order = sorted(range(len(students)), key=lambda k: numbers[students[k]])
        return Roll(roll, lambda result: anonymous.anonymous(result, numbers[result.student]), (), order)

    def compared(self, roll: Roll) -> str:
        """What changed since the old results."""
        assert self.old is not None
        return comparison.render(comparison.compare(self.old, roll))


def _old(path: Path) -> list[Result]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise Refused(say("cannot read the old results"), got=str(path),
                      fix=say("give a file that --format json wrote")) from None  # fmt: skip
    return json_format.load(text)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(clean.line(each) for each in names[:NAMED])
    return say("{names} and {n} more", names=shown, n=len(names) - NAMED) if len(names) > NAMED else shown


def _note(text: str) -> None:
    told = say("note: {note}", note=text)
    click.echo(textwrap.fill(told, page_width(None), subsequent_indent="  ", break_long_words=False,
                             break_on_hyphens=False), err=True)  # fmt: skip
