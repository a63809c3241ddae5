"""Optimisers as students write them, with a state that nobody sees: right ones keep their points, wrong ones are told
by name, whether the mistake shows in the first step or in what is kept for the second."""

import pytest

from tests.grading.judging.test_rebuild import lines
from tests.grading.students import FOLDER
from tests.grading.submissions.test_recognition import graded

DLFS = (FOLDER / "courses" / "dlfs_optimizer.py").read_text()
OTHERS = (FOLDER / "courses" / "optimizers.py").read_text()
MOMENTUM, MEAN = "self.momentum * self.v[key] - self.lr * grads[key]", "self.h[key] += (1 - self.decay_rate) * "
WRONG = {  # the code, what is written in its place, and the mistake
    "up": (DLFS, "params[key] -= self.lr * grads[key]\n", "params[key] += self.lr * grads[key]\n",
           "step_up_the_gradient"),
    "velocity up": (DLFS, MOMENTUM, MOMENTUM.replace(" - ", " + "), "step_up_the_gradient"),
    "average": (DLFS, MOMENTUM, MOMENTUM.replace("self.lr", "(1 - self.momentum) * self.lr"), "velocity_as_average"),
    "forgotten": (DLFS, MOMENTUM, "-self.lr * grads[key]", "state_forgotten"),
    "t": (OTHERS, "self.t += 1\n        for i, p in enumerate(self.params)",
          "self.t = 1\n        for i, p in enumerate(self.params)", "step_stuck_at_one"),
    "squared": (DLFS, "(grads[key] ** 2 - self.v[key])", "(grads[key] - self.v[key])", "gradient_not_squared"),
    "corrected": (OTHERS, "m_hat = self.m[i] / (1 - self.beta1**self.t)\n"
                  "            v_hat = self.v[i] / (1 - self.beta2**self.t)",
                  "m_hat = self.m[i]\n            v_hat = self.v[i]", "bias_correction_missing"),
    "decay": (DLFS, "self.h[key] *= self.decay_rate\n", "pass\n", "mean_not_decayed"),
    "weight": (DLFS, f"{MEAN}grads", "self.h[key] += grads", "square_not_weighted"),
    "root": (DLFS, "grads[key] / (np.sqrt(self.h[key]) + 1e-7)\n\n\nclass Adam", "grads[key] / (self.h[key] + 1e-7)"
             "\n\n\nclass Adam", "root_missing"),
    "shrunk": (OTHERS, "p *= 1 - self.lr * self.wd", "pass", "weight_decay_missing"),
}  # fmt: skip


@pytest.mark.share(4)
@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_optimiser_is_told_by_the_name_of_its_mistake(name, tmp_path):
    code, right, wrong, mistake = WRONG[name]
    assert right in code
    (tmp_path / "hw.py").write_text(code.replace(right, wrong))
    lost = [check for check in graded(tmp_path / "hw.py").checks if check.score < check.points]
    assert len(lost) == 1 and mistake in lost[0].mistakes[:2], lost


def test_a_case_that_fails_in_the_second_step_shows_the_first_too(tmp_path):
    code = DLFS.replace(MOMENTUM, "-self.lr * grads[key]")
    (tmp_path / "hw.py").write_text(code)
    (lost,) = [check for check in graded(tmp_path / "hw.py").checks if check.score < check.points]
    space: dict = {}
    exec(code, space)
    shown = lines(lost)
    assert sum(line.startswith("out = optimizer.update(") for line in shown) == 2
    exec("\n".join(shown), space)
    steps = [line for line in shown if line.startswith("params['W1'] = ")]
    assert steps[-1] == "params['W1'] = param" and steps[0] != steps[-1], shown


def test_an_optimiser_that_nobody_can_call_is_said_by_name(tmp_path):
    (tmp_path / "hw.py").write_text("class SGD:\n    def __init__(self, lr): self.lr = lr\n"
                                    "    def step(self, params, grads, schedule): pass\n")  # fmt: skip
    (note,) = [note for note in graded(tmp_path / "hw.py").notes if "not graded" in note]
    assert note.startswith("SGD was not graded: no known way to call sgd fits it")
