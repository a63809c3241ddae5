"""Cases a second: a checked case of conv2d against torch.autograd.gradcheck on the same, in one run.

    OMP_NUM_THREADS=1 python -m tests.benchmarks.verify_speed

conv2d 2x2x5x5 by 4x2x3x3, stride 2, padding 1, float64. A case of ours checks outputs, all gradients and tangents
against proven bounds, on fresh numbers each time; gradcheck checks the same Jacobians by differences
(check_forward_ad=True), in slow and in fast mode. By the clock; the three take turns.
"""

import warnings

import numpy as np
import torch

from opcheck.backends.torch_eager import TorchEager
from opcheck.operators import catalog
from opcheck.operators.spec import Case
from opcheck.verification.casefile import Trial
from opcheck.verification.claims import chosen
from opcheck.verification.draws import Real
from opcheck.verification.report import Report
from opcheck.verification.run import check_trial
from opcheck.verification.streams import with_directions
from opcheck.verification.truth.formats import format_of
from tests.benchmarks.measure import ratio, taken

OP = catalog.get("conv2d")
PARAMS = {"stride": 2, "padding": 1}


def ours(rng: np.random.Generator, backend: TorchEager, report: Report) -> None:
    """One fresh case: shape, dtype, values, vjp of three inputs, jvp."""
    draw = Real(rng, format_of("float64"))
    arrays = {"input": draw.array(2, 2, 5, 5), "weight": draw.array(4, 2, 3, 3), "bias": draw.array(4)}
    trial = with_directions(OP, Trial(Case("conv2d", arrays, PARAMS), "float64"), rng)
    check_trial(OP, trial, backend, report, chosen(["dtype", "values", "vjp", "jvp"]))


def gradcheck(fast: bool) -> None:
    x, w = torch.randn(2, 2, 5, 5, dtype=torch.float64), torch.randn(4, 2, 3, 3, dtype=torch.float64)
    b = torch.randn(4, dtype=torch.float64)
    inputs = tuple(each.requires_grad_() for each in (x, w, b))
    torch.autograd.gradcheck(
        lambda x, w, b: torch.nn.functional.conv2d(x, w, b, **PARAMS), inputs, check_forward_ad=True, fast_mode=fast
    )


def main() -> None:
    torch.set_num_threads(1)
    rng, backend, report = np.random.default_rng(0), TorchEager(), Report()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        times = taken(
            {
                "opcheck": lambda: ours(rng, backend, report),
                "gradcheck slow": lambda: gradcheck(False),
                "gradcheck fast": lambda: gradcheck(True),
            }
        )
    assert report.agrees, str(report)
    for name, seconds in times.items():
        told = "" if name == "opcheck" else f"   opcheck is {ratio(seconds, times['opcheck']):.1f} times as fast"
        print(f"{name:14} {1 / min(seconds):8.0f} cases/s{told}")


if __name__ == "__main__":
    main()
