"""What goes wrong in a normalisation by its name: where eps stands, what the mean is of, what is done after it."""

import pytest

from tests.grading.students import FOLDER
from tests.grading.submissions.test_recognition import graded

FUNCTIONS = (FOLDER / "courses" / "norms.py").read_text()
CODE = FUNCTIONS + "\n\n" + (FOLDER / "courses" / "classes.py").read_text()
LAYER, BATCH = "np.sqrt(var + self.eps)", "np.sqrt(var + 1e-5)"
STATISTICS = "mu = x.mean(-1, keepdims=True)\n        var = x.var(-1, keepdims=True)"
RMS, GROUP = "np.sqrt((x * x).mean(-1, keepdims=True) + eps)", "np.sqrt(v + self.eps)"
WEIGHTED = "self.gamma * self.xhat + self.beta"
WRONG = {  # what is written in the place of what, and the mistake
    "std + eps": (LAYER, "(np.sqrt(var) + self.eps)", "eps_outside_of_the_root"),
    "eps squared": (LAYER, "np.sqrt(var + self.eps**2)", "eps_squared"),
    "ddof": (STATISTICS, STATISTICS.replace("var(-1", "var(-1, ddof=1"), "unbiased_variance"),
    "mean of the batch": (STATISTICS, STATISTICS.replace("mean(-1", "mean(0"), "mean_over_the_batch"),
    "batch": (STATISTICS, STATISTICS.replace("-1", "0"), "over_the_batch"),
    "everything": (STATISTICS, STATISTICS.replace("-1, keepdims=True", ""), "over_everything"),
    "swapped": (WEIGHTED, "self.beta * self.xhat + self.gamma", "weight_and_bias_swapped"),
    "unused": (WEIGHTED, "self.xhat", "weight_and_bias_missing"),
    "rms + eps": (RMS, "(np.sqrt((x * x).mean(-1, keepdims=True)) + eps)", "eps_outside_of_the_root"),
    "rms of the batch": (RMS, RMS.replace("-1", "0"), "over_the_batch"),
    "rms of variance": (RMS, "np.sqrt(x.var(-1, keepdims=True) + eps)", "variance_for_mean_of_squares"),
    "hidden eps outside": (BATCH, "(np.sqrt(var) + 1e-5)", "eps_outside_of_the_root"),
    "hidden eps missing": (BATCH, "np.sqrt(var)", "eps_missing"),
    "batch ddof": ("x.var(0)", "x.var(0, ddof=1)", "unbiased_variance"),
    "batch of rows": ("x.mean(0)\n    var = x.var(0)", "x.mean(-1, keepdims=True)\n    var = x.var(-1, keepdims=True)",
                      "statistics_of_each_row"),
    "group + eps": (GROUP, "(np.sqrt(v) + self.eps)", "eps_outside_of_the_root"),
    "group swapped": ("xh * self.weight + self.bias", "xh * self.bias + self.weight", "weight_and_bias_swapped"),
}  # fmt: skip


def test_normalisations_of_students_are_right_whatever_eps_they_have(tmp_path):
    (tmp_path / "hw.py").write_text(FUNCTIONS.replace("1e-5) + beta", "1e-8) + beta"))
    result = graded(tmp_path / "hw.py")
    assert result.score == result.points == 10, result.checks


@pytest.mark.share(5)
@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_in_a_normalisation_is_told_by_its_name(name, tmp_path):
    right, wrong, mistake = WRONG[name]
    own = next(part for part in CODE.split("\n\n\n") if right in part)  # one of the normalisations alone
    (tmp_path / "hw.py").write_text(f"import numpy as np\n\n{own.replace(right, wrong)}\n")
    lost, *_ = [check for check in graded(tmp_path / "hw.py").checks if check.score < check.points]
    assert lost.part == "forward" and mistake in lost.mistakes[:2], lost
