"""Known deviations: real ones of released libraries, listed in known.toml with their exact values.

`opcheck verify --list-known` prints KNOWN.md.
"""

import ast
import json
import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from types import CodeType
from typing import Any

import numpy as np

from opcheck import specs
from opcheck.backends.base import Backend
from opcheck.operators.spec import Array, Refused
from opcheck.verification.casefile import Trial, from_json
from opcheck.verification.verdict import Status, Verdict

# what a condition and an answer may use, beside Python's own functions
WORDS = {"inf": math.inf, "isnan": np.isnan, "isinf": np.isinf, "isfinite": np.isfinite}


@dataclass(frozen=True)
class Deviation:
    """One entry of known.toml, which says what each field means."""

    name: str
    operators: tuple[str, ...]
    backend: str
    versions: str
    condition: str
    claims: tuple[str, ...]
    summary: str
    case: str
    element: str
    exact: str
    observed: str
    answer: str = ""
    messages: tuple[str, ...] = ()
    issue: str = ""
    processor: str = ""
    fatal: bool = False
    missing: bool = False
    unwritten: bool = False

    def covers(self, verdict: Verdict, backend: str, version: str) -> bool:
        """Whether a failure is this deviation, unchanged: where its condition says, and with its answer."""
        names = self.names(verdict, backend, version)
        return names is not None and self.answers(verdict, names)

    def names(self, verdict: Verdict, backend: str, version: str) -> dict[str, Any] | None:
        """What its condition speaks of, if a failure is of the kind and the place that it describes."""
        kind = verdict.status is Status.CRASHED, verdict.status is Status.NOT_RUN
        if verdict.trial is None or verdict.claim not in self.claims or kind != (self.fatal, self.missing):
            return None
        return self.where(verdict.trial, verdict.claim, backend, version)

    def where(self, trial: Trial, claim: str, backend: str, version: str) -> dict[str, Any] | None:
        """What its condition speaks of, if a trial is one of those that it describes."""
        if trial.case.op not in self.operators or not self.concerns(backend, version):
            return None
        names = described(trial, claim)
        return names if evaluate(self.condition, names) else None

    def concerns(self, backend: str, version: str) -> bool:
        """Whether it was found in this backend (torch's also in torch:func) and in this version of its library."""
        library = f"{self.backend.partition(':')[0]} {self.versions}"
        here = backend == self.backend or backend.startswith(f"{self.backend}:")
        return here and re.match(rf"{re.escape(library)}(?!\d)", version) is not None

    def answers(self, verdict: Verdict, names: Mapping[str, Any]) -> bool:
        """Whether what came is what the entry says, in every element that is wrong."""
        if verdict.got is None:
            return any(each in verdict.message for each in self.messages)
        rows = verdict.details.get("wrong", [(verdict.got, verdict.expected, verdict.bound)])
        if not self.answer:
            return False
        rows = np.asarray(rows, dtype=np.float64)
        return bool(self.answered(rows[:1], names).all() and self.answered(rows, names).all())

    def answered(self, rows: Array, names: Mapping[str, Any]) -> Array:
        """Which of these wrong elements (got, expected, bound) are as the entry says."""
        got, expected, bound = rows.T
        if takes_arrays(self.answer):  # thousands of wrong elements are asked about at once
            with np.errstate(all="ignore"):
                found = evaluate(self.answer, {**names, "got": got, "expected": expected, "bound": bound})
            return np.broadcast_to(np.asarray(found, bool), got.shape)
        return np.array(
            [evaluate(self.answer, {**names, "got": a, "expected": b, "bound": c}) for a, b, c in rows.tolist()],
            dtype=bool,
        )

    def trial(self) -> Trial:
        """The stored case."""
        return from_json(json.loads(self.case))


def described(trial: Trial, claim: str) -> dict[str, Any]:
    """What conditions and answers speak of."""
    case = trial.case
    try:
        params, outputs = specs.get(case.op).checked(case)
    except Refused:  # arguments that must be refused have shapes and no more
        params, outputs = None, {}
    return {
        "shapes": {**outputs, **{name: array.shape for name, array in case.arrays.items()}},
        "arrays": case.arrays,
        "cotangent": trial.cotangent,
        "tangents": trial.tangents,
        "params": params,
        "given": case.params,
        "dtype": trial.dtype,
        "layout": trial.layout,
        "frozen": trial.frozen,
        "claim": claim,
    }


