"""A two-layer network whose gradients are derived by hand, and the same by reverse mode.

Set SCALE to 1 and the loss rises twenty-fold before it falls: the gradient then is too large for this learning rate.

python lessons/programs/two_layer_network.py
opcheck trace lessons/programs/two_layer_network.py:loss
"""

import numpy as np

from opcheck.autodiff import value_and_gradient

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(100, 1000)), RNG.normal(size=(100, 10))
SCALE = 0.3
W1, W2 = SCALE * RNG.normal(size=(1000, 100)), SCALE * RNG.normal(size=(100, 10))
LEARNING_RATE = 1e-6


def loss(w1=W1, w2=W2):
    """The sum of squared errors of clamp(X·w1, min=0)·w2."""
    hidden = np.clip(X @ w1, 0, None)
    return ((hidden @ w2 - Y) ** 2).sum()


def gradients_by_hand(x, y, w1, w2):
    """The chain rule, one line a layer from the last to the first."""
    before = x @ w1
    hidden = np.clip(before, 0, None)
    grad_prediction = 2.0 * (hidden @ w2 - y)
    grad_w2 = hidden.T @ grad_prediction
    grad_hidden = grad_prediction @ w2.T
    grad_w1 = x.T @ np.where(before >= 0, grad_hidden, 0.0)
    return grad_w1, grad_w2


def train(steps=20):
    """The loss before each step, and the parameters after the last one."""
    w1, w2 = W1, W2
    losses = []
    for _ in range(steps):
        value, (grad_w1, grad_w2) = value_and_gradient(loss)(w1, w2)
        losses.append(float(value))
        w1, w2 = w1 - LEARNING_RATE * grad_w1, w2 - LEARNING_RATE * grad_w2
    return losses, (w1, w2)


if __name__ == "__main__":
    for step, value in enumerate(train()[0]):
        print(f"step {step:2}: loss {value:.1f}")
