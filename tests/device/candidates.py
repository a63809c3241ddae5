"""What `tests/device/check` gives to opcheck verify."""

import torch
from torch import nn


def linear_in_tf32(input, weight, bias=None):
    """With torch's switch on: where there are tensor cores, its products have the digits of TF32."""
    torch.backends.cuda.matmul.allow_tf32 = True
    return nn.functional.linear(input, weight, bias)


class Model(nn.Module):
    """A problem as benchmarks of kernels write it."""

    def __init__(self, width):
        super().__init__()
        self.inner = nn.Linear(width, 2 * width)

    def forward(self, x):
        return nn.functional.gelu(self.inner(x)).mean(dim=1)


def get_inputs():
    return [torch.randn(4, 8)]


def get_init_inputs():
    return [8]


class ModelNew(Model):
    """The mean first over halves."""

    def forward(self, x):
        one, other = nn.functional.gelu(self.inner(x)).chunk(2, dim=1)
        return (one.mean(dim=1) + other.mean(dim=1)) / 2


class ModelWrong(Model):
    """Without the last feature."""

    def forward(self, x):
        return nn.functional.gelu(self.inner(x))[:, :-1].mean(dim=1)


def _softmax_of_rows(x, masked):
    import triton
    import triton.language as tl

    @triton.jit
    def kernel(out, x, width, BLOCK: tl.constexpr, MASKED: tl.constexpr):  # noqa: N803  # as Triton writes constants
        row = tl.program_id(0)
        places = tl.arange(0, BLOCK)
        inside = places < width
        given = tl.load(x + row * width + places, mask=inside, other=-float("inf") if MASKED else 0.0)
        e = tl.exp(given - tl.max(given, axis=0))
        tl.store(out + row * width + places, e / tl.sum(e, axis=0), mask=inside)

    x = x.contiguous()
    out = torch.empty_like(x)
    if x.numel():
        kernel[(x.shape[0],)](out, x, x.shape[1], BLOCK=triton.next_power_of_2(x.shape[1]), MASKED=masked)
    return out


def triton_softmax(input):
    return _softmax_of_rows(input, True)


def unmasked_softmax(input):
    """What lies behind a row counts as zeros."""
    return _softmax_of_rows(input, False)
