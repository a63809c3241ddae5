"""Cases that distinguish an operator's mistakes from the right answer.

They come from the operator's own sampler, which knows nothing of grading. Which of its cases bring a mistake out is
found once; the numbers in them are drawn afresh for each submission.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache, cached_property, lru_cache
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from opcheck.errors import Refused
from opcheck.grading.assignments.scope import Scope
from opcheck.operators.choosers import ExactValues, RandomChooser, Values
from opcheck.operators.spec import Array, Case, Mistake, Op, widened
from opcheck.verification.truth.bounds import one_or_dict
from opcheck.verification.truth.forms import written_outputs

RANKS = range(1, 7)  # numbers of dimensions that samples have
LOOK = 500  # samples that are looked at
SEVERAL = 2  # cases for each mistake
DRAWS = 20  # of the numbers of a case, until they show the mistakes that it is for
CLEARLY = 1e-3  # of the largest number: what is nearer may be rounding


class Kind(NamedTuple):
    """How many dimensions the first array of a case has, and of which types its arrays are."""

    dims: int
    types: tuple[str, ...]


Sample = tuple[int, Case]
Telling = tuple[tuple[int, tuple[Mistake, ...]], ...]  # samples by number, and the mistakes that each is for
Opened = tuple[Scope, int, tuple[Mistake, ...]]  # the same with the scope of the sample
_known: dict[Any, bool] = {}  # whether a mistake shows on a sample
_answers: dict[Any, "Answers"] = {}  # the right answers to samples
MOST_KEPT = 2 * LOOK  # of these
_asked: dict[int, "Asked"] = {}  # by the identity of the scope
MOST_ASKED = 256


class Asked:
    """A scope and the kinds of arrays that its cases have; equal to another that allows the same samples."""

    def __init__(self, scope: Scope, kinds: frozenset[Kind] = frozenset(), fewer: bool = False) -> None:
        self.scope, self.kinds, self.fewer = scope, kinds, fewer

    @cached_property
    def _key(self) -> Any:
        scope = self.scope
        others: list[Any] = [(name, scope.ranges.get(name)) for name in ("batch", "ties")]
        kernels = [scope.can_say_kernel(each) for each in _samples(scope.op)]
        others += [scope.within("dims", dims) for dims in RANKS]
        opened = scope.opened(*scope.free())  # what code can take beyond what is asked differs from student to student
        allowed = [each.within(name, value) for each in (scope, opened) for name, value in _values(scope.op)]
        own = (scope.op, scope.taught, scope.beyond, scope.prepared)
        return (*own, self.kinds, self.fewer, *others, *kernels, *allowed)

    def __hash__(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Asked) and self._key == other._key

    def samples(self) -> Iterator[Sample]:
        """Those that are within it: torch takes them, and something comes out."""
        scope = self.scope
        for number, each in enumerate(_samples(scope.op)):
            made = _fitted(scope, number, each)
            first = next(iter(made.arrays.values()))
            tied = True not in scope.options("ties", (True,)) and len(np.unique(first)) < first.size
            if scope.holds(made) and not tied and (self._is_of_kind(made) or not self.kinds) and _is_legal(scope, made):
                yield number, made

    def holds(self, made: Case) -> bool:
        return self.scope.holds(made) and self._is_of_kind(made)

    def _is_of_kind(self, made: Case) -> bool:
        """Whether it has arrays such as are asked; or with fewer dimensions, where all are of one shape."""
        own = kind(self.scope.op, made)
        if own in self.kinds or not self.fewer:
            return own in self.kinds
        alike = len({array.shape for array in made.arrays.values()}) == 1 < len(made.arrays)
        return alike and any(own.dims < each.dims and own.types == each.types for each in self.kinds)


def asked(scope: Scope) -> Asked:
    """What a scope asks, of which the same is known each time that it is drawn from."""
    found = _asked.get(id(scope))
    if found is None or found.scope is not scope:
        if len(_asked) > MOST_ASKED:
            _asked.clear()
        found = _asked[id(scope)] = Asked(scope)
    return found


@lru_cache(maxsize=1024)
def legal(usual: Asked) -> tuple[Sample, ...]:
    """All samples that are within it."""
    return tuple(usual.samples())


def kind(op: Op, made: Case) -> Kind:
    """That of a case's arrays: of whole numbers or of real ones, the optional ones apart."""
    types = [made.arrays[each.name].dtype.kind for each in op.inputs if each.name in made.arrays and not each.optional]
    return Kind(next(iter(made.arrays.values())).ndim, tuple(types))


