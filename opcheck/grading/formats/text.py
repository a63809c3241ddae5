"""Results for a terminal: one submission in full, or a class as a table with what it has in common."""

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from opcheck.grading.classes.summary import Standing, Summary, by_question, score_of, summary
from opcheck.grading.formats import clean, wording
from opcheck.grading.results import Check, Outcome, Result
from opcheck.language import say
from opcheck.render import render as render_steps
from opcheck.steps import Block, Prose, Step, Table

if TYPE_CHECKING:
    from opcheck.grading.assignments.assignment import Assignment

BAR = 40  # columns of the longest bar of the histogram


def render(results: Sequence[Result], assignment: "Assignment") -> str:
    """One submission with all its checks; several as a table and a summary."""
    if len(results) == 1:
        (result,) = results
        notes = [*result.notes, say("--seed {seed} draws the same inputs again", seed=result.seed)]
        return report(result, result.checks, notes)
    found = summary(results)
    blocks = [_table(results, found), *class_blocks(found, assignment)]
    return _text(Step(clean.line(assignment.title), tuple(blocks)))


def report(result: Result, checks: Sequence[Check], notes: Sequence[str] = ()) -> str:
    """One submission: a table of its checks, and what there is to say about those that are not right."""
    title = say("{student}: {score}", student=clean.line(result.student), score=wording.score(result))
    rows = tuple((wording.name(check), wording.points(check), _ending(check)) for check in checks)
    blocks: list[Block] = [Table((say("check"), say("points"), say("result")), rows)]
    asked = (check for check in checks if check.outcome is not Outcome.SKIPPED)
    telling = (check for check in asked if not wording.is_right(check) or wording.said(check))
    telling = (check for check in telling if check.message or check.detail is not None)
    blocks += [_section(list(alike)) for _, alike in groupby(telling, _said)]
    blocks += [Prose(say("Note: {note}", note=clean.line(note)), "quoted") for note in notes]
    return _text(Step(title, tuple(blocks)))


def _ending(check: Check) -> str:
    return say("{outcome} (hidden)", outcome=wording.outcome(check)) if check.hidden else wording.outcome(check)


def _said(check: Check) -> object:
    """What is the same for checks of which a sentence tells all; others have their own section."""
    if check.detail is not None:
        return id(check)
    return check.outcome, check.message, check.question if check.outcome is not Outcome.DOES_NOT_LOAD else ""


def _section(checks: Sequence[Check]) -> Step:
    """What is said about one check, or about several at once."""
    check = checks[0]
    names = ", ".join([wording.name(check), *map(wording.part, checks[1:])])
    if len({each.question for each in checks}) > 1:
        names = say("{n} checks", n=len(checks))
    blocks: list[Block] = [Prose(said, "quoted")] if (said := wording.said(check)) else []
    if check.detail is not None:
        blocks += [Prose(check.detail.title, "title")] if check.detail.title else []
        blocks += check.detail.blocks
    heading = say("{name}: {outcome}", name=names, outcome=wording.outcome(check))
    return Step(heading, tuple(blocks))


def _text(step: Step) -> str:
    return clean.text(render_steps(step, "text", interactive=False))


# --- a class --------------------------------------------------------------------------------------------------------


def _table(results: Sequence[Result], found: Summary) -> Table:
    """A line for each student, with the points of each question."""
    rows = []
    for result in results:
        scores = {name: score_of(checks) for name, checks in by_question(result).items()}
        marks = [wording.number(scores[name]) if name in scores else "–" for name in found.questions]
        rows.append((clean.line(result.student), wording.number(result.score), *marks))
    asked = [f"{clean.line(each.name)} ({wording.number(each.points)})" for each in found.questions.values()]
    return Table((say("student"), say("points"), *asked), tuple(rows))


def class_blocks(found: Summary, assignment: "Assignment") -> list[Block]:
    """The summary: the spread of the scores, the questions, the common mistakes, and what needs a look."""
    if not found.students:
        return [Prose(say("Nothing has been graded."))]
    blocks: list[Block] = [_spread(found), _questions(found)]
    blocks += [Prose(wording.suspicion(name, part, percent), "quoted")
               for name, each in found.questions.items() for part, percent in each.suspicious]  # fmt: skip
    if found.mistakes:
        rows = tuple(
            (str(n), clean.line(name), wording.mistake(assignment, name, each)) for n, name, each in found.mistakes
        )
        blocks.append(Table((say("students"), say("question"), say("mistake")), rows, say("common mistakes")))
    for title, students in ((say("crashed"), found.crashed), (say("does not load"), found.not_loading)):
        if students:
            names = ", ".join(map(clean.line, students))
            told = say("{title} ({n}): {names}", title=title, n=len(students), names=names)
            blocks.append(Prose(told, "quoted"))
    slow = ", ".join(f"{clean.line(name)} {seconds:.1f} s" for seconds, name in found.slowest)
    return [*blocks, Prose(say("slowest: {names}", names=slow), "quoted")]


def bars(found: Summary) -> list[tuple[str, int]]:
    """The histogram: what a bar stands for, and how many students are in it, from full marks down."""
    tenths = [(f"{10 * tenth}–{10 * tenth + 9} %", n) for tenth, n in enumerate(found.histogram[:-1])]
    return [(say("full marks"), found.histogram[-1]), *reversed(tenths)]


def _spread(found: Summary) -> Table:
    most = max(found.histogram)
    rows = tuple((name, str(n), "█" * max(round(BAR * n / most), n > 0)) for name, n in bars(found))
    title = say(
        "{students} students, mean {mean}, median {median} of {points} points",
        students=found.students,
        mean=wording.number(found.mean),
        median=wording.number(found.median),
        points=wording.number(found.points),
    )
    return Table((say("score"), say("students"), ""), rows, title)


def _questions(found: Summary) -> Table:
    rows = []
    for each in found.questions.values():
        mean = say("{mean} of {points}", mean=wording.number(each.mean), points=wording.number(each.points))
        rows.append((clean.line(each.name), mean, *(str(each.standings[standing]) for standing in Standing)))
    return Table((say("question"), say("mean"), *(say(standing.value) for standing in Standing)), tuple(rows))
