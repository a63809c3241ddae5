from typing import List, Optional

import numpy

NDArray = numpy.ndarray


class Op:
    def __call__(self, *args):
        raise NotImplementedError()

    def compute(self, *args):
        raise NotImplementedError()

    def gradient(self, out_grad, node):
        raise NotImplementedError()


class TensorOp(Op):
    def __call__(self, *args):
        return Tensor.make_from_op(self, args)


class Value:
    op = None
    inputs = ()
    cached_data = None
    requires_grad = True

    def realize_cached_data(self):
        if self.cached_data is None:
            self.cached_data = self.op.compute(*[x.realize_cached_data() for x in self.inputs])
        return self.cached_data


class Tensor(Value):
    def __init__(self, array, *, device=None, dtype=None, requires_grad=True, **kwargs):
        self.cached_data = numpy.array(array.numpy() if isinstance(array, Tensor) else array, dtype=dtype)
        self.grad = None

    @staticmethod
    def make_from_op(op, inputs):
        t = Tensor.__new__(Tensor)
        t.op = op
        t.inputs = inputs
        t.cached_data = None
        t.grad = None
        for x in inputs:
            x.requires_grad
        t.realize_cached_data()
        return t

    @property
    def shape(self):
        return self.realize_cached_data().shape

    def numpy(self):
        return self.realize_cached_data()

    def backward(self, out_grad=None):
        out_grad = out_grad if out_grad else Tensor(numpy.ones(self.shape))
        compute_gradient_of_variables(self, out_grad)

    def __bool__(self):
        return True

    def __add__(self, o):
        import needle

        return needle.ops.EWiseAdd()(self, o)

    def __matmul__(self, o):
        import needle

        return needle.ops.MatMul()(self, o)


class Parameter(Tensor):
    pass


def compute_gradient_of_variables(output_tensor, out_grad):
    grads = {output_tensor: [out_grad]}
    order = []

    def visit(n):
        if n in order:
            return
        for i in n.inputs:
            visit(i)
        order.append(n)

    visit(output_tensor)
    for node in reversed(order):
        g = grads[node][0]
        for h in grads[node][1:]:
            g = g + h
        node.grad = g
        if node.op is None:
            continue
        gs = node.op.gradient(g, node)
        for i, gi in zip(node.inputs, gs if isinstance(gs, tuple) else (gs,)):
            grads.setdefault(i, []).append(gi)
