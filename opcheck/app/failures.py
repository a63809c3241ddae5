"""A failure for a person: what is wrong, the case, its worked calculation, what it looks like, how to run it again."""

import math
import shlex
import textwrap
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from opcheck import specs
from opcheck.language import say
from opcheck.operators.spec import Array, Refused
from opcheck.steps import Step
from opcheck.verification.causes import Cause
from opcheck.verification.report import Report, key_of, sentence
from opcheck.verification.verdict import Verdict

if TYPE_CHECKING:
    from opcheck.explanation import Explanation

# the most telling claim comes first; the others usually follow from it (but where one call raises, others may return
# wrong numbers)
TELLING = ("shape", "dtype", "exact", "rounding", "special", "vjp", "jvp", "answers")
SLIGHT = 8.0  # bounds: an error below may look like rounding
FEW = 8  # how many numbers of an array are printed
LONGEST = 25  # lines of a calculation that is shown


class Group(NamedTuple):
    """The failures of one cause, by their places in the report: one of each claim, the most telling first."""

    places: list[int]
    shared: str  # what its failing cases share and the agreeing ones lack
    every: list[int]  # of all of its cases


def by_cause(report: Report) -> list[list[Group]]:
    """The failures that are shown, by operator and dtype and then by cause; the most telling come first."""
    found: dict[tuple[str, str], dict[tuple[str, str], list[int]]] = {}
    for k, verdict in enumerate(report.failures):
        op, dtype, claim = key_of(verdict)
        found.setdefault((op, dtype), {}).setdefault((claim, verdict.cause), []).append(k)
    causes = report.causes()
    return [_groups(places, causes.get(key, []), report) for key, places in found.items()]


def _groups(places: dict[tuple[str, str], list[int]], causes: Sequence[Cause], report: Report) -> list[Group]:
    left = dict(places)
    groups = []
    for cause in causes:
        own = [left.pop(member) for member in cause.members if member in left]
        shown = _one_of_each([first for first, *_ in own], report)
        groups += [Group(shown, cause.sentence(), sorted(chain(*own)))] if own else []
    # no case was remembered (a process died of it): a separate group
    groups += [Group(every[:1], "", every) for every in left.values()]
    return sorted(groups, key=lambda group: _convincing(report.failures[group.places[0]]))


def _one_of_each(places: list[int], report: Report) -> list[int]:
    """One failure of each claim, the most telling first."""
    first: dict[str, int] = {}
    for k in places:
        first.setdefault(report.failures[k].claim, k)
    return sorted(first.values(), key=lambda k: _convincing(report.failures[k]))


def _convincing(verdict: Verdict) -> tuple[bool, int, int]:
    """The order in which failures convince: an error of a few bounds does least, then the most telling claim comes
    first (outputs before gradients), then the smallest case."""
    kind = verdict.claim.partition(":")[0]
    telling = TELLING.index(kind) if kind in TELLING else len(TELLING)
    size = sum(array.size for array in verdict.trial.case.arrays.values()) if verdict.trial else 0
    return verdict.error_in_bounds < SLIGHT, telling, size


def command(
    implementation: str, arrays: str | None = None, device: str = "cpu", allow: str = "", stable: bool = False
) -> str:
    """The options that make `opcheck replay` run the same implementation."""
    words = ["" if implementation == "torch" else f" --impl {implementation}"]
    words += [f" --arrays {arrays}"] if arrays else []
    words += [] if device == "cpu" else [f" --device {device}"]
    words += [f" --allow {allow}"] if allow else []
    words += [" --stable"] if stable else []
    return "".join(words)


def opened(verdict: Verdict, how: str, path: Path | None, width: int = 80, shared: str = "") -> str:
    """Everything about one failure, for a page of this width. `shared`: what the failing cases of its cause share."""
    trial = verdict.trial
    assert trial is not None
    steps = calculation(worked(verdict), width - 2, places(verdict))
    lines = headline(verdict, width)
    lines += _wrapped(shared, width, "  ") if shared else []
    for line in facts(verdict, calculated=bool(steps)):
        lines += _wrapped(line, width, "  ")
    lines += [f"  {line}" for line in steps]
    lines += [f"  {line}" for line in str(verdict.details.get("printed", "")).splitlines()]
    if path is not None:
        lines += for_the_shell(say("reproduce: opcheck replay {path}{how}", path=whole(path), how=how), width, "  ")
        lines.append("  " + say("(--snippet prints it as Python)"))
    return "\n".join(lines) + "\n"


def whole(path: Path) -> str:
    """A path as one shell word that is never broken across lines."""
    return shlex.quote(str(path)).replace(" ", NO_BREAK)


def for_the_shell(line: str, width: int, indent: str) -> list[str]:
    """A command; whatever does not fit continues on the next line after a backslash."""
    lines = [indent + line]
    if len(lines[0]) > width:
        first, *more = _wrapped(line, width - 2, indent)
        lines = [*(f"{each} \\" for each in (first, *more)[:-1]), (first, *more)[-1]]
    return [each.replace(NO_BREAK, " ") for each in lines]


def brief(verdict: Verdict, path: Path | None, width: int = 80, shared: str = "") -> str:
    """Another cause in a few lines: what is wrong, what its failing cases share, the case, where it is saved."""
    lines = headline(verdict, width)
    lines += _wrapped(shared, width, "  ") if shared else []
    for line in facts(verdict, calculated=False) if verdict.trial is not None else ():
        lines += _wrapped(line, width, "  ")
    lines += [f"  [{path}]"] if path else []
    return "\n".join(lines)


