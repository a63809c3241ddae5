"""What a verification did not do: operators not run, arguments and claims left out, in a few lines."""

from collections.abc import Iterable, Mapping

from opcheck import specs
from opcheck.language import say
from opcheck.verification.report import Report, number_of_cases


def omissions(report: Report) -> list[str]:
    """One line for each reason; operators, dtypes and claims that share a reason share its line."""
    return [*not_run(report), *cut(report), *left_out(report), *not_checked(report), *hidden(report)]


def not_run(report: Report) -> list[str]:
    found: dict[str, list[tuple[str, str]]] = {}
    for (op, dtype), why in report.not_run.items():
        found.setdefault(why, []).append((op, dtype))
    return [
        say("not run: {ops} ({dtypes}): {why}", ops=listed(op for op, _ in pairs),
            dtypes=listed(dtype for _, dtype in pairs), why=why)
        for why, pairs in found.items()
    ]  # fmt: skip


def cut(report: Report) -> list[str]:
    """Cases that are smaller than they would be for a faster implementation."""
    return [
        say("{op}: {cases} made smaller: a call of {shapes} would take about {n} s", op=specs.title(op),
            cases=number_of_cases(each.cases), shapes=each.shapes, n=f"{each.seconds:.2g}")
        for op, each in report.slow.items()
    ]  # fmt: skip


def left_out(report: Report) -> list[str]:
    """What the implementation does not take, one line per operator, and from how many cases it was left out."""
    found: dict[str, dict[str, int]] = {}
    for (op, name), count in sorted(report.left_out.items()):
        found.setdefault(op, {})[name] = count
    return [
        say("{op}: not tried because the implementation does not take it: {names}", op=op,
            names=listed(say("{name} (of {cases})", name=name, cases=number_of_cases(n)) for name, n in names.items()))
        for op, names in found.items()
    ]  # fmt: skip


def not_checked(report: Report) -> list[str]:
    """Claims that were not checked on some cases: why, on how many, of which operators."""
    found: dict[str, dict[tuple[str, str], int]] = {}
    for (op, _, claim), row in report.rows.items():
        for why, count in row.left_out.items():
            counts = found.setdefault(why, {})
            counts[claim, op] = counts.get((claim, op), 0) + count
    return [
        say("not checked: {claims} on {cases}: {why} ({ops})", claims=listed(claim for claim, _ in counts),
            cases=number_of_cases(most_of_one_claim(counts)), why=why, ops=everywhere(report, {op for _, op in counts}))
        for why, counts in found.items()
    ]  # fmt: skip


def hidden(report: Report) -> list[str]:
    """Claims that a failure of what they stand on hides in most cases."""
    found: dict[tuple[str, str], list[str]] = {}
    for key in report.hardly_judged:
        cases = report.hidden[key] + report.asked[key]
        words = say("{claim} (judged in {n} of {cases} cases)", claim=key[2], n=report.asked[key], cases=cases)
        found.setdefault(key[:2], []).append(words)
    return [
        say("hidden in most cases by earlier failures: {claims} ({op} {dtype})", op=op, dtype=dtype,
            claims=listed(claims))
        for (op, dtype), claims in found.items()
    ]  # fmt: skip


def most_of_one_claim(cases: Mapping[tuple[str, str], int]) -> int:
    claims = {claim for claim, _ in cases}
    return max(sum(n for (claim, _), n in cases.items() if claim == each) for each in claims)


def everywhere(report: Report, ops: set[str]) -> str:
    """The operators' names, or "all operators" if there are several and it is all of them."""
    every = {op for op, _, _ in report.rows}
    return say("all operators") if ops == every and len(every) > 1 else listed(sorted(ops))


def listed(words: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(words))
