"""Each printed line of a tensor program differentiated by torch, which sees nothing but the line."""

import re

import numpy as np

from tests.traces.tensor.reread import again, name, torch_library

U = 2.0**-53
ROUNDINGS = 64  # of one step: sums of at most 16 products, and functions that are off by a few units in the last place


class Jacobians:
    """The derivative of each line by each line in it. slack: instead, how far one step may be off by rounding."""

    def __init__(self, program):
        import torch

        self.torch, self.values, self.library = torch, program.values, torch_library(torch)
        operations = {line: told for line, told in program.computes.items() if line not in program.inputs}
        self.of = {line: self.differentiated(told) for line, told in operations.items()}

    def differentiated(self, told):
        used = sorted(set(re.findall(r"\bvm?\d+\b", name(told))))
        leaves = {each: self.torch.tensor(self.values[each].copy()) for each in used}
        free = {each: leaf.requires_grad_() for each, leaf in leaves.items() if leaf.dtype == self.torch.float64}
        out = again(told, leaves, self.library).reshape(-1)
        if not out.requires_grad:
            return {each: np.zeros((out.numel(), leaf.numel())) for each, leaf in free.items()}
        options = {"retain_graph": True, "materialize_grads": True}
        rows = [self.torch.autograd.grad(element, list(free.values()), **options) for element in out]
        return {
            each: np.array([row[k].numpy().ravel() for row in rows]).reshape(out.numel(), -1)
            for k, each in enumerate(free)
        }

    def push(self, line, tangents, slack=False):
        """The tangent of a line: its Jacobians times the tangents of what is in it."""
        found = np.zeros(self.values[line].size)
        for each, jacobian in self.of[line].items():
            if each in tangents:
                found += times(jacobian, tangents[each], slack)
        return found.reshape(self.values[line].shape)

    def pull(self, line, to, adjoint, slack=False):
        """What the adjoint of a line gives a line in it: the transposed Jacobian times that adjoint."""
        return times(self.of[line][to].T, adjoint, slack).reshape(self.values[to].shape)


def times(jacobian, vector, slack):
    flat = np.ravel(vector)
    return ROUNDINGS * U * (np.abs(jacobian) + 1) @ np.abs(flat) if slack else jacobian @ flat
