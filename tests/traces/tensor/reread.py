"""What a printed line of a tensor program says, computed again: by numpy and the reference functions, or by torch."""

import re
import unicodedata
from fractions import Fraction

import numpy as np

from opcheck import reference as F
from opcheck.programs.elementwise import erf
from opcheck.programs.rules import RULES
from opcheck.programs.sums import log_sum_exp
from opcheck.traces.tensor import tables
from tests.traces.printed import rows_of

PLAIN = str.maketrans(dict(zip("₋₀₁₂₃₄₅₆₇₈₉·−\u0304\u0307√", (*"m0123456789*-bd", "sqrt"), strict=True))
                      | {"≤": "<=", "≥": ">=", "∞": "inf", "²": "**2", "^": "**"})  # fmt: skip
OUTPUT = re.compile(r"(.*) → (\w+)")
OPERATORS = ("conv1d", "linear", "max_pool1d", "nll_loss", "relu", "sigmoid", "softmax")


def name(text):
    """A formula as Python has it: v̄₋₁ is vbm1."""
    return unicodedata.normalize("NFD", text).translate(PLAIN)


def line_of(text):
    """The line that v̄₋₁, v̇₋₁ and v₋₁ are of: vm1."""
    return name(re.sub("[\u0304\u0307]", "", text))


def again(text, known, library):
    """The array that a line says that it is. known: the arrays of other lines, by name(...)."""
    if named := OUTPUT.fullmatch(text):
        return dict(zip(("output", "indices"), again(named[1], known, library), strict=True))[named[2]]
    text = re.sub(r"(\d+(?:×\d+)+)", lambda sizes: f"({sizes[1].replace('×', ',')})", text)
    text = text.replace("at=[", "at=places[")
    text = re.sub(r"(?<![\w\]])(\[[\d, −]+\])", r"array(\1)", text)  # a list that is no index of something
    if whole := re.fullmatch(r"(\w+)\[(.*)\]", name(text)):  # torch has no negative steps
        numbers = {
            key: np.asarray(getattr(value, "detach", lambda value=value: value)())
            for key, value in known.items()
            if not isinstance(value, dict)
        }
        places = eval(f"places[{whole[2]}]", library | {"places": np.s_, "array": np.array} | numbers)
        return library["chosen"](known[whole[1]], places)
    return eval(name(text), {"__builtins__": {}, "places": np.s_, "inf": np.inf, "number": ()}, library | known)


def largest(a, *others, **axes):
    """max of two arrays, or of one along an axis: a table writes both so."""
    return np.maximum(a, *others) if others else np.max(a, **axes)


def smallest(a, *others, **axes):
    return np.minimum(a, *others) if others else np.min(a, **axes)


def put(a, at, shape):
    zeros = np.zeros(shape)
    np.add.at(zeros, at, a)
    return zeros


def first(best):
    """Where the first of the best stands, along an axis or in all."""

    def places(x, axis=None):
        if axis is None:
            return (np.arange(x.size) == best(x)).reshape(x.shape)
        return np.moveaxis(np.arange(x.shape[axis]) == np.expand_dims(best(x, axis=axis), -1), -1, axis)

    return places


