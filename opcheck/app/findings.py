"""A verification report for people: the table, the failures opened, saved cases, JUnit and a page."""

import hashlib
import json
import os
import re
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from opcheck import files, specs
from opcheck.app.failures import also, brief, by_cause, opened
from opcheck.app.omissions import omissions
from opcheck.app.output import page_width, wants_color
from opcheck.errors import Refused
from opcheck.language import counted, say
from opcheck.loading import is_place
from opcheck.verification.casefile import number_to_json, to_json
from opcheck.verification.report import Report, Row, key_of, number_of_cases, says_what_is_allowed
from opcheck.verification.run import hopeless

REST = (
    "answers", "shape", "dtype", "adjoint", "second", "layout", "frozen", "batch", "refuses", "pure", "repeat",
    "state", "stable", "own",
)  # fmt: skip
# columns of the table: heading, and the claims that it sums up
COLUMNS = (
    ("exact", ("exact",)),
    ("round", ("rounding",)),
    ("special", ("special",)),
    ("vjp", ("vjp",)),
    ("jvp", ("jvp",)),
    ("rest", REST),
)
OPENED = 5  # operators whose failures are shown


def save(report: Report, folder: Path, implementation: str) -> dict[int, Path]:
    """Saves each failing case; returns the path by the failure's place in the report, and reports what cannot be
    saved. The cases of another implementation, or of another spec, have other names."""
    saved: dict[int, Path] = {}
    try:
        _save(report, folder, implementation, saved)
    except Refused as error:  # the report is worth more than its files
        click.echo(say("opcheck: failing cases are not saved: {reason}", reason=error), err=True)
    return saved


def _save(report: Report, folder: Path, implementation: str, saved: dict[int, Path]) -> None:
    for k, verdict in enumerate(report.failures):
        if verdict.trial is None or not first_of_cause(report, k):
            continue
        files.make_folder(folder)
        op, dtype = verdict.trial.case.op, verdict.trial.dtype
        name = f"{specs.title(op)}-{dtype}-{verdict.claim.replace(':', '-')}-{whose(implementation, op)}"
        before = sum(key_of(report.failures[each]) == key_of(verdict) for each in saved)  # of another cause
        path = folder / (f"{name}-{before + 1}.json" if before else f"{name}.json")
        numbers = {n: None if x is None else number_to_json(x) for n, x in
                   (("expected", verdict.expected), ("got", verdict.got), ("bound", verdict.bound))}  # fmt: skip
        more = {"claim": verdict.claim, "status": verdict.status.value, "name": verdict.name, "at": list(verdict.at),
                "of": verdict.details.get("of", "")}  # fmt: skip
        files.write(path, json.dumps(to_json(verdict.trial, **more, **numbers), indent=1) + "\n")
        saved[k] = path


def whose(implementation: str, op: str) -> str:
    """A word for file names that says what was checked: its name, and a hash of where it and its spec are."""
    name = re.sub(r"[^\w.]+", "-", implementation.rpartition(":")[2])[:20].strip("-")
    if not any(map(is_place, (implementation, op))):
        return name
    where = "\n".join(os.path.realpath(each) if is_place(each) else each for each in (implementation, op))
    digest = hashlib.sha256(where.encode()).hexdigest()[:6]
    return digest if name == specs.title(op) else f"{name}-{digest}"


def first_of_cause(report: Report, k: int) -> bool:
    keys = [(*key_of(each), each.cause) for each in report.failures]
    return keys.index(keys[k]) == k


# --- the terminal ---------------------------------------------------------------------------------------------------


def show(report: Report, how: str, saved: dict[int, Path]) -> None:
    """The table, then what fails of each operator, then what was left out and the seed that repeats the run. `how`: the
    options that name the implementation to `opcheck replay`."""
    from rich.console import Console

    console = Console(
        file=sys.stdout, width=max(page_width(None), 60), highlight=False, emoji=False,
        force_terminal=wants_color("auto", sys.stdout.isatty()), no_color=not wants_color("auto", sys.stdout.isatty()),
    )  # fmt: skip
    console.print(table(report))
    for line in legend(report):
        console.print(line, markup=False, style="dim")
    operators, width = by_cause(report), console.width
    for groups in operators[:OPENED]:
        for place, (places, shared, _) in enumerate(groups):
            first, *others = places
            verdict, path = report.failures[first], saved.get(first)
            lines = [
                (brief(verdict, path, width, shared) if place else opened(verdict, how, path, width, shared)).rstrip()
            ]
            for k in others:
                lines += also(report.failures[k], saved.get(k), width)
            console.print("\n".join(lines) + "\n", markup=False, soft_wrap=True)
    if len(operators) > OPENED:
        console.print(say("{n} more operators fail: --json and --html show them all", n=len(operators) - OPENED))
    result = say("{result}: {facts}", result=outcome(report), facts=", ".join(facts(report)))
    for line in (*notes(report), result):
        console.print(line, markup=False)


