"""The inputs of a trace as the user writes them: 2, 1/3, pi/2, or an array as for `opcheck explain`."""

import contextlib
import re
import sys
from fractions import Fraction
from typing import Any

from opcheck.errors import Refused
from opcheck.language import say


def value(name: str, text: str, exact: bool = False) -> Any:
    """A number such as 2, 1/3 or pi/2, or an array as `opcheck explain` takes it. exact: 1/3 as a Fraction."""
    number = None
    for kind in (float, int):
        with contextlib.suppress(ValueError):
            number = kind(text)
    if number is not None:
        return finite(name, number, text)
    if not re.search(r"[\[@:]|\dx\d", text):
        return worked_out(name, text, exact)
    from opcheck import arrays

    array = arrays.parse(f"--at {name}", text, seed=0)
    if isinstance(array, tuple):
        import numpy as np

        return np.arange(1.0, np.prod(array) + 1).reshape(array)
    return array  # whole numbers stay whole: they may be classes


def finite(name: str, number: int | float, text: str) -> int | float:
    """The number; raises Refused if it is too large for a float."""
    if abs(number) > sys.float_info.max and "inf" not in text.lower():
        raise Refused(say("{name} is too large for float64 (1.8e308 at most)", name=name), got=text)
    return number


def worked_out(name: str, text: str, exact: bool) -> int | float | Fraction:
    """The number that an expression without variables stands for."""
    from opcheck.traces import trace

    try:
        found = trace(text, exact=True).value
    except Refused:
        raise Refused(
            say("{name} must be a number or an array", name=name),
            got=repr(text),
            fix=say("for example --at {name}=2, {name}=1/3 or {name}=pi/2", name=name),
        ) from None
    return found if exact and isinstance(found, Fraction) else trace(text).value
