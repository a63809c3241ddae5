"""What is special about a case, in words: the conditions under which students' code goes wrong, and one case for each.

A case of one condition is plain in every other way, so that one bug costs one condition and not all of them.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from opcheck.errors import Refused
from opcheck.grading.assignments.scope import Scope, is_optimiser
from opcheck.grading.drawing.families import Drawing, family
from opcheck.grading.drawing.sizes import cut, sizes
from opcheck.language import say
from opcheck.operators.params import REQUIRED
from opcheck.operators.spec import Array, Case, Op

PLAIN = "plain"


class Condition(NamedTuple):
    """A condition as it reads in three places: in a list, after "wrong whenever", and after "right without"."""

    name: str
    whenever: str
    without: str


def conditions(op: Op, case: Case) -> list[Condition]:
    """Every condition that a case has."""
    return [*_of_windows(op, case), *_of_parameters(op, case), *_of_arrays(op, case), *_of_sizes(op, case)]


def _of_sizes(op: Op, case: Case) -> Iterator[Condition]:
    known = sizes(op, case)
    first = next(iter(case.arrays.values()))
    if first.ndim > 1 and len(first) > 1:
        yield Condition(say("batch"), say("there is more than one example in the batch"), say("a batch"))
    if first.ndim > 1 and len(first) == 1:
        yield Condition(say("one example"), say("there is only one example"), say("a batch of one"))
    if known.get("Cin", known.get("C", 1)) > 1 and _has_images(op):
        yield Condition(say("channels"), say("there is more than one channel"), say("a second channel"))
    if known.get("Cout", 1) > 1:
        yield Condition(say("output channels"), say("there is more than one output channel"),
                        say("a second output channel"))  # fmt: skip
    if {"H", "W"} <= known.keys() and (known["H"] != known["W"] or known.get("Kh") != known.get("Kw")):
        yield Condition(say("not square"), say("height and width differ"), say("unequal height and width"))


def _of_windows(op: Op, case: Case) -> Iterator[Condition]:
    kernel, stride, padding = windows(op, case)
    if not kernel:
        return
    images = next(iter(case.arrays.values())).shape[-len(kernel) :]
    if "weight" in case.arrays and max(stride) > 1:
        yield Condition(say("stride"), say("stride > 1"), say("stride"))
    if "weight" not in case.arrays and any(s < k for s, k in zip(stride, kernel, strict=True)):
        yield Condition(say("overlapping windows"), say("windows overlap"), say("overlap"))
    if max(padding) > 0:
        yield Condition(say("padding"), say("padding > 0"), say("padding"))
    if any((n + 2 * p - k) % s for n, p, k, s in zip(images, padding, kernel, stride, strict=True)):
        yield Condition(
            say("a remainder at the edge"), say("the stride leaves a remainder at the edge"), say("a remainder")
        )
    if any(k % 2 == 0 for k in kernel) and "weight" in case.arrays:
        yield Condition(say("even kernel"), say("the kernel has an even size"), say("an even kernel"))


def windows(op: Op, case: Case) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Kernel, stride and padding in each direction; nothing of an operator without windows."""
    names = {each.name for each in op.params}
    if "stride" not in names or isinstance(case.params.get("padding"), str):
        return (), (), ()
    dims = op.outputs[0].letters.count(" ") - 1
    kernel = case.arrays["weight"].shape[2:] if "weight" in case.arrays else pair(case.params["kernel_size"], dims)
    stride = case.params.get("stride")
    usual = (1,) * dims if "weight" in case.arrays else kernel
    return kernel, usual if stride is None else pair(stride, dims), pair(case.params.get("padding", 0), dims)


def pair(value: Any, dims: int) -> tuple[int, ...]:
    """A parameter as one number for each dimension."""
    return tuple(value) if isinstance(value, (tuple, list)) else (value,) * dims


_SPOKEN = ("stride", "padding", "kernel_size")  # conditions of their own


def _of_parameters(op: Op, case: Case) -> Iterator[Condition]:
    for each in op.params:
        value = case.params.get(each.name, each.default)
        if each.name in _SPOKEN or each.default is REQUIRED or value == each.default:
            continue
        if isinstance(each.default, tuple) or (isinstance(each.default, float) and each.default):
            continue  # a learning rate is a number like any other
        if isinstance(value, bool):
            words = say("{name}={value}", name=each.name, value=value)
        elif isinstance(each.default, int) and isinstance(value, int):
            words = say("{name} > {default}", name=each.name, default=each.default)
        else:
            words = say("{name} is not {default}", name=each.name, default=each.default)
        yield Condition(each.name, words, each.name)


