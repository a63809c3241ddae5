"""The table of rules: every array operation that a program may be made of, one row each.

Rules are written with numpy's functions, which record when they meet a traced array: so a reverse sweep over traced
arrays is a graph again, and forward over reverse gives second derivatives.
"""

from opcheck.programs.elementwise import ELEMENTWISE
from opcheck.programs.kinks import KINKS
from opcheck.programs.movement import MOVEMENT
from opcheck.programs.order import ORDER
from opcheck.programs.products import PRODUCTS
from opcheck.programs.shifts import SHIFTS
from opcheck.programs.sums import SUMS

RULES = {rule.name: rule for rule in (*ELEMENTWISE, *KINKS, *MOVEMENT, *ORDER, *SUMS, *PRODUCTS, *SHIFTS)}
