"""Optimisers as classes that keep their state for each key of a dict of parameters."""

from typing import Any

from opcheck.grading.solutions.engine import forward
from opcheck.operators.spec import Array


class Optimiser:
    op = ""
    counts = False  # whether the number of the step matters

    def __init__(self, **options: Any) -> None:
        self.options, self.t = options, 0
        self.state: dict[str, tuple[Array, ...]] = {}

    def update(self, params: dict[str, Array], grads: dict[str, Array]) -> None:
        self.t += 1
        count = {"step": self.t} if self.counts else {}
        for key in params.keys():  # noqa: SIM118  as students write it
            found = forward(self.op, params[key], grads[key], *self.state.get(key, ()), **self.options, **count)
            params[key], *state = found if isinstance(found, tuple) else (found,)
            self.state[key] = tuple(state)


class SGD(Optimiser):
    op = "sgd"

    def __init__(self, lr: float, momentum: float = 0.0, weight_decay: float = 0.0) -> None:
        super().__init__(lr=lr, momentum=momentum, weight_decay=weight_decay)


class Momentum(SGD):
    def __init__(self, lr: float, momentum: float = 0.9) -> None:
        super().__init__(lr, momentum)


class Nesterov(Optimiser):
    op = "sgd"

    def __init__(self, lr: float, momentum: float = 0.9) -> None:
        super().__init__(lr=lr, momentum=momentum, nesterov=True)


class RMSprop(Optimiser):
    op = "rmsprop"

    def __init__(self, lr: float, alpha: float = 0.99, eps: float = 1e-8, weight_decay: float = 0.0) -> None:
        super().__init__(lr=lr, alpha=alpha, eps=eps, weight_decay=weight_decay)


class Adam(Optimiser):
    op = "adam"
    counts = True

    def __init__(
        self, lr: float, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8, weight_decay: float = 0.0
    ) -> None:
        super().__init__(lr=lr, betas=(beta1, beta2), eps=eps, weight_decay=weight_decay)


class AdamW(Adam):
    op = "adamw"
