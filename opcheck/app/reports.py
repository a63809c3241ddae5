"""A verification report as files: JUnit and a page."""

import time
from html import escape
from xml.etree import ElementTree

from opcheck.app.findings import first_of_row, notes, opened
from opcheck.language import say
from opcheck.verification.report import Report, key_of, sentence
from opcheck.verification.verdict import Status


def junit(report: Report, start: float) -> str:
    """A JUnit report (junit-10): a suite an operator and dtype, a test a claim."""
    root = ElementTree.Element("testsuites", name="opcheck", time=f"{report.seconds:.3f}")
    totals = {"tests": 0, "failures": 0, "errors": 0}
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(start))
    for op, dtype in dict.fromkeys((op, dtype) for op, dtype, _ in report.rows):
        rows = {claim: row for (a, b, claim), row in report.rows.items() if (a, b) == (op, dtype)}
        suite = ElementTree.SubElement(root, "testsuite", name=f"{op}.{dtype}", timestamp=stamp, hostname="localhost")
        counts = {"tests": len(rows), "failures": 0, "errors": 0, "skipped": 0}
        for claim, row in rows.items():
            case = ElementTree.SubElement(
                suite, "testcase", name=claim, classname=f"opcheck.{op}.{dtype}", time=f"{row.seconds:.3f}"
            )
            found = [each for each in report.failures if key_of(each) == (op, dtype, claim)]
            if row.failed and found:
                crashed = found[0].status in (Status.CRASHED, Status.TIMED_OUT)
                counts["errors" if crashed else "failures"] += 1
                kind = "error" if crashed else "failure"
                element = ElementTree.SubElement(case, kind, message=sentence(found[0]), type=found[0].status.value)
                element.text = opened(found[0], "torch", None)
            elif not row.cases:
                counts["skipped"] += 1
                ElementTree.SubElement(case, "skipped", message="; ".join(row.left_out))
        suite.attrib.update({name: str(n) for name, n in counts.items()})
        for name in totals:
            totals[name] += counts[name]
    root.attrib.update({name: str(n) for name, n in totals.items()})
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True)


PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>opcheck verify</title><style>
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 62rem; padding: 0 1rem; color: #1a1a1a }}
table {{ border-collapse: collapse; width: 100% }}
th, td {{ text-align: right; padding: .3rem .6rem; border-bottom: 1px solid #ddd }}
th:nth-child(-n+3), td:nth-child(-n+3) {{ text-align: left }} .bad {{ color: #b00020; font-weight: 600 }}
pre {{ background: #f6f6f4; padding: 1rem; overflow-x: auto; font-size: 13px }} summary {{ cursor: pointer }}
@media (prefers-color-scheme: dark) {{ body {{ background: #16181c; color: #e6e6e6 }} pre {{ background: #22252b }}
 th, td {{ border-color: #333 }} .bad {{ color: #ff8a80 }} }}
</style></head><body><h1>{title}</h1><p>{summary}</p>
<table><thead><tr>{head}</tr></thead><tbody>
{rows}
</tbody></table>
{failures}
{notes}
</body></html>"""


def html(report: Report, implementation: str) -> str:
    """One page without network: every row, and the worst element of each failing one opened."""
    head = (
        say("operator"),
        say("dtype"),
        say("claim"),
        say("cases"),
        say("numbers"),
        say("worst error / bound"),
        say("s"),
    )
    rows = []
    for (op, dtype, claim), row in report.rows.items():
        result = f'<span class="bad">{say("{n} differ", n=row.failed)}</span>' if row.failed else (
            f"{row.ratio:.3f}" if row.cases else escape(", ".join(row.left_out)))  # fmt: skip
        tier = f" {row.tier}" if row.tier else ""
        rows.append(f"<tr><td>{op}</td><td>{dtype}{tier}</td><td>{escape(claim)}</td><td>{row.cases}</td>"
                    f"<td>{row.elements}</td><td>{result}</td><td>{row.seconds:.2f}</td></tr>")  # fmt: skip
    firsts = [verdict for k, verdict in enumerate(report.failures) if verdict.trial and first_of_row(report, k)]
    failures = "\n".join(
        f"<details open><summary class=bad>{escape(key_of(v)[0])} {escape(key_of(v)[1])} {escape(v.claim)}</summary>"
        f"<pre>{escape(opened(v, implementation, None))}</pre></details>"
        for v in firsts
    )
    return PAGE.format(
        title=escape(f"opcheck verify {implementation}"),
        summary=escape(notes(report)[-1]),
        head="".join(f"<th>{escape(each)}</th>" for each in head),
        rows="\n".join(rows),
        failures=failures,
        notes="".join(f"<p>{escape(line)}</p>" for line in notes(report)[:-1]),
    )
