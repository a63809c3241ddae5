"""Claims about calls in a row: kernels that keep what they should not are found."""

import time

import numpy as np
import pytest

from opcheck import backends, verify
from opcheck.operators import catalog
from opcheck.operators.spec import Case
from opcheck.verification.casefile import Trial
from opcheck.verification.check import Check
from opcheck.verification.claims.repetition import into_out, neighbours, repeat, state
from opcheck.verification.run import answered
from opcheck.verification.streams import trial
from opcheck.verification.watcher import Watcher

torch = pytest.importorskip("torch")
CASES = 45


def failures(op, candidate):
    return verify(op, candidate, cases=CASES, seed=4).failures


def test_one_buffer_for_all_outputs_is_found():
    kept = {}

    def relu(input):
        if input.requires_grad:
            return torch.relu(input)
        out = kept.setdefault((input.shape, input.dtype), torch.empty_like(input))
        return out.copy_(torch.relu(input))

    found = {(each.claim, each.message) for each in failures("relu", relu)}
    assert ("pure", "a second call changed the output of the first") in found


def test_a_buffer_that_threads_share_is_found():
    kept = {}

    def relu(input):
        room = kept.setdefault((input.shape, input.dtype), torch.empty_like(input))
        room.copy_(input.detach())
        time.sleep(0.001)
        return torch.where(room > 0, input, torch.zeros_like(input)) if input.requires_grad else room.clamp(min=0)

    found = failures("relu", relu)
    assert "repeat" in {each.claim for each in found}
    assert "the same call gave a different output in another thread" in {each.message for each in found}


def test_a_cache_that_forgets_a_parameter_is_found():
    kept = {}

    def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
        key = (input.shape, weight.shape, stride, padding, groups)
        dilation = kept.setdefault(key, dilation)
        return torch.nn.functional.conv1d(input, weight, bias, stride, padding, dilation, groups)

    found = failures("conv1d", conv1d)
    after = "after a call of the same shapes with a different dilation"
    assert found and any(each.message.endswith(after) for each in found)


@pytest.mark.parametrize(
    ("harm", "claim", "says"),
    [
        (
            "raises",
            "answers",
            "raised ValueError: no dilation after a call of the same shapes with a different dilation",
        ),
        ("cuts", "shape", "it should be (1, 1, 1) after a call of the same shapes with a different dilation"),
    ],
)
def test_what_another_call_raises_or_returns_is_its_own_failure(harm, claim, says):
    def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
        if dilation not in (1, (1,)):
            if harm == "raises":
                raise ValueError("no dilation")
            return torch.zeros(1, 1, 7)
        return torch.nn.functional.conv1d(input, weight, bias, stride, padding, dilation, groups)

    op = catalog.get("conv1d")
    case = op.case(np.arange(3.0).reshape(1, 1, 3), np.ones((1, 1, 2)))
    check = Check(op, Trial(case, policy="exact"), backends.load(conv1d, "torch"))
    found = [each.verdict for each in state(check) if each.verdict]
    (verdict,) = [each for each in found if each.trial.case.params.get("dilation") not in (None, 1, (1,))]
    assert verdict.claim == claim and says in verdict.message


class Relu(torch.autograd.Function):
    """Its backward pass writes where it should not: into the cotangent, or into what the forward pass saved."""

    @staticmethod
    def forward(ctx, x):
        ctx.mask = (x > 0).to(x.dtype)
        return torch.relu(x)


class IntoCotangent(Relu):
    @staticmethod
    def backward(ctx, g):
        return g.mul_(ctx.mask)


class IntoSaved(Relu):
    @staticmethod
    def backward(ctx, g):
        found = g * ctx.mask
        ctx.mask.zero_()
        return found


def test_a_backward_pass_that_writes_into_its_cotangent_is_found():
    messages = {
        each.message for each in failures("relu", lambda input: IntoCotangent.apply(input)) if each.claim == "pure"
    }
    assert messages == {"the backward pass changed its cotangent"}


def test_a_backward_pass_that_spoils_what_was_saved_is_found():
    found = failures("relu", lambda input: IntoSaved.apply(input))
    assert "in a second backward pass" in {each.message for each in found if each.claim == "state"}


def test_neighbours_differ_in_one_legal_parameter():
    op = catalog.get("conv2d")
    for index in range(32):
        case = trial(op, "float32", 3, index).case
        for name, other in neighbours(op, case):
            op.checked(other)
            assert [each for each in other.params if other.params[each] != case.params.get(each)] == [name]


def test_no_neighbour_has_a_window_in_the_padding_altogether():
    """Where torch's index lies beyond the input."""
    params = {"kernel_size": (4, 2), "padding": (1, 1), "ceil_mode": True}
    case = catalog.get("max_pool2d").case(np.ones((1, 2, 1)), **params)
    found = {name for name, _ in neighbours(catalog.get("max_pool2d"), case)}
    assert "dilation" not in found and "ceil_mode" in found


def of_memory(op, candidate, **params):
    """What `state` finds of one trial whose numbers are not the same from both ends."""
    arrays = {"input": np.array([[-1.0, 2.0, 3.0, 4.0]])}
    directions = {"cotangent": {"output": np.array([[1.0, 2.0, 3.0, 4.0]])}, "tangents": {"input": arrays["input"]}}
    made = Trial(Case(op, arrays, params), "float32", "real", **directions)
    check = Check(catalog.get(op), made, backends.load(candidate))
    return [each.verdict for each in state(check) if each.verdict is not None]


