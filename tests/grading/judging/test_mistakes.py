"""In every convention the right solution gets full marks, and each mistake of the catalogue loses some and is named.

What is not caught is not listed here: it is shown to make no difference on anything that the ranges allow.
"""

from collections.abc import Iterator

import numpy as np
import pytest

from opcheck.grading import conventions
from opcheck.grading.assignments.assignment import Question, parse
from opcheck.grading.assignments.check import Caught, check
from opcheck.grading.conventions.base import Entry
from opcheck.grading.drawing.cases import draw
from opcheck.operators import catalog
from opcheck.operators.choosers import ExactValues, RandomChooser
from opcheck.operators.spec import Case, Mistake
from opcheck.verification.casefile import Trial
from opcheck.verification.check import Check
from opcheck.verification.mutation.mutants import MENDED_BY_AUTOGRAD
from opcheck.verification.truth.bounds import one_or_dict
from tests.grading.students import assignment, graded, solution

SAMPLES = 2000
# Right in that convention, though not in torch's layout.
RIGHT = {
    # the gradient of a bias (Out, 1), summed over the columns of dZ (Out, m) and kept as a matrix, is what is asked
    ("coursera", "linear"): {"bias_gradient_kept_as_a_row"},
    # either variance may be kept; and with a momentum of a half either way round is right
    **{
        (name, "batch_norm"): {"running_variance_biased", "momentum_the_other_way_round"}
        for name in ("layer", "module")
    },
    # an eps so small that nobody can tell where it stands
    **{
        (name, op): {"epsilon_before_correction", "epsilon_inside_root"}
        for name in ("layer", "module")
        for op in ("rmsprop", "adam", "adamw")
    },
    ("module", "linear"): MENDED_BY_AUTOGRAD,  # torch sums a broadcast gradient itself
}
# Within the ranges, but not asked: where p is 0 or 1 exactly, courses clip the logarithm at different places.
UNASKED = {"binary_cross_entropy": {"gradient_not_clipped"}}
# Caught, but named by torch: autograd refuses a gradient of another shape, with the two shapes, before opcheck sees it.
REFUSED_BY_TORCH = {"weight_gradient_transposed", "padding_kept_in_input_gradient", "input_gradient_cropped_to_nothing"}
# Caught, and told in words about chance, which name no mistake; or, where the code has no parameter for it, right.
TOLD_OTHERWISE = {"whole_rows_dropped", "same_mask_each_time", "the_other_formula"}

# Of the running statistics the course's function is not asked, and its images come as rows: many mistakes make no
# difference there. Its right solution is in test_conventions.
LATER = {("cs231n", "batch_norm")}


def entries(name: str) -> Iterator[tuple[str, str, str]]:
    """Every operator of a convention by each of its entries."""
    for op, found in sorted(conventions.get(name).entries.items()):
        if (name, op) in LATER:
            continue
        for forward in dict.fromkeys(each.forward[0] for each in ((found,) if isinstance(found, Entry) else found)):
            yield name, op, forward


ALL = [each for name in conventions.NAMES for each in entries(name)]
FAST = [
    ("cs231n", "linear", "affine_forward"),
    ("cs231n", "sgd", "sgd_momentum"),
    ("functional", "relu", "relu"),
    ("cmu", "cross_entropy", "CrossEntropyLoss"),
    ("cmu", "adam", "Adam"),
    ("coursera", "linear", "linear_forward"),
    ("layer", "linear", "Affine"),
]


def asked(convention: str, op: str, entry: str = "", parameters: str = "") -> str:
    named = f'entry = "{entry}"\n' if entry else ""
    return f'convention = "{convention}"\nforbidden = []\n[[question]]\noperator = "{op}"\n{named}{parameters}'


def verdicts(text: str, seed: int = 0, only: set[str] | None = None, feedback: str = "part") -> list[Caught]:
    right, *mistakes = check(parse(text), seed, only, feedback)
    assert right.mistake is None
    assert not right.caught, [(c.part, c.message) for c in right.checks if c.score != c.points]
    return mistakes


def grades_every_mistake(text: str, only: set[str] | None = None, feedback: str = "part") -> None:
    question = parse(text).questions[0]
    kind = question.convention.name
    missed = []
    for each in verdicts(text, only=only, feedback=feedback):
        assert each.mistake is not None
        name = each.mistake.name
        if not each.caught:
            missed.append(each.mistake)
        elif not (kind == "module" and name in REFUSED_BY_TORCH) and name not in TOLD_OTHERWISE:
            assert each.named, (name, [(c.part, c.message, c.mistakes) for c in each.checks if c.score != c.points])
    excused = RIGHT.get((kind, question.op.name), set()) | UNASKED.get(question.op.name, set())
    samples = SAMPLES if only is None else SAMPLES // 4
    for trial in within(question, samples) if missed else ():
        for mistake in missed:
            if mistake.name not in excused:
                assert not differs(question, mistake, trial), (mistake.name, trial.case)


