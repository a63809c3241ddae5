"""How the numbers of a trial are drawn, by its policy (exact, real, special), in the format that is checked."""

import numpy as np

from opcheck.operators.choosers import ExactValues, RealValues
from opcheck.operators.spec import Array
from opcheck.verification.truth.formats import Format

LARGEST_WHOLE = {"float64": 64, "float32": 64, "float16": 8, "bfloat16": 3}


class Exact(ExactValues):
    """Whole numbers small enough for the format: the sum of a few dozen products is representable."""

    def __init__(self, rng: np.random.Generator, f: Format) -> None:
        super().__init__(rng, LARGEST_WHOLE[f.name])


class Real(RealValues):
    """Numbers of the format on several scales; float16 keeps away from its overflow."""

    def __init__(self, rng: np.random.Generator, f: Format) -> None:
        super().__init__(rng)
        self.f = f
        if f.highest < 100:
            self.scales = (1.0, 1.0, 1.0, 0.125, 8.0)

    def array(self, *shape: int) -> Array:
        return self.f.round(super().array(*shape))

    def unit(self, *shape: int) -> Array:
        most = 1 - 2.0**-self.f.digits  # the largest number of the format below one
        return np.clip(self.f.round(super().unit(*shape)), 2.0**-10, most)

    def positive(self, *shape: int) -> Array:
        return self.f.round(super().positive(*shape))


class Special(Real):
    """Real numbers of which some are special, in one of the arrays that are asked for."""

    def __init__(self, rng: np.random.Generator, f: Format) -> None:
        super().__init__(rng, f)
        self.turn = int(rng.choice([0, 0, 1, 2]))  # which of the arrays that are asked for has them
        subnormal = () if f.name == "bfloat16" else (f.smallest, -f.smallest)  # see Format.eta
        extreme = (*subnormal, f.largest, -f.largest, f.largest / 2, 2.0**f.lowest, 0.0, -0.0)
        infinite = (np.nan, np.nan, np.inf, -np.inf, 0.0)
        # not both in one case: where an overflow meets an infinity, the order of summation decides
        self.infinite = bool(rng.integers(2))
        self.numbers = infinite if self.infinite else extreme

    def array(self, *shape: int) -> Array:
        x = super().array(*shape)
        self.turn -= 1
        if self.turn != -1 or not x.size:
            return x
        how_many = int(self.rng.integers(1, 3, endpoint=True))
        places = self.rng.integers(x.size, size=how_many)
        x.flat[places] = self.rng.choice(np.asarray(self.numbers), size=how_many)
        if x.ndim and self.rng.integers(2):  # a whole row: all -inf as what is masked away, all NaN, all equal
            masked = -np.inf if self.infinite else 0.0
            row = np.moveaxis(x, int(self.rng.integers(x.ndim)), 0)
            row[:1] = masked if self.rng.integers(2) else self.rng.choice(np.asarray(self.numbers))
        return x


VALUES = {"exact": Exact, "real": Real, "special": Special}
