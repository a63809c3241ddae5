"""Cases as a hypothesis strategy: sizes and options shrink to the sampler's first choices, numbers to simple ones."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from opcheck import specs
from opcheck.operators.choosers import Values
from opcheck.operators.spec import Case, Op
from opcheck.verification.casefile import Trial
from opcheck.verification.draws import VALUES
from opcheck.verification.streams import in_format, with_directions
from opcheck.verification.truth.formats import format_of

T = TypeVar("T")


class HypothesisChooser:
    """Decisions drawn one by one from hypothesis; arrays from a drawn seed."""

    def __init__(self, draw: Callable[[Any], Any], values: Values) -> None:
        self.draw = draw
        self.array, self.unit = values.array, values.unit
        self.positive, self.classes = values.positive, values.classes

    def whole(self, low: int, high: int) -> int:
        from hypothesis import strategies as st

        return int(self.draw(st.integers(low, high)))

    def choice(self, options: Sequence[T]) -> T:
        from hypothesis import strategies as st

        chosen: int = self.draw(st.integers(0, len(options) - 1))
        return options[chosen]


def trials(op: str | Op, dtype: str = "float32", policies: Sequence[str] = ("exact", "real")) -> Any:
    """A strategy of trials: cases with cotangents and tangents, as `opcheck verify` runs them."""
    from hypothesis import strategies as st

    chosen = specs.get(op) if isinstance(op, str) else op
    f = format_of(dtype)

    @st.composite
    def draw_trial(draw: Callable[[Any], Any]) -> Trial:
        policy = draw(st.sampled_from(list(policies)))
        seed = draw(st.integers(0, 2**32 - 1))
        chooser = HypothesisChooser(draw, VALUES[policy](np.random.default_rng([seed, 1]), f))
        with np.errstate(all="ignore"):
            case = in_format(chosen.sample(chooser), f, keep_infinities=policy == "special")
        return with_directions(chosen, Trial(case, dtype, policy), np.random.default_rng([seed, 2]))

    return draw_trial()


def cases(op: str | Op, dtype: str = "float32", policies: Sequence[str] = ("exact", "real")) -> Any:
    """A hypothesis strategy of legal calls of an operator, built without rejecting any.

    Each is an `opcheck.operators.spec.Case`: `case.arrays` by torch's argument names (float64 arrays of numbers that
    `dtype` has; class numbers in int64) and `case.params` as a caller writes them. policies: "exact" (small whole
    numbers), "real", "special" (NaN, infinities, subnormals). Raises Refused for an unknown operator or dtype.

    >>> from hypothesis import find
    >>> from opcheck.testing import cases
    >>> find(cases("conv2d"), lambda case: True).op
    'conv2d'
    """
    return trials(op, dtype, policies).map(_case)


def _case(trial: Trial) -> Case:
    return trial.case
