"""Lower precision is named, and no failure where it is allowed; no wrong structure hides behind it."""

import io
import json
import secrets

import numpy as np
import pytest

from opcheck import verify
from opcheck.app import findings, page, reports
from opcheck.backends import load
from opcheck.backends.allowance import allowance
from opcheck.operators import catalog
from opcheck.verification.diagnosis.precision import TRANSFORM_NAME
from opcheck.verification.mutation.mutants import MENDED_BY_AUTOGRAD, Mistaken, Mutant, backend
from opcheck.verification.mutation.mutations import GENERAL
from opcheck.verification.mutation.reference_form import Reference
from opcheck.verification.mutation.score import kill
from opcheck.verification.run import Shard, run_shard
from opcheck.verification.verdict import Status
from tests.verification import coarse

TF32 = "TF32 (11 binary digits, rounded)"
CASES = 64
ENOUGH = {"linear": 160, "matmul": 40, "conv2d": 300}  # cases: convolutions that a transform fits are few
REDUCED = "reduced-precision reductions (partial sums in bfloat16)"


def checked(op, candidate, **options):
    return verify(op, candidate, **{"arrays": "numpy", "cases": CASES, "seed": None, **options})


def judged(op, candidate, cases, allow="", seed=None, dtype="float32"):
    """The values alone, of random cases, as they came: nothing gets small."""
    backend = load(candidate, "numpy")
    backend.allow = allowance(allow)
    seed = secrets.randbelow(2**32) if seed is None else seed
    return run_shard(catalog.get(op), Shard(op, dtype, seed, 0, cases), backend, wanted=["values"])


def names(report):
    return {name for counts in report.precision_counts().values() for name in counts}


# --- what is named --------------------------------------------------------------------------------------------------

USUAL = {
    "TF32 rounded": ("linear", coarse.linear(coarse.with_factors(11)), TF32, "tf32"),
    "TF32 truncated": ("linear", coarse.linear(coarse.with_factors(11, truncate=True)),
                       "TF32 (11 binary digits, truncated)", "tf32"),
    "bfloat16 factors": ("linear", coarse.linear(coarse.with_factors(8)), "bfloat16 inputs", "bfloat16-inputs"),
    "float16 factors": ("linear", coarse.linear(coarse.with_half_factors), "float16 inputs", "float16-inputs"),
    "TF32 tensor core": ("linear", coarse.linear(coarse.tensor_core(11)), TF32, "tf32"),
    "TF32 matrices": ("matmul", coarse.matmul(coarse.with_factors(11)), TF32, "tf32"),
    "TF32 convolution": ("conv2d", coarse.conv2d(coarse.with_factors(11)), TF32, "tf32"),
    "F(4x4, 3x3)": ("conv2d", coarse.winograd(4), TRANSFORM_NAME, "transforms"),
    "FFT": ("conv2d", coarse.by_fft, TRANSFORM_NAME, "transforms"),
}  # fmt: skip


@pytest.mark.parametrize(("op", "candidate", "name", "word"), USUAL.values(), ids=USUAL)
def test_a_precision_that_is_allowed_is_named_and_fails_no_run(op, candidate, name, word):
    report = judged(op, candidate, ENOUGH[op], allow=word)
    assert report.agrees, f"seed {report.seed}: {report}"
    assert names(report) == {name}, f"seed {report.seed}: {report.precision_counts()}"
    example = report.lower_precision[0]
    assert example.status is Status.LOWER_PRECISION and not example.status.failed
    assert f"explained by {example.details['precision'][0]}" in example.message


@pytest.mark.parametrize(("op", "candidate", "name", "word"), USUAL.values(), ids=USUAL)
def test_on_a_cpu_they_are_failures_under_their_names(op, candidate, name, word):
    """Inputs rounded to float16 once agreed, and what overflows there was excused, too."""
    report = judged(op, candidate, cases=ENOUGH[op])
    assert not report.agrees and not report.lower_precision
    failed = [each for each in report.failures if each.claim in ("exact", "rounding")]
    assert failed and all(each.status is Status.DIFFERS for each in failed)
    assert all(name in each.details["precision"] for each in failed), f"seed {report.seed}"
    assert any(f"--allow {word}" in each.message for each in failed)


def test_what_is_allowed_excuses_nothing_else():
    """float16 has the digits of TF32 and less range: what overflows is no TF32."""
    report = judged("linear", coarse.linear(coarse.with_half_factors), 160, allow="tf32")
    assert not report.agrees
    assert all(each.details.get("precision", ("float16 inputs",))[0] == "float16 inputs" for each in report.failures)


def test_tensor_cores_truncate_their_sums():
    report = checked("linear", coarse.linear(coarse.tensor_core()), cases=160, allow=["tensor-core-sums"])
    assert report.agrees and names(report) <= {"truncating sums of tensor cores"}


def test_sums_of_tensor_cores_explain_nothing_where_there_are_none():
    """A data race on a CPU was once excused as that."""
    report = judged("linear", coarse.linear(coarse.tensor_core()), 160)
    assert report.failures and not any("precision" in each.details for each in report.failures)