def _of_arrays(op: Op, case: Case) -> Iterator[Condition]:
    for each in op.inputs:
        if each.optional and each.name in case.arrays:
            yield Condition(each.name, say("{name} is given", name=each.name), each.name)


# --- one case for each ------------------------------------------------------------------------------------------------


Generators = Callable[[int], np.random.Generator]


def separate(scope: Scope, rng_of: Generators, dtype: str) -> list[tuple[str, Case]]:
    """The plain case, and for each condition that the ranges allow the case that has it and nothing else; nothing for a
    step of an optimiser, whose options and state belong together."""
    if is_optimiser(scope.op):
        return []
    if scope.options("kernel_size"):
        found = list(_windows_one_by_one(scope, rng_of, dtype))
    else:
        found = list(_one_by_one(scope, rng_of, dtype))
    legal = [(name, case) for name, case in found if _legal(scope, case)]
    return list({name: (name, case) for name, case in reversed(legal)}.values())[::-1]


def _has_images(op: Op) -> bool:
    return not {"L", "H"}.isdisjoint(op.inputs[0].letters.split())


def _legal(scope: Scope, case: Case) -> bool:
    try:
        _, shapes = scope.op.checked(case)
    except Refused:
        return False
    return scope.holds(case) and all(np.prod(shape) for shape in shapes.values())


def plainest(scope: Scope, case: Case) -> Case:
    """The case with one example, without optional arrays, and with every parameter as near its default as the ranges
    allow."""
    op = scope.op
    optional = {each.name for each in op.inputs if each.optional}
    arrays = {name: a for name, a in case.arrays.items() if name not in optional or not scope.within(name, False)}
    params = {}
    for each in op.params:
        if each.default is REQUIRED or not scope.within(each.name, each.default):
            params[each.name] = case.params.get(each.name, next(iter(scope.options(each.name)), None))
    plain = case._replace(arrays=arrays, params=params)
    batch = cut(op, plain, next(iter(sizes(op, plain)), ""), 1) if next(iter(arrays.values())).ndim > 1 else None
    return next((made for made in (batch, plain) if made is not None and _legal(scope, made)), case)


def _one_by_one(scope: Scope, rng_of: Generators, dtype: str) -> Iterator[tuple[str, Case]]:
    """One parameter, one optional array, several examples or another number of dimensions at a time."""
    op, (aims, make) = scope.op, family(scope.op)
    several = make(Drawing(scope, rng_of(0), "exact", dtype), aims[0])
    base = plainest(scope, several)
    yield PLAIN, base
    shared = {name: array for name, array in several.arrays.items() if name in base.arrays}
    if any(array.shape != base.arrays[name].shape for name, array in shared.items()):
        yield say("batch"), several._replace(arrays=shared, params=base.params)
    for each in op.params:
        for value in scope.options(each.name):
            if value != base.params.get(each.name, each.default):
                yield each.name, base._replace(params={**base.params, each.name: value})
                break
    for name in [each.name for each in op.inputs if each.optional and each.name in several.arrays]:
        if name not in base.arrays:
            yield name, base._replace(arrays={**base.arrays, name: _fitted(base, several, several.arrays[name])})
    for aim, words in (("vector", say("one dimension")), ("cube", say("three dimensions")),
                       ("four", say("four dimensions"))):  # fmt: skip
        if "dims" in scope.ranges:
            case = make(Drawing(scope, rng_of(2), "exact", dtype), aim)
            if next(iter(case.arrays.values())).ndim != 2:
                yield words, case


def _fitted(base: Case, several: Case, array: Array) -> Array:
    """An array for the base case: one with a number for each example loses those of the others."""
    first, smaller = (next(iter(case.arrays.values())).shape for case in (several, base))
    return array[tuple(slice(n) for n in smaller)] if array.shape == first else array


# --- windows: convolutions and pools ----------------------------------------------------------------------------------


class Wish(NamedTuple):
    """What is asked of a case with windows; all else is plain."""

    images: int = 1
    channels: int = 1
    features: int = 1
    over: bool = False  # whether the stride leaves a remainder at the edge
    square: bool = True
    even: bool = False
    larger: str = ""  # the parameter that is larger than usual
    overlap: bool = False
    bias: bool = False


_WISHES = (
    (PLAIN, Wish()),
    ("batch", Wish(images=2)),
    ("channels", Wish(channels=2)),
    ("output channels", Wish(features=3)),
    ("stride", Wish(larger="stride")),
    ("overlapping windows", Wish(overlap=True)),
    ("padding", Wish(larger="padding")),
    ("not square", Wish(square=False)),
    ("a remainder at the edge", Wish(larger="stride", over=True)),
    ("even kernel", Wish(even=True)),
    ("dilation", Wish(larger="dilation")),
    ("groups", Wish(larger="groups")),
    ("bias", Wish(bias=True)),
)
_USUAL = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}


