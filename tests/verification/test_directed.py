"""Directed cases: the same for any number of random ones; what they plant, and what no kernel passes any more."""

import secrets

import numpy as np
import pytest

import opcheck
from opcheck import verify
from opcheck.backends import load
from opcheck.operators import catalog
from opcheck.verification import directed
from opcheck.verification.directed import MANY, Planted, Unseen, Wide, count, plans
from opcheck.verification.patterns import FIRST_INPUT, PLACES, STRUCTURES
from opcheck.verification.run import Shard, run_shard
from tests.verification.refusal import refusal

OPERATORS = pytest.mark.parametrize("op", catalog.every(), ids=lambda op: op.name)
CASES = pytest.mark.parametrize("cases", [1, 3])


def trials(op, seed=0, kind=(Planted, Wide)):
    return [
        directed.trial(op, "float32", seed, index)
        for index, plan in zip(range(-count(op), 0), plans(op), strict=True)
        if isinstance(plan, kind)
    ]


@OPERATORS
def test_every_operator_has_directed_cases_that_its_address_gives_back(op):
    assert count(op) >= 15
    for index in range(-count(op), 0, 7):
        one, other = (directed.trial(op, "float32", 3, index) for _ in range(2))
        op.checked(one.case)
        for name, array in one.case.arrays.items():
            assert np.array_equal(array, other.case.arrays[name], equal_nan=array.dtype.kind == "f")


@CASES
def test_the_number_of_directed_cases_depends_on_no_number_of_random_ones(cases):
    report = verify("relu", cases=cases, claims=["exact"], seed=secrets.randbelow(2**31))
    assert (report.trials, report.directed) == (cases, count(catalog.get("relu")))
    assert max(report.blocks) == MANY and 4096 in report.blocks


def test_block_sizes_are_spread_over_runs():
    op = catalog.get("softmax")
    used = [{made.block for made in trials(op, seed, Wide)} for seed in range(6)]
    assert len(set.union(*used)) > len(used[0]) > 4


def test_every_place_and_structure_is_used():
    assert {pattern.place for pattern in FIRST_INPUT} == set(PLACES)
    used = {name for along, *_ in directed.ALONG for name in directed.FAMILIES.get(along, (along,))}
    assert used - {"whole numbers"} == set(STRUCTURES)


@pytest.mark.parametrize("name", ["softmax", "layer_norm", "cross_entropy", "conv2d", "matmul", "batch_norm"])
def test_most_wide_cases_are_wide(name):
    op = catalog.get(name)
    made = trials(op, 1, Wide)
    assert sum(trial.block > 0 for trial in made) > len(made) / 2
    assert max(max(array.shape, default=0) for trial in made for array in trial.case.arrays.values()) > 8000


def test_a_block_of_a_single_place_is_missed():
    """Its products were lost in sums too long to be exact, from this seed on."""
    kernel = load(without_its_last_block(4096), "numpy")
    assert refusal(catalog.get("linear"), kernel, cases=0, seed=702795817, wanted=["exact"])[0]


def test_each_size_of_matrices_is_beside_each_block():
    """A tile of 16 rows with a 17th was met by chance only."""
    op, ranks = catalog.get("matmul"), (("input", 2), ("other", 2))
    cases = [directed.trial(op, "float32", 5, k) for k, plan in enumerate(plans(op), -count(op)) if plan[0] == ranks]
    shapes = [(*made.case.arrays["input"].shape, made.case.arrays["other"].shape[-1]) for made in cases]
    assert cases and all({*directed.AROUND} <= {shape[k] for shape in shapes} for k in range(3))


def test_probabilities_get_wide_with_their_classes():
    op = catalog.get("cross_entropy")
    made = [trial for trial in trials(op, 1, (Wide, directed.Around)) if trial.case.arrays["target"].dtype.kind == "f"]
    assert max(trial.case.arrays["target"].shape[1] for trial in made if trial.case.arrays["target"].ndim == 2) > 100


def test_a_special_number_stands_only_where_any_number_may():
    """Not among probabilities, variances and class weights."""
    assert directed.probed(catalog.get("binary_cross_entropy")).inputs == ()
    assert "exp_avg_sq" not in directed.probed(catalog.get("adam")).inputs


# --- kernels that agreed before ---------------------------------------------------------------------------------------


def rows(x, dim):
    return np.moveaxis(x, (0 if x.ndim in (1, 3) else 1) if dim is None else dim, -1)


