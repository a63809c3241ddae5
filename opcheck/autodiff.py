"""What a traced program may use beside numpy and `opcheck.reference`; `trace` is `opcheck.trace`.

`value_and_gradient` is reverse mode inside a program, such as a training step. For numbers, `select`, `maximum` and
`minimum` replace branches on traced values.
"""

from typing import TYPE_CHECKING, Any

from opcheck.traces import load, trace
from opcheck.tracing import detach, maximum, minimum, select

if TYPE_CHECKING:
    from opcheck.programs.sweeps import value_and_gradient

__all__ = ["detach", "load", "maximum", "minimum", "select", "trace", "value_and_gradient"]


def __getattr__(name: str) -> Any:
    if name == "value_and_gradient":  # it needs numpy, which a trace of numbers does not
        from opcheck.programs.sweeps import value_and_gradient

        return value_and_gradient
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
