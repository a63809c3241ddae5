"""Results as pages that need no network: one for each student, and for a class one that leads to them.

A student's page shows what that student may see; the page of the class is the teacher's.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from opcheck.grading.classes.summary import Standing, Summary, by_question, points_of, score_of, standing, summary
from opcheck.grading.formats import Files, clean, text, wording
from opcheck.grading.results import Check, Outcome, Result, total
from opcheck.language import say
from opcheck.render import render as render_steps
from opcheck.steps import Step

if TYPE_CHECKING:
    import jinja2

    from opcheck.grading.assignments.assignment import Assignment

MARKS = {
    Outcome.RIGHT: "✓",
    Outcome.WRONG: "✗",
    Outcome.OTHER_CONVENTION: "≠",
    Outcome.CRASHED: "!",
    Outcome.CRASHED_ALWAYS: "!",
    Outcome.TOO_SLOW: "!",
    Outcome.NOT_ATTEMPTED: "–",
    Outcome.DOES_NOT_LOAD: "!",
    Outcome.SKIPPED: "»",
    Outcome.ADJUSTED: "±",
    Outcome.LATE: "◷",
}
MOST = 20  # mistakes that are listed
CLASSES = {Standing.FULL: "full", Standing.PARTLY: "partly", Standing.NONE: "none", Standing.NOT_ATTEMPTED: "empty"}


class Row(NamedTuple):
    """One student on the page of the class."""

    student: str
    file: str
    score: str
    share: float
    marks: list[tuple[str, str, str]]  # class, points, question: standing


def render(results: Sequence[Result], assignment: "Assignment") -> str | Files:
    """The page of one submission; for several, index.html and students/NAME.html."""
    title = clean.line(assignment.title)
    if len(results) == 1:
        return student_page(results[0], title)
    return chain([("index.html", class_page(results, assignment))], _students(results, title))


def student_page(result: Result, title: str) -> str:
    """What one student may see: nothing in it leads to the class."""
    visible = result.checks and [check for check in result.checks if not check.hidden]
    hidden = [check for check in result.checks if check.hidden]
    return _template("student").render(
        title=title,
        result=result,
        questions=_questions(visible),
        hidden=(total(check.score for check in hidden), total(check.points for check in hidden)) if hidden else None,
        share=_share(result.score, result.points),
    )


def class_page(results: Sequence[Result], assignment: "Assignment") -> str:
    """How the class did, and a line for each student."""
    found = summary(results)
    most = max(found.histogram)
    rows = [*_rows(results, found)]

    def named(places: Sequence[int]) -> list[Row]:
        return [rows[place] for place in places]

    return _template("class").render(
        title=clean.line(assignment.title),
        found=found,
        bars=[(name, n, 100 * n / most if most else 0, named(found.tenths.get(k, ())))
              for k, (name, n) in enumerate(reversed(text.bars(found)))],
        standings=[(CLASSES[each], say(each.value)) for each in Standing],
        questions=[_spread(found, name, named) for name in found.questions],
        mistakes=[(n, name, wording.mistake(assignment, name, each), named(found.questions[name].mistaken[each]))
                  for n, name, each in found.mistakes[:MOST]],
        rows=rows,
    )  # fmt: skip


def _students(results: Sequence[Result], title: str) -> Iterator[tuple[str, str]]:
    for file, result in zip(wording.file_names(results, ".html"), results, strict=True):
        yield f"students/{file}", student_page(result, title)


def _rows(results: Sequence[Result], found: Summary) -> Iterator[Row]:
    for file, result in zip(wording.file_names(results, ".html"), results, strict=True):
        graded = by_question(result)
        marks = [_mark_of(clean.line(name), graded.get(name)) for name in found.questions]
        score = wording.number(result.score)
        yield Row(clean.line(result.student), f"students/{file}", score, _share(result.score, result.points), marks)


def _mark_of(name: str, checks: list[Check] | None) -> tuple[str, str, str]:
    """The class, the points and the words for a question in the table of students."""
    if checks is None:
        return "empty", "–", name
    stands = standing(checks)
    return CLASSES[stands], wording.number(score_of(checks)), f"{name}: {say(stands.value)}"


class Spread(NamedTuple):
    """A question on the page of the class: its bar, and what so many lose that the assignment may be at fault."""

    name: str
    mean: str
    points: str
    parts: list[tuple[str, int, str, list[Row]]]
    warnings: list[str]


def _spread(found: Summary, name: str, named: Callable[[Sequence[int]], list[Row]]) -> Spread:
    question = found.questions[name]
    parts = [(CLASSES[each], question.standings[each], say(each.value), named(question.standing.get(each, ())))
             for each in Standing]  # fmt: skip
    warnings = [wording.suspicion(name, part, percent) for part, percent in question.suspicious]
    mean, points = wording.number(question.mean), wording.number(question.points)
    return Spread(clean.line(name), mean, points, parts, warnings)


def _questions(checks: Sequence[Check]) -> list[tuple[str, float, float, str, list[Check]]]:
    grouped = by_question(Result("", "", tuple(checks), 0))
    return [
        (clean.line(name), score_of(each), points_of(each), CLASSES[standing(each)], each)
        for name, each in grouped.items()
    ]


def _share(score: float, points: float) -> float:
    """Percent, never rounded up to all."""
    return math.floor(100 * min(score / points, 1)) if points > 0 else 100


# --- the templates --------------------------------------------------------------------------------------------------


@cache
def _template(name: str) -> "jinja2.Template":
    from jinja2 import Environment, PackageLoader

    loader = PackageLoader("opcheck.grading.formats", "pages")
    environment = Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(
        line=clean.line, number=wording.number, outcome=wording.outcome, mark=_mark, kind=_kind, detail=_detail,
        part=wording.part, said=wording.said, points=wording.points,
    )  # fmt: skip
    environment.globals.update(say=say, style=_style)
    return environment.get_template(f"{name}.html.jinja")


def _mark(check: Check) -> str:
    return MARKS[check.outcome]


def _kind(check: Check) -> str:
    """The class of a check's badge: how good it is, which its mark and its words say too."""
    if check.outcome is Outcome.RIGHT or (check.outcome is Outcome.ADJUSTED and check.score >= 0):
        return "full"
    if check.outcome in (Outcome.SKIPPED, Outcome.NOT_ATTEMPTED):
        return "empty"
    return "partly" if check.score > 0 or check.outcome is Outcome.OTHER_CONVENTION else "none"


def _style() -> str:
    """The style of worked calculations, which each of their fragments would bring along."""
    from markupsafe import Markup

    return Markup(_fragment(Step("")).partition("<div")[0])


def _detail(check: Check) -> str:
    from markupsafe import Markup

    if check.detail is None:
        return ""
    return Markup(clean.text(_fragment(check.detail).removeprefix(_style()).strip()))  # the renderer escapes


def _fragment(step: Step) -> str:
    return render_steps(step, "html", page=False)
