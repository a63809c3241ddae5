"""What was found: a verdict is a status and the evidence for it, never a boolean."""

import re
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from opcheck.verification.casefile import Trial


def told_apart(got: float, expected: float) -> tuple[str, str]:
    """What came and what was expected, with as many digits as it takes to tell them apart: six at least."""
    for digits in range(6, 18):
        found, right = (f"{number:.{digits}g}" for number in (got, expected))
        if found != right:
            break
    return found, right


def kind_of_wrong(got: float, expected: float) -> str:
    """What kind of number came in place of what kind."""
    kinds = ["NaN" if x != x else "infinity" if abs(x) == float("inf") else "number" for x in (got, expected)]
    return " for ".join(kinds)


class Status(Enum):
    """The outcome of one claim on one case (or, for NOT_RUN, why there was none)."""

    AGREES = "AGREES"
    DIFFERS = "DIFFERS"  # outside the proven bound, confirmed by the definition
    KNOWN = "KNOWN"  # differs as the list of known deviations says
    LOWER_PRECISION = "LOWER_PRECISION"  # within the bound of a lower precision, which is named; no failure by itself
    MALFORMED = "MALFORMED"  # the answer is not an array of numbers, or raises where an answer is due
    CRASHED = "CRASHED"  # the process that ran it is gone
    MEMORY = "MEMORY"  # it asked for more memory than there is
    TIMED_OUT = "TIMED_OUT"
    NOT_RUN = "NOT_RUN"

    @property
    def failed(self) -> bool:
        return self in (Status.DIFFERS, Status.MALFORMED, Status.CRASHED, Status.MEMORY, Status.TIMED_OUT)


@dataclass(frozen=True, slots=True)
class Verdict:
    """One claim's outcome on one case: the first wrong element, what was expected there, and what it looks like."""

    status: Status
    claim: str  # "shape", "exact", "rounding", "vjp:weight", ...
    trial: Trial | None = None
    name: str = ""  # the output, or the input whose gradient it is
    at: tuple[int, ...] = ()
    expected: float | None = None  # the exact value, rounded to float64
    got: float | None = None
    bound: float | None = None
    message: str = ""  # what is wrong, in one sentence
    resembles: tuple[str, ...] = ()  # named mistakes and relations that predict every failing case
    wrong: int = 0  # how many elements are wrong, of
    elements: int = 0
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def of_gradient(self) -> bool:
        """Whether the wrong element is one of a gradient."""
        return self.claim.startswith("vjp") or self.details.get("of") == "gradient"

    @property
    def cause(self) -> str:
        """What failures of one claim that look alike have in common: the kind of number, or the message without its
        numbers."""
        precision = "".join(self.details.get("precision", ())[:1])
        if self.got is None or self.expected is None:
            return f"{self.status.value} {re.sub(r'[-+.,()0-9 ]*[0-9][-+.,()0-9 ]*', ' # ', self.message)}"
        return f"{self.status.value} {kind_of_wrong(self.got, self.expected)} {precision}".strip()

    @property
    def error_in_bounds(self) -> float:
        """abs(got - expected) as a multiple of the bound; infinite for a zero bound or a NaN."""
        if self.got is None or self.expected is None:
            return float("inf")
        error = abs(self.got - self.expected)
        if error != error or not self.bound:
            return 0.0 if error == 0 else float("inf")
        return error / self.bound
