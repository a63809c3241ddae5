"""Taylor's remainder as a witness: abs(f(x+hv) − f(x) − h·Jv) falls by 4 as h halves, if Jv is right, and else by 2."""

import importlib.util
import math
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

from opcheck.language import say

LARGEST, SMALLEST = 6, 26  # h from 2^-6 down to 2^-26
STEPS = 3
CLEAR = 16  # how far a remainder must stand above rounding to say anything


class Check(NamedTuple):
    """One line of the output: a sentence with the figures, and whether it holds (None: it could not be asked)."""

    text: str
    holds: bool | None


FUNCTION = "f(x+hv) − f(x) − h·Jv"
GRADIENT = "u·∇f(x+hv) − u·∇f(x) − h·u·Hv"


def taylor(
    moved: Callable[[float], float],
    here: float,
    slope: float,
    noise: float,
    has_kinks: bool,
    remainder: str = FUNCTION,
) -> Check:
    """moved(h) is f(x+hv), `here` is f(x), `slope` is Jv and `noise` bounds the rounding of a remainder, which is
    called `remainder`.

    The smallest steps that are clear of rounding decide: with them the remainder of a right derivative is quadratic,
    however curved the function is.
    """
    errors = []
    for k in range(LARGEST, SMALLEST + 1):
        h = 2.0**-k
        errors.append(abs(moved(h) - here - h * slope))
        if errors[-1] <= CLEAR * noise:
            break
    clear = [error for error in errors if error > CLEAR * noise]
    first = told(remainder, LARGEST, errors[:STEPS])
    if not all(map(math.isfinite, errors)):
        return Check(say("{head}: the function is not finite beside this point", head=first), None)
    if not clear:
        return Check(
            say("Taylor: {remainder} is only rounding: the function is a straight line here", remainder=remainder), True
        )
    if len(clear) < STEPS:
        return Check(say("{head}: too close to rounding to tell", head=first), None)
    last = clear[-STEPS:]
    right = falls(last) > 3
    shown = clear[:STEPS] if right and falls(clear[:STEPS]) > 3 else last
    head = told(remainder, LARGEST + clear.index(shown[0]), shown)
    ratios = say(" and ").join(f"{before / after:.2f}" for before, after in pairwise(shown))
    if right:
        return Check(say("{head}: falls by {ratios} as h halves (h², as it must)", head=head, ratios=ratios), True)
    if has_kinks:
        return Check(say("{head}: falls by {ratios} as h halves (a kink is near)", head=head, ratios=ratios), None)
    text = say("{head}: falls by {ratios} as h halves, but a correct derivative gives 4", head=head, ratios=ratios)
    return Check(text, False)


def falls(errors: list[float]) -> float:
    """By how much each error is smaller than the one before, at least."""
    return min(before / after for before, after in pairwise(errors))


def told(remainder: str, k: int, errors: list[float]) -> str:
    sizes = ", ".join(f"{each:.2e}" for each in errors)
    steps = ", ".join(f"2^−{k + j}" for j in range(len(errors)))
    return say("Taylor: |{remainder}| = {sizes} for h = {steps}", remainder=remainder, sizes=sizes, steps=steps)


def figure(x: float) -> str:
    """A number with as many digits as a comparison needs."""
    size = f"{abs(x):.1e}" if x and abs(x) < 1e-3 else f"{abs(x):.6g}"
    return f"−{size}" if x < 0 else size


def no_torch() -> Check | None:
    """What is said where torch is not installed."""
    if importlib.util.find_spec("torch") is not None:
        return None
    return Check(say("torch is not installed, so it was not asked (pip install 'opcheck[torch]')"), None)