@pytest.mark.parametrize("name", ["float16", "bfloat16"])
def test_few_digits_of_a_float32_sum_are_a_failure_with_a_name(name):
    failed = judged("linear", coarse.linear(coarse.with_sums(name)), CASES, seed=0).failures
    assert failed and all(each.status is Status.DIFFERS for each in failed)
    explained = [each.details["precision"] for each in failed if "precision" in each.details]
    assert (f"{name} accumulation",) in explained


# --- float16 and bfloat16: tiers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_the_smallest_tier_is_reported(dtype):
    best = checked("linear", coarse.linear(coarse.full), dtype=dtype)
    assert best.agrees and best.rows["linear", dtype, "rounding"].tier == "T1"
    assert not any("needs T" in line for line in findings.notes(best)) and not names(best)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_who_keeps_sums_in_the_storage_type_is_told_so(dtype):
    report = checked("linear", coarse.linear(coarse.with_sums(dtype)), dtype=dtype)
    row = report.rows["linear", dtype, "rounding"]
    assert report.agrees and row.tier == "T3" and names(report) == {f"{dtype} accumulation"}
    said = "\n".join(findings.notes(report))
    assert f"linear {dtype} needs T3, sums are rounded to {dtype} too: " in said
    assert f"lower precision: linear {dtype}: {dtype} accumulation, " in said
    data = next(each for each in report.to_json()["rows"] if each["claim"] == "rounding")
    assert data["tier"] == "T3" and set(data["lower_precision"]) == {f"{dtype} accumulation"}
    strict = judged("linear", coarse.linear(coarse.with_sums(dtype)), CASES, "none", dtype=dtype)
    assert not strict.agrees


def test_reductions_of_two_parts_are_named_in_bfloat16():
    report = checked("linear", coarse.linear(coarse.split(2, "bfloat16")), dtype="bfloat16", cases=160)
    assert report.agrees and REDUCED in names(report), f"seed {report.seed}"


def test_torch_stores_what_log_softmax_subtracts():
    pytest.importorskip("torch")
    report = verify("log_softmax", dtype="bfloat16", cases=60, claims=["rounding"])
    assert report.agrees and report.rows["log_softmax", "bfloat16", "rounding"].tier > "T1"
    assert any(line.startswith("log_softmax bfloat16 needs T") for line in findings.notes(report))


# --- what stays a bug -------------------------------------------------------------------------------------------------


class InTF32:
    """Before a wrong (or right) implementation: its factors are rounded to 11 digits, as TF32 does."""

    def forward(self, p, arrays):
        return super().forward(p, factors(arrays))

    def pull(self, p, cotangent, arrays):
        found = super().pull(p, coarse.few_digits(cotangent, 11), factors(arrays))
        return {**found, "bias": cotangent_sum(self.op, p, cotangent, arrays)} if type(self) is RightInTF32 else found

    def push(self, p, tangents, arrays):
        return super().push(p, factors(tangents), factors(arrays))


class RightInTF32(InTF32, Reference):
    pass


def factors(arrays):
    return {
        name: a if name == "bias" or a.dtype.kind != "f" else coarse.few_digits(a, 11) for name, a in arrays.items()
    }


def cotangent_sum(op, p, cotangent, arrays):
    return op.vjp(p, cotangent, **arrays).get("bias", np.zeros(()))


@pytest.mark.share(1)
@pytest.mark.parametrize("op", ["linear", "conv1d", "conv2d"])
def test_gradients_and_tangents_in_tf32_are_named_too(op):
    backend = load(RightInTF32(catalog.get(op)), "numpy")
    backend.allow = allowance("tf32")
    report = run_shard(catalog.get(op), Shard(op, "float32", secrets.randbelow(2**32), 0, 60), backend)
    assert report.agrees, f"seed {report.seed}: {report}"
    assert names(report) == {TF32}
    claims = {each.claim for each in report.lower_precision}
    assert claims >= {"rounding", "vjp:input", "vjp:weight", "jvp"} and "vjp:bias" not in claims


@pytest.mark.parametrize("name", ["linear", "conv1d", "conv2d"])
def test_no_mistake_hides_behind_tf32(name):
    """Each mistake and each general mutation, made in TF32: refused, and not as TF32."""
    op = catalog.get(name)
    wrong = {each.name: type(each.name, (InTF32, Mistaken), {})(op, each) for each in op.mistakes}
    wrong |= {each.__name__: type(each.__name__, (InTF32, each), {})(op) for each in GENERAL if each.fits(op)}
    lived = [
        label
        for label, candidate in wrong.items()
        if not kill(op, Mutant(name, label, "numpy", lambda made=candidate: backend(made))).cases
    ]
    assert lived == [] and len(wrong) > len(MENDED_BY_AUTOGRAD)


