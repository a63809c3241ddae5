"""The programs of the course (worked-examples: program): by hand, by reverse mode and by torch."""

import inspect
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import opcheck
from opcheck.autodiff import load, value_and_gradient

PROGRAMS = Path(__file__).parents[3] / "lessons" / "programs"


def module(name, *functions):
    return [load(PROGRAMS / f"{name}.py", function) for function in functions]


def test_the_gradients_by_hand_are_those_of_reverse_mode():
    """Whole numbers, so that 1000 products add up exactly in any order."""
    by_hand, loss = module("two_layer_network", "gradients_by_hand", "loss")
    rng = np.random.default_rng(1)
    x, y, w1, w2 = (
        rng.integers(-3, 4, size=size).astype(float) for size in ((100, 1000), (100, 10), (1000, 100), (100, 10))
    )
    loss.__globals__.update(X=x, Y=y)
    _, found = value_and_gradient(loss)(w1, w2)
    for mine, expected in zip(found, by_hand(x, y, w1, w2), strict=True):
        assert np.array_equal(mine, expected)


@pytest.mark.torch
def test_the_gradients_by_hand_are_those_of_torch():
    import torch

    by_hand, _ = module("two_layer_network", "gradients_by_hand", "loss")
    rng = np.random.default_rng(2)
    x, y, w1, w2 = (
        rng.integers(-3, 4, size=size).astype(float) for size in ((100, 1000), (100, 10), (1000, 100), (100, 10))
    )
    t1, t2 = torch.tensor(w1, requires_grad=True), torch.tensor(w2, requires_grad=True)
    (torch.tensor(x).mm(t1).clamp(min=0).mm(t2) - torch.tensor(y)).pow(2).sum().backward()
    for mine, expected in zip(by_hand(x, y, w1, w2), (t1.grad, t2.grad), strict=True):
        assert np.array_equal(mine, expected.numpy())


def test_the_loss_of_the_two_layer_network_falls_at_every_step():
    (train,) = module("two_layer_network", "train")
    losses, _ = train(20)
    assert len(losses) == 20
    assert all(after < before for before, after in pairwise(losses))


def test_the_two_layer_network_is_traced():
    (loss,) = module("two_layer_network", "loss")
    page = opcheck.trace(loss).page()
    assert not page.differs


def gamma(n):
    return n * 2.0**-53 / (1 - n * 2.0**-53)


@pytest.mark.torch
def test_linear_regression_finds_one_half_and_every_gradient_is_torchs():
    import torch

    loss, train_step = module("linear_regression", "loss", "train_step")
    x, y = train_step.__globals__["X"], train_step.__globals__["Y"]
    weight, bias = train_step.__globals__["WEIGHT"], train_step.__globals__["BIAS"]
    tx, ty = torch.tensor(x), torch.tensor(y)
    for _ in range(300):
        tw, tb = torch.tensor(weight, requires_grad=True), torch.tensor(bias, requires_grad=True)
        torch.nn.functional.mse_loss(torch.nn.functional.linear(tx, tw, tb), ty).backward()
        _, (by_weight, by_bias) = value_and_gradient(loss)(weight, bias)
        # 200 terms 2/200·(w·x + b − y)·x, each of at most 8 roundings, in either implementation
        sizes = 2 / 200 * (np.abs(weight * x) + np.abs(bias) + np.abs(y))
        assert abs(by_weight - tw.grad.numpy()) <= 2 * gamma(208) * (sizes * np.abs(x)).sum()
        assert abs(by_bias - tb.grad.numpy()) <= 2 * gamma(208) * sizes.sum()
        _, weight, bias = train_step(weight, bias)
    least_squares = np.linalg.lstsq(np.hstack([x, np.ones_like(x)]), y, rcond=None)[0][0, 0]
    assert abs(weight.item() - least_squares) < 1e-6
    assert 0.45 < weight.item() < 0.55