NUMPY = {
    each: getattr(np, each)
    for each in ("abs", "arccos", "arcsin", "arctan", "argmax", "argmin",
                 "broadcast_to", "ceil", "clip", "cos", "cosh", "cumsum",
                 "exp", "expm1", "floor", "log1p",
                 "logaddexp", "mean", "ones", "prod", "reshape", "sign", "sin",
                 "sinh", "sort", "sqrt", "sum", "take_along_axis", "tan", "tanh", "transpose", "where", "zeros")
} | {
    "einsum": lambda *args: RULES["einsum"].forward(*args[:-1], spec=args[-1]), "log_sum_exp": log_sum_exp,
    "streamed_mean": lambda x, axis=None, keepdims=False: x.mean(axis=axis, keepdims=keepdims),
    "softmax_along": lambda x, axis: RULES["softmax_along"].forward(x, axis=axis), "formed": lambda x: x,
    "argsort": lambda x, axis: np.argsort(x, axis=axis, kind="stable"),
    "assigned": lambda at, shape: RULES["assigned"].forward(index=at, shape=shape),
    "with_slope": lambda y, x, slope: y,
    "arsinh": np.arcsinh, "arcosh": np.arccosh, "artanh": np.arctanh, "atan2": np.arctan2,
    "erf": erf, "π": np.pi, "array": lambda values: np.array(values), "astype": np.ndarray.astype,
    "int64": np.int64, "bool": np.bool_,
    "concatenate": lambda *parts, axis: np.concatenate(parts, axis=axis), "detach": lambda x: x, "ln": np.log,
    "σ": F.sigmoid,
    "chosen": lambda x, places: x[places], "max": largest, "min": smallest, "put": put,
    "first_max": first(np.argmax), "first_min": first(np.argmin),
} | {each: getattr(F, each) for each in OPERATORS}  # fmt: skip


def torch_library(torch):
    """The same words in torch, for the lines of an evaluation."""
    functional = torch.nn.functional

    def tensor(x):
        return x if torch.is_tensor(x) else torch.tensor(x, dtype=torch.float64)

    def extreme(method):
        def function(a, b=None, axis=None, keepdims=False):
            if b is not None:  # torch.maximum halves the gradient of equals; a maximum along an axis does not
                return getattr(torch.stack(torch.broadcast_tensors(tensor(a), tensor(b))), method)(dim=0).values
            if axis is None:
                found = getattr(a.reshape(-1), method)(0).values
                return found.reshape([1] * a.ndim) if keepdims else found
            return getattr(a, method)(dim=axis, keepdim=keepdims).values

        return function

    def reduced(function):
        return lambda x, axis=None, keepdims=False: (
            function(x, dim=tuple(range(x.ndim)) if axis is None else axis, keepdim=keepdims) if x.ndim else x
        )

    def shaped(function):
        return lambda x, shape: function(x, (shape,) if isinstance(shape, int) else shape)

    def assigned(at, shape):
        parts = at if isinstance(at, tuple) else (at,)
        index = tuple(part if isinstance(part, slice) else np.asarray(part).astype(int) for part in parts)
        return torch.tensor(RULES["assigned"].forward(index=index, shape=shape))

    def chosen(x, places):
        return x.reshape(-1)[torch.tensor(np.arange(x.numel()).reshape(x.shape)[places].copy())]

    return {
        each: getattr(torch, each)
        for each in ("abs", "cos", "cosh", "erf", "exp", "expm1", "floor", "ceil", "log1p", "logaddexp", "sigmoid",
                     "sign", "sin", "sinh", "sqrt", "tan",
                     "tanh", "arccos", "arcsin", "arctan", "atan2")
    } | {
        each: getattr(functional, each) for each in OPERATORS if each != "sigmoid"
    } | {
        "arsinh": torch.asinh, "arcosh": torch.acosh, "artanh": torch.atanh,
        "argmax": lambda x, axis: torch.argmax(x, dim=axis), "argmin": lambda x, axis: torch.argmin(x, dim=axis),
        "argsort": lambda x, axis: torch.argsort(x, dim=axis, stable=True),
        "assigned": assigned, "zeros": lambda sizes: torch.zeros(sizes, dtype=torch.float64),
        "sort": lambda x, axis: torch.sort(x, dim=axis, stable=True).values,
        "log_sum_exp": lambda x, axis: torch.logsumexp(x, dim=axis, keepdim=True),
        "streamed_mean": reduced(torch.mean),
        "softmax_along": lambda x, axis: torch.softmax(x, dim=axis), "formed": lambda x: x,
        "with_slope": lambda y, x, slope: y + slope.detach() * (x - x.detach()),
        "cumsum": lambda x, axis: torch.cumsum(x, dim=axis), "einsum": lambda *args: torch.einsum(args[-1], *args[:-1]),
        "prod": lambda x, axis, keepdims=False: torch.prod(x, dim=axis, keepdim=keepdims),
        "π": np.pi, "array": tensor, "astype": lambda x, dtype: x.detach().to(dtype), "int64": torch.int64,
        "bool": torch.bool,
        "concatenate": lambda *parts, axis: torch.cat(parts, dim=axis), "detach": lambda x: x.detach(),
        "ln": torch.log, "σ": torch.sigmoid, "sum": reduced(torch.sum), "mean": reduced(torch.mean), "chosen": chosen,
        "where": lambda condition, a, b: torch.where(torch.as_tensor(condition).bool(), tensor(a), tensor(b)),
        "clip": lambda x, low, high: torch.clip(x, low, high),  # which imports something, and eval may not
        "max": extreme("max"), "min": extreme("min"),
        "reshape": shaped(torch.reshape), "broadcast_to": shaped(torch.broadcast_to),
        "transpose": lambda x, axes=None: x.permute(axes or tuple(range(x.ndim))[::-1]),
    }  # fmt: skip


