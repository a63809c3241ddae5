"""Bounds on abs(computed - exact), elementwise and vectorised: what an operator declares as its `rounding`."""

from opcheck.operators.shared.roundoff.base import Bound, Rounding
from opcheck.operators.shared.roundoff.classes import ClassRounding, LogSoftmaxRounding, SoftmaxRounding
from opcheck.operators.shared.roundoff.elementwise import (
    BinaryCrossEntropyRounding,
    LogitsRounding,
    MeanSquares,
    SigmoidRounding,
    TanhRounding,
)
from opcheck.operators.shared.roundoff.sums import Multilinear, Selection, WindowMean
from opcheck.programs.running import Format

__all__ = [
    "BinaryCrossEntropyRounding", "Bound", "ClassRounding", "Format", "LogSoftmaxRounding", "LogitsRounding",
    "MeanSquares", "Multilinear", "Rounding", "Selection", "SigmoidRounding", "SoftmaxRounding", "TanhRounding",
    "WindowMean",
]  # fmt: skip
