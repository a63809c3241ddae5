"""From a failing trial to a small one: simpler decisions of the sampler, then simpler numbers."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from opcheck import specs
from opcheck.backends.base import Backend
from opcheck.operators.spec import Array, Case, Op, Refused
from opcheck.verification import claims
from opcheck.verification.casefile import Trial
from opcheck.verification.check import Check
from opcheck.verification.claims.behaviour import refusal
from opcheck.verification.cuts import cut, size_of, sizes
from opcheck.verification.cuts import letters as letters_in
from opcheck.verification.diagnosis.precision import explanation
from opcheck.verification.known import recognised
from opcheck.verification.reach import without
from opcheck.verification.report import Report, key_of
from opcheck.verification.run import SHARE, answered, findings
from opcheck.verification.streams import noted_trial
from opcheck.verification.verdict import Status, Verdict, kind_of_wrong

FEW_NUMBERS = 9  # of an array whose numbers are made plain one by one
ATTEMPTS = 300  # trials that one minimisation may run
CLEAR = 64.0  # bounds: an error beyond it is as clear as any other
SIZES = (1, 2, 3, 4, 5, 8, 9, 16, 17, 32, 33)  # that are tried: small ones, and the first beyond a block of 8, 16 or 32
TIME = 20.0  # seconds, for implementations that are slow
ALL_OF_THEM = 30.0  # seconds for every failure of a report; those that come later stay as they are


def explain_failures(
    report: Report, backend: Backend, spec: Callable[[str], Op] = specs.get, seconds: float | None = None
) -> None:
    """Minimise the first failure of each claim and cause of each operator and say what the failures resemble. `spec`:
    finds an operator by its name; `seconds`: those of the whole run, if it is limited by time."""
    from opcheck.verification.diagnosis.diagnose import looks_like

    most = ALL_OF_THEM if seconds is None else min(ALL_OF_THEM, max(1.0, SHARE * seconds))
    seen, end = set(), time.monotonic() + most
    for k, verdict in enumerate(list(report.failures)):
        if verdict.trial is None or verdict.status not in (Status.DIFFERS, Status.MALFORMED):
            continue
        key = (*key_of(verdict), verdict.cause)
        if key in seen:
            continue
        seen.add(key)
        same = [each for each in report.failures if each.trial and (*key_of(each), each.cause) == key]
        clearest = max(same, key=_clearness)
        smaller = minimal(spec(key[0]), clearest, backend, min(TIME, end - time.monotonic()))
        names = looks_like(spec(key[0]), [smaller, *same], backend)
        # a lower precision that explains each of them comes first
        precisions = [each.details.get("precision", ()) for each in (smaller, *same)]
        common = [name for name in precisions[0] if all(name in each for each in precisions)]
        report.failures[k] = replace(smaller, resembles=tuple(dict.fromkeys([*common, *names])))


def _clearness(verdict: Verdict) -> tuple[float, int]:
    """The largest error first, of those beyond CLEAR bounds the smallest case."""
    assert verdict.trial is not None
    return min(verdict.error_in_bounds, CLEAR), -size_of(verdict.trial)


def minimal(op: Op, verdict: Verdict, backend: Backend, seconds: float = TIME) -> Verdict:
    """The verdict of the smallest trial found that fails the same claim."""
    assert verdict.trial is not None
    same = SameRefusal if verdict.claim == "refuses" else SameFailure
    return Search(op, verdict, same(op, verdict, backend), seconds).run()


class Search:
    """Greedy: a change with which it still fails is kept. `fails(trial)`: the verdict, if it is the same failure."""

    def __init__(
        self, op: Op, verdict: Verdict, fails: Callable[[Trial], Verdict | None], seconds: float = TIME
    ) -> None:
        self.op, self.best, self.fails = op, verdict, fails
        self.left, self.end = ATTEMPTS, time.monotonic() + seconds
        self.is_cut = False  # whether time or attempts ended before what can be tried

    def run(self) -> Verdict:
        """The verdict of the smallest trial found."""
        if self.best.claim == "refuses":  # no decision of the sampler makes a call that is none
            for simpler in (_shorter, _without_params, _simpler_numbers):
                self.steps(simpler)
            return self.told(self.is_cut)
        if self.op.elsewhere:
            self.fewer_decisions()
        else:  # a spec from outside may take long: sizes first, and then each attempt is quick
            self.steps(self._one_row)
            self.steps(_smaller_sizes)
            self.fewer_decisions()
        for simpler in (self._one_row, _smaller_sizes, _without_params, _simpler_numbers, _smaller_sizes):
            self.steps(simpler)
        is_cut = self.is_cut  # plainer numbers make no case smaller
        self.steps(_single_numbers)
        return self.told(is_cut)

    def told(self, is_cut: bool) -> Verdict:
        """The best so far, which says so where there may be a smaller one."""
        return replace(self.best, details={**self.best.details, "cut": True}) if is_cut else self.best

    @property
    def trial(self) -> Trial:
        assert self.best.trial is not None
        return self.best.trial

    def attempt(self, trial: Trial) -> bool:
        """Whether `trial` fails too; then it is the best so far."""
        if self.left <= 0 or time.monotonic() > self.end:
            self.is_cut = True
            return False
        self.left -= 1
        try:
            found = self.fails(trial)
        except (Refused, AssertionError):
            return False
        self.best = found or self.best
        return found is not None

    def fewer_decisions(self) -> None:
        """Take every decision of the sampler back to its first option, or half-way there."""
        if len(self.trial.address) != 4 or self.trial.address[3] < 0:  # a directed case is made of its own numbers
            return
        _, dtype, seed, index = self.trial.address
        _, taken = noted_trial(self.op, dtype, seed, index)
        k = 0
        while k < len(taken):
            for value in sorted({0, taken[k] // 2, max(0, taken[k] - 1)} - {taken[k]}):
                trial, noted = noted_trial(self.op, dtype, seed, index, [*taken[:k], value, *taken[k + 1 :]], "first")
                trial = trial.replace(layout=self.trial.layout, frozen=self.trial.frozen)
                if (size_of(trial), noted) < (size_of(self.trial), taken) and self.attempt(trial):
                    taken, k = noted, -1  # what was tried before may fail now
                    break
            k += 1

    def _one_row(self, op: Op, trial: Trial) -> Iterator[Trial]:
        """Of each size that the wrong output has, the place of the wrong element alone; what decides may stand far
        behind the beginning of a wide case."""
        name, at = self.best.name, self.best.at
        declared = next((each.letters for each in op.outputs if each.name == name), "")
        for letter, place in zip(letters_in(declared, len(at)), at, strict=False):
            yield from cut(op, trial, {letter: slice(place, place + 1)})

    def steps(self, simpler: Callable[[Op, Trial], Iterator[Trial]]) -> None:
        """Take steps of one kind until none is left that fails."""
        improved = True
        while improved and self.left > 0:
            improved = any(self.attempt(trial) for trial in simpler(self.op, self.trial))


class SameFailure:
    """Whether an implementation fails a trial as it failed another: a bug stays a bug while it gets smaller, and a
    known deviation or a lower precision one that is named. `judged` says what right is."""

    def __init__(self, op: Op, verdict: Verdict, backend: Backend, judged: type[Check] = Check) -> None:
        self.judged = judged
        self.op, self.status, self.name, self.backend = op, verdict.status, verdict.claim, backend
        self.version = backend.version()
        self.precision = verdict.details.get("precision", ())
        self.known, self.kind = self._is_known(verdict), _kind(verdict)
        self.claim = next(
            claim for claim in claims.EVERY
            if claim.name == verdict.claim.partition(":")[0]
            or (claim.name == "values" and verdict.claim in ("exact", "rounding", "special"))
        )  # fmt: skip

    def __call__(self, trial: Trial) -> Verdict | None:
        possible = without(self.op, trial, self.backend, set())
        if possible is None:
            return None
        _, shapes = self.op.checked(possible.case)  # another case may have other outputs
        kept = {n: g for n, g in possible.cotangent.items() if shapes.get(n) == g.shape}
        if not kept and self.claim.name in ("vjp", "adjoint", "second"):
            return None
        check = self.judged(self.op, possible.replace(cotangent=kept), self.backend)
        for finding in findings(self.claim, check):
            found = finding.verdict
            if found is not None and found.claim == self.name and found.status is self.status:
                return self._alike(check, found)
        return None

    def _alike(self, check: Check, found: Verdict) -> Verdict | None:
        """The verdict with the lower precision that explains it, if one did before."""
        if self._is_known(found) != self.known:
            return None
        if _kind(found) != self.kind:  # a NaN is no wrong number
            return None
        why = explanation(check, found)
        names = () if why is None else why.names
        if bool(names) != bool(self.precision) or (names and not set(names) & set(self.precision)):
            return None
        if why is None:
            return found
        details = {**found.details, "precision": names}
        return replace(found, message=f"{found.message} {why.sentence()}".strip(), details=details)

    def _is_known(self, verdict: Verdict) -> bool:
        """Of a failure that keeps few of its wrong elements all of them were asked about before: it is not."""
        few = verdict.wrong > len(verdict.details.get("wrong", ())) > 0
        return not few and recognised(verdict, self.backend.name, self.version).status is Status.KNOWN


class SameRefusal:
    """Whether an implementation computes something from arguments that do not fit for the same reason."""

    def __init__(self, op: Op, verdict: Verdict, backend: Backend) -> None:
        self.op, self.cause, self.backend, self.version = op, verdict.cause, backend, backend.version()

    def __call__(self, trial: Trial) -> Verdict | None:
        if self.backend.lacks(self.op, trial.case):
            return None
        for finding in answered("refuses", trial, self.backend, lambda: refusal(self.op, trial, self.backend)):
            found = finding.verdict
            if found is not None and found.cause == self.cause:
                return found if recognised(found, self.backend.name, self.version) is found else None
        return None


def _kind(verdict: Verdict) -> str:
    """Which kind of number came in place of which; empty if no number is wrong."""
    return "" if verdict.got is None or verdict.expected is None else kind_of_wrong(verdict.got, verdict.expected)


def _smaller_sizes(op: Op, trial: Trial) -> Iterator[Trial]:
    """One size (a letter of the declared shapes) less: that of a wide case is no decision of the sampler. The first of
    them, or of a wide case the last, where the maximum or the rest of a block may stand."""
    for letter, size in sizes(op, trial).items():
        for smaller in sorted({n for n in (*SIZES, size // 2, size - 1) if 0 < n < size}):
            yield from cut(op, trial, {letter: slice(smaller)})
            if size > SIZES[-1]:
                yield from cut(op, trial, {letter: slice(size - smaller, None)})


def _shorter(op: Op, trial: Trial) -> Iterator[Trial]:
    """Every array shorter by as much along one letter: what does not fit still does not."""
    arrays = trial.case.arrays
    letters = {each.name: letters_in(each.letters, arrays[each.name].ndim) for each in op.inputs if each.name in arrays}
    for letter in sorted({letter for row in letters.values() for letter in row}):
        sizes = {
            name: [n for each, n in zip(row, arrays[name].shape, strict=True) if each == letter]
            for name, row in letters.items()
        }
        least = min(n for each in sizes.values() for n in each)
        for smaller in (n for n in (*SIZES, least // 2) if 0 < n < least):
            cut = {
                name: np.asarray(array[tuple(slice(n - least + smaller if each == letter else n)
                                             for each, n in zip(letters[name], array.shape, strict=True))])
                for name, array in arrays.items()
            }  # fmt: skip
            yield trial.replace(case=trial.case._replace(arrays=cut))


def _without_params(op: Op, trial: Trial) -> Iterator[Trial]:
    """One parameter less, or one optional array less."""
    for name in trial.case.params:
        rest = {each: value for each, value in trial.case.params.items() if each != name}
        yield trial.replace(case=Case(op.name, trial.case.arrays, rest))
    for each in op.inputs:
        if each.optional and each.name in trial.case.arrays:
            arrays = {name: array for name, array in trial.case.arrays.items() if name != each.name}
            tangents = {name: array for name, array in trial.tangents.items() if name != each.name}
            yield trial.replace(case=Case(op.name, arrays, trial.case.params), tangents=tangents)


def _simpler_numbers(op: Op, trial: Trial) -> Iterator[Trial]:
    """Arrays as 1, 2, 3, ...; a cotangent or tangent of a single one."""
    for name, array in trial.case.arrays.items():
        ramp = np.arange(1.0, array.size + 1).reshape(array.shape)
        if array.dtype.kind == "f" and array.size <= 256 and not np.array_equal(array, ramp) and _real(op, name):
            yield trial.replace(case=Case(op.name, {**trial.case.arrays, name: ramp}, trial.case.params))
    for field in ("cotangent", "tangents"):
        directions: dict[str, Array] = getattr(trial, field)
        for name, each in directions.items():
            if each.sum() == np.count_nonzero(each) <= 1:  # a single one already
                continue
            for place in np.ndindex(*each.shape) if each.size <= 16 else ():
                one = np.zeros(each.shape)
                one[place] = 1.0
                yield trial.replace(**{field: {**directions, name: one}})


def _single_numbers(op: Op, trial: Trial) -> Iterator[Trial]:
    """One number of a small case as a plain one: a one, or its sign, or whole."""
    for name, array in trial.case.arrays.items():
        for place in np.ndindex(*array.shape) if array.dtype.kind == "f" and array.size <= FEW_NUMBERS else ():
            for plain in plainer(float(array[place])):
                changed = np.array(array)
                changed[place] = plain
                yield trial.replace(case=Case(op.name, {**trial.case.arrays, name: changed}, trial.case.params))


def plainer(x: float) -> list[float]:
    """The numbers that are easier to calculate with by hand, the plainest first; none for a whole number of one digit.

    >>> plainer(-38.0), plainer(2.3), plainer(3.0)
    ([1.0, -1.0, 2.0, -2.0, 0.5, -0.5], [1.0, -1.0, 2.0, -2.0, 0.5, -0.5], [])
    """
    if not math.isfinite(x) or (x.is_integer() and abs(x) < 10):
        return []
    ladder = [1.0, -1.0, 2.0, -2.0, 0.5, -0.5]
    return ladder[: ladder.index(x)] if x in ladder else ladder


def _real(op: Op, name: str) -> bool:
    """Whether any real number may stand in this input (not only probabilities or weights)."""
    return op.input(name).differentiable
