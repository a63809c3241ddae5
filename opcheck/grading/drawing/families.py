"""The families of cases: for each kind of operator, what sizes, parameters and numbers show the usual bugs."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from opcheck.grading.assignments.scope import Scope
from opcheck.grading.drawing import sampling, telling
from opcheck.operators.choosers import ExactValues
from opcheck.operators.spec import Array, Case, Op, Shape
from opcheck.verification.draws import Real
from opcheck.verification.truth.formats import format_of


class Drawing:
    """What a family of cases draws from: the ranges, a generator, and numbers of one kind."""

    def __init__(self, scope: Scope, rng: np.random.Generator, kind: str, dtype: str, index: int = 0) -> None:
        self.scope, self.rng, self.kind, self.index = scope, rng, kind, index
        f = format_of(dtype)
        self.values = ExactValues(rng, 9) if kind == "exact" else _Moderate(rng, f)

    def pick(self, name: str, wish: Callable[[Any], bool] = lambda value: True, unset: Sequence[Any] = ()) -> Any:
        """A value of a range, one that grants the wish if there is any."""
        options = self.scope.options(name, unset)
        granted = [value for value in options if wish(value)] or options
        return granted[int(self.rng.integers(len(granted)))]

    def given(self, name: str) -> bool:
        """Whether an optional array is given: in two of three cases where both are asked, whatever the seed."""
        return bool(self.pick(name, lambda given: given == (self.index % 3 != 2), unset=(True, False)))

    def array(self, *shape: int) -> Array:
        return self.values.array(*shape)

    def distinct(self, *shape: int) -> Array:
        """Whole numbers of which no two are equal."""
        n = int(np.prod(shape))
        return np.asarray(self.rng.permutation(n).reshape(shape) - n // 2, dtype=np.float64)

    def params(self, **values: Any) -> dict[str, Any]:
        """The parameters that are not torch's defaults, the given ones and those with a range."""
        found, several = {}, 0
        for each in self.scope.op.params:
            options = self.scope.options(each.name, (each.default,))
            # in turns, so that the cases of any seed have each value, and values of two parameters in each combination
            value = options[(self.index * (several + 1) + self.index // len(options) + several) % len(options)]
            several += len(options) > 1
            value = values.get(each.name, value)
            if type(value) is not type(each.default) or value != each.default:
                found[each.name] = value
        return found


class _Moderate(Real):
    """Real numbers of everyday size."""

    scales = (1.0, 1.0, 1.0, 0.125, 8.0)


Make = Callable[[Drawing, str], Case]  # a case for an aim


def family(op: Op) -> tuple[tuple[str, ...], Make]:
    """The aims of an operator's cases, and what makes a case for an aim."""
    if op.aims:
        return op.aims, _sampled
    return _FAMILIES[op.family] if op.family else (("",) * 10, _telling)


def _linear(d: Drawing, aim: str) -> Case:
    rows, features, out = {"one row": (1, 3, 2), "one feature": (2, 1, 3), "one output": (3, 2, 1)}.get(
        aim, tuple(int(n) for n in d.rng.permutation([2, 3, 4]))
    )
    rows = d.pick("batch", lambda n: n == rows if aim != "square" else n > 1)
    if aim == "square":  # where nothing but the numbers tells a weight from its transpose
        features = out = max(rows, 2)  # of one example, too
    arrays = {"input": d.array(rows, features), "weight": d.array(out, features)}
    if d.given("bias"):
        arrays["bias"] = d.array(out)
    return Case(d.scope.op.name, arrays, {})


def _convolution(d: Drawing, aim: str) -> Case:
    dims = d.scope.op.outputs[0].letters.count(" ") - 1
    strided, padded = aim in ("strided", "both", "any"), aim in ("padded", "both", "any")
    kernel = _pair(d.pick("kernel_size", _even if aim == "even kernel" else lambda k: _pair(k, 1)[0] > 1), dims)
    stride = d.pick("stride", lambda s: (_pair(s, 1)[0] > 1) == strided)
    padding = d.pick("padding", lambda p: isinstance(p, str) or (_pair(p, 1)[0] > 0) == padded)
    if padding == "same":  # which there is for a stride of 1 only
        stride = d.pick("stride", lambda s: s == 1)
    dilation = d.pick("dilation", lambda n: (_pair(n, 1)[0] > 1) == strided)
    groups = d.pick("groups", lambda n: (n > 1) == padded)
    images, channels, features = {
        "one": (1, 1, 1), "square": (2, 2, 2), "one channel": (2, 1, 1), "one place": (2, 2, 3)
    }.get(aim, (2, 2, 3))  # fmt: skip
    places = {"square": (2, 2), "one place": (1, 1)}.get(aim, (2, 3))
    images = d.pick("batch", lambda n: n == images, unset=(images,))
    rests = [int(d.rng.integers(s)) for s in _pair(stride, dims)]
    if strided:  # the stride leaves places over, in every direction once
        over = slice(None) if aim == "strided" else slice(-1, None)
        rests[over] = [s - 1 for s in _pair(stride, dims)[over]]
    sizes = [
        max(1, r * (k - 1) + 1 + (out - 1) * s + rest - 2 * p, k if isinstance(padding, str) else 1)
        for k, s, p, r, rest, out in zip(
            kernel, _pair(stride, dims), _pair(0 if isinstance(padding, str) else padding, dims),
            _pair(dilation, dims), rests, places, strict=False,
        )
    ]  # fmt: skip
    mode = d.pick("padding_mode", lambda word: (word != "zeros") == (aim == "both"))
    if mode != "zeros":  # a reflection needs something to reflect
        sizes = [size + 2 * _pair(0 if isinstance(padding, str) else padding, dims)[k] for k, size in enumerate(sizes)]
    arrays = {
        "input": d.array(images, groups * channels, *sizes),
        "weight": d.array(groups * features, channels, *kernel),
    }
    if d.given("bias"):
        arrays["bias"] = d.array(groups * features)
    params = d.params(stride=stride, padding=padding, dilation=dilation, groups=groups, padding_mode=mode)
    return Case(d.scope.op.name, arrays, params)


def _pool(d: Drawing, aim: str) -> Case:
    dims = int(d.scope.op.name[-2])
    padded = aim in ("padded", "negative")
    # an even window beyond an uneven end sees padding only, which is where ceil_mode goes wrong
    kernel = d.pick("kernel_size", _even if aim == "padded" else lambda k: not padded or _pair(k, 1)[0] > 1)
    padding = d.pick("padding", lambda p: (_pair(p, 1)[0] > 0) == padded)
    if any(p > k // 2 for p, k in zip(_pair(padding, dims), _pair(kernel, dims), strict=True)):
        kernel = d.pick("kernel_size", lambda k: min(_pair(k, dims)) >= 2 * max(_pair(padding, dims)))
    wanted = {
        "overlap": lambda s: s is not None and max(_pair(s, dims)) < max(_pair(kernel, dims)),
        "ties": lambda s: s is not None and max(_pair(s, dims)) < max(_pair(kernel, dims)),
        "uneven": lambda s: s is not None and max(_pair(s, dims)) > 1,
        "padded": lambda s: s != 1,
    }.get(aim, lambda s: True)
    stride = d.pick("stride", wanted)
    dilation = d.pick("dilation", lambda n: (_pair(n, 1)[0] > 1) == (aim in ("overlap", "uneven")), unset=(1,))
    ceil = d.pick("ceil_mode", lambda mode: mode == (aim in ("uneven", "padded")))
    counted = d.pick("count_include_pad", lambda count: count == (aim != "padded"), unset=(True,))
    divisor = d.pick("divisor_override", lambda divisor: (divisor is None) == padded, unset=(None,))
    steps = _pair(kernel if stride is None else stride, dims)
    sizes = []
    for k, (window, step, p, r) in enumerate(
        zip(_pair(kernel, dims), steps, _pair(padding, dims), _pair(dilation, dims), strict=True)
    ):
        rest = step - 1 if aim in ("uneven", "padded") else int(d.rng.integers(step))
        further = 0 if aim == "one place" else 1 + k
        sizes.append(max(r * (window - 1) + 1 + further * step + rest - 2 * p, r))
    images, channels = {"one": (1, 1), "one channel": (2, 1)}.get(aim, (2, 3))
    shape = (d.pick("batch", lambda n: n == images, unset=(images,)), channels, *sizes)
    ties = aim == "ties" and True in d.scope.options("ties", (False,))
    x = d.distinct(*shape) if d.kind == "exact" else d.array(*shape)
    if ties:
        x = np.asarray(d.rng.integers(-2, 2, size=shape), dtype=np.float64)
        x[0] = 1.0  # every window a tie
    if aim == "negative":
        x = x - x.max() - 1
    params = d.params(
        kernel_size=kernel,
        stride=stride,
        padding=padding,
        **_given(d, dilation=dilation, ceil_mode=ceil, count_include_pad=counted, divisor_override=divisor),
    )
    return Case(d.scope.op.name, {"input": x}, params)


def _given(d: Drawing, **values: Any) -> dict[str, Any]:
    """The values of those parameters that the operator has."""
    names = {each.name for each in d.scope.op.params}
    return {name: value for name, value in values.items() if name in names}


RANKS = {1: (4,), 2: (3, 4), 3: (2, 3, 2), 4: (2, 1, 2, 3)}


def _elementwise(d: Drawing, aim: str) -> Case:
    dims = d.pick("dims", lambda n: n == {"vector": 1, "cube": 3, "four": 4}.get(aim, 2), unset=(2,))
    x = d.array(*((1, 5) if (aim, dims) == ("one row", 2) else RANKS[dims]))
    if d.kind == "exact":  # both signs, whatever the seed
        x.flat[0], x.flat[-1] = -abs(x.flat[0]), abs(x.flat[-1])
    if aim == "large" and d.scope.op.degree:  # others overflow in a form that is right
        x = np.asarray(64.0 * x)
    if aim == "zeros" and True in d.scope.options("ties", (False,)):
        x = np.asarray(d.rng.integers(-1, 2, size=x.shape), dtype=np.float64)
        x.flat[0] = 0.0
    return Case(d.scope.op.name, {"input": x}, d.params())


def _rows(d: Drawing, aim: str) -> Case:
    """softmax and log_softmax."""
    dim = d.pick("dim")
    x = d.array(*{"one row": (1, 4), "square": (3, 3), "two columns": (4, 2)}.get(aim, (3, 4)))
    return Case(d.scope.op.name, {"input": x / 2 if d.kind == "exact" else x}, {"dim": dim})


def _classes(d: Drawing, aim: str) -> Case:
    """cross_entropy and nll_loss with class numbers."""
    n, c = {"one row": (1, 3), "square": (3, 3), "two classes": (4, 2)}.get(aim, (4, 3))
    params = d.params()
    x = d.array(n, c) / 2
    if d.scope.op.input("input").default == "negative":  # logarithms of probabilities
        x = -np.abs(x)
    target: Array = np.asarray(d.rng.integers(c, size=n), dtype=np.int64)
    if d.pick("probabilities", lambda wished: wished == (d.index % 2 == 0), unset=(False,)):
        target = d.rng.multinomial(8, [1 / c] * c, size=n) / 8
        params.pop("ignore_index", None)  # which is about class numbers
    ignored = params.get("ignore_index", -100)
    taught = len(d.scope.options("ignore_index", (-100,))) > 1 or "ignore_index" in params
    if taught and n > 1 and target.ndim == 1:  # whatever the number that stands for "ignored" is, a row has it
        target[0] = ignored
        target[1] = (ignored + 1) % c
    arrays = {"input": x, "target": target}
    if d.given("weight"):
        arrays["weight"] = np.asarray(2.0 ** d.rng.integers(-2, 2, size=c))
    return Case(d.scope.op.name, arrays, params)


def _pairs(d: Drawing, aim: str) -> Case:
    """Losses of a prediction and a target of the same shape."""
    shape: Shape = {
        "one row": (1, 3), "vector": (4,), "square": (3, 3), "one column": (4, 1), "two columns": (3, 2)
    }.get(aim, (4, 3))  # fmt: skip
    op = d.scope.op
    x = d.values.unit(*shape) if op.input("input").default == "unit" else d.array(*shape)
    binary = op.input("target").default == "binary"
    target = np.asarray(d.rng.integers(2, size=shape), dtype=np.float64) if binary else d.array(*shape)
    arrays = {"input": x, "target": target}
    for name in ("weight", "pos_weight"):
        if any(each.name == name for each in op.inputs) and d.given(name):
            arrays[name] = d.values.positive(*shape)
    return Case(op.name, arrays, d.params())


def _product(d: Drawing, aim: str) -> Case:
    """matmul: square matrices, where nothing but the numbers tells an operand from its transpose, and batches."""
    rows, inner, columns = (2, 2, 2) if "square" in aim else (int(n) for n in d.rng.permutation([2, 3, 4]))
    batch = (2,) if "batch" in aim else ()
    other = () if "shared" in aim else batch
    arrays = {"input": d.array(*batch, rows, inner), "other": d.array(*other, inner, columns)}
    return Case(d.scope.op.name, arrays, {})


def _sampled(d: Drawing, aim: str) -> Case:
    return sampling.sampled(d.scope, d.rng, d.values, aim)


def _telling(d: Drawing, aim: str) -> Case:
    """Of an operator that has no family here: what tells its mistakes apart, then anything."""
    samples = telling.within(telling.asked(d.scope))
    case = telling.drawn(d.scope, *samples[d.index], d.values) if d.index < len(samples) else None
    return case or _sampled(d, aim)


_FAMILIES: dict[str, tuple[tuple[str, ...], Make]] = {
    "linear": (("plain", "square", "one row", "plain", "one feature", "one output"), _linear),
    "convolution": (("plain", "strided", "padded", "both", "one", "square", "even kernel", "any", "one channel",
                     "one place"), _convolution),
    "pooling": (("plain", "overlap", "negative", "uneven", "ties", "one", "padded", "overlap", "one channel",
                 "one place"), _pool),
    "elementwise": (("plain", "zeros", "one row", "plain", "large", "vector", "cube", "four"), _elementwise),
    "rows": (("plain", "square", "one row", "plain", "two columns"), _rows),
    "classes": (("plain", "square", "one row", "two classes", "plain"), _classes),
    "pairs": (("plain", "square", "one row", "plain", "one column", "two columns"), _pairs),
    "product": (("plain", "square", "square batch", "shared batch", "plain"), _product),
}  # fmt: skip


def _pair(value: Any, dims: int) -> tuple[int, ...]:
    """A parameter as one number for each dimension."""
    if value is None:
        return (1,) * dims
    values = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    return values if len(values) == dims else (values * dims)[:dims]


def _even(kernel: Any) -> bool:
    return all(k % 2 == 0 for k in _pair(kernel, 1))
