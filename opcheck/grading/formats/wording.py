"""What the formats say in common: numbers, headings, the detail of a check as text, and files for each student."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from opcheck.grading.formats import Files, clean
from opcheck.grading.results import EXTRA, Check, Outcome, Result
from opcheck.language import say
from opcheck.render import render

if TYPE_CHECKING:
    from opcheck.grading.assignments.assignment import Assignment

LONGEST = 20_000  # characters of one check's detail, where a platform shows it


def number(points: float) -> str:
    """Points as a person writes them: 2, 7.5.

    >>> number(2.0), number(2 / 3)
    ('2', '0.67')
    """
    return f"{round(points, 2):.12g}"


def score(result: Result) -> str:
    return say("{score} of {points} points", score=number(result.score), points=number(result.points))


def score_of(result: Result) -> str:
    """ "4.5 of 10"."""
    return say("{score} of {points}", score=number(result.score), points=number(result.points))


def name(check: Check) -> str:
    """ "conv2d, gradients"."""
    return f"{clean.line(check.question)}, {part(check)}"


def part(check: Check) -> str:
    """The part as students call it."""
    return name_of(check.part)


def name_of(part: str) -> str:
    """What a part is called: not all have heard of a vector-Jacobian product."""
    kind, _, of = part.partition(":")
    if kind != "vjp":
        return clean.line(part)
    return say("gradient of {name}", name=of) if of else say("gradients")


def points(check: Check) -> str:
    """ "2 of 3"; of an adjustment what it gives or takes."""
    if check.outcome in EXTRA:
        return signed(check.score)
    return say("{score} of {points}", score=number(check.score), points=number(check.points))


def signed(points: float) -> str:
    return number(points) if points <= 0 else f"+{number(points)}"


def outcome(check: Check) -> str:
    return say(check.outcome.value)


def message(check: Check) -> str:
    """One line: what the check says to the student, or just how it ended."""
    return clean.line(check.message) or outcome(check)


def said(check: Check) -> str:
    """The message, where it says more than the outcome: one line, as nothing that a student's code says may be two."""
    line = clean.line(check.message)
    return "" if line == outcome(check) else line


def mistake(assignment: "Assignment", question: str, name: str) -> str:
    """A named mistake as a sentence: the catalogue's, where it has one."""
    for asked in assignment.questions:
        for known in asked.op.mistakes if asked.name == question else ():
            if known.name == name:
                return clean.line(say(asked.convention.sentence(asked.op, known)))
    return clean.line(name.replace("_", " "))


def suspicion(question: str, part: str, percent: int) -> str:
    """That most of a class lose something."""
    return say("{percent} % lose points for {question}, {part}: check the assignment", percent=percent,
               question=clean.line(question), part=name_of(part))  # fmt: skip


def detail(check: Check, most: int = LONGEST, width: int = 80) -> str:
    """The check's counterexample, diagnosis and worked calculation as text; "" if there is none."""
    if check.detail is None:
        return ""
    return clean.shortened(clean.text(render(check.detail, "text", width=width, interactive=False)), most)


def told(check: Check, most: int = LONGEST) -> str:
    """Message and detail; "" where all is right and nothing is said."""
    first = "" if is_right(check) and not said(check) else message(check)
    return "\n\n".join(part for part in (first, detail(check, most)) if part)


def is_right(check: Check) -> bool:
    if check.outcome in EXTRA:
        return check.score >= 0
    return check.outcome is Outcome.RIGHT and check.score >= check.points


def shown(result: Result) -> list[Check]:
    """The checks that the student may see."""
    return [check for check in result.checks if not check.hidden]


def per_student(results: Sequence[Result], suffix: str, page: Callable[[Result], str]) -> str | Files:
    """One text for one result, else a file for each student."""
    if len(results) == 1:
        return page(results[0])
    return ((file, page(result)) for file, result in zip(file_names(results, suffix), results, strict=True))


def file_names(results: Sequence[Result], suffix: str) -> Iterator[str]:
    """A name of its own for each result: two students whose names differ in signs alone get numbers."""
    taken: set[str] = set()
    for result in results:
        stem = clean.file_name(result.student)
        place, known = 2, stem
        while known.casefold() in taken:  # file systems that do not tell upper from lower case
            known = f"{stem}-{place}"
            place += 1
        taken.add(known.casefold())
        yield known + suffix


def within(size: int, build: Callable[[int], str]) -> str:
    """The longest of build(characters a check's detail may have) that is at most `size` bytes."""
    most = LONGEST
    while True:
        text = build(most)
        if len(text.encode()) <= size or most == 0:
            return text
        most //= 2
