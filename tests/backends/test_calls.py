"""How somebody's function is called: what torch gives by position, what a signature demands, what it does not take."""

import numpy as np
import pytest

from opcheck import verify
from opcheck.app import findings
from opcheck.backends import load
from opcheck.backends.base import arguments, lacking
from opcheck.operators import catalog
from opcheck.verification.run import Shard, run_shard
from tests.verification.refusal import refusal

torch = pytest.importorskip("torch")


def called(op, *arrays, function=None, **params):
    case = catalog.get(op).case(*arrays, **params)
    return arguments(catalog.get(op), {name: name for name in case.arrays}, case.params, function)


def test_inputs_are_given_by_position_up_to_torchs_first_parameter():
    x = np.ones((2, 3))
    assert called("mse_loss", x, x, weight=x, reduction="sum") == (
        ["input", "target"],
        {"weight": "weight", "reduction": "sum"},
    )
    assert called("linear", x, x, np.ones(2)) == (["input", "weight", "bias"], {})


def test_a_parameter_without_a_default_is_always_given():
    x, weight = np.ones((1, 1, 4)), np.ones((1, 1, 2))
    demanding = lambda x, weight, bias=None, *, stride, padding: None  # noqa: E731  a signature is all that counts
    assert called("conv1d", x, weight, function=demanding)[1] == {"stride": 1, "padding": 0}
    assert called("conv1d", x, weight, function=demanding, stride=2)[1] == {"stride": 2, "padding": 0}


def conv1d(x, weight, bias, stride, padding):
    """All that a kernel takes, and no defaults."""
    if x.ndim == 2:
        return conv1d(x[None], weight, bias, stride, padding)[0]
    (stride,), (before, after) = np.ravel(stride), padding_of(padding, weight.shape[-1])
    x = np.pad(x, ((0, 0), (0, 0), (before, after)))
    places = range(0, x.shape[-1] - weight.shape[-1] + 1, stride)
    found = [np.einsum("nck,ock->no", x[..., at : at + weight.shape[-1]], weight) for at in places]
    return (np.stack(found, axis=-1) + bias[:, None]).astype(x.dtype)


def padding_of(padding, k):
    if isinstance(padding, str):
        return ((k - 1) // 2, k // 2) if padding == "same" else (0, 0)
    return int(np.ravel(padding)[0]), int(np.ravel(padding)[0])


def test_cases_without_an_array_that_is_demanded_are_left_out_and_counted():
    report = verify("conv1d", conv1d, arrays="numpy", cases=60, seed=1, claims=("exact", "rounding"))
    assert report.agrees and report.checked
    assert report.left_out["conv1d", "calls without bias"] > 0


def test_a_signature_that_fits_no_case_is_said():
    from opcheck.verification.run import nothing_checked

    report = verify("relu", lambda x, y, z: x, arrays="numpy", cases=5, seed=1)
    assert "calls without y" in nothing_checked(report)


def test_a_parameter_takes_no_input():
    """f(input, weight, stride) is called without a bias, which would come in the place of the stride."""
    case = catalog.get("conv1d").case(np.ones((1, 1, 4)), np.ones((1, 1, 2)), np.ones(1), stride=2)
    assert lacking(catalog.get("conv1d"), case, lambda x, weight, stride=1: None) == "bias"
    assert lacking(catalog.get("conv1d"), case, lambda x, weight, b, stride=1: None) == ""


@pytest.mark.parametrize(
    ("candidate", "left_out"),
    [
        (lambda x, dim=-1: torch.softmax(x, dim), "torch's default of dim"),
        (lambda x, dim: torch.softmax(x, dim), "calls without dim"),
        (lambda x: torch.softmax(x, -1), "torch's default of dim"),
        (lambda input: input.softmax(-1), "dim"),
    ],
)
def test_a_softmax_of_its_own_signature_is_judged_by_it(candidate, left_out):
    report = verify("softmax", candidate, arrays="torch", cases=40, seed=None)
    assert report.agrees, f"{report} (seed {report.seed})"
    assert ("softmax", left_out) in report.left_out


def test_a_softmax_of_the_first_axis_is_still_refused():
    found, seed = refusal(catalog.get("softmax"), load(lambda x: torch.softmax(x, 0), "torch"), 40)
    assert found is not None, seed


@pytest.mark.parametrize(
    ("op", "place"),
    [("conv2d", "nn.functional.conv2d"), ("linear", "nn.functional.linear"), ("softmax", "softmax"), ("relu", "relu"),
     ("avg_pool2d", "nn.functional.avg_pool2d")],
)  # fmt: skip
def test_a_builtin_takes_the_parameters_that_torch_has(op, place):
    function = torch
    for part in place.split("."):
        function = getattr(function, part)
    report = verify(op, function, cases=30, seed=None)
    assert report.agrees and report.checked, f"{report} (seed {report.seed})"


def test_the_library_that_does_the_work_is_named():
    """Where a kernel may not call what it replaces, its report says whether it does."""

    def wrapped(input, weight, bias=None):
        return torch.nn.functional.linear(input, weight, bias)

    def by_hand(input, weight, bias=None):
        y = (input[..., None, :] * weight).sum(-1)
        return y if bias is None else y + bias

    def reports(candidate):
        op = catalog.get("linear")
        report = run_shard(op, Shard("linear", "float32", 1, 0, 3), load(candidate, "torch"), wanted=["exact"])
        return report.library, [line for line in findings.notes(report) if "torch's own" in line]

    library, (line,) = reports(wrapped)
    assert library["linear"] <= {"aten.addmm", "aten.mm", "aten.linear", "aten.mv"}
    assert line.startswith("linear: the call runs torch's own operators aten.")
    assert reports(by_hand) == ({"linear": set()}, [])
