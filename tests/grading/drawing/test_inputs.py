"""Inputs that expose real bugs: each is drawn whatever the seed, and a bug that only it exposes costs marks."""

import numpy as np
import pytest

from opcheck.grading import conventions
from opcheck.grading.assignments.scope import Scope
from opcheck.grading.drawing.cases import draw
from opcheck.operators import catalog
from opcheck.render import render
from tests.grading.students import assignment, graded, part, solution

CONVOLUTIONS = ("conv1d", "conv2d")
POOLS = ("max_pool1d", "max_pool2d", "avg_pool1d", "avg_pool2d")
IMAGES = (*CONVOLUTIONS, *POOLS)
BATCHES = (
    *IMAGES,
    "linear",
    "relu",
    "sigmoid",
    "tanh",
    "softmax",
    "log_softmax",
    "cross_entropy",
    "nll_loss",
    "mse_loss",
)


def x(case):
    return next(iter(case.arrays.values()))


def wide(case, name, default=None):
    """A parameter as one number for each dimension of the images."""
    value = case.params.get(name, default)
    return value if isinstance(value, tuple) else (value,) * (x(case).ndim - 2)


def kernel(case):
    return case.arrays["weight"].shape[2:] if "weight" in case.arrays else wide(case, "kernel_size")


def stride(case):
    return wide(case, "stride", 1) if "weight" in case.arrays or case.params.get("stride") else kernel(case)


def padding(case):
    return wide(case, "padding", 0)


def leaves_over(case):
    sizes = zip(x(case).shape[2:], kernel(case), stride(case), padding(case), strict=True)
    return any((n + 2 * p - k) % s for n, k, s, p in sizes)


def overlaps(case):
    return any(s < k for s, k in zip(stride(case), kernel(case), strict=True))


def tied(case):
    return len(np.unique(x(case))) < x(case).size


DRAWN = {
    "a batch of one": (BATCHES, lambda c: len(x(c)) == 1),
    "several rows": (BATCHES, lambda c: len(x(c)) > 1),
    "one channel": (IMAGES, lambda c: x(c).shape[1] == 1),
    "height is not width": (("conv2d", "max_pool2d", "avg_pool2d"), lambda c: x(c).shape[2] != x(c).shape[3]),
    "a stride of 2 or more": (IMAGES, lambda c: max(stride(c)) > 1),
    "a stride that does not divide": (IMAGES, leaves_over),
    "no padding": (IMAGES, lambda c: max(padding(c)) == 0),
    "padding": (IMAGES, lambda c: max(padding(c)) > 0),
    "overlapping windows": (POOLS, overlaps),
    "negative numbers only, in a padded pool": (POOLS, lambda c: max(padding(c)) > 0 and (x(c) < 0).all()),
    "ties": (("max_pool1d", "max_pool2d"), tied),
    "zeros": (("relu",), lambda c: (x(c) == 0).any()),
    "an even kernel": (IMAGES, lambda c: any(k % 2 == 0 for k in kernel(c))),
}


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("kind", DRAWN)
def test_inputs_that_expose_bugs_are_drawn_by_any_seed(kind, seed):
    ops, shows = DRAWN[kind]
    for op in ops:
        scope = Scope.of(catalog.get(op), {}, conventions.get("functional").entry(op).allows)
        assert any(shows(trial.case) for trial in draw(scope, "float32", [seed], special=False).ordinary), op


@pytest.mark.parametrize(
    "op", ["softmax", "log_softmax", "cross_entropy", "sigmoid", "binary_cross_entropy_with_logits"]
)
def test_logits_of_a_thousand_are_special_values(op):
    scope = Scope.of(catalog.get(op), {}, conventions.get("functional").entry(op).allows)
    for seed in range(8):
        special = draw(scope, "float32", [seed], special=True).special
        assert special and all((np.abs(x(trial.case)) >= 800).all() for trial in special)


# --- bugs ---

