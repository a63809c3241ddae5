"""JUnit (pytest's junit-10 form), for CI: a suite for each submission, a test for each check."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from opcheck.grading.formats import clean, wording
from opcheck.grading.results import Check, Outcome, Result

if TYPE_CHECKING:
    from opcheck.grading.assignments.assignment import Assignment

_ERRORS = (Outcome.CRASHED, Outcome.CRASHED_ALWAYS, Outcome.TOO_SLOW, Outcome.DOES_NOT_LOAD)


def render(results: Sequence[Result], assignment: "Assignment") -> str:
    """One document. Times are those of grading; there are no timestamps, which would differ from run to run."""
    root = ElementTree.Element("testsuites", name=clean.line(assignment.title))
    totals: Counter[str] = Counter()
    for result in results:
        totals += _suite(root, result)
    _count(root, totals, ("tests", "failures", "errors"))
    root.set("time", f"{sum(float(suite.get('time', 0)) for suite in root):.3f}")
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True)


def _suite(root: ElementTree.Element, result: Result) -> Counter[str]:
    student = clean.line(result.student)
    suite = ElementTree.SubElement(root, "testsuite", name=student)
    counts = Counter(tests=len(result.checks))
    for check in result.checks:
        case = ElementTree.SubElement(
            suite,
            "testcase",
            name=clean.line(check.part),
            classname=f"{student.replace('.', '_')}.{clean.line(check.question)}",
            time=f"{check.seconds:.3f}",
        )
        counts[_ending(case, check)] += 1
    del counts[""]
    if notes := "\n".join(map(clean.line, result.notes)):
        ElementTree.SubElement(suite, "system-out").text = clean.shortened(notes, wording.LONGEST)
    _count(suite, counts, ("tests", "failures", "errors", "skipped"))
    suite.set("time", f"{result.seconds:.3f}")
    return counts


def _ending(case: ElementTree.Element, check: Check) -> str:
    """Adds what went wrong; returns the count that it belongs to."""
    if wording.is_right(check):
        return ""
    kind = "error" if check.outcome in _ERRORS else "skipped" if check.outcome is Outcome.SKIPPED else "failure"
    ending = ElementTree.SubElement(case, kind, message=wording.message(check), type=wording.outcome(check))
    ending.text = wording.detail(check) or None
    return {"error": "errors", "skipped": "skipped", "failure": "failures"}[kind]


def _count(element: ElementTree.Element, counts: Counter[str], names: Sequence[str]) -> None:
    for name in names:
        element.set(name, str(counts[name]))
