"""Two classifiers of 28x28 images into ten classes: one training step each, on random images.

opcheck trace lessons/programs/classifier.py:train_step         784-512-512-10, gradient descent
opcheck trace lessons/programs/classifier.py:train_step_adam    784-500-10, Adam
"""

from itertools import pairwise

import numpy as np

from opcheck import reference
from opcheck.autodiff import value_and_gradient

RNG = np.random.default_rng(0)
IMAGES, LABELS = RNG.uniform(size=(64, 28, 28)), RNG.integers(0, 10, size=64)
LEARNING_RATE = 1e-3


def parameters(*sizes):
    """Weights (out, in) and biases of fully connected layers."""
    found = []
    for into, out in pairwise(sizes):
        found += [RNG.uniform(-1, 1, size=(out, into)) / np.sqrt(into), np.zeros(out)]
    return found


W1, B1, W2, B2, W3, B3 = parameters(784, 512, 512, 10)
V1, C1, V2, C2 = parameters(784, 500, 10)


def loss(*layers):
    """Cross-entropy of linear layers with relu between them."""
    x = IMAGES.reshape(64, 784)
    for k in range(0, len(layers), 2):
        x = reference.linear(x, layers[k], layers[k + 1])
        if k + 2 < len(layers):
            x = reference.relu(x)
    return reference.cross_entropy(x, LABELS)


def train_step(w1=W1, b1=B1, w2=W2, b2=B2, w3=W3, b3=B3):
    """The loss, and the parameters after one step of gradient descent."""
    layers = (w1, b1, w2, b2, w3, b3)
    value, gradients = value_and_gradient(loss)(*layers)
    return value, *(reference.sgd(p, g, lr=LEARNING_RATE) for p, g in zip(layers, gradients, strict=True))


def train_step_adam(w1=V1, b1=C1, w2=V2, b2=C2):
    """The loss, and the parameters after the first step of Adam."""
    layers = (w1, b1, w2, b2)
    value, gradients = value_and_gradient(loss)(*layers)
    stepped = []
    for p, g in zip(layers, gradients, strict=True):
        stepped.append(reference.adam(p, g, np.zeros(p.shape), np.zeros(p.shape), step=1, lr=LEARNING_RATE)[0])
    return value, *stepped


if __name__ == "__main__":
    layers = (W1, B1, W2, B2, W3, B3)
    for step in range(5):
        value, *layers = train_step(*layers)
        print(f"step {step}: loss {float(value):.4f}")