def _windows_one_by_one(scope: Scope, rng_of: Generators, dtype: str) -> Iterator[tuple[str, Case]]:
    for k, (name, wish) in enumerate(_WISHES):
        made = _Windows(Drawing(scope, rng_of(k), "exact", dtype), wish)
        case = made.pool() if "kernel_size" in {each.name for each in scope.op.params} else made.convolution()
        if case is not None:
            yield say(name), case


class _Windows:
    """A convolution or a pool for a wish; None where the ranges do not grant it."""

    def __init__(self, d: Drawing, wish: Wish) -> None:
        self.d, self.wish, self.op = d, wish, d.scope.op
        self.dims = self.op.outputs[0].letters.count(" ") - 1

    def convolution(self) -> Case | None:
        wish = self.wish
        kernel = self._kernel(even=wish.even)
        chosen = {name: self._value(name, usual) for name, usual in _USUAL.items()}
        given = self.d.scope.options("bias", (False,))
        if kernel is None or None in chosen.values() or wish.overlap or (wish.bias and True not in given):
            return None
        groups = chosen["groups"]
        images = self._images(kernel, chosen)
        if images is None:
            return None
        arrays = {
            "input": self.d.array(wish.images, groups * wish.channels, *images),
            "weight": self.d.array(groups * wish.features, wish.channels, *kernel),
        }
        if wish.bias or False not in given:
            arrays["bias"] = self.d.array(groups * wish.features)
        return Case(self.op.name, arrays, {name: v for name, v in chosen.items() if v != _USUAL[name]})

    def pool(self) -> Case | None:
        wish = self.wish
        kernel = self._kernel(even=False) or self._kernel(even=True)
        known = {each.name for each in self.op.params}
        unasked = wish.even or wish.bias or wish.features > 1 or (wish.larger == "stride" and not wish.over)
        unasked |= wish.larger not in ("", *known)
        if kernel is None or unasked:
            return None
        strides = [
            kernel if each is None else pair(each, self.dims) for each in self.d.scope.options("stride", (None,))
        ]
        fitting = [s for s in strides if (max(s) < min(kernel)) == wish.overlap and (min(s) > 1 or not wish.over)]
        if not fitting:
            return None
        chosen = {
            "stride": min(fitting, key=lambda s: s != kernel),
            "padding": self._value("padding", 0),
            "dilation": 1,
        }
        if "dilation" in known:
            chosen["dilation"] = self._value("dilation", 1)
        images = None if None in chosen.values() or wish.larger == "groups" else self._images(kernel, chosen)
        if images is None:
            return None
        stride = None if chosen["stride"] == kernel else chosen["stride"][0]
        params = {"kernel_size": kernel[0], "stride": stride, **{k: v for k, v in chosen.items() if k != "stride"}}
        usual = {"stride": None, **{name: _USUAL[name] for name in ("padding", "dilation")}}
        x = self.d.distinct(wish.images, wish.channels, *images)
        params = {name: value for name, value in params.items() if name not in usual or value != usual[name]}
        return Case(self.op.name, {"input": x}, params)

    def _kernel(self, even: bool) -> tuple[int, ...] | None:
        """A square kernel, one of odd size if that is asked."""
        sizes = [pair(each, self.dims) for each in self.d.scope.options("kernel_size")]
        square = [k for k in sizes if len(set(k)) == 1 and k[0] > 1]
        odd = [k for k in square if k[0] % 2]
        if even:
            return next((k for k in square if k[0] % 2 == 0), None)
        return next(iter(odd or square), None)

    def _value(self, name: str, usual: int) -> Any:
        """The usual value of a parameter, or a larger one where that is wished; None if there is none."""
        options = [v for v in self.d.scope.options(name, (usual,)) if not isinstance(v, str)]
        if self.wish.larger == name:
            return next((v for v in options if min(pair(v, self.dims)) > usual), None)
        return usual if usual in options else next(iter(options), None)

    def _images(self, kernel: tuple[int, ...], chosen: dict[str, Any]) -> list[int] | None:
        """Images of two windows each way, one more where they are not square."""
        stride, padding, spread = (pair(chosen[name], self.dims) for name in ("stride", "padding", "dilation"))
        if (not self.wish.square and self.dims == 1) or (self.wish.over and max(stride) == 1):
            return None
        windows = [2] * self.dims if self.wish.square else [*range(2, 2 + self.dims)]
        rest = 1 if self.wish.over else 0
        return [
            max(r * (k - 1) + 1 + (n - 1) * s + min(rest, s - 1) - 2 * p, 1)
            for n, k, s, p, r in zip(windows, kernel, stride, padding, spread, strict=True)
        ]
