"""Lower precision or a bug? What explains a failure without excusing a wrong structure.

Three kinds of explanation, in this order:
- replay: the answer is what rounding the factors gives (TF32, bfloat16 inputs, ...), up to the bound; decisive, since a
  dropped term is thousands of bounds away from every such answer;
- coarse sums: the running sum keeps few digits (float16 accumulation, partial sums stored in bfloat16). Its order is
  not known, so the ladder of short sums must show those digits, and the error must be of that size;
- a transform (Winograd, FFT): accurate for the largest products of the image only, and told by what it touches.
In each case small whole numbers must come out right in the very call that failed: else it is a bug.
"""

import math
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from opcheck.backends.allowance import TENSOR_CORES, TRANSFORMS
from opcheck.language import say
from opcheck.operators.spec import MULTILINEAR, Array
from opcheck.verification.check import Check
from opcheck.verification.claims import correctness
from opcheck.verification.diagnosis import probes
from opcheck.verification.diagnosis.replay import (
    FLUSHED,
    REPLAYED,
    Model,
    left,
    left_of_flushing,
    ratio_of,
    replayed,
    replayed_claim,
)
from opcheck.verification.raised import is_ours
from opcheck.verification.verdict import Verdict

ASKED_AGAIN = ("layout", "batch", "frozen", "state")  # claims about outputs and gradients

TRANSFORM = 64.0  # units of the largest sum of products: F(4x4,3x3) loses five to six digits
TRANSFORM_NAME = "Winograd or FFT"

SUMMED = tuple(
    Model(f"{name} accumulation", f"{name}-accumulation", sums=digits)
    for name, digits in (("float32", 24), ("float16", 11), ("bfloat16", 8))
)


def loosened(model: Model) -> Model:
    """With room for products and inputs, which are rounded too."""
    return Model(model.name, model.word, sums=model.sums - 2)


COARSEST = loosened(SUMMED[-1])  # what is further off needs no ladder of questions
BLOCKED = "reduced-precision reductions (partial sums in {format})"

Way = tuple[str, str]  # how a person calls a lower precision, and what --allow calls it


@dataclass(frozen=True, slots=True)
class Explanation:
    """The lower precisions that explain a failure (the nearest first), with the evidence for it."""

    ways: tuple[Way, ...]  # those that are allowed, where one is
    allowed: bool  # whether it is not a failure
    residual: float  # what is left of the error, in bounds of that way of computing
    statistic: float  # log2 of T (numerics, section 4)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for name, _ in self.ways))

    def sentence(self) -> str:
        name, residual = say(self.names[0]), f"{self.residual:.2g}"
        told = say("explained by {name}: {residual} of its bound is left", name=name, residual=residual)
        if not math.isnan(self.statistic):
            told = say("{told}, log2 T = {t}", told=told, t=f"{self.statistic:.1f}")
        words = say(" or ").join(dict.fromkeys(f"--allow {word}" for _, word in self.ways))
        return told if self.allowed else say("{told}; {words} accepts it", told=told, words=words)


def explained(check: Check, ways: Iterable[Way], residual: float, statistic: float = float("nan")) -> Explanation:
    """By these ways, the nearest first; by those of them that are allowed, if one is."""
    every = tuple(dict.fromkeys(ways))
    fine = tuple(way for way in every if way[1] in allowed(check))
    return Explanation(fine or every, bool(fine), residual, statistic)


def allowed(check: Check) -> frozenset[str]:
    """The lower precisions that this call is allowed."""
    return check.backend.allowed(check.trial.dtype, _convolves(check))


def _convolves(check: Check) -> bool:
    weight = check.trial.case.arrays.get("weight")
    return check.op.degree == MULTILINEAR and weight is not None and weight.ndim > 2


def possible(check: Check) -> tuple[Model, ...]:
    """The ways of computing that an implementation may have: tensor cores where there are some, or somebody says so."""
    if check.backend.has_tensor_cores or TENSOR_CORES in allowed(check):
        return REPLAYED
    return tuple(model for model in REPLAYED if model.word != TENSOR_CORES)