def test_a_cache_by_address_is_found():
    kept = {}

    def relu(input):
        if input.requires_grad:
            return torch.relu(input)
        key = (input.data_ptr(), input.shape)
        if key not in kept:
            kept[key] = input, torch.relu(input)
        return kept[key][1].clone()

    found = of_memory("relu", relu)
    assert found and found[0].message.endswith("after its inputs were changed in place")


def test_what_the_later_of_two_calls_saved_is_found():
    class Relu(torch.autograd.Function):
        saved = None

        @staticmethod
        def forward(ctx, input):
            Relu.saved = input > 0
            return torch.where(Relu.saved, input, 0.0)

        @staticmethod
        def backward(ctx, g):
            return g * Relu.saved

    def relu(input):
        return Relu.apply(input)

    found = of_memory("relu", relu)
    assert found and found[-1].message.endswith("in the backward pass of one of two calls")


def test_another_answer_in_inference_mode_is_found():
    def relu(input):
        return torch.relu(input) + float(torch.is_inference_mode_enabled())

    found = of_memory("relu", relu)
    assert found and found[0].message.endswith("in inference mode")


def test_a_right_function_keeps_nothing():
    assert not of_memory("relu", torch.nn.functional.relu)


def test_what_a_call_that_raised_leaves_behind_is_found():
    kept = {}

    def linear(input, weight):
        kept["scale"] = kept.get("scale", 0) + 1  # taken back at the end, which a call that raises does not reach
        y = (input @ weight.T) * kept["scale"]
        kept["scale"] -= 1
        return y

    op = catalog.get("linear")
    check = Check(op, Trial(op.case(np.ones((2, 3)), np.ones((4, 3))), policy="exact"), backends.load(linear, "numpy"))
    found = [each.verdict for each in state(check) if each.verdict]
    assert found and found[0].message.endswith("after a call that raised")


def tail_lost(input, dim=None):
    """No state: rows of more than 4 lose their last number, which shows where that is not -inf."""
    x = input if dim is None or input.shape[dim] <= 4 else np.where(np.arange(input.shape[dim]) < 4, input, -np.inf)
    e = np.exp(x - x.max(axis=dim, keepdims=True))
    return (e / e.sum(axis=dim, keepdims=True)).astype(input.dtype)


def test_what_is_wrong_by_itself_is_not_blamed_on_another_call():
    case = catalog.get("softmax").case(np.array([[0.0, 1.0, 2.0, 3.0, -200.0]]), dim=1)
    check = Check(catalog.get("softmax"), Trial(case, "float32", "real"), backends.load(tail_lost, arrays="numpy"))
    found = [each for each in state(check) if each.verdict is not None]
    assert found and {each.claim for each in found} == {each.verdict.claim for each in found} == {"rounding"}
    assert all("after its inputs" not in each.verdict.message for each in found)


class Noting(Watcher):
    """Keeps what would be saved if the process died."""

    def runs(self, trial):
        self.saved = trial


def test_a_crash_after_a_call_of_another_shape_is_saved_with_both_calls():
    op, made, sizes = catalog.get("relu"), trial(catalog.get("relu"), "float32", 3, 1), []

    def relu(input):
        sizes.append(input.size)
        return np.maximum(input, 0)

    watcher = Noting()
    list(repeat(Check(op, made, backends.load(relu, "numpy"), watcher)))
    assert watcher.saved.case is made.case and watcher.saved.before.arrays["input"].size == sizes[1]
    sizes.clear()
    list(repeat(Check(op, watcher.saved.replace(address=()), backends.load(relu, "numpy"))))
    assert watcher.saved.before.arrays["input"].size == sizes[1]


# --- out= -------------------------------------------------------------------------------------------------------------


def softmax_into(ignored=False, twice=False):
    """With an argument `out`, as functions of numpy have it."""

    def softmax(input, dim=-1, out=None):
        y = np.empty_like(input) if out is None or ignored else out
        m = input.max(dim, keepdims=True, initial=-np.inf)
        np.exp(input - m, out=y)
        return np.divide(y, (np.exp(input - m) if twice else y).sum(dim, keepdims=True), out=y)

    return softmax


def said_of_out(op, candidate):
    """What is found of one call; what it raises, too."""
    made = trial(catalog.get(op), "float32", 3, 1)
    backend = backends.load(candidate, "numpy" if op == "softmax" else "torch")
    found = answered("state", made, backend, lambda: list(into_out(Check(catalog.get(op), made, backend))))
    return {each.verdict.message for each in found if each.verdict is not None}


def test_what_is_given_as_out_is_written_and_may_be_the_input():
    assert said_of_out("softmax", softmax_into()) == set()
    assert said_of_out("softmax", softmax_into(ignored=True)) == {
        "in the array given as out", "where out is its input input"
    }  # fmt: skip
    assert said_of_out("softmax", softmax_into(twice=True)) == {"where out is its input input"}


def test_tensors_as_out():
    def relu(input, *, out=None, lost=False):
        return torch.clamp(input, min=0, out=None if lost else out)

    def behind(input, *, out=None):
        if out is not None and out.numel():
            out.as_strided((out.numel() + 1,), (1,), out.storage_offset())[-1] = 0
        return relu(input, out=out)

    assert said_of_out("relu", relu) == set()
    lost = said_of_out("relu", lambda input, *, out=None: relu(input, out=out, lost=True))
    assert "in the array given as out" in lost
    (message,) = said_of_out("relu", behind)
    assert message.endswith("it writes past the end of its output's memory")
