"""Bounds on abs(computed - exact), elementwise and vectorised: what an operator declares as its `rounding`."""

from opcheck.families.roundoff.base import Bound, Format, Rounding
from opcheck.families.roundoff.classes import ClassRounding, LogSoftmaxRounding, SoftmaxRounding
from opcheck.families.roundoff.elementwise import (
    BinaryCrossEntropyRounding,
    LogitsRounding,
    MeanSquares,
    SigmoidRounding,
    TanhRounding,
)
from opcheck.families.roundoff.sums import Multilinear, Selection, WindowMean

__all__ = [
    "BinaryCrossEntropyRounding", "Bound", "ClassRounding", "Format", "LogSoftmaxRounding", "LogitsRounding",
    "MeanSquares", "Multilinear", "Rounding", "Selection", "SigmoidRounding", "SoftmaxRounding", "TanhRounding",
    "WindowMean",
]  # fmt: skip
