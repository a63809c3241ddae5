from numbers import Number

import numpy as array_api

from ..autograd import NDArray, Op, Tensor, TensorOp, Value


class EWiseAdd(TensorOp):
    def compute(self, a, b):
        return a + b

    def gradient(self, g, node):
        return g, g


class MatMul(TensorOp):
    def compute(self, a, b):
        return a @ b

    def gradient(self, g, node):
        a, b = node.inputs
        lg = matmul(g, transpose(b))
        rg = matmul(transpose(a), g)
        while len(lg.shape) > len(a.shape):
            lg = summation(lg, 0)
        while len(rg.shape) > len(b.shape):
            rg = summation(rg, 0)
        return lg, rg


def matmul(a, b):
    return MatMul()(a, b)


class Transpose(TensorOp):
    def compute(self, a):
        return array_api.swapaxes(a, -1, -2)

    def gradient(self, g, node):
        return transpose(g)


def transpose(a, axes=None):
    return Transpose()(a)


class Summation(TensorOp):
    def __init__(self, axes=None):
        self.axes = axes

    def compute(self, a):
        return array_api.sum(a, self.axes)

    def gradient(self, g, node):
        return Tensor(array_api.broadcast_to(array_api.expand_dims(g.numpy(), self.axes), node.inputs[0].shape))


def summation(a, axes=None):
    return Summation(axes)(a)


class BroadcastTo(TensorOp):
    def __init__(self, shape):
        self.shape = shape

    def compute(self, a):
        return array_api.broadcast_to(a, self.shape)

    def gradient(self, g, node):
        return Tensor(g.numpy().sum(0).reshape(node.inputs[0].shape))


def broadcast_to(a, shape):
    return BroadcastTo(shape)(a)


class ReLU(TensorOp):
    def compute(self, a):
        return array_api.maximum(a, 0)

    def gradient(self, out_grad, node):
        return Tensor(out_grad.numpy() * (node.inputs[0].realize_cached_data() > 0))


def relu(a):
    return ReLU()(a)