def explanation(check: Check, verdict: Verdict) -> Explanation | None:
    """The lower precision that explains this failure; None for a bug."""
    if verdict.got is None or not verdict.name or verdict.trial is None:  # no number is wrong: a shape is another
        return None
    if verdict.claim == "second":
        return _asked(lambda: _second(check))
    kind = kind_of(check, verdict.claim, verdict.name)
    if not kind:
        return None
    if verdict.trial is not check.trial:  # a batch of one and another memory layout are trials of their own
        check = probes.other(check, verdict.trial)
    if verdict.claim == "state" and check.seems_right(kind, check.got_of(kind)):
        return None  # the call itself has all its digits: what was wrong is another one
    sums = check.op.degree == MULTILINEAR
    return _asked(lambda: (_explanation(check, kind, [verdict.name]) if sums else None) or _flushed(check, kind))


def _asked(question: Callable[[], Explanation | None]) -> Explanation | None:
    """The answer; None where the implementation fails in other ways when it is asked other questions."""
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return question()
    except Exception as error:
        if is_ours(error):
            raise
        return None


def _explanation(check: Check, kind: str, names: list[str]) -> Explanation | None:
    got, expected = check.got_of(kind), check.expected_of(kind)
    names = names if kind == "gradient" else [name for name in got if name in expected]
    if not names or any(got[name].shape != expected[name].shape for name in names):
        return None
    statistic = max(probes.error_statistic(check, kind, name) for name in names)
    if probes.small_integers(check, kind, lambda *_: 0.0):
        found = replayed(check, kind, names, possible(check))
        if found:
            order = sorted(found, key=lambda each: found[each])
            ways = [(each.name, each.word) for each in order]
            if not order[0].factors and _transforms(check):
                ways = [(TRANSFORM_NAME, TRANSFORMS), *ways]
            return explained(check, ways, found[order[0]], statistic)
        asks = check.trial.policy != "special" and check.f.digits >= 24
        coarse = summed(check, kind, names[0]) if asks and _within(check, kind, names, COARSEST, statistic) else None
        if coarse is not None:
            model, name = coarse
            if _within(check, kind, names, model, statistic):
                return explained(check, [(name, model.word)], left(check, kind, names, model), statistic)
    if _transforms(check):
        residual = _left_of_a_transform(check, kind, names)
        if residual <= 1 and probes.small_integers(check, kind, _transform_error(kind)):
            return explained(check, [(TRANSFORM_NAME, TRANSFORMS)], residual, statistic)
    return None


def _within(check: Check, kind: str, names: list[str], model: Model, statistic: float) -> bool:
    """Whether errors are as small as sums in so few digits make them."""
    return left(check, kind, names, model) <= 1 and statistic <= _largest_statistic(check, kind, model)


def _flushed(check: Check, kind: str) -> Explanation | None:
    """Whether subnormal numbers were taken for zero, of whatever operator."""
    names = [name for name in check.got_of(kind) if name in check.expected_of(kind)]
    residual = left_of_flushing(check, kind, names)
    if residual <= 1 and not probes.right_without_tiny(check, kind):
        return None
    return explained(check, [(FLUSHED.name, FLUSHED.word)], residual) if residual <= 1 else None


def _transforms(check: Check) -> bool:
    """Whether this is a convolution by a transform."""
    return _convolves(check) and not probes.is_local(check)


def _second(check: Check) -> Explanation | None:
    """A second derivative is judged whole: its products are rounded as those of the first are."""
    models = possible(check) if check.op.degree == MULTILINEAR else (FLUSHED,)
    found = replayed_claim(check, correctness.second, models)
    return explained(check, [(each.name, each.word) for each in found], 1.0) if found else None