@pytest.mark.parametrize(
    ("op", "candidate"),
    [
        ("linear", coarse.linear(coarse.with_factors(11), bias_missing=True)),
        ("linear", coarse.linear(lambda a, b: coarse.with_factors(11)(a[:, :-1], b[:-1]))),
        ("linear", coarse.linear(lambda a, b: coarse.with_sums("float16")(a[:, :-1], b[:-1]))),
        ("conv2d", coarse.conv2d(coarse.with_factors(11), flipped=True)),
        ("conv2d", coarse.winograd(2, term_dropped=True)),
        ("conv2d", coarse.winograd(4, term_dropped=True)),
        ("linear", coarse.linear(lambda a, b: (a @ b) * (1 + 2.0**-11))),
    ],
    ids=["bias", "last term in TF32", "last term in float16 sums", "flipped", "F(2, 3)", "F(4, 3)", "factor"],
)
def test_a_bug_is_not_excused(op, candidate):
    report = judged(op, candidate, ENOUGH[op], allow=("tf32", "transforms", "float16-accumulation"))
    assert not report.agrees
    bugs = [each for each in report.failures if "precision" not in each.details]
    assert bugs and all(each.status is Status.DIFFERS for each in bugs)


def test_a_bug_stays_itself_while_it_gets_smaller():
    """TF32 fails in smaller cases than a missing bias does, and is not what the counterexample shows."""
    found = checked(
        "linear", coarse.linear(coarse.with_factors(11), bias_missing=True), cases=160, allow="tf32"
    ).failures
    assert "bias_missing" in {name for each in found for name in each.resembles}
    assert all("bias" in each.trial.case.arrays for each in found)


def fast_exp(x):
    """Schraudolph's exponential, refined: 2^x by a polynomial of degree 3, three digits."""
    t = np.clip(x * np.log2(np.e), -126, 127)
    k = np.floor(t)
    f = t - k
    return np.ldexp(1 + f * (0.695556856 + f * (0.226173572 + f * 0.0781455737)), k.astype(int))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_fast_exponential_is_no_precision_of_products(dtype):
    def softmax(input, dim=None):
        x = input.astype(np.float64)
        e = fast_exp(x - x.max(axis=dim, keepdims=True)) if dtype == "float32" else 1 + 0.9 * (x - x.max(axis=dim))
        return (e / e.sum(axis=dim, keepdims=True)).astype(input.dtype)

    report = judged("softmax", softmax, CASES, dtype=dtype)
    assert not report.agrees and not names(report)


# --- where it is said -------------------------------------------------------------------------------------------------


def test_every_report_says_it():
    from rich.console import Console

    report = checked("linear", coarse.linear(coarse.with_factors(11)), seed=0, allow="tf32")
    lines = findings.notes(report)
    assert any(line.startswith(f"lower precision: linear float32: {TF32}, ") for line in lines)
    assert "--strict-precision makes lower precision fail" in lines
    assert "lower precisions that are accepted: tf32" in lines
    assert f"some in lower precision: {TF32}" in str(report)
    shown = io.StringIO()
    Console(width=80, file=shown).print(findings.table(report))
    assert "p" in next(line for line in shown.getvalue().splitlines() if line.startswith("linear"))

    data = json.loads(json.dumps(report.to_json()))
    assert data["agrees"] and {each["status"] for each in data["lower_precision"]} == {"LOWER_PRECISION"}
    assert data["lower_precision"][0]["precision"][0] == TF32
    assert TF32 in next(row for row in data["rows"] if row["claim"] == "rounding")["lower_precision"]

    junit = reports.junit(report, 0.0)
    assert f"LOWER_PRECISION: {TF32}, " in junit and 'failures="0"' in junit
    shown = page.html(report, "kernels.py:linear", "", {})
    assert TF32 in shown and "in lower precision" in shown
    strict = checked("linear", coarse.linear(coarse.with_factors(11)), seed=0)
    assert f"explained by {TF32}" in reports.junit(strict, 0.0) and TF32 in strict.counterexample.resembles


def test_shards_merge_what_is_named():
    whole = checked("linear", coarse.linear(coarse.with_factors(11)), seed=3, cases=10, allow="tf32")
    other = checked("linear", coarse.linear(coarse.with_factors(11)), seed=4, cases=10, allow="tf32")
    counts = (
        whole.precision_counts()["linear", "float32"].total() + other.precision_counts()["linear", "float32"].total()
    )
    whole.merge(other)
    assert whole.precision_counts()["linear", "float32"].total() == counts
    assert len(whole.lower_precision) == len({each.claim for each in whole.lower_precision})


def test_a_backward_pass_that_changes_its_cotangent_is_told():
    torch = pytest.importorskip("torch")

    class Function(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, w):
            ctx.save_for_backward(x, w)
            return x @ w.T

        @staticmethod
        def backward(ctx, g):
            x, w = ctx.saved_tensors
            gradients = g @ w, g.T @ x
            g.mul_(2)
            return gradients

    def linear(input, weight):
        if input.ndim != 2 or weight.ndim != 2:
            raise NotImplementedError
        return Function.apply(input, weight)

    report = checked("linear", linear, arrays="torch", seed=1, cases=60)
    assert "the backward pass changed its cotangent" in {each.message for each in report.failures}
