"""A snippet runs by itself and prints the wrong number that was found."""

import contextlib
import io
import os
import subprocess
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

import opcheck
from opcheck import backends, verify
from opcheck.operators import catalog
from opcheck.operators.spec import Refused
from opcheck.verification.casefile import number_to_json
from opcheck.verification.diagnosis.snippet import snippet, written_numpy, written_torch
from tests.verification.refusal import refusal

NUMPY = """
import numpy as np

def linear(x, weight, bias=None):
    return x @ weight.T

def relu(x):
    return np.where(x > 0, x, 0 * x)

relu.vjp = lambda g, x: {"input": g}
relu.jvp = lambda t, x: 2 * t["input"] * (x > 0)
"""
TORCH = """
import torch

def relu(x):
    if not x.is_contiguous():
        x = x.contiguous() + 1
    return x.clamp(min=0)

def grouped(x, weight, bias=None, groups=1):
    return torch.nn.functional.conv2d(x, weight.flip(0), bias, groups=groups)

class Double(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, bias=None):
        ctx.save_for_backward(x, weight)
        return torch.nn.functional.linear(x, weight, bias)

    @staticmethod
    def backward(ctx, g):
        x, weight = ctx.saved_tensors
        return torch.autograd.functional.vjp(torch.nn.functional.linear, (x, weight), 2 * g)[1] + (None,)

class Linear(torch.nn.Linear):
    def forward(self, x):
        return torch.nn.functional.linear(x, self.weight)
"""


@pytest.fixture
def files(tmp_path):
    (tmp_path / "by_numpy.py").write_text(NUMPY)
    (tmp_path / "by_torch.py").write_text(TORCH)
    return tmp_path


def failures(op, place, **options):
    report = verify(op, place, cases=60, seed=1, **options)
    return {verdict.claim: verdict for verdict in reversed(report.failures)}


def printed(op, verdict, place, alone):
    """What the snippet of a verdict prints: in a process of its own, or (which is quicker) in names of its own."""
    found = {"claim": verdict.claim, "name": verdict.name, "at": list(verdict.at), "of": verdict.details.get("of", ""),
             "expected": number_to_json(verdict.expected), "got": number_to_json(verdict.got)}  # fmt: skip
    text = snippet(catalog.get(op), verdict.trial, found, place, backends.load(place))
    if not alone:
        shown = io.StringIO()
        with contextlib.redirect_stdout(shown), mock.patch.object(sys, "path", list(sys.path)):
            exec(compile(text, "snippet", "exec"), {"__name__": "__main__"})
        del sys.modules[Path(place.rpartition(":")[0]).stem]  # the next test has another file of this name
        return float(shown.getvalue())
    environment = {**os.environ, "PYTHONPATH": str(Path(opcheck.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, text + done.stderr
    return float(done.stdout)


@pytest.mark.share(4)
@pytest.mark.parametrize(
    ("op", "place", "claim", "alone"),
    [
        ("linear", "by_numpy.py:linear", "exact", True),
        ("relu", "by_numpy.py:relu", "vjp:input", False),
        ("relu", "by_numpy.py:relu", "jvp", True),
        ("relu", "by_torch.py:relu", "layout", False),
        ("conv2d", "by_torch.py:grouped", "exact", False),
        ("conv2d", "by_torch.py:grouped", "jvp", True),
        ("linear", "by_torch.py:Double", "vjp:weight", False),
    ],
)
def test_a_snippet_prints_what_was_found(files, op, place, claim, alone):
    if "torch" in place:
        pytest.importorskip("torch")
    place = f"{files}/{place}"
    arrays, asked = "torch" if "torch" in place else "numpy", claim.partition(":")[0]
    others = {"vjp:input"} - {claim}
    verdict, _ = refusal(catalog.get(op), backends.load(place, arrays), 60, seed=1, wanted=[asked], apart_from=others)
    assert verdict.claim == claim
    got = printed(op, verdict, place, alone)
    assert got == verdict.got or (got != got and verdict.got != verdict.got)


def test_a_module_class_has_no_snippet(files):
    pytest.importorskip("torch")
    place = f"{files}/by_torch.py:Linear"
    verdict = next(iter(failures("linear", place, claims=["exact"]).values()))
    with pytest.raises(Refused, match="a module class has no snippet"):
        snippet(catalog.get("linear"), verdict.trial, {"claim": verdict.claim}, place, backends.load(place))


def test_a_mask_stays_a_mask():
    mask = np.array([[True, False]])
    assert written_torch(mask, "float32") == "torch.tensor([[True, False]], dtype=torch.bool)"
    assert written_numpy(mask, "float32") == "np.array([[True, False]], dtype='bool')"
    assert written_torch(np.array([1]), "float32").endswith("torch.int64)")