def table(report: Report) -> Any:
    """One line per operator, grouped by dtype: the worst error of each claim as a fraction of its bound."""
    from rich.table import Table

    shown = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim")
    shown.add_column(say("operator"), overflow="ellipsis")  # the first to shrink: its neighbours' numbers say more
    for heading in (say("cases"), *(say(name) for name, _ in COLUMNS), "s"):
        shown.add_column(heading, justify="right", no_wrap=True)
    dtypes = dict.fromkeys([*(dtype for _, dtype, _ in report.rows), *(dtype for _, dtype in report.not_run)])
    for dtype in dtypes:
        shown.add_row(f"[bold]{dtype}[/]")
        for op in dict.fromkeys(name for name, kind, _ in report.rows if kind == dtype):
            rows = {claim: row for (a, b, claim), row in report.rows.items() if (a, b) == (op, dtype)}
            cells = _cells(rows)
            cases = str(rows["answers"].cases if "answers" in rows else 0)
            shown.add_row(specs.title(op), cases, *cells, f"{sum(row.seconds for row in rows.values()):.1f}")
        for op in (name for name, kind in report.not_run if kind == dtype):
            shown.add_row(specs.title(op), say("not run"))
    return shown


def _cells(rows: Mapping[str, Row]) -> list[str]:
    """What stands in each of COLUMNS for one operator and type."""
    return [_cell([row for claim, row in rows.items() if claim.partition(":")[0] in names]) for _, names in COLUMNS]


def _cell(rows: list[Row]) -> str:
    """The worst error as a fraction of the bound, how many differ, or why nothing was checked."""
    failed = sum(row.failed for row in rows)
    if failed:
        return f"[bold red]✗ {failed}[/]"
    cases, known = sum(row.cases for row in rows), sum(row.known for row in rows)
    lower = sum(row.precisions.total() for row in rows)
    if not cases:
        return "[dim]–[/]"
    worst = max(row.ratio for row in rows)
    text = f"{worst:.2f}".removeprefix("0") if worst else "="
    more = ("+k" if known else "") + ("+p" if lower else "")  # how many of them is said below the table
    return f"[green]{text}[/]" + (f"[yellow]{more}[/]" if more else "")


def legend(report: Report) -> list[str]:
    """What the columns of the table are, and what stands in them here."""
    by_line: dict[tuple[str, str], dict[str, Row]] = {}
    for (op, dtype, claim), row in report.rows.items():
        by_line.setdefault((op, dtype), {})[claim] = row
    plain = re.sub(r"\[/?[a-z ]*\]", "", " ".join(cell for rows in by_line.values() for cell in _cells(rows)))
    told = {
        "✗": say("✗ 3: so many checks differ"),
        ".": say(".41: the worst error is that part of its proven bound"),
        "=": say("=: equal to the last bit"),
        "–": say("–: nothing to check"),
        "+k": say("+k: known deviations were met"),
        "+p": say("+p: some were computed in a lower precision"),
    }
    return [
        say("exact: inputs that round nothing, round: rounding, vjp: gradients, jvp: tangents, rest: all else of "
            "--list-claims"),
        "; ".join(sentence for sign, sentence in told.items() if sign in plain),
    ] if report.rows else []  # fmt: skip


