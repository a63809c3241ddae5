"""The d2l convention: plain functions of torch's tensors."""

from typing import Any

from opcheck.grading.solutions.module import function


def corr2d_multi_in_out(X: Any, K: Any) -> Any:
    return function("conv2d")(X[None], K)[0]


def linreg(X: Any, w: Any, b: Any) -> Any:
    return function("linear")(X, w.T, b)


def softmax(X: Any) -> Any:
    return function("softmax")(X, dim=1)


def relu(X: Any) -> Any:
    return function("relu")(X)