# --- what no case can show ---


def within(question: Question, samples: int) -> Iterator[Trial]:
    """Trials that the ranges allow, most of them from the operator's own sampler, which knows nothing of grading."""
    scope, op = question.scope, question.op
    drawn = [trial for seed in range(3) for trial in draw(scope, "float64", [seed], False).ordinary]
    yield from (directed(question, trial.case) for trial in drawn)
    kinds = {_kind(trial.case) for trial in drawn}
    for index in range(samples):
        case = scope.narrowed(op.sample(RandomChooser([7, index], lambda rng: ExactValues(rng, 9))))
        first = next(iter(case.arrays.values()))
        ignored = case.params.get("ignore_index", -100) in case.arrays.get("target", first) and "target" in case.arrays
        untied = True in scope.options("ties", (True,)) or len(np.unique(first)) == first.size
        if _kind(case) in kinds and scope.holds(case) and untied and not ignored and _allowed(question, case):
            yield directed(question, case)


def _kind(case: Case) -> object:
    """Which arrays there are, with how many dimensions, and which of them share a shape."""
    first = next(iter(case.arrays.values())).shape
    return tuple((name, a.ndim, a.shape == first or name not in ("target",)) for name, a in case.arrays.items())


def _allowed(question: Question, case: Case) -> bool:
    try:
        question.op.checked(case)
    except ValueError:
        return False
    return all(a.size for a in case.arrays.values())


def directed(question: Question, case: Case) -> Trial:
    op = question.op
    rng = np.random.default_rng(0)
    shapes = {name: shape for name, shape in op.checked(case)[1].items() if op.output(name).differentiable}
    upstream = {name: np.asarray(rng.integers(1, 5, size=s), dtype=np.float64) for name, s in shapes.items()}
    if not question.entry.upstream:
        upstream = {name: np.ones(s) for name, s in shapes.items()}
    return Trial(case, "float64", "exact", cotangent=upstream)


def differs(question: Question, mistake: Mistake, trial: Trial) -> bool:
    """Whether a mistake gives another result or other gradients, beyond the bound."""
    check = Check(question.op, trial, None)
    with np.errstate(all="ignore"):
        if mistake.forward is not None:
            made = check.op.by_name(mistake.forward(check.op, check.p, **check.arrays), check.shapes)
            if not same(made, check.expected) and check.compare("rounding", "output", made).verdict is not None:
                return True
        if mistake.vjp is None:
            return False
        made = mistake.vjp(check.op, check.p, one_or_dict(check.op, trial.cotangent), **check.arrays)
        gradients = {name: each for name, each in made.items() if name != "target"}
        if same(gradients, check.expected_gradients):
            return False
        return check.compare("rounding", "gradient", gradients).verdict is not None


def same(made, expected) -> bool:
    """To the bit, as most are: then there is no bound to compute."""
    return all(np.array_equal(each, expected[name], equal_nan=True) for name, each in made.items() if name in expected)


# --- every convention ---


def a_share(convention: str, op: str, entry: str) -> set[str]:
    """In CI each mistake is tried with torch's own names (in all its parameters, for what is in WIDE), and in one of
    any five others: the rest is for the night."""
    names = [mistake.name for mistake in catalog.get(op).mistakes]
    if convention == "functional" and op not in WIDE:
        return set(names)
    others = [each for each in ALL if each[1] == op and (each[0] != "functional" or op in WIDE)]
    return set(names[others.index((convention, op, entry)) % 5 :: 5])


@pytest.mark.nightly
@pytest.mark.parametrize(("convention", "op", "entry"), FAST)
def test_mistakes_lose_marks_and_are_named(convention, op, entry, nightly):
    only = None if nightly else a_share(convention, op, entry)
    grades_every_mistake(asked(convention, op, entry), only, feedback="worked calculation")


@pytest.mark.slow
@pytest.mark.nightly
@pytest.mark.share(12)
@pytest.mark.torch
@pytest.mark.parametrize(("convention", "op", "entry"), [each for each in ALL if each not in FAST])
def test_mistakes_lose_marks_and_are_named_everywhere(convention, op, entry, nightly):
    grades_every_mistake(asked(convention, op, entry), only=None if nightly else a_share(convention, op, entry))