# lines of the right solutions, and one of a wrong one
AFFINE = "    return x.reshape(len(x), -1) @ w + b"
CROPPED = "dpadded[:, :, pad : pad + H, pad : pad + W]"
WEIGHT_GRADIENT = "self.dLdW = dLdZ.T @ self.A"
ADDED_UP = "self.dLdW = getattr(self, 'dLdW', 0) + dLdZ.T @ self.A"
# (operator, convention, what is replaced in a right solution, the bug, the part that it costs)
BUGS = {
    "a batch of one": ("conv2d", "cs231n", "    return out, (x, w, b, conv_param)",
                       "    return out.squeeze(0) if len(out) == 1 else out, (x, w, b, conv_param)", "forward"),
    "several rows": ("linear", "cs231n", "dout.sum(axis=0)", "dout[0]", "vjp"),
    "one channel": ("max_pool2d", "cs231n", "    return out, (x, pool_param)",
                    "    return out.squeeze(1) if C == 1 else out, (x, pool_param)", "forward"),
    "several channels": ("conv2d", "cs231n", "dw[f] += padded[n, :,", "dw[f] += padded[n, :1,", "vjp"),
    "height is not width": ("conv2d", "cs231n", "1 + (W + 2 * pad - WW) // s", "1 + (H + 2 * pad - HH) // s",
                            "forward"),
    "a stride of 2": ("conv2d", "cs231n", "dw[f] += padded[n, :, i * s : i * s + HH, j * s : j * s + WW]",
                      "dw[f] += padded[n, :, i : i + HH, j : j + WW]", "vjp"),
    "a stride that does not divide": ("max_pool2d", "cs231n", "1 + (H - HH) // s, 1 + (W - WW) // s",
                                      "1 - (HH - H) // s, 1 - (WW - W) // s", "forward"),
    "no padding": ("conv2d", "cs231n", CROPPED, "dpadded[:, :, pad:-pad, pad:-pad]", "vjp"),
    "padding": ("conv2d", "cs231n", CROPPED, "dpadded[:, :, :H, :W]", "vjp"),
    "overlapping windows": ("max_pool2d", "cs231n", "j * s + b] += dout", "j * s + b] = dout", "vjp"),
    "ties": ("max_pool2d", "cs231n", "np.unravel_index(window.argmax(), window.shape)",
             "np.where(window == window.max())", "vjp"),
    "zeros": ("relu", "cs231n", "(cache > 0)", "(np.maximum(cache, 0) / cache)", "vjp"),
    "an even kernel": ("conv2d", "cs231n", "s : i * s + HH, j * s : j * s + WW] * w[f]) + b[f]",
                       "s : i * s + HH, j * s : j * s + WW] * w[f]) + b[f] + (HH % 2 == 0 and i)", "forward"),
    "logits of a thousand": ("cross_entropy", "cs231n", "z = x - x.max(axis=1, keepdims=True)", "z = x",
                             "special values"),
    "logits of a thousand, one row low": ("cross_entropy", "cs231n", "x.max(axis=1, keepdims=True)", "x.max()",
                                          "special values"),
    "float32": ("linear", "cs231n", AFFINE, f"    assert x.dtype == np.float64\n{AFFINE}", "forward"),
    "float64": ("linear", "cs231n", AFFINE, f"    assert x.dtype == np.float32\n{AFFINE}", "forward"),
    "integers": ("conv2d", "cs231n", "out = np.zeros((N, F, 1 + (H + 2 * pad - HH) // s, 1 + (W + 2 * pad - WW) // s))",
                 "out = np.zeros((N, F, 1 + (H + 2 * pad - HH) // s, 1 + (W + 2 * pad - WW) // s), x.dtype)", "dtype"),
    "backward twice, added up": ("linear", "cmu", WEIGHT_GRADIENT, ADDED_UP, "repeat"),
    "backward twice, cache used up": ("relu", "cmu", "return dLdA * (self.Z > 0)",
                                      "Z, self.Z = self.Z > 0, -np.abs(self.Z)\n        return dLdA * Z", "vjp"),
}  # fmt: skip
# what an assignment says for a part that is not asked by itself
INTEGERS = {"[question.parameters]": "[question.parameters]\nintegers = [true, false]"}
ASKED = {
    "special values": {"vjp = 4": 'vjp = 4, "special values" = 1'},
    "dtype": {"vjp = 4": "vjp = 4, dtype = 1", **INTEGERS},
    "repeat": {"vjp = 4": "vjp = 4, repeat = 1"},
}
POOL = """
import numpy as np
def max_pool2d(x, kernel_size, stride=None, padding=0):
    pair = lambda v: v if isinstance(v, tuple) else (v, v)
    (kh, kw), (sh, sw), (ph, pw) = pair(kernel_size), pair(stride or kernel_size), pair(padding)
    x = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)), constant_values=-np.inf)
    out = np.zeros((*x.shape[:2], (x.shape[2] - kh) // sh + 1, (x.shape[3] - kw) // sw + 1))
    for i, j in np.ndindex(*out.shape[2:]):
        out[:, :, i, j] = x[:, :, i * sh : i * sh + kh, j * sw : j * sw + kw].max(axis=(2, 3))
    return out
"""


