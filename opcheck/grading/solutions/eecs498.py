"""The eecs498 convention: cs231n's functions as static methods of torch's tensors."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from opcheck.backends.tensors import require_torch
from opcheck.grading.solutions import cs231n

_torch = require_torch()


def _with_tensors(function: Callable[..., Any]) -> Any:
    @wraps(function)
    def called(*args: Any) -> Any:
        return _mapped(_torch.as_tensor, function(*_mapped(_array, args)), _numbers)

    return staticmethod(called)


def _array(value: Any) -> Any:
    return value.numpy() if isinstance(value, _torch.Tensor) else value


def _numbers(value: Any) -> bool:
    return hasattr(value, "dtype")


def _mapped(change: Callable[[Any], Any], value: Any, wanted: Callable[[Any], bool] = lambda value: True) -> Any:
    if isinstance(value, (tuple, list)):
        return type(value)(_mapped(change, each, wanted) for each in value)
    if isinstance(value, dict):
        return {key: _mapped(change, each, wanted) for key, each in value.items()}
    return change(value) if wanted(value) else value


class Linear:
    forward, backward = _with_tensors(cs231n.affine_forward), _with_tensors(cs231n.affine_backward)


class ReLU:
    forward, backward = _with_tensors(cs231n.relu_forward), _with_tensors(cs231n.relu_backward)


class Conv:
    forward, backward = _with_tensors(cs231n.conv_forward_naive), _with_tensors(cs231n.conv_backward_naive)


class MaxPool:
    forward, backward = _with_tensors(cs231n.max_pool_forward_naive), _with_tensors(cs231n.max_pool_backward_naive)


softmax_loss = _with_tensors(cs231n.softmax_loss).__func__
sgd, sgd_momentum = _with_tensors(cs231n.sgd).__func__, _with_tensors(cs231n.sgd_momentum).__func__
rmsprop, adam = _with_tensors(cs231n.rmsprop).__func__, _with_tensors(cs231n.adam).__func__