# --- what a trace prints ----------------------------------------------------------------------------------------------


class Printed:
    """The rows that a trace prints, and the numbers that its lines stand for, by name(line)."""

    def __init__(self, trace):
        lines = {name(tables.called(trace, id).name): id for id in trace.names}
        self.evaluation = list(rows_of(tables.values_table(trace, everything=True)))
        self.forward = list(rows_of(tables.tangents_table(trace, everything=True)))
        self.reverse = list(rows_of(tables.adjoints_table(trace, everything=True)))
        self.values = {line: trace.nodes[id].value for line, id in lines.items()}
        self.inputs = {line: trace.nodes[id].label for line, id in lines.items() if trace.nodes[id].label}
        self.computes = {name(line): told for line, told, *_ in self.evaluation}
        tangents, (shares, adjoints) = tables.tangents_of_ones(trace), tables.contributions(trace)
        self.tangents = {line: tangents[id] for line, id in lines.items() if tangents[id] is not None}
        self.adjoints = {line: adjoints[id] for line, id in lines.items() if adjoints[id] is not None}
        self.totals = [adjoints[trace.outputs[0]], *(each.total for each in shares)]

    def is_finite(self):
        arrays = (*self.values.values(), *self.tangents.values(), *self.adjoints.values(), *self.totals)
        return all(np.isfinite(each).all() for each in arrays)


def agrees(entries, array, slack=0.0, told=""):
    """Whether a line shows this array, up to `slack`: its shape, all or three of its numbers, and their norm."""
    sizes, values, norm = entries
    flat, slacks = np.ravel(array).astype(float), np.broadcast_to(slack, np.shape(array)).ravel()
    assert sizes == "×".join(map(str, np.shape(array))) or (sizes == "number" and not np.shape(array)), told
    shown, places = values.split(", "), range(flat.size)
    if flat.size > 4:
        assert shown.pop(2) == "…"
        places = (0, 1, -1)
    for text, place in zip(shown, places, strict=True):
        assert is_near(text, flat[place], slacks[place]), (told, values, flat)
    if norm:
        assert is_near(norm, np.sqrt((flat**2).sum()), np.sqrt((slacks**2).sum()), roundings=flat.size + 2), (
            told,
            norm,
        )
    assert bool(norm) == (np.asarray(array).dtype.kind == "f" and flat.size > 1)


def is_near(printed, number, slack, roundings=0):
    """Whether `printed` may be how `number` is printed: within half of its last digit, if it was rounded."""
    text = printed.replace("−", "-").replace("∞", "inf")
    mantissa, _, exponent = text.partition("e")
    is_rounded = len(mantissa.partition(".")[2]) == 4
    half = Fraction(10) ** (int(exponent or 0) - 4) / 2 if is_rounded else 0
    if not np.isfinite(float(text)):
        return np.array_equal(float(text), number, equal_nan=True)
    typed = float(text) == number  # a short decimal stands for the float that it is read as
    return (
        typed
        or abs(Fraction(text) - Fraction(number)) <= half + Fraction(slack) + abs(Fraction(number)) * roundings / 2**53
    )
