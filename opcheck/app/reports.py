"""A verification report as a JUnit file, for the pages of a CI service."""

import time
from xml.etree import ElementTree

from opcheck.app.failures import by_cause, opened
from opcheck.language import say
from opcheck.verification.report import Report, Row, fewest, key_of, number_of_cases, sentence
from opcheck.verification.verdict import Status


def junit(report: Report, start: float) -> str:
    """A JUnit report (junit-10): a suite per operator and dtype, a test per claim."""
    root = ElementTree.Element("testsuites", name="opcheck", time=f"{report.seconds:.3f}")
    totals = {"tests": 0, "failures": 0, "errors": 0}
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(start))
    for op, dtype in dict.fromkeys((op, dtype) for op, dtype, _ in report.rows):
        rows = {claim: row for (a, b, claim), row in report.rows.items() if (a, b) == (op, dtype)}
        suite = ElementTree.SubElement(root, "testsuite", name=f"{op}.{dtype}", timestamp=stamp, hostname="localhost")
        causes = of_claims(report, op, dtype)
        counts = {"tests": len(rows), "failures": 0, "errors": 0, "skipped": 0}
        for claim, row in rows.items():
            case = ElementTree.SubElement(
                suite, "testcase", name=claim, classname=f"opcheck.{op}.{dtype}", time=f"{row.seconds:.3f}"
            )
            found = [each for each in report.failures if key_of(each) == (op, dtype, claim)]
            if row.failed and found:
                crashed = found[0].status in (Status.CRASHED, Status.MEMORY, Status.TIMED_OUT)
                counts["errors" if crashed else "failures"] += 1
                kind = "error" if crashed else "failure"
                element = ElementTree.SubElement(case, kind, message=sentence(found[0]), type=found[0].status.value)
                element.text = "\n".join(
                    opened(report.failures[k], "", None, shared=words) for k, words in causes[claim]
                )
            elif not row.cases:
                counts["skipped"] += 1
                ElementTree.SubElement(case, "skipped", message="; ".join(row.left_out))
            if row.precisions or row.tier > "T1":
                ElementTree.SubElement(case, "system-out").text = "\n".join(precision(row))
        suite.attrib.update({name: str(n) for name, n in counts.items()})
        for name in totals:
            totals[name] += counts[name]
    root.attrib.update({name: str(n) for name, n in totals.items()})
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True)


def of_claims(report: Report, op: str, dtype: str) -> dict[str, list[tuple[int, str]]]:
    """By claim: one failure of each cause, as its place in the report, with what its failing cases share."""
    found: dict[str, list[tuple[int, str]]] = {}
    for group in (group for groups in by_cause(report) for group in groups):
        for k in group.places:
            name, kind, claim = key_of(report.failures[k])
            if (name, kind) == (op, dtype):
                found.setdefault(claim, []).append((k, group.shared))
    return found


def precision(row: Row) -> list[str]:
    """The precisions in which a claim holds, if lower than the dtype's own: one line each."""
    lines = [say("needs tier {tier}", tier=row.tier)] if row.tier > "T1" else []
    return lines + [
        say("LOWER_PRECISION: {name}, {cases}", name=say(name), cases=number_of_cases(count))
        for name, count in fewest(row.precisions).items()
    ]
