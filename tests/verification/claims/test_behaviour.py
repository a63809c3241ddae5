"""Claims about memory layouts and about inputs that need no gradient: kernels that are wrong there are found."""

import pytest

from opcheck import verify
from opcheck.app.omissions import omissions
from opcheck.backends import load
from opcheck.operators import catalog
from opcheck.verification.casefile import from_json, to_json
from opcheck.verification.claims.behaviour import choices_to_freeze
from opcheck.verification.report import Report
from opcheck.verification.run import Shard, check_again, run_shard

torch = pytest.importorskip("torch")
CASES = 45


def product(backward):
    """x @ w.T with a backward pass of its own."""

    class Product(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, w):
            ctx.save_for_backward(x, w)
            return x @ w.t()

        @staticmethod
        def backward(ctx, g):
            x, w = ctx.saved_tensors
            return backward(ctx, g, x, w)

    def linear(input, weight):
        return Product.apply(input, weight) if weight.ndim == 2 else input @ weight

    return linear


def right(ctx, g, x, w):
    return g @ w, g.reshape(-1, w.shape[0]).t() @ x.reshape(-1, w.shape[1])


def of_sums_as_dense(ctx, g, x, w):
    """A gradient that is one number in memory, as that of a sum is, is read as if all its numbers were there."""
    return right(ctx, g * 0 if g.numel() > 1 and set(g.stride()) == {0} else g, x, w)


def of_rows_only(ctx, g, x, w):
    """A transposed gradient is read row by row."""
    return right(ctx, g if g.is_contiguous() or g.ndim != 2 else g.t().reshape(g.shape), x, w)


def weight_with_input_only(ctx, g, x, w):
    """The first layer of a network has an input that needs no gradient; its weight gets none either."""
    of_x, of_w = right(ctx, g, x, w)
    return of_x, of_w if ctx.needs_input_grad[0] else of_w * 0


def failed(candidate, op="linear"):
    """The claims of which a candidate fails a run."""
    return {each.claim for each in verify(op, candidate, cases=CASES, seed=4).failures}


def test_a_right_product_agrees():
    assert failed(product(right)) == set()


@pytest.mark.parametrize("backward", [of_sums_as_dense, of_rows_only])
def test_the_gradient_comes_in_other_memory_too(backward):
    assert failed(product(backward)) == {"layout"}


def test_each_input_is_frozen_in_turn():
    report = verify("linear", product(weight_with_input_only), cases=CASES, seed=4)
    first = report.failures[0]
    assert {each.claim for each in report.failures} == {"frozen"}
    assert first.trial.frozen == ("input",) and first.message == "where input needs no gradient"


def test_a_wrong_path_without_gradients_is_found():
    def linear(input, weight, bias=None):
        y = torch.nn.functional.linear(input, weight, bias)
        return y if torch.is_grad_enabled() else y + 1

    report = verify("linear", linear, cases=CASES, seed=4)
    assert {each.claim for each in report.failures} == {"frozen"}
    assert report.failures[0].message == "where no input needs a gradient"


@pytest.mark.parametrize("backward", [of_sums_as_dense, weight_with_input_only])
def test_a_saved_case_keeps_what_was_frozen_and_how_memory_lay(backward):
    """So that the gradient itself is wrong when the case runs again."""
    candidate = product(backward)
    trial = verify("linear", candidate, cases=CASES, seed=4).failures[0].trial
    report = Report()
    check_again(catalog.get("linear"), from_json(to_json(trial)), load(candidate), report)
    assert "vjp:weight" in {each.claim for each in report.failures}


def rows_and_frozen(ctx, g, x, w):
    """Two faults: of another memory, and where the input needs no gradient."""
    of_x, of_w = of_rows_only(ctx, g, x, w)
    return of_x, of_w if ctx.needs_input_grad[0] else of_w * 2


def judged(candidate, *claims):
    """Some random cases, as they came: nothing gets small."""
    return run_shard(catalog.get("linear"), Shard("linear", "float32", 4, 0, CASES), load(candidate), wanted=claims)


def test_one_fault_does_not_hide_another():
    report = judged(product(rows_and_frozen), "layout", "frozen")
    assert {each.claim for each in report.failures} == {"layout", "frozen"}


def test_what_a_fault_hides_is_said_to_be_unjudged():
    """Of gradients that are wrong everywhere no other memory is asked."""
    twice = product(lambda ctx, g, x, w: tuple(2 * each + 1 for each in right(ctx, g, x, w)))
    report = judged(twice, "vjp", "frozen", "rate")
    (line,) = (line for line in omissions(report) if "hidden" in line)
    assert line == "hidden in most cases by earlier failures: frozen (judged in 3 of 8 cases) (linear float32)"
    (row,) = report.to_json()["hidden"]
    assert row["claim"] == "frozen" and row["judged"] < row["cases"]
    assert not judged(torch.nn.functional.linear, "frozen").hardly_judged


def frozen_beside_other_memory(ctx, g, x, w):
    """As torch's group_norm, which ends the process there: of memory that is not contiguous and needs no gradient."""
    of_x, of_w = right(ctx, g, x, w)
    return of_x, of_w if ctx.needs_input_grad[0] or x.is_contiguous() else of_w * 2


def test_what_is_frozen_is_asked_in_other_memory_too():
    (first, *_) = verify("linear", product(frozen_beside_other_memory), cases=CASES, seed=4).failures
    assert (first.claim, first.trial.frozen) == ("frozen", ("input",)) and first.trial.layout != "contiguous"
    assert first.message == f"where input needs no gradient for {first.trial.layout} memory only"


def test_a_fault_of_any_memory_is_not_said_to_be_one_of_some():
    for each in judged(product(weight_with_input_only), "frozen").failures:
        assert each.trial.layout == "contiguous" and "memory" not in each.message


class Shifted(torch.autograd.Function):
    """The input as it is, whose tangent is read as if its memory were contiguous."""

    @staticmethod
    def forward(x):
        return x.clone()

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.plain = inputs[0].is_contiguous()

    @staticmethod
    def backward(ctx, g):
        return g

    @staticmethod
    def jvp(ctx, t):
        return t * 1 if ctx.plain else t * 2


def test_tangents_are_asked_in_other_memory_too():
    report = judged(lambda input, weight: Shifted.apply(input) @ weight.t(), "jvp", "layout")
    assert {each.claim for each in report.failures} == {"layout"}
    assert all(each.trial.layout != "contiguous" for each in report.failures)


def test_what_is_frozen():
    assert choices_to_freeze(["x"]) == [("x",)]
    assert choices_to_freeze(["x", "w"]) == [("x",), ("w",), ("x", "w")]
    assert choices_to_freeze(["x", "w", "b"]) == [
        ("x",), ("w",), ("b",), ("w", "b"), ("x", "b"), ("x", "w"), ("x", "w", "b"),
    ]  # fmt: skip