def headline(verdict: Verdict, width: int = 80) -> list[str]:
    """Status, operator, claim, and the sentence that says what is wrong."""
    op, dtype, claim = key_of(verdict)
    return _wrapped(f"{verdict.status.value}  {specs.title(op)} {dtype} {claim}: {sentence(verdict)}", width)


def also(verdict: Verdict, path: Path | None, width: int = 80) -> list[str]:
    """One more claim that fails, in a line or two; special numbers are told, since they are what matters there."""
    what = say("also {claim}: {what}", claim=verdict.claim, what=sentence(verdict))
    if verdict.claim == "special" and verdict.trial is not None:
        what = say("{what}, for {case}", what=what, case=facts(verdict, calculated=False)[0])
    return _wrapped(f"{what}  [{path}]" if path else what, width, "  ")


def facts(verdict: Verdict, calculated: bool) -> list[str]:
    """The case (small arrays with their numbers, unless a calculation shows them) and what the failure looks like."""
    trial = verdict.trial
    assert trial is not None
    with_numbers = verdict.of_gradient or not calculated  # a gradient's calculation leaves the inputs out
    words = [written(name, array, with_numbers) for name, array in trial.case.arrays.items()]
    words += [f"{name}={value!r}" for name, value in trial.case.params.items()]
    words += [] if trial.layout == "contiguous" else [f"layout={trial.layout}"]
    words += [say("{names} needs no gradient", names=", ".join(trial.frozen))] if trial.frozen else []
    if trial.before is not None:
        others = (written(name, array, False) for name, array in trial.before.arrays.items())
        words += [say("after a call of {arrays}", arrays=" ".join(others))]
    if verdict.of_gradient:
        words += [written(say("cotangent"), array, True) for array in trial.cotangent.values()]
    if verdict.claim == "jvp":
        words += [written(say("tangent of {name}", name=name), array, True) for name, array in trial.tangents.items()]
    looks = ", ".join(spoken(trial.case.op, name) for name in verdict.resembles)
    cut = [say("a smaller case may fail too: the search for one was cut short")] if verdict.details.get("cut") else []
    return ["  ".join(words), *cut, *([say("looks like: {names}", names=looks)] if looks else [])]


def written(name: str, array: Array, with_numbers: bool) -> str:
    """An array's name and shape, and its numbers if they are few."""
    shape = "×".join(map(str, array.shape)) or "()"
    if not with_numbers or not 0 < array.size <= FEW:
        return f"{name} {shape}"
    kinds: Any = {"float_kind": _short, "int_kind": str}
    numbers = np.array2string(array, separator=", ", max_line_width=10_000, formatter=kinds)
    return f"{name} {shape} = {' '.join(numbers.split())}"


def _short(x: float) -> str:
    return f"{x:.6g}"


def spoken(op: str, name: str) -> str:
    """A mistake's name with the sentence for the person who made it; of a form, that it is one."""
    from opcheck.verification.diagnosis.diagnose import LOSES, OVERFLOWS

    if name == LOSES:
        return say("the right function in a form that loses digits: in float64 the same call is off by far less")
    if name == OVERFLOWS:
        return say("the right function in a form that overflows: in float64 the same call does not")
    forms = {each.name: each for each in specs.get(op).forms}
    if name in forms:
        return say(
            "the right function in another form, {name}: {sentence}", name=name, sentence=say(forms[name].sentence)
        )
    sentences = {each.name: each.sentence for each in specs.get(op).mistakes}
    return f"{name} ({sentences[name]})" if name in sentences else name


def places(verdict: Verdict) -> int:
    """So many decimals that one sees in which digits the wrong number differs from the right one."""
    got, expected = verdict.got, verdict.expected
    if got is None or expected is None or not math.isfinite(got) or not math.isfinite(expected) or got == expected:
        return LEAST_PLACES
    return max(LEAST_PLACES, min(MOST_PLACES, 1 - math.floor(math.log10(abs(got - expected)))))


def calculation(explanation: "Explanation | None", width: int = 78, precision: int = 4) -> list[str]:
    """A worked calculation as text, where it is short enough to read."""
    options = {"width": width, "interactive": False, "precision": precision}
    lines = explanation.render("text", **options).rstrip().splitlines() if explanation else []
    return lines if len(lines) <= LONGEST else []


def worked(verdict: Verdict) -> "Explanation | None":
    """How the first wrong element of an output is computed, or of a gradient for the case's cotangent."""
    from opcheck.explanation import Explanation, explain

    trial, gradient = verdict.trial, verdict.of_gradient
    if trial is None or verdict.expected is None or not (gradient or verdict.claim in ("exact", "rounding", "special")):
        return None
    call: dict[str, Any] = {"given": {**trial.case.arrays, **trial.case.params}, "cell": verdict.at}
    if gradient:
        if len(trial.cotangent) != 1:
            return None
        call |= {"grad": True, "upstream": next(iter(trial.cotangent.values()))}
    try:
        explanation = explain(trial.case.op, **call)
    except (Refused, ValueError, TypeError, IndexError):
        return None
    if not gradient:
        return explanation
    title = say("gradient of {name}", name=verdict.name)
    parts = [each for each in explanation.step.blocks if isinstance(each, Step) and each.title == title]
    return Explanation(parts[0]) if parts else None


NO_BREAK = "\0"
LEAST_PLACES, MOST_PLACES = 4, 10


def _wrapped(text: str, width: int, indent: str = "") -> list[str]:
    return textwrap.wrap(
        text, width, initial_indent=indent, subsequent_indent=indent + "    ", break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip
