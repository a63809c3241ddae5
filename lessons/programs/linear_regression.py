"""Linear regression: one weight and one bias, mean squared error, gradient descent.

python lessons/programs/linear_regression.py
opcheck trace lessons/programs/linear_regression.py:train_step
"""

import numpy as np

from opcheck import reference
from opcheck.autodiff import value_and_gradient

RNG = np.random.default_rng(0)
X = RNG.uniform(-1, 1, size=(200, 1))
Y = 0.5 * X + 0.05 * RNG.normal(size=(200, 1))
WEIGHT, BIAS = np.array([[-0.3]]), np.array([0.2])


def loss(weight=WEIGHT, bias=BIAS):
    return reference.mse_loss(reference.linear(X, weight, bias), Y)


def train_step(weight=WEIGHT, bias=BIAS, lr=None):
    """The loss, and the parameters after one step of gradient descent."""
    lr = 0.5 if lr is None else lr
    value, (grad_weight, grad_bias) = value_and_gradient(loss)(weight, bias)
    return value, reference.sgd(weight, grad_weight, lr=lr), reference.sgd(bias, grad_bias, lr=lr)


def train(steps=300):
    weight, bias = WEIGHT, BIAS
    for _ in range(steps):
        value, weight, bias = train_step(weight, bias)
    return float(value), weight, bias


if __name__ == "__main__":
    value, weight, bias = train()
    print(f"y = {weight.item():.4f} x + {bias.item():.4f}, mean squared error {value:.5f}")