def tiers(report: Report) -> list[str]:
    """Who needs more than float32 inside and one rounding at the end (T1), and for which claims."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for (op, dtype, claim), row in report.rows.items():
        if row.tier > "T1":
            found.setdefault((row.tier, dtype, op), []).append(claim)
    how = {"T2": say("intermediate results are rounded to {dtype}"), "T3": say("sums are rounded to {dtype} too")}
    return [
        say("{op} {dtype} needs {tier}, {how}: {claims}", op=op, dtype=dtype, tier=tier,
            how=how[tier].format(dtype=dtype), claims=", ".join(claims))
        for (tier, dtype, op), claims in sorted(found.items())
    ]  # fmt: skip


def lower_precisions(report: Report) -> list[str]:
    """What was computed in a lower precision than the dtype has, and how often (p in the table)."""
    lines = [
        say("lower precision: {op} {dtype}: {name}, {checks} (p)", op=op, dtype=dtype, name=say(name),
            checks=counted(count, "{n} check", "{n} checks"))
        for (op, dtype), names in report.precision_counts().items()
        for name, count in names.items()
    ]  # fmt: skip
    return [*lines, say("--strict-precision makes lower precision fail")] if lines else []


def outcome(report: Report) -> str:
    """What came out, in a few words."""
    failed = sum(row.failed for row in report.rows.values())
    if failed:
        return counted(failed, "{n} check differs", "{n} checks differ")
    if not report.checked:
        return say("interrupted before anything was checked") if report.interrupted else say("nothing was checked")
    if report.interrupted:
        return say("interrupted; everything checked so far agrees")
    return say("time ran out; everything checked so far agrees") if report.late else say("all agree")


def facts(report: Report) -> list[str]:
    """Over how many cases, how long it took, and what repeats it."""
    cases = report.cases
    if not report.agrees:
        cases = say("a check is one claim on one case; {n} of {cases} fail", n=report.failing, cases=cases)
    more = [report.version] if report.version else []
    return [cases, say("{n} s", n=f"{report.seconds:.1f}"), say("seed {seed}", seed=report.seed), *more]


def overflows(report: Report) -> list[str]:
    """Of specs that give no number where their exact value is one: how much of them was not judged."""
    lost, total = Counter[str](), Counter[str]()
    for (op, _, _), row in report.rows.items():
        lost[op] += row.lost
        total[op] += row.elements
    return [
        say(
            "{op} overflows in float64 for some inputs, where its exact value is a number: {percent} % of the numbers "
            "were not judged. Write it without overflow to have them judged, such as np.logaddexp(0, x) for "
            "log(1 + exp(x))",
            op=specs.title(op), percent=f"{100 * lost[op] / total[op]:.2g}",
        )
        for op in lost if lost[op]
    ]  # fmt: skip


def notes(report: Report) -> list[str]:
    """What was left out, which forms and known deviations were met."""
    lines = omissions(report)
    lines += [*tiers(report), *lower_precisions(report)]
    if report.allowed:
        lines.append(says_what_is_allowed(report.allowed))
    lines += [
        say("{op} {dtype} {form} ({checks}; --stable makes it fail)", op=specs.title(op), dtype=dtype, form=form,
            checks=counted(count, "{n} check", "{n} checks"))
        for (op, dtype, _), row in report.rows.items() for form, count in row.forms.items()
    ]  # fmt: skip
    lines += overflows(report)
    for identifier, count in sorted(report.known_counts().items()):
        lines.append(say("known deviation {name}: {cases} (k)", name=identifier, cases=number_of_cases(count)))
    if len(report.settings) > 1:  # on CUDA; on the CPU it is the number of threads only
        switches = ", ".join(f"{name}={value}" for name, value in report.settings.items())
        lines.append(say("torch's switches: {switches}", switches=switches))
    if report.flushes:
        lines.append(
            say(
                "the implementation makes its whole process treat subnormal numbers as zero, as -ffast-math does; "
                "opcheck itself computes without that"
            )
        )
    lines += [
        say("{op}: the call runs torch's own operators {names}", op=specs.title(op), names=", ".join(sorted(names)))
        for op, names in report.library.items() if names
    ]  # fmt: skip
    ended = dict.fromkeys(f"{op} {dtype}" for op, dtype, _ in report.rows if hopeless(report, op, dtype))
    if ended:
        lines.append(say("stopped early, after enough failures to explain: {names}", names=", ".join(ended)))
    if report.blocks:
        blocks = ", ".join(map(str, sorted(report.blocks)))
        lines.append(say("wide cases have sizes around twice a block of {blocks}", blocks=blocks))
    if report.late and not report.agrees:
        names = ", ".join(f"{specs.title(op)} {dtype}" for op, dtype in sorted(report.late))
        lines.append(say("time ran out before the first random case: {names}", names=names))
    if report.interrupted and not report.agrees:
        lines.append(say("interrupted: these are the findings so far"))
    return lines