WIDE = {
    "conv2d": 'stride = [1, 2, [1, 2], [2, 1]]\npadding = [0, 1, [0, 1], [2, 1], "same"]\n'
    'dilation = [1, 2, [1, 2]]\ngroups = [1, 2]\npadding_mode = ["zeros", "reflect"]',
    "conv1d": 'padding = [0, 1, 2, "same"]\ndilation = [1, 2]\ngroups = [1, 2]\npadding_mode = ["zeros", "reflect"]',
    "max_pool1d": "dilation = [1, 2]\nceil_mode = [false, true]",
    "max_pool2d": "dilation = [1, 2]\nceil_mode = [false, true]",
    "avg_pool1d": "ceil_mode = [false, true]\ncount_include_pad = [true, false]",
    "avg_pool2d": 'ceil_mode = [false, true]\ncount_include_pad = [true, false]\ndivisor_override = ["none", 3]',
    "binary_cross_entropy": 'weight = [true, false]\nreduction = ["mean", "sum"]',
    "binary_cross_entropy_with_logits": "weight = [true, false]\npos_weight = [true, false]\n"
    'reduction = ["mean", "sum"]',
    "cross_entropy": "weight = [true, false]\nlabel_smoothing = [0.0, 0.25]\nignore_index = [-100, 1]\n"
    "probabilities = [true, false]",
    "nll_loss": "weight = [true, false]\nignore_index = [-100, 1]",
}


@pytest.mark.slow
@pytest.mark.nightly
@pytest.mark.share(4)
@pytest.mark.parametrize("op", sorted(WIDE))
def test_everything_that_was_taught_is_caught_and_named(op, nightly):
    for seed in (0, 1, 2, 3) if nightly else (0,):
        for each in verdicts(asked("functional", op, parameters=f"[question.parameters]\n{WIDE[op]}"), seed):
            assert each.caught or each.mistake.name in UNASKED.get(op, ()), (seed, each.mistake.name)
            assert each.named or not each.caught, (seed, each.mistake.name)


def test_an_assignment_that_asks_less_catches_less():
    found = verdicts(asked("functional", "linear", parameters="points = { forward = 1 }"))
    assert {each.mistake.name for each in found if not each.caught} == {
        each.mistake.name for each in found if each.mistake.vjp is not None
    }


@pytest.mark.parametrize(
    ("op", "mistake"),
    [
        ("group_norm", "weight_missing"),
        ("lstm_cell", "second_bias_missing"),
        ("dropout", "p_is_what_stays"),
        ("conv_transpose2d", "padding_added"),
        ("scaled_dot_product_attention", "diagonal_masked"),
    ],
)
def test_what_every_course_teaches_is_asked_by_default(op, mistake):
    (found,) = verdicts(asked("functional", op), only={mistake})
    assert found.caught and found.named


@pytest.mark.nightly
@pytest.mark.parametrize(("convention", "op"), [("cs231n", "linear"), ("cmu", "sgd")])
def test_a_mistake_loses_the_same_marks_by_any_seed(convention, op, nightly):
    scores = {each.mistake.name: each.score for each in verdicts(asked(convention, op), seed=0)}
    for seed in range(1, 10) if nightly else (1, 2):
        assert {each.mistake.name: each.score for each in verdicts(asked(convention, op), seed=seed)} == scores


# --- in loops, as students write them ---

WINDOW = "[n, :, i * s : i * s + HH, j * s : j * s + WW]"


@pytest.mark.parametrize(
    ("right", "wrong", "name"),
    [
        ("dw[f] += padded", "dw[f] = padded", "weight_gradient_of_the_last_product"),
        (f"dpadded{WINDOW} += w", f"dpadded{WINDOW} = w", "input_gradient_of_the_last_feature"),
        (f"padded{WINDOW} * w[f])", "padded[n, :, i : i + HH, j : j + WW] * w[f])", "windows_side_by_side"),
        ("for n, f, i, j in np.ndindex(*out.shape)", "for n, f, i, j in np.ndindex(1, *out.shape[1:])",
         "first_image_only"),
        ("(pad, pad), (pad, pad)))\n    (N", "(0, 2 * pad), (0, 2 * pad)))\n    (N", "padding_after_only"),
        ("x - x.max(axis=1, keepdims=True)", "x", "maximum_not_subtracted"),
    ],
)  # fmt: skip
def test_slips_in_loops_are_named(right, wrong, name):
    code = solution("cs231n")
    assert right in code
    special = {"vjp = 4": 'vjp = 4, "special values" = 1'} if "axis" in right else {}
    asked = assignment("cross_entropy" if "axis" in right else "conv2d", convention="cs231n", changes=special)
    result = graded(code.replace(right, wrong), asked)
    assert {mistake for check in result.checks for mistake in check.mistakes} == {name}