def online_softmax(block, rescaled=True, safe=True):
    """Row by row in blocks, with a running maximum."""

    def softmax(x, dim=None):
        if not x.size or not x.ndim:
            return np.exp(x - x)
        y = rows(x, dim)
        m = np.full((*y.shape[:-1], 1), -np.inf, x.dtype)
        total = np.zeros_like(m)
        for k in range(0, y.shape[-1], block):
            new = np.maximum(m, y[..., k : k + block].max(-1, keepdims=True))
            shift = np.where(np.isneginf(new), 0, new) if safe else new
            if rescaled:
                total = np.where(np.isneginf(m) & safe, 0, total * np.exp(m - shift))
            total = total + np.exp(y[..., k : k + block] - shift).sum(-1, keepdims=True)
            m = new
        axis = 0 if dim is None and x.ndim in (1, 3) else 1 if dim is None else dim
        return np.moveaxis(np.exp(y - m) / total, -1, axis).astype(x.dtype)

    return softmax


def without_its_last_block(block):
    def linear(x, weight, bias=None):
        opcheck.reference.linear(x, weight, bias)
        n = x.shape[-1]
        whole = n - n % block if n > block else n
        y = opcheck.reference.linear(x[..., :whole], weight[..., :whole], bias)
        return y.astype(x.dtype)

    return linear


def nan_becomes_zero(x):
    return np.where(x > 0, x, np.zeros_like(x))


def clamped(x, target, weight=None, reduction="mean"):
    losses = np.minimum((x - target) ** 2, np.float32(1e15))
    losses = losses if weight is None else losses * weight
    return losses if reduction == "none" else np.asarray(losses.sum() if reduction == "sum" else losses.mean(), x.dtype)


class FlatAtZero:
    """The gradient of a logit of exactly 0 is 0."""

    def __call__(self, *args, **options):
        return opcheck.reference.binary_cross_entropy_with_logits(*args, **options).astype(np.float32)

    def vjp(self, g, *args, **options):
        found = opcheck.reference.binary_cross_entropy_with_logits.vjp(g, *args, **options)
        found = {name: np.asarray(each, np.float32) for name, each in found.items()}
        return {**found, "input": np.where(args[0] == 0, np.float32(0), found["input"])}


def sixteen_bits(x):
    y = np.where(x < 0, np.float32(0), x)
    y.reshape(-1)[MANY:] = 0
    return y


def seventeenth_row_lost(input, other):
    y = opcheck.reference.matmul(input, other).astype(np.float32)
    if y.ndim == 2:
        y[16:17] *= len(y) != 17
    return y


def zeros_skipped(input, other):
    """Of two matrices only."""
    y = opcheck.reference.matmul(input, other)
    if input.ndim == other.ndim == 2:
        y = sum((np.where(a[:, None] == 0, 0, a[:, None] * b) for a, b in zip(input.T, other, strict=True)), 0 * y)
    return y.astype(np.float32)


WRONG = {
    **{f"online softmax {n}": ("softmax", online_softmax(n, rescaled=False), "rounding") for n in (64, 256, 1024)},
    **{f"masked softmax {n}": ("softmax", online_softmax(n, safe=False), "special") for n in (128, 1024)},
    **{f"linear {n}": ("linear", without_its_last_block(n), "exact") for n in (32, 512, 4096)},
    "nan": ("relu", nan_becomes_zero, "special"),
    "clamp": ("mse_loss", clamped, "special"),
    "logit 0": ("binary_cross_entropy_with_logits", FlatAtZero(), "vjp"),
    "17 rows": ("matmul", seventeenth_row_lost, "exact"),
    "0·∞ of matrices": ("matmul", zeros_skipped, "special"),
    "65,536 rows": ("relu", sixteen_bits, "exact"),
}


def found(op, function, claims=None):
    """What a run of directed cases alone finds, from a seed that nobody knows before; nothing is made smaller."""
    spec = catalog.get(op)
    shard = Shard(op, "float32", secrets.randbelow(2**31), -count(spec), 0)
    with np.errstate(all="ignore"):
        return run_shard(spec, shard, load(function, "numpy"), wanted=claims)


@pytest.mark.parametrize("kernel", WRONG)
def test_a_kernel_that_chance_let_pass_is_refused_from_any_seed(kernel):
    op, function, claim = WRONG[kernel]
    failure, seed = refusal(catalog.get(op), load(function, "numpy"), cases=0, wanted=[claim])
    assert failure, seed


@pytest.mark.parametrize("block", [64, 1024])
def test_a_right_kernel_in_blocks_agrees(block):
    report = found("softmax", online_softmax(block))
    assert report.agrees, (report.seed, str(report))


def test_a_window_that_sees_padding_only_is_drawn_where_a_process_may_end():
    op = catalog.get("max_pool1d")
    assert plans(op)[-1] == Unseen() and Unseen() not in plans(catalog.get("conv1d"))
    made = directed.trial(op, "float32", 0, -1)
    assert made.alone and np.isneginf(op.run(made.case)["output"]).any()
    (why,) = {
        why for _, why in found("max_pool1d", opcheck.reference.max_pool1d, ["rounding"]).left_out if "windows" in why
    }
    assert why == "windows entirely within the padding, without worker processes"