@pytest.mark.torch
@pytest.mark.parametrize(("step", "sizes"), [("train_step", (784, 512, 512, 10)), ("train_step_adam", (784, 500, 10))])
def test_a_classifier_agrees_with_torch_layer_by_layer(step, sizes):
    """Each line of the trace is given to torch with the same inputs, so that every layer answers for itself."""
    import torch

    (loss,) = module("classifier", "loss")
    names = [f"{kind}{k}" for k in range(1, len(sizes)) for kind in "wb"]
    rng = np.random.default_rng(3)
    arrays = {}
    for k, (into, out) in enumerate(pairwise(sizes), start=1):
        arrays[f"w{k}"], arrays[f"b{k}"] = rng.normal(size=(out, into)) / np.sqrt(into), rng.normal(size=out)
    spelled = f"lambda {', '.join(names)}: loss({', '.join(names)})"
    trace = opcheck.trace(eval(spelled, {"loss": loss}), at=arrays)
    adjoints = trace.adjoints()
    seen = []
    for id, node in enumerate(trace.nodes):
        if node.rule is None:
            continue
        call = node.rule.forward.__self__
        seen.append(call.op.name)
        args = [trace.read(arg) for arg in node.args]
        tensors = [torch.tensor(x, requires_grad=x.dtype.kind == "f") for x in args]
        out = call.op.torch(torch, call.case.params, **call.arrays(tensors))
        out.backward(torch.tensor(adjoints[id]))
        pulled = call.op.vjp(call.p, adjoints[id], **call.arrays(args))
        absolute = [np.abs(x) for x in args]
        if call.op.name == "linear":
            terms = args[0].shape[1] + 1
            bound = gamma(terms) * call.op.forward(call.p, **call.arrays(absolute))
            back = call.op.vjp(call.p, np.abs(adjoints[id]), **call.arrays(absolute))
            count = {"input": args[1].shape[0], "weight": 64, "bias": 64}
            bounds = {name: gamma(count[name]) * each for name, each in back.items()}
        elif call.op.name == "relu":
            bound, bounds = 0.0, {"input": 0.0}
        else:  # cross-entropy of 10 classes over 64 rows: first-order bounds of numerics, for logits of this size
            logits = np.abs(args[0]).max() + 5
            bound, bounds = 1.01 * gamma(64 + 10 + 8) * 2 * logits, {"input": 1.01 * gamma(2 * logits + 40) / 64}
        assert (np.abs(node.value - out.detach().numpy()) <= 2 * bound).all()
        for name, tensor in zip(call.names, tensors, strict=True):
            if tensor.requires_grad:
                assert (np.abs(pulled[name] - tensor.grad.numpy()) <= 2 * bounds[name]).all(), name
    assert seen == ["linear", "relu"] * (len(sizes) - 2) + ["linear", "cross_entropy"]


@pytest.mark.torch
@pytest.mark.parametrize(("step", "optimiser"), [("train_step", "SGD"), ("train_step_adam", "Adam")])
def test_the_parameters_after_one_step_are_torchs(step, optimiser):
    """torch's optimiser is given our gradient; what it makes of it may differ by the rounding of a few operations."""
    import torch

    train_step, loss = module("classifier", step, "loss")
    layers = [parameter.default for parameter in inspect.signature(train_step).parameters.values()]
    _, gradients = value_and_gradient(loss)(*layers)
    stepped = train_step(*layers)[1:]
    tensors = [torch.tensor(layer, requires_grad=True) for layer in layers]
    for tensor, gradient in zip(tensors, gradients, strict=True):
        tensor.grad = torch.tensor(gradient)
    getattr(torch.optim, optimiser)(tensors, lr=1e-3).step()
    for mine, tensor, layer in zip(stepped, tensors, layers, strict=True):
        update = np.abs(mine - layer)
        # forming 1 − β2 and its powers costs 1000 u of the update (numerics, section 1); the sum one u of the parameter
        assert (np.abs(mine - tensor.detach().numpy()) <= 2.0**-53 * (4000 * update + 2 * np.abs(mine))).all()


@pytest.mark.parametrize("step", ["train_step", "train_step_adam"])
def test_a_training_step_is_traced_operator_by_operator(step):
    (train_step,) = module("classifier", step)
    trace = opcheck.trace(train_step)
    kinds = [node.rule.name for node in trace.nodes if node.rule and node.rule.name != "item"]
    layers = len(trace.inputs) // 2
    optimiser = "sgd" if step == "train_step" else "adam"
    assert kinds == [
        *["linear", "relu"] * (layers - 1), "linear", "cross_entropy", "cross_entropy (VJP)",
        *["linear (VJP)", "relu (VJP)"] * (layers - 1), "linear (VJP)", *[optimiser] * (2 * layers),
    ]  # fmt: skip
    plain = train_step()
    for mine, expected in zip(trace.value, plain, strict=True):
        assert np.array_equal(mine, expected)