@pytest.mark.parametrize("kind", BUGS)
def test_a_bug_that_only_this_input_exposes_costs_its_part(kind):
    op, convention, right, bug, name = BUGS[kind]
    code = solution(convention)
    assert code.count(right) >= 1
    asked = assignment(op, convention=convention, changes=ASKED.get(name))
    for seed in (1, 2):
        result = graded(code.replace(right, bug), asked, seed)
        check = part(result, name)
        assert check.score == 0
        others = "Right so far:" in render(check.detail, "text", width=80) or part(result, "forward").score
        assert others, "any other input would have shown it too"


def test_negative_numbers_in_a_padded_pool_expose_zeros_as_padding():
    asked = assignment("max_pool2d")
    assert part(graded(POOL, asked), "forward").score == 4
    zeros = graded(POOL.replace("constant_values=-np.inf", "constant_values=0.0"), asked)
    assert part(zeros, "forward").mistakes == ("padded_with_zeros",)


@pytest.mark.parametrize("convention", ["cs231n", "functional", "cmu", "coursera"])
def test_what_integers_get_wrong_is_said(convention):
    code = solution(convention)
    name = {"cs231n": "affine_forward", "functional": "linear", "cmu": "Linear", "coursera": "linear_forward"}[
        convention
    ]
    cut = f"""
Layer = {name if convention == "cmu" else "()"}
def whole(function):
    def wrapped(*args):
        out = function(*args)
        first = out[0] if isinstance(out, tuple) else out
        given = args[1] if isinstance(args[0], Layer) else args[0]
        first = first.astype(given.dtype)
        return (first, *out[1:]) if isinstance(out, tuple) else first
    return wrapped
"""
    target = f"{name}.forward" if convention == "cmu" else name
    check = part(
        graded(
            f"{code}{cut}{target} = whole({target})",
            assignment("linear", convention=convention, changes=ASKED["dtype"]),
        ),
        "dtype",
    )
    assert check.score == 0
    assert check.message.startswith("given input as integers: ")
    assert "has dtype int64; it should hold real numbers" in check.message


def test_a_result_cut_to_whole_numbers_is_shown():
    code = "import numpy as np\ndef sigmoid(x): return np.trunc(y(x)) if x.dtype.kind == 'i' else y(x)\n"
    code += "def y(x): return 1 / (1 + np.exp(-x))\ndef sigmoid_backward(dy, x): return dy * y(x) * (1 - y(x))"
    check = part(graded(code, assignment("sigmoid", changes=ASKED["dtype"])), "dtype")
    assert "was it cut to whole numbers?" in check.message and check.message.startswith(
        "given input as integers: output["
    )
    assert "yours" in render(check.detail, "text", width=80)


def test_integers_are_asked_where_the_assignment_says_so():
    code = solution("cs231n").replace(AFFINE, f"    assert x.dtype.kind == 'f'\n{AFFINE}")
    usual = graded(code, assignment("linear", convention="cs231n"))
    assert usual.score == usual.points
    typed = graded(code, assignment("linear", convention="cs231n", changes=ASKED["dtype"]))
    assert part(typed, "dtype").score == 0 and part(typed, "shapes").score == 1
    as_before = graded(code, assignment("linear", convention="cs231n", changes=INTEGERS))
    assert part(as_before, "shapes").score == 0  # an assignment of 0.1.0 has no part for types


def test_a_second_backward_is_told_apart():
    asked = assignment("linear", convention="cmu")
    code = solution("cmu")
    adds = code.replace(WEIGHT_GRADIENT, ADDED_UP)
    assert part(graded(adds, asked), "vjp").score == 4, "it is right when it is started anew"
    assert part(graded(adds, asked), "vjp").message.startswith("right; a second backward pass adds to the gradients")
    repeated = assignment("linear", convention="cmu", changes=ASKED["repeat"])
    assert part(graded(code, repeated), "repeat").score == 1
    check = part(graded(adds, repeated), "repeat")
    assert check.score == 0
    assert check.message == "a second call of backward adds to the gradient of weight from the first: reset it"
    text = render(check.detail, "text", width=80)
    assert "The first call of backward was right." in text and "yours" not in text
    forgets = code.replace("return dLdZ @ self.W", "self.A = None; return dLdZ @ self.W")
    message = part(graded(forgets, asked), "vjp").message
    assert message.startswith("called a second time after one forward pass, backward fails: it raises ")
