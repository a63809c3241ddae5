"""Which lower precisions are no failure: what is asked for, and what torch's switches allow on CUDA."""

import types

import pytest

from opcheck.backends import device
from opcheck.backends.allowance import allowance, storage
from opcheck.errors import Refused

BF16 = storage("bfloat16")


def switches(matmul="none", conv="none", reduces=True):
    """A stand-in for torch with these switches."""
    space = types.SimpleNamespace
    products = space(fp32_precision=matmul, allow_bf16_reduced_precision_reduction=reduces)
    cudnn = space(conv=space(fp32_precision=conv), enabled=True)
    return space(backends=space(cuda=space(matmul=products), cudnn=cudnn))


def test_what_is_no_lower_precision_is_refused_with_those_that_are():
    with pytest.raises(Refused, match=r"there is no lower precision 'fp8'.*they are tf32, bfloat16-inputs.* none"):
        allowance("tf32,fp8")
    for names, strict in (("none,tf32", False), ("tf32", True)):
        with pytest.raises(Refused, match="allow some lower precisions, or none, but not both"):
            allowance(names, strict)


def test_none_takes_the_defaults_away_and_names_add_to_them():
    assert allowance("tf32").beside(BF16) == {"tf32", "bfloat16-accumulation"}
    assert allowance().beside(BF16) == BF16
    assert allowance("none").beside(BF16) == allowance(strict=True).beside(BF16) == frozenset()


def test_the_switches_of_torch_decide_on_cuda_for_products_and_for_convolutions():
    torch = switches(conv="tf32")
    assert device.lower(torch, BF16, convolves=False) == BF16
    assert device.lower(torch, BF16, convolves=True) == BF16 | {"tf32", "tensor-core-sums", "transforms"}
    assert "tf32" in device.lower(switches(matmul="tf32"), BF16, convolves=False)
    assert device.lower(switches(reduces=(False, True)), BF16, convolves=False) == frozenset()
