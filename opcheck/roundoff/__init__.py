"""Bounds on abs(computed - exact), elementwise and vectorised: what an operator declares as its `rounding`."""

from opcheck.roundoff.base import Bound, Format, Rounding
from opcheck.roundoff.classes import ClassRounding, LogSoftmaxRounding, SoftmaxRounding
from opcheck.roundoff.elementwise import (
    BinaryCrossEntropyRounding,
    LogitsRounding,
    MeanSquares,
    SigmoidRounding,
    TanhRounding,
)
from opcheck.roundoff.sums import Multilinear, Selection, WindowMean

__all__ = [
    "BinaryCrossEntropyRounding", "Bound", "ClassRounding", "Format", "LogSoftmaxRounding", "LogitsRounding",
    "MeanSquares", "Multilinear", "Rounding", "Selection", "SigmoidRounding", "SoftmaxRounding", "TanhRounding",
    "WindowMean",
]  # fmt: skip
