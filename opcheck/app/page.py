"""A verification report as one page: needs no network, reads on a phone, in the dark and on paper."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from opcheck.app import failures
from opcheck.app.findings import COLUMNS, facts, notes, outcome
from opcheck.app.omissions import listed
from opcheck.language import say
from opcheck.verification.report import Report, Row, key_of, sentence
from opcheck.verification.verdict import Verdict

if TYPE_CHECKING:
    from opcheck.explanation import Explanation
    from opcheck.render import heat


WIDEST, MOST_ROWS = 36, 16  # elements of a case on the map of errors, and cases


class Cell(NamedTuple):
    """One cell of the table: its text, and how much of the bound was needed."""

    kind: str  # failed, none, agrees
    text: str = ""
    part: float = 0.0
    more: str = ""


def html(report: Report, implementation: str, how: str, saved: dict[int, Path]) -> str:
    """The page: what is wrong, with its worked calculation; the table; every claim; what was left out."""
    from jinja2 import Environment, PackageLoader

    loader = PackageLoader("opcheck.app", "")
    environment = Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.get_template("report.html.jinja").render(
        say=say,
        style=_style(),
        title=say("{ops}: {implementation}", ops=_named(report), implementation=implementation),
        result=outcome(report),
        good=report.agrees and report.checked and not report.interrupted and not report.late,
        facts=facts(report) + [f"{name}: {value}" for name, value in report.settings.items()],
        failures=[_failure(report, group, how, saved) for groups in failures.by_cause(report) for group in groups],
        headings=[say("operator"), say("cases"), *(say(name) for name, _ in COLUMNS), say("seconds")],
        tables=_tables(report),
        legend=say("A bar is the worst error as a fraction of its proven bound; = means equal to the last bit."),
        claim_headings=[say(name) for name in ("operator", "dtype", "claim", "cases", "numbers", "differ",
                                               "worst error / bound", "seconds")],
        claims=[_claim(key, row) for key, row in report.rows.items()],
        notes=notes(report),
    )  # fmt: skip


def _style() -> Any:
    """The style of our explanations, which the page shares."""
    from markupsafe import Markup

    from opcheck.explanation import explain

    return Markup(explain("relu", [1.0]).render("html", page=False).partition("</style>")[0] + "</style>")


def _named(report: Report) -> str:
    names = list(dict.fromkeys([*(op for op, _, _ in report.rows), *(op for op, _ in report.not_run)]))
    return listed(names) if len(names) <= 4 else say("{n} operators", n=len(names))


def _failure(report: Report, cause: failures.Group, how: str, saved: dict[int, Path]) -> dict[str, Any]:
    """One cause: its most telling failure opened, the others in a line."""
    group = cause.places
    first = report.failures[group[0]]
    op, dtype, claim = key_of(first)
    worst = _worst(first)
    worked = failures.worked(replace(first, at=worst))
    calculated = bool(failures.calculation(worked))  # the page shows what would be short enough for the terminal
    case, *looks = failures.facts(first, calculated) if first.trial else [""]
    return {
        "op": op,
        "dtype": dtype,
        "claim": claim,
        "status": first.status.value,
        "what": sentence(first),
        "shared": cause.shared,
        "case": case,
        "looks": " ".join(looks),
        "heat": _heat([report.failures[k] for k in dict.fromkeys((*group, *cause.every))]),
        "opened": _place(first, worst) if first.details.get("shares") is not None else "",
        "worked": _fragment(worked, failures.places(first)) if worked and calculated else "",
        "printed": first.details.get("printed", ""),
        "also": [f"{report.failures[k].claim}: {sentence(report.failures[k])}" for k in group[1:]],
        "again": f"opcheck replay {saved[group[0]]}{how}" if group[0] in saved else "",
    }


def _heat(verdicts: list[Verdict]) -> Any:
    """The errors of the failing cases as a map, with the element that the page opens framed."""
    from markupsafe import Markup

    from opcheck.render import heat

    rows = [_row(verdict) for verdict in verdicts if verdict.details.get("shares") is not None][:MOST_ROWS]
    if sum(len(row.shares) for row in rows) < 2:
        return ""
    opened = verdicts[0].details.get("shares") is not None
    at = rows[0].places.index(_place(verdicts[0], _worst(verdicts[0]))) if opened else None
    return Markup(heat.draw(rows, at))


def _row(verdict: Verdict) -> "heat.Row":
    """A case on the map: as many of its elements as there is room for, with the worst among them."""
    from opcheck.render import heat

    shares = verdict.details["shares"]
    places = list(np.ndindex(*shares.shape))
    begin = max(0, places.index(_worst(verdict)) - WIDEST + 1)
    shown = slice(begin, begin + WIDEST)
    return heat.Row(verdict.claim, shares.reshape(-1).tolist()[shown], [_place(verdict, at) for at in places[shown]])


def _worst(verdict: Verdict) -> tuple[int, ...]:
    """The element that is furthest beyond its bound; the first wrong one where none is further than that."""
    shares = verdict.details.get("shares")
    if shares is None or not shares.max() > shares[verdict.at]:
        return verdict.at
    return tuple(map(int, np.unravel_index(shares.argmax(), shares.shape)))


def _place(verdict: Verdict, at: tuple[int, ...]) -> str:
    """An element by its name: output[0, 1]."""
    return f"{verdict.name}{list(at) if at else ''}"


def _fragment(explanation: "Explanation", precision: int) -> Any:
    """A worked calculation without the style, which the page already has."""
    from markupsafe import Markup

    return Markup(explanation.render("html", page=False, precision=precision).partition("</style>")[2])


def _tables(report: Report) -> dict[str, list[dict[str, Any]]]:
    """By dtype: a line per operator."""
    found: dict[str, list[dict[str, Any]]] = {}
    for op, dtype in dict.fromkeys((op, dtype) for op, dtype, _ in report.rows):
        rows = {claim: row for (a, b, claim), row in report.rows.items() if (a, b) == (op, dtype)}
        cells = [_cell([row for claim, row in rows.items() if claim.partition(":")[0] in kinds])
                 for _, kinds in COLUMNS]  # fmt: skip
        seconds = f"{sum(row.seconds for row in rows.values()):.2f}"
        cases = rows["answers"].cases if "answers" in rows else 0
        found.setdefault(dtype, []).append({"op": op, "cases": cases, "cells": cells, "seconds": seconds})
    return found


def _cell(rows: list[Row]) -> Cell:
    failed, cases = sum(row.failed for row in rows), sum(row.cases for row in rows)
    if failed:
        return Cell("failed", str(failed))
    if not cases:
        return Cell("none")
    worst = max(row.ratio for row in rows)
    known, lower = sum(row.known for row in rows), sum(row.precisions.total() for row in rows)
    more = [say("{n} known", n=known)] if known else []
    more += [say("{n} in lower precision", n=lower)] if lower else []
    return Cell("agrees", f"{worst:.2f}" if worst else "=", round(min(worst, 1.0), 3), ", ".join(more))


def _claim(key: tuple[str, str, str], row: Row) -> tuple[Any, ...]:
    op, dtype, claim = key
    ratio = f"{row.ratio:.3f}" if row.cases else listed(row.left_out)
    tier = f" {row.tier}" if row.tier else ""
    return op, f"{dtype}{tier}", claim, row.cases, row.elements, row.failed or "", ratio, f"{row.seconds:.2f}"
