"""The module convention: torch.nn.Module classes with torch's names."""

import inspect
from typing import Any

from opcheck.backends.tensors import require_torch
from opcheck.grading.solutions import engine, optimisers
from opcheck.operators import catalog
from opcheck.verification.bridge import torch_form

_torch = require_torch()
_nn: Any = _torch.nn


class _Candidate:
    """What `torch_form` makes an autograd.Function of."""

    def __init__(self, op: str) -> None:
        self.op = op

    def __call__(self, *arrays: Any, **options: Any) -> Any:
        return engine.forward(self.op, *arrays, **options)

    def vjp(self, cotangent: Any, *arrays: Any, **options: Any) -> Any:
        return engine.vjp(self.op, cotangent, *arrays, **options)


def function(op: str) -> Any:
    """The operator as a function of tensors."""
    return torch_form(catalog.get(op), _Candidate(op))


def _class(op: str, name: str) -> type:
    """A module that computes the operator, with the constructor of torch's class of that name."""
    computed = function(op)
    theirs = getattr(_nn, name)
    names = [each.name for each in catalog.get(op).params]

    class Layer(theirs):  # type: ignore[misc, valid-type]
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            self.options = {key: value for key, value in options.items() if key in names}

        def forward(self, *inputs: Any) -> Any:
            own = [each for each in (getattr(self, "weight", None), getattr(self, "bias", None)) if each is not None]
            return computed(*inputs, *own, **self.options)

    Layer.__name__ = Layer.__qualname__ = name
    Layer.__module__ = __name__
    return Layer


for _op, _name in {
    "linear": "Linear", "conv1d": "Conv1d", "conv2d": "Conv2d", "max_pool1d": "MaxPool1d", "max_pool2d": "MaxPool2d",
    "avg_pool1d": "AvgPool1d", "avg_pool2d": "AvgPool2d", "relu": "ReLU", "sigmoid": "Sigmoid", "tanh": "Tanh",
    "softmax": "Softmax", "log_softmax": "LogSoftmax", "mse_loss": "MSELoss", "cross_entropy": "CrossEntropyLoss",
    "nll_loss": "NLLLoss", "binary_cross_entropy": "BCELoss",
    "binary_cross_entropy_with_logits": "BCEWithLogitsLoss",
}.items():  # fmt: skip
    globals()[_name] = _class(_op, _name)


class _Plain(_nn.Module):  # type: ignore[misc]
    """A module whose arguments are its attributes."""

    op = ""

    def own(self) -> dict[str, Any]:
        return {}

    def forward(self, x: Any) -> Any:
        return function(self.op)(x, **self.own())


class GELU(_Plain):
    op = "gelu"


class SiLU(_Plain):
    op = "silu"


class Dropout(_Plain):
    op = "dropout"

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = p

    def own(self) -> dict[str, Any]:
        return {"p": self.p, "training": self.training}


class Embedding(_Plain):
    op = "embedding"

    def __init__(self, num_embeddings: int, embedding_dim: int) -> None:
        super().__init__()
        self.weight = _nn.Parameter(_torch.zeros(num_embeddings, embedding_dim))

    def own(self) -> dict[str, Any]:
        return {"weight": self.weight}


class LSTMCell(_nn.Module):  # type: ignore[misc]
    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        for name, size in (("ih", input_size), ("hh", hidden_size)):
            setattr(self, f"weight_{name}", _nn.Parameter(_torch.zeros(4 * hidden_size, size)))
            setattr(self, f"bias_{name}", _nn.Parameter(_torch.zeros(4 * hidden_size)))

    def forward(self, x: Any, state: Any) -> Any:
        return function("lstm_cell")(x, state, self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)


class RMSNorm(_Plain):
    op = "rms_norm"

    def __init__(self, size: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.weight, self.eps = _nn.Parameter(_torch.ones(size)), eps

    def own(self) -> dict[str, Any]:
        return {"normalized_shape": tuple(self.weight.shape), "weight": self.weight, "eps": self.eps}


class LayerNorm(RMSNorm):
    op = "layer_norm"

    def __init__(self, size: int, eps: float = 1e-5) -> None:
        super().__init__(size, eps)
        self.bias = _nn.Parameter(_torch.zeros(size))

    def own(self) -> dict[str, Any]:
        return {**super().own(), "bias": self.bias}


class GroupNorm(LayerNorm):
    op = "group_norm"

    def __init__(self, num_groups: int, num_channels: int, eps: float = 1e-5) -> None:
        super().__init__(num_channels, eps)
        self.num_groups = num_groups

    def own(self) -> dict[str, Any]:
        return {"num_groups": self.num_groups, "weight": self.weight, "bias": self.bias, "eps": self.eps}


class BatchNorm(LayerNorm):
    op = "batch_norm"

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__(num_features, eps)
        self.momentum = momentum
        self.register_buffer("running_mean", _torch.zeros(num_features))
        self.register_buffer("running_var", _torch.ones(num_features))

    def own(self) -> dict[str, Any]:
        statistics = {"running_mean": self.running_mean, "running_var": self.running_var}
        arrays = {**statistics, "weight": self.weight, "bias": self.bias}
        return {**arrays, "training": self.training, "momentum": self.momentum, "eps": self.eps}

    def forward(self, x: Any) -> Any:
        own = {name: each for name, each in self.own().items() if not name.startswith("running")}
        found = function(self.op)(x, self.running_mean.clone(), self.running_var.clone(), **own)
        y, *kept = found if isinstance(found, tuple) else (found,)
        for old, new in zip((self.running_mean, self.running_var), kept, strict=False):
            old.copy_(new.detach())
        return y


def _optimiser(kind: type[optimisers.Optimiser]) -> type:
    """The optimiser for a list of torch's parameters."""

    class Stepping:
        def __init__(self, params: Any, *args: Any, **options: Any) -> None:
            self.params, self.own = list(params), kind(*args, **options)

        def step(self) -> None:
            values = {str(k): each.detach().numpy() for k, each in enumerate(self.params)}
            self.own.update(values, {str(k): each.grad.numpy() for k, each in enumerate(self.params)})
            for each, value in zip(self.params, values.values(), strict=True):
                each.data = _torch.from_numpy(value)

    own = [*inspect.signature(kind.__init__).parameters.values()]
    params = inspect.Parameter("params", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    Stepping.__init__.__signature__ = inspect.Signature([own[0], params, *own[1:]])  # type: ignore[attr-defined]
    Stepping.__name__ = Stepping.__qualname__ = kind.__name__
    return Stepping


for _kind in ("SGD", "Momentum", "Nesterov", "RMSprop", "Adam", "AdamW"):
    globals()[_kind] = _optimiser(getattr(optimisers, _kind))
