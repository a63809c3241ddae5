"""The d2l convention: plain functions of torch's tensors."""

from typing import Any

from opcheck.backends.tensors import require_torch
from opcheck.grading.solutions import optimisers
from opcheck.grading.solutions.module import function

_torch = require_torch()


def corr2d_multi_in_out(X: Any, K: Any) -> Any:
    return function("conv2d")(X[None], K)[0]


def corr2d(X: Any, K: Any) -> Any:
    return function("conv2d")(X[None, None], K[None, None])[0, 0]


def pool2d(X: Any, pool_size: Any, mode: str = "max") -> Any:
    return function(f"{mode}_pool2d")(X[None, None], pool_size, stride=1)[0, 0]


def linreg(X: Any, w: Any, b: Any) -> Any:
    return function("linear")(X, w.T, b)


def softmax(X: Any) -> Any:
    return function("softmax")(X, dim=1)


def relu(X: Any) -> Any:
    return function("relu")(X)


def cross_entropy(y_hat: Any, y: Any) -> Any:
    return function("cross_entropy")(y_hat.log(), y, reduction="none")


def squared_loss(y_hat: Any, y: Any) -> Any:
    return function("mse_loss")(y_hat, y, reduction="none") / 2


def dropout_layer(X: Any, dropout: float) -> Any:
    return function("dropout")(X, dropout)


def batch_norm(
    X: Any, gamma: Any, beta: Any, moving_mean: Any, moving_var: Any, eps: float, momentum: float
) -> tuple[Any, Any, Any]:
    training = _torch.is_grad_enabled()
    options = {"weight": gamma, "bias": beta, "training": training, "momentum": momentum, "eps": eps}
    found = function("batch_norm")(X, moving_mean.clone(), moving_var.clone(), **options)
    return found if isinstance(found, tuple) else (found, moving_mean, moving_var)


def sgd(params: Any, lr: float, batch_size: float) -> None:
    values = {str(k): each.detach().numpy() for k, each in enumerate(params)}
    optimisers.SGD(lr).update(values, {str(k): each.grad.numpy() / batch_size for k, each in enumerate(params)})
    for each, value in zip(params, values.values(), strict=True):
        each.data = _torch.from_numpy(value)