@lru_cache(maxsize=1024)
def within(asked: Asked) -> Telling:
    """As few samples as it takes to distinguish each mistake from the right answer."""
    return _telling(asked.scope, legal(asked), asked.scope.op.mistakes)


@lru_cache(maxsize=1024)
def beyond(usual: Asked, names: tuple[str, ...]) -> tuple[Opened, ...]:
    """The same of what nobody asks, for mistakes that nothing usual shows: one parameter at a time where that shows
    them, so that code may refuse some, and then all together."""
    scope, found = usual.scope, []
    inside = legal(usual)
    hidden = [each for each in scope.op.mistakes if not any(_shows(scope, *sample, each) for sample in inside)]
    for opened in (*((name,) for name in names), names) if inside else ():
        if not hidden:
            break
        more = Asked(scope.opened(*opened), usual.kinds, fewer=True)
        others = [each for each in more.samples() if not usual.holds(each[1])]
        others.sort(key=lambda each: sum(isinstance(value, tuple) for value in each[1].params.values()))  # plain first
        telling = _telling(more.scope, others, hidden)
        found += [(more.scope, *each) for each in telling]
        shown = {mistake.name for _, mistakes in telling for mistake in mistakes}
        hidden = [each for each in hidden if each.name not in shown]
    return tuple(found)


def drawn(scope: Scope, number: int, mistakes: Sequence[Mistake], values: Values) -> Case | None:
    """A sample with numbers of its own, such that it shows these mistakes if any numbers do; None where none are
    legal."""
    found = None
    for _ in range(DRAWS):
        made = _fitted(scope, number, _sample(scope.op, number, values))
        if _is_legal(scope, made):
            found = made
            answers = Answers(scope.op, made)
            if all(answers.show(each) for each in mistakes):
                break
    return found


def _fitted(scope: Scope, number: int, made: Case) -> Case:
    """The sample within the ranges as far as that goes: with another value of what they do not allow."""
    params = dict(made.params)
    for name, value in made.params.items():
        if not scope.within(name, value) and (allowed := scope.options(name)):
            params[name] = allowed[number % len(allowed)]
    return scope.narrowed(made._replace(params=params))


def _telling(scope: Scope, legal: Sequence[Sample], mistakes: Sequence[Mistake]) -> Telling:
    chosen: dict[int, list[Mistake]] = {}
    cases = dict(legal)
    for mistake in mistakes:
        showing = [number for number in chosen if _shows(scope, number, cases[number], mistake)]
        others = (k for k, case in legal if k not in chosen and _shows(scope, k, case, mistake))
        for number in [*showing, *islice(others, max(SEVERAL - len(showing), 0))][:SEVERAL]:
            chosen.setdefault(number, []).append(mistake)
    return tuple((number, tuple(each)) for number, each in chosen.items())


@cache
def _samples(op: Op) -> tuple[Case, ...]:
    values = (ExactValues(np.random.default_rng(number), 9) for number in range(LOOK))
    return tuple(_sample(op, number, each) for number, each in enumerate(values))


def _sample(op: Op, number: int, values: Values) -> Case:
    """The sample with this number: it is made the same way whatever the values are."""
    return op.sample(RandomChooser([number], lambda rng: values))


