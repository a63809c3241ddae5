"""The cs336 convention: the adapters of its tests."""

from typing import Any

from opcheck.backends.tensors import require_torch
from opcheck.grading.solutions.engine import forward
from opcheck.grading.solutions.module import function

_torch: Any = require_torch()


def run_linear(d_in: int, d_out: int, weights: Any, in_features: Any) -> Any:
    return function("linear")(in_features, weights)


def run_embedding(vocab_size: int, d_model: int, weights: Any, token_ids: Any) -> Any:
    return function("embedding")(token_ids, weights)


def run_rmsnorm(d_model: int, eps: float, weights: Any, in_features: Any) -> Any:
    return function("rms_norm")(in_features, (d_model,), weight=weights, eps=eps)


def run_silu(in_features: Any) -> Any:
    return function("silu")(in_features)


def run_softmax(in_features: Any, dim: int) -> Any:
    return function("softmax")(in_features, dim=dim)


def run_cross_entropy(inputs: Any, targets: Any) -> Any:
    return function("cross_entropy")(inputs, targets)


class AdamW(_torch.optim.Optimizer):  # type: ignore[misc]
    def __init__(self, params: Any, lr: float, weight_decay: float, betas: tuple[float, float], eps: float) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "betas": betas, "eps": eps})

    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            options = {name: group[name] for name in ("lr", "weight_decay", "betas", "eps")}
            for param in group["params"]:
                moved, *_ = forward("adamw", param.detach().numpy(), param.grad.numpy(), step=1, **options)
                param.data = _torch.from_numpy(moved)


def get_adamw_cls() -> type:
    return AdamW
