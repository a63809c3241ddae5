"""For test suites: hypothesis strategies of cases, ready property tests, and a pytest plugin.

from opcheck.testing import cases, conforms

@conforms("conv2d", dtype="float32")
def test_my_conv2d(): return my_kernels.conv2d
"""

from opcheck.testing.conformance import conforms
from opcheck.testing.strategies import cases

__all__ = ["cases", "conforms"]