@cache
def _values(op: Op) -> tuple[tuple[str, Any], ...]:
    """Each value of a parameter that a sample has, and whether an optional array is given."""
    found: dict[str, tuple[str, Any]] = {}
    for each in _samples(op):
        found |= {repr(pair): pair for pair in each.params.items()}
    return (*found.values(), *((each.name, True) for each in op.inputs if each.optional),
            *((each.name, False) for each in op.inputs if each.optional))  # fmt: skip


def _is_legal(scope: Scope, made: Case) -> bool:
    if not all(array.size and array.ndim for array in made.arrays.values()):
        return False
    try:
        scope.op.checked(made)
    except Refused:
        return False
    return "target" not in made.arrays or _counts(scope, made)


def _counts(scope: Scope, made: Case) -> bool:
    """A row that is ignored is for code that knows of such, and a mean of none is what nobody asks."""
    usual = {each.name: each.default for each in scope.op.params}
    ignored = made.arrays["target"] == made.params.get("ignore_index", usual.get("ignore_index", np.nan))
    return not ignored.all() and (scope.within("ignore_index", 0) or not ignored.any())


def _shows(scope: Scope, number: int, made: Case, mistake: Mistake) -> bool:
    sample = scope.op.name, number, tuple(made.arrays), repr(sorted(made.params.items()))
    if (key := (*sample, mistake.name)) not in _known:
        if sample not in _answers:
            if len(_answers) > MOST_KEPT:
                _answers.clear()
            _answers[sample] = Answers(scope.op, made)
        _known[key] = _answers[sample].show(mistake)
    return _known[key]


def shows(op: Op, made: Case, mistake: Mistake) -> bool:
    """Whether a mistake gives clearly other numbers on a case."""
    return Answers(op, made).show(mistake)


class Answers:
    """The right answers to a case, shared by all mistakes that are compared with them."""

    def __init__(self, op: Op, made: Case) -> None:
        self.op = op
        case = op.completed(made, 0)
        self.p, self.shapes = op.checked(case)
        self.arrays = widened(case.arrays)

    def show(self, mistake: Mistake) -> bool:
        """Whether a mistake gives clearly different numbers; False if a form of the right answer has none."""
        if not self._all_forms_have_numbers:
            return False
        op, p = self.op, self.p
        with np.errstate(all="ignore"):
            made = {} if mistake.forward is None else op.by_name(mistake.forward(op, p, **self.arrays), self.shapes)
            if made and _are_apart(made, self._expected):
                return True
            made = {} if mistake.vjp is None else mistake.vjp(op, p, self._cotangent, **self.arrays)
            return bool(made) and _are_apart(made, self._gradients)

    @cached_property
    def _all_forms_have_numbers(self) -> bool:
        written = (written_outputs(self.op, self.p, form, self.arrays) for form in self.op.forms)
        return all(np.isfinite(y).all() for outputs in written for y in outputs.values())

    @cached_property
    def _expected(self) -> Mapping[str, Array]:
        return self.op.by_name(self.op.forward(self.p, **self.arrays), self.shapes)

    @cached_property
    def _cotangent(self) -> Any:
        rng = np.random.default_rng(0)
        smooth = [each.name for each in self.op.outputs if each.differentiable and each.name in self.shapes]
        return one_or_dict(self.op, {name: ExactValues(rng, 9).array(*self.shapes[name]) for name in smooth})

    @cached_property
    def _gradients(self) -> Mapping[str, Array]:
        return self.op.vjp(self.p, self._cotangent, **self.arrays)


def _are_apart(got: Mapping[str, Array], expected: Mapping[str, Array]) -> bool:
    for name in [each for each in got if each in expected and expected[each].size]:
        if got[name].shape != expected[name].shape:
            return True
        error = np.abs(got[name] - expected[name]).max()  # NaN where people's definitions differ
        if error > CLEARLY * np.abs(expected[name]).max():
            return True
    return False
