"""The replay of a failure: what a lower precision would have answered, and how far from that the answer is.

For a model m that rounds the factors, R_m = max abs(got - (the answer for rounded factors)) / (the bound there). TF32
has R of thousandths under its own model and of several under float32; a dropped term has thousands under every model.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields

import numpy as np

from opcheck.backends.allowance import FLUSH, TENSOR_CORES
from opcheck.operators.spec import Array, Case
from opcheck.verification.casefile import Trial
from opcheck.verification.check import Check, FalseAlarm, differs
from opcheck.verification.claims import correctness
from opcheck.verification.truth.formats import FORMATS, Format, rounded

TENSOR_CORE = 22  # digits: truncating block adds err by 3*N*u*M (float32 has 24), and they may round the inputs too


@dataclass(frozen=True, slots=True)
class Model:
    """A way of computing sums of products in fewer digits: of each factor, and of running sums (0: all of them).

    `word`: what --allow calls it.
    """

    name: str
    word: str
    factors: int = 0
    truncated: bool = False
    sums: int = 0
    like: str = ""  # the format whose range the factors have too
    flushed: bool = False  # subnormal numbers are taken for zero

    def coarse(self, f: Format, array: Array) -> Array:
        """What this way of computing makes of a factor."""
        if self.flushed:
            return np.where(np.abs(array) < 2.0**f.lowest, 0.0, array)
        if not self.factors:
            return array
        lowest, largest = f.lowest, f.largest
        if self.like:
            lowest, largest = FORMATS[self.like].lowest, FORMATS[self.like].largest
        return rounded(array, self.factors, lowest, largest, self.truncated)

    def _lost(self, f: Format) -> float:
        """Subnormal numbers have fewer digits, of which the last may be lost, or all."""
        if self.flushed:
            return float(2.0**f.lowest)
        return float(2.0 ** (f.lowest - self.factors + 1)) if self.factors else 0.0

    def format(self, f: Format) -> "Coarse":
        """The bounds of this way of computing: those of `f` with sums of fewer digits."""
        given = {each.name: getattr(f, each.name) for each in fields(Format)}
        return Coarse(**given, digits_of_sums=self.sums or f.digits, lost=self._lost(f))


@dataclass(frozen=True, slots=True)
class Coarse(Format):
    """A format whose running sums keep other digits than its results do."""

    digits_of_sums: int = 24
    lost: float = 0.0  # numbers up to this one may be taken for zero

    @property
    def accumulate(self) -> float:
        return float(2.0**-self.digits_of_sums)

    @property
    def exact_up_to(self) -> float:
        return float(2.0**self.digits_of_sums)

    @property
    def eta(self) -> float:
        return max(2 * self.lost, FORMATS[self.compute or self.name].smallest)


FLUSHED = Model("subnormal numbers treated as zero", FLUSH, flushed=True)
REPLAYED = (
    Model("TF32 (11 binary digits, rounded)", "tf32", 11, sums=TENSOR_CORE),
    Model("TF32 (11 binary digits, truncated)", "tf32", 11, truncated=True, sums=TENSOR_CORE),
    Model("bfloat16 inputs", "bfloat16-inputs", 8, sums=TENSOR_CORE),
    Model("float16 inputs", "float16-inputs", 11, sums=TENSOR_CORE, like="float16"),
    Model("truncating sums of tensor cores", TENSOR_CORES, sums=TENSOR_CORE),
    FLUSHED,
    Model("float32 inside", "float32-inputs", 24, sums=TENSOR_CORE, like="float32"),
)


def replayed(check: Check, kind: str, names: list[str], models: Iterable[Model]) -> dict[Model, float]:
    """The models whose answer is what came, up to their bound (R_m <= 1), each with R_m."""
    found = {}
    for model in models:
        if model.factors >= check.f.digits or (model.sums and not model.factors and check.f.digits != 24):
            continue
        residual = left(check, kind, names, model)
        if residual <= 1:
            found[model] = residual
    return found


def left(check: Check, kind: str, names: list[str], model: Model) -> float:
    """What is left of the error when the factors are taken as the model rounds them: R_m, in the model's bounds.

    Each result may also be right as it is: torch may use TF32 for one gradient and not for the other.
    """
    f = check.f.tiers()[-1] if check.f.digits < 24 else model.format(check.f)
    coarse = coarse_check(check, model)
    free = correctness.undecided(check) if check.trial.policy == "special" and kind == "output" else {}
    worst = 0.0
    for name in names:
        got = check.got_of(kind)[name]
        added = kind == "gradient" and name == "bias"  # a sum of what comes; nothing is multiplied
        judges = ((check, f),) if added else ((check, check.f.tiers()[-1]), (coarse, f))
        worst = max(worst, min(ratio_of(judge, kind, name, got, g, free) for judge, g in judges))
    return worst


def left_of_flushing(check: Check, kind: str, names: list[str]) -> float:
    """What is left of the error where each subnormal number, given or made, may have been taken for zero: in bounds,
    infinite where something else is wrong, too, or where nothing is, as in a call that only a call before it spoiled.
    Each number for itself: vectors and what is left of them may differ.
    """
    f, coarse = FLUSHED.format(check.f), coarse_check(check, FLUSHED)
    free = correctness.undecided(check) if check.trial.policy == "special" and kind == "output" else {}
    worst, explained = 0.0, False
    for name in names:
        got, expected = check.got_of(kind)[name], check.expected_of(kind)[name]
        if got.shape != expected.shape:
            return math.inf
        plain, *_ = differs(got, expected, check.tolerance(kind, check.f.tiers()[-1], [name])[name], check.f)
        plain &= ~free.get(name, np.zeros(got.shape, bool))
        wrong, ratio, _ = differs(got, coarse.expected_of(kind)[name], coarse.tolerance(kind, f, [name])[name], f)
        wrong &= plain & ~((got == 0) & (np.abs(expected) < 2.0**check.f.lowest))
        if wrong.any():
            return math.inf
        worst, explained = max(worst, 0.0 if math.isnan(ratio) else min(ratio, 1.0)), explained or bool(plain.any())
    return worst if explained else math.inf


def ratio_of(check: Check, kind: str, name: str, got: Array, f: Format, free: Mapping[str, Array]) -> float:
    """The worst error in bounds; infinite where something is wrong entirely."""
    bound = check.tolerance(kind, f, [name])[name]
    wrong, ratio, _ = differs(got, check.expected_of(kind)[name], bound, check.f)
    if name in free:
        wrong &= ~free[name]
    if wrong.any():
        return float("inf")
    return 0.0 if math.isnan(ratio) else ratio  # an infinite error where overflow leaves the answer free


def coarse_check(check: Check, model: Model) -> Check:
    """The check of the rounded trial, made once for all claims."""
    if model not in check.kept:
        check.kept[model] = Check(check.op, rounded_trial(check, model), check.backend)
    found: Check = check.kept[model]
    return found


def rounded_trial(check: Check, model: Model) -> Trial:
    """The trial with the factors as the model takes them. A bias is added and not multiplied: it keeps its digits."""

    def coarse(arrays: Mapping[str, Array]) -> dict[str, Array]:
        return {
            name: model.coarse(check.f, a) if a.dtype.kind == "f" and name != "bias" else a
            for name, a in arrays.items()
        }

    trial = check.trial
    case = Case(trial.case.op, coarse(trial.case.arrays), trial.case.params)
    return trial.replace(case=case, cotangent=coarse(trial.cotangent), tangents=coarse(trial.tangents))


def replayed_claim(check: Check, claim: Callable[[Check], Iterable[object]], models: Iterable[Model]) -> list[Model]:
    """The models under which a whole claim holds: the same answers, judged as those for rounded factors."""
    found = []
    for model in models:
        coarse = Check(check.op, rounded_trial(check, model), check.backend)
        coarse.__dict__["session"] = check.session  # what came, in place of what would come
        with suppress(FalseAlarm):  # it is no false alarm here that the exact value is another
            if all(getattr(finding, "verdict", None) is None for finding in claim(coarse)):
                found.append(model)
    return found
