"""opcheck verifies neural-network operators and teaches them.

One textbook definition per operator; everything else is a reading of it. (This is not torch.library.opcheck.)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opcheck import reference
    from opcheck.autodiff import trace as trace
    from opcheck.errors import CouldNotRun, Refused
    from opcheck.explanation import Explanation, explain

__version__ = "0.1.0"

__all__ = ["CouldNotRun", "Explanation", "Refused", "explain", "reference", "trace"]

# where each public name lives; imported when it is asked for
_HOMES = {
    "CouldNotRun": "opcheck.errors",
    "Explanation": "opcheck.explanation",
    "Refused": "opcheck.errors",
    "explain": "opcheck.explanation",
}


def __getattr__(name: str) -> Any:
    if name in ("reference", "trace"):  # opcheck.trace is a package that can be called
        return import_module(f"opcheck.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'opcheck' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