def kind_of(check: Check, claim: str, name: str = "") -> str:
    """Whether a claim is about an "output", a "gradient" or a "tangent"; empty for what no rounding explains."""
    claim = claim.partition(":")[0]
    if claim in ASKED_AGAIN:
        return "output" if name in check.shapes else "gradient"
    return {"vjp": "gradient", "jvp": "tangent", "exact": "output", "rounding": "output", "special": "output"}.get(
        claim, ""
    )


# --- coarse sums ------------------------------------------------------------------------------------------------------


def summed(check: Check, kind: str, name: str) -> tuple[Model, str] | None:
    """How the ladder says that sums are kept, where that is in fewer digits than they should be, and its name."""
    found = probes.ladder(check, kind, name)
    if found is None:
        return None
    for model in SUMMED:
        if found.sums == model.sums and model.sums < max(24, check.f.digits):
            loose = loosened(model)
            if not found.blocked:
                return loose, model.name
            stored = model.name.split()[0]
            return loose, say(BLOCKED, format=stored)
    return None


def lower_sums(check: Check, claim: str) -> Explanation | None:
    """For float16 and bfloat16 answers that need the loosest tier: the ladder's name for how sums are kept."""
    kind = kind_of(check, claim) if claim not in ASKED_AGAIN else ""
    if not kind or check.op.degree != MULTILINEAR or check.trial.policy == "special":
        return None
    return _asked(lambda: _lower_sums(check, kind, claim.partition(":")[2] or next(iter(check.got_of(kind)))))


def _lower_sums(check: Check, kind: str, name: str) -> Explanation | None:
    # a sum that leaves out a term keeps no digits of it either
    found = summed(check, kind, name) if probes.small_integers(check, kind, lambda *_: 0.0) else None
    if found is None:
        return None
    residual = ratio_of(check, kind, name, check.got_of(kind)[name], check.f.tiers()[-1], {})
    return explained(check, [(found[1], found[0].word)], residual, probes.error_statistic(check, kind, name))


def _largest_statistic(check: Check, kind: str, model: Model) -> float:
    """log2 T of sums in so few digits: the roundings of N partial sums add up as sqrt(N)."""
    ones = {name: np.ones(a.shape) if a.dtype.kind == "f" else a for name, a in check.arrays.items()}
    terms = max(float(np.max(each, initial=1.0)) for each in _terms(check, kind, ones))
    return float(np.log2(terms) / 2 - model.sums)


def _terms(check: Check, kind: str, ones: dict[str, Array]) -> list[Array]:
    """The number of products in each element."""
    if kind == "gradient":
        return list(check.op.vjp(check.p, np.ones(next(iter(check.shapes.values()))), **ones).values())
    return [np.asarray(check.op.forward(check.p, **ones))]


# --- transforms -------------------------------------------------------------------------------------------------------


def _left_of_a_transform(check: Check, kind: str, names: list[str]) -> float:
    """The worst error as a fraction of what a transform may err by, which depends on the largest sum of products."""
    error = _transform_error(kind)
    worst = 0.0
    for name in names:
        got, expected = check.got_of(kind)[name], check.expected_of(kind)[name]
        if check.trial.policy == "special":  # NaN, infinities and overflow reach what is transformed with them
            spread = ~np.isfinite(got)
            got, expected = got[~spread], expected[~spread]
        if not np.isfinite(got).all():
            return float("inf")
        with np.errstate(all="ignore"):
            ratio = np.abs(got - expected) / np.maximum(error(check, name), 1e-300)
        worst = max(worst, float(np.max(ratio, initial=0.0)))
    return worst


def _transform_error(kind: str) -> Callable[[Check, str], Array | float]:
    def error(check: Check, name: str) -> Array | float:
        f = check.f.tiers()[0]
        partial = check.bounds_of(kind, f)[name].partial
        largest = 0.0 if partial is None else float(np.max(partial, initial=0.0, where=np.isfinite(partial)))
        return float(TRANSFORM * f.accumulate * largest) + f.stored(check.expected_of(kind)[name], np.zeros(()))

    return error
