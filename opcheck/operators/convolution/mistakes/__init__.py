"""Common mistakes in convolutions, written as variants of convolution/conv.py."""

from opcheck.operators.convolution.mistakes.gradients import GRADIENTS
from opcheck.operators.convolution.mistakes.outputs import HEIGHT_AND_WIDTH, OUTPUTS
from opcheck.operators.spec import Mistake


def mistakes(dims: int) -> tuple[Mistake, ...]:
    """The mistakes of a convolution with `dims` spatial dimensions."""
    return (*OUTPUTS, *(HEIGHT_AND_WIDTH if dims == 2 else ()), *GRADIENTS)
