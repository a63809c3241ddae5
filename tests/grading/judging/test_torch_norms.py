"""Batch normalisation as a torch module: both of its modes, what it keeps, and what goes wrong there."""

import pytest

from tests.grading.students import FOLDER
from tests.grading.submissions.test_recognition import graded

pytestmark = pytest.mark.torch
PLAIN, D2L = (FOLDER / "courses" / "torch_norms.py").read_text().split("\n\n\nclass BatchNorm(")
MEAN = "self.running_mean = (1 - self.momentum) * self.running_mean + self.momentum * mean"
VAR = "self.running_var = (1 - self.momentum) * self.running_var + self.momentum * var * n / (n - 1)"
WRONG = {  # what is written in the place of what, and the mistake
    "updated": ((MEAN, "pass"), (VAR, "pass"), "running_statistics_not_updated"),
    "evaluation": (("if self.training:", "if True:"), "batch_statistics_used_in_evaluation"),
    "ddof": (("unbiased=False", "unbiased=True"), ("var * n / (n - 1)", "var"), "unbiased_variance"),
}


def test_batch_norm_as_a_module_is_right_in_both_modes(tmp_path):
    for k, code in enumerate((PLAIN, f"import torch\nfrom torch import nn\n\n\nclass BatchNorm({D2L}")):
        (tmp_path / f"hw{k}.py").write_text(code)
        result = graded(tmp_path / f"hw{k}.py")
        assert (result.score, result.points) == (9, 9), result.checks


@pytest.mark.share(1)
@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_in_a_module_is_told_by_its_name(name, tmp_path):
    *changes, mistake = WRONG[name]
    code = PLAIN
    for right, wrong in changes:
        assert right in code
        code = code.replace(right, wrong)
    (tmp_path / "hw.py").write_text(code)
    lost = [check for check in graded(tmp_path / "hw.py").checks if check.score < check.points]
    assert lost and mistake in lost[0].mistakes[:2], lost
