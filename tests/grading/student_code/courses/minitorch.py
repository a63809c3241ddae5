"""Collection of the core mathematical operators used throughout the code base."""

import math


def mul(x: float, y: float) -> float:
    return x * y


def sigmoid(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x)) if x >= 0 else math.exp(x) / (1.0 + math.exp(x))


def relu(x: float) -> float:
    return x if x > 0 else 0.0


def relu_back(x: float, d: float) -> float:
    return d if x > 0 else 0.0