@cache
def compiled(expression: str) -> CodeType:
    return compile(expression, expression, "eval")


@cache
def takes_arrays(expression: str) -> bool:
    """Whether it says of each element of an array what it says of one number: without `and`, `or`, `not` and `in`."""
    return not any(
        isinstance(node, ast.BoolOp | ast.Not | ast.IfExp | ast.In | ast.NotIn)
        or (isinstance(node, ast.Compare) and len(node.ops) > 1)
        for node in ast.walk(ast.parse(expression, mode="eval"))
    )


def evaluate(expression: str, names: Mapping[str, Any]) -> Any:
    """The value of a condition or an answer; the expression is ours: it comes with the package."""
    return eval(compiled(expression), {**WORDS, **names})


@cache
def every() -> tuple[Deviation, ...]:
    """All entries, in the order of the file."""
    data = tomllib.loads(resources.files("opcheck.verification").joinpath("known.toml").read_text(encoding="utf-8"))
    return tuple(entry(each) for each in data["deviation"])


def entry(fields: Mapping[str, Any]) -> Deviation:
    """An entry from its table in the file."""
    values: dict[str, Any] = {name: tuple(each) if isinstance(each, list) else each for name, each in fields.items()}
    return Deviation(**values)


def recognised(verdict: Verdict, backend: str, version: str) -> Verdict:
    """The verdict as KNOWN if an entry covers it."""
    for deviation in every():
        if deviation.covers(verdict, backend, version):
            return replace(verdict, status=Status.KNOWN, details={"known": deviation.name})
    together = _together(verdict, backend, version)
    return verdict if not together else replace(verdict, status=Status.KNOWN, details={"known": together})


def _together(verdict: Verdict, backend: str, version: str) -> str:
    """The first of several entries that say of each wrong element what it is: one number is NaN and another -inf."""
    if verdict.got is None or "wrong" not in verdict.details:
        return ""
    possible = [(each, each.names(verdict, backend, version)) for each in every() if each.answer]
    possible = [(each, names) for each, names in possible if names is not None]
    rows = np.asarray(verdict.details["wrong"], dtype=np.float64)
    if len(possible) < 2:
        return ""
    said = [each.answered(rows, names) for each, names in possible if names is not None]
    first = next((each.name for (each, _), found in zip(possible, said, strict=True) if found.any()), "")
    return first if np.any(said, axis=0).all() else ""


def fatal(trial: Trial, backend: Backend) -> str | None:
    """The name of a known deviation that would end the process which runs this trial."""
    for each in every():
        if each.fatal and each.where(trial, "", backend.name, backend.version()) is not None:
            return each.name
    return None


def page() -> str:
    """KNOWN.md."""
    lines = [
        "# Known deviations",
        "",
        "Deviations that opcheck found in released libraries. `opcheck verify --list-known > KNOWN.md` makes this page",
        "of `opcheck/verification/known.toml`; `opcheck verify` counts these cases under their names, and with",
        "`--no-known` they fail. Each exact value comes from the definition.",
    ]
    for each in every():
        names = ", ".join(f"`{name}`" for name in each.operators)
        library = f"{each.backend} {each.versions}" + (f" with {each.processor}" if each.processor else "")
        lines += [
            "",
            f"## {each.name}",
            "",
            each.summary,
            "",
            f"- {library}, {names}, where `{each.condition}`",
            f"- {each.element} {'must be' if each.exact == 'refused' else 'is exactly'} {each.exact}; "
            f"observed: {each.observed}; "
            + "; ".join(
                [f"every wrong element: `{each.answer}`" for _ in each.answer[:1]]
                + [f'"…{message}…"' for message in each.messages]
            ),
            f"- reproduce: `opcheck replay --known {each.name}`" + (f"; {each.issue}" if each.issue else ""),
        ]
    return "\n".join(lines) + "\n"


def find(name: str) -> Deviation | None:
    """The entry of that name, or None."""
    return next((each for each in every() if each.name == name), None)
