"""opcheck verifies neural-network operators and teaches them.

One textbook definition per operator; everything else is a reading of it. (This is not torch.library.opcheck.)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opcheck import reference
    from opcheck.errors import CouldNotRun, Refused
    from opcheck.explanation import Explanation, explain
    from opcheck.grading.api import Grade, grade
    from opcheck.traces import trace as trace
    from opcheck.verification.api import verify as verify
    from opcheck.verification.audit import audit
    from opcheck.verification.inline import Bounds, bounds, check
    from opcheck.verification.report import Report

__version__ = "0.1.0"

__all__ = [
    "Bounds",
    "CouldNotRun",
    "Explanation",
    "Grade",
    "Refused",
    "Report",
    "audit",
    "bounds",
    "check",
    "explain",
    "grade",
    "reference",
    "trace",
    "verify",
]

# where each public name lives; imported when it is asked for
_HOMES = {
    "CouldNotRun": "opcheck.errors",
    "Explanation": "opcheck.explanation",
    "Refused": "opcheck.errors",
    "Report": "opcheck.verification.report",
    "audit": "opcheck.verification.audit",
    "Bounds": "opcheck.verification.inline",
    "bounds": "opcheck.verification.inline",
    "check": "opcheck.verification.inline",
    "explain": "opcheck.explanation",
    "Grade": "opcheck.grading.api",
    "grade": "opcheck.grading.api",
    "trace": "opcheck.traces",
    "verify": "opcheck.verification.api",
}


def __getattr__(name: str) -> Any:
    if name == "reference":
        return import_module("opcheck.reference")
    if name not in _HOMES:
        raise AttributeError(f"module 'opcheck' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
