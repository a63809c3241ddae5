"""Numbers that remember how they were made.

A `Tracer` stands for a number that is not known yet; arithmetic on it appends to its `Tape`. A tracer has no value:
the tape is read afterwards, as often and in as many meanings as one likes (`readings`, `autodiff`, `rounding`).
A `View` is an array whose elements become labelled leaves when they are read; a place outside it is a leaf as well.
"""

import math
from collections.abc import Callable, Hashable, Iterable
from typing import Any

from opcheck.tracing.graph import Graph, Node
from opcheck.tracing.primitives import FLOATS, Arithmetic

# numpy's names that differ from those of the primitives
UFUNCS = {
    "add": "sum", "subtract": "sub", "multiply": "mul", "divide": "div", "negative": "neg", "absolute": "abs",
    "float_power": "power", "maximum": "max", "minimum": "min",
    "arcsin": "asin", "arccos": "acos", "arctan": "atan", "arctan2": "atan2",
    "arcsinh": "asinh", "arccosh": "acosh", "arctanh": "atanh",
}  # fmt: skip


class TracedControlFlowError(TypeError):
    """Python code asked for a tracer's value, to branch on it or to use it outside the trace."""


class Tape:
    """The list that tracers write on. Nothing is shared between two tapes.

    `literal`: whether a program is recorded as it is written; see `opcheck.programs.arrays.ArrayTape`."""

    __slots__ = ("_constants", "literal", "nodes")

    def __init__(self, literal: bool = True) -> None:
        self.nodes: list[Node] = []
        self.literal = literal
        self._constants: dict[Any, int] = {}

    def input(self, label: str, value: Any, at: tuple[int, ...] = ()) -> "Tracer":
        """A new leaf, such as x[0,1] = 2.0."""
        return self._append(Node("input", (), label, at, value))

    def padding(self, label: str, value: Any, at: tuple[int, ...]) -> "Tracer":
        """A leaf for a position outside the array `label`."""
        return self._append(Node("padding", (), label, at, value))

    def constant(self, value: Any, label: str = "") -> "Tracer":
        """A number that nothing is differentiated with respect to; equal constants share a node."""
        key = (label, type(value), value or str(value))  # str tells -0.0 from 0.0
        if key not in self._constants:
            if isinstance(value, complex):
                raise TypeError("complex numbers cannot be traced")
            self._constants[key] = self._append(Node("constant", (), label, (), value)).id
        return Tracer(self, self._constants[key])

    def record(self, op: str, args: Iterable[Any]) -> "Tracer":
        """One more line: `op` of tracers of this tape and of plain numbers."""
        ids = []
        for arg in args:
            if type(arg) is not Tracer:
                arg = self.constant(arg)
            elif arg.tape is not self:
                raise TypeError("two numbers from different traces cannot meet: trace the whole function at once")
            ids.append(arg.id)
        return self._append(Node(op, tuple(ids)))

    def asked(self, question: str, x: "Tracer", *others: Any) -> Any:
        """What Python is told that asks for the value of a number; a tape that does not know it refuses."""
        raise TracedControlFlowError(
            "Python asked for the value of a traced number (if, while, ==, <=, float(), int(), range()), but a trace "
            "holds for every value. Use select(a < b, x, y) for a choice, maximum(...) or minimum(...) for a bound, "
            "and numpy's functions (np.sin) instead of math's"
        )

    def graph(self, *outputs: "Tracer") -> Graph:
        """Everything recorded so far, with these outputs."""
        return Graph(self.nodes, [output.id for output in outputs])

    def tracers(self) -> "list[Tracer]":
        """One tracer for each node, for reading a graph in tracers."""
        return [Tracer(self, k) for k in range(len(self.nodes))]

    def _append(self, node: Node) -> "Tracer":
        self.nodes.append(node)
        return Tracer(self, len(self.nodes) - 1)


class Blank(Tape):
    """A tape that records everything as the same number, for finding out which elements a result depends on."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__()
        self.nodes.append(Node("input", (), value=1.0))

    def constant(self, value: Any, label: str = "") -> "Tracer":
        return Tracer(self, 0)

    def record(self, op: str, args: Iterable[Any]) -> "Tracer":
        return Tracer(self, 0)

    def _append(self, node: Node) -> "Tracer":
        return Tracer(self, 0)


class Tracer:
    """A number on a tape. Arithmetic records; comparison with < records a 0 or 1 for `select`."""

    __slots__ = ("id", "tape")

    def __init__(self, tape: Tape, id: int) -> None:
        self.tape = tape
        self.id = id

    @property
    def known(self) -> Any:
        """Its number if it is a constant, else None."""
        node = self.tape.nodes[self.id]
        return node.value if node.op == "constant" else None

    def __add__(self, other: Any) -> "Tracer":
        return self.tape.record("sum", (self, other))

    def __radd__(self, other: Any) -> "Tracer":
        return self.tape.record("sum", (other, self))

    def __sub__(self, other: Any) -> "Tracer":
        return self.tape.record("sub", (self, other))

    def __rsub__(self, other: Any) -> "Tracer":
        return self.tape.record("sub", (other, self))

    def __mul__(self, other: Any) -> "Tracer":
        return self.tape.record("mul", (self, other))

    def __rmul__(self, other: Any) -> "Tracer":
        return self.tape.record("mul", (other, self))

    def __truediv__(self, other: Any) -> "Tracer":
        return self.tape.record("div", (self, other))

    def __rtruediv__(self, other: Any) -> "Tracer":
        return self.tape.record("div", (other, self))

    def __pow__(self, other: Any) -> "Tracer":
        return self.tape.record("power", (self, other))

    def __rpow__(self, other: Any) -> "Tracer":
        return self.tape.record("power", (other, self))

    def __neg__(self) -> "Tracer":
        return self.tape.record("neg", (self,))

    def __pos__(self) -> "Tracer":
        return self

    def __abs__(self) -> "Tracer":
        return self.tape.record("abs", (self,))

    def __lt__(self, other: Any) -> "Tracer":
        return self.tape.record("less", (self, other))

    def __gt__(self, other: Any) -> "Tracer":
        return self.tape.record("less", (other, self))

    def __bool__(self) -> bool:
        return bool(self.tape.asked("bool", self))

    def __int__(self) -> int:
        return int(self.tape.asked("int", self))

    def __index__(self) -> int:
        return int(self.tape.asked("index", self))

    def __float__(self) -> float:
        return float(self.tape.asked("float", self))

    def __complex__(self) -> complex:
        return complex(self.tape.asked("complex", self))

    def __le__(self, other: Any) -> Any:
        return self.tape.asked("le", self, other)

    def __ge__(self, other: Any) -> Any:
        return self.tape.asked("ge", self, other)

    def __eq__(self, other: Any) -> Any:
        return self.tape.asked("eq", self, other)

    def __ne__(self, other: Any) -> Any:
        return self.tape.asked("ne", self, other)

    def __array_ufunc__(self, ufunc: Any, method: str, *args: Any, **options: Any) -> "Tracer":
        """numpy's functions of one number record: np.sin(x) is sin(x)."""
        op = UFUNCS.get(ufunc.__name__, ufunc.__name__)
        if not (op in FLOATS.functions or op in COMPOSED) or method != "__call__" or options:
            known = ", ".join((*FLOATS.functions, *COMPOSED))
            raise TypeError(f"np.{ufunc.__name__} of a traced number is not recorded; there are {known}")
        if any(getattr(arg, "ndim", 0) for arg in args):
            raise TypeError("a traced number and an array do not meet: give the input as an array as well")
        return COMPOSED[op](*args) if op in COMPOSED else self.tape.record(op, args)

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        node = self.tape.nodes[self.id]
        name = node.label + (str(list(node.at)) if node.at else "")
        return f"Tracer({name or node.op})"


def _record(op: str, *args: Any) -> Any:
    """`op` on the tape of its arguments; plain numbers stay plain numbers."""
    for arg in args:
        if type(arg) is Tracer:
            return arg.tape.record(op, args)
    return FLOATS.functions[op](*args)


def _recording(op: str, summary: str) -> Callable[..., Any]:
    def function(*args: Any) -> Any:
        return _record(op, *args)

    function.__name__ = function.__qualname__ = op
    function.__doc__ = summary
    return function


TRACED = Arithmetic({op: _recording(op, f"{op} of tracers or plain numbers") for op in FLOATS.functions})

exp = TRACED.exp
expm1 = TRACED.expm1
erf = TRACED.erf
log = TRACED.log
log1p = TRACED.log1p
sqrt = TRACED.sqrt
sin = TRACED.sin
cos = TRACED.cos
tan = TRACED.tan
sinh = TRACED.sinh
cosh = TRACED.cosh
tanh = TRACED.tanh
sigmoid = TRACED.sigmoid
maximum = TRACED.max
minimum = TRACED.min
select = TRACED.select
detach = TRACED.detach
with_slope = TRACED.with_slope  # (number, x, slope): where torch's derivative is not that of what torch computes
divide = TRACED.div  # for a divisor that may be a plain 0: NaN or an infinity, as IEEE 754 has it
floor = TRACED.floor
ceil = TRACED.ceil

# functions that are made of others, by their names in numpy and in math
COMPOSED: dict[str, Callable[..., Any]] = {
    "square": lambda x: x * x,
    "reciprocal": lambda x: 1 / x,
    "positive": lambda x: +x,
    "fabs": abs,
    "log2": lambda x: log(x) / log(2.0),
    "log10": lambda x: log(x) / log(10.0),
    "exp2": lambda x: 2.0**x,
    "hypot": lambda *xs: sqrt(total(x * x for x in xs)),
    **dict.fromkeys(("degrees", "rad2deg"), lambda x: x * (180.0 / math.pi)),
    **dict.fromkeys(("radians", "deg2rad"), lambda x: x * (math.pi / 180.0)),
}


def total(terms: Iterable[Any]) -> Any:
    """The sum of any number of terms as one flat node. No terms give 0; one term is returned as it is."""
    terms = list(terms)
    if len(terms) < 2:
        return terms[0] if terms else 0
    return _record("sum", *terms)


def named(label: str, x: Any, at: tuple[int, ...] = ()) -> Any:
    """The same number under a name, so that a worked calculation shows it as its own line."""
    if type(x) is Tracer:
        node = x.tape.nodes[x.id]
        if not node.label and not node.is_leaf:
            x.tape.nodes[x.id] = node._replace(label=label, at=at)
    return x


class View:
    """An array whose elements are labelled leaves of a tape: `x[0, 1]` is the tracer of x[0,1].

    Reading an element twice gives the same leaf. Outside the array there is `padding` (its own leaf), or, where
    no padding was declared, an IndexError: a definition never wraps around by accident.
    """

    __slots__ = ("_leaves", "_made", "_padding", "array", "label", "shape", "tape")

    def __init__(self, tape: Tape, label: str, array: Any, padding: Any = None) -> None:
        self.tape = tape
        self.label = label
        self.shape: tuple[int, ...] = tuple(array.shape)
        self.array = array
        self._padding = padding
        self._leaves: dict[tuple[int, ...], Tracer] = {}
        self._made: dict[Hashable, Any] = {}

    def once(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """make(), recorded once and found again under its key: what several output elements share, as a row's sum."""
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    def padded(self, value: Any) -> "View":
        """The same leaves, in an infinite plane of `value`."""
        other = View(self.tape, self.label, self.array, value)
        other._leaves = self._leaves
        return other

    def __getitem__(self, index: int | tuple[int, ...]) -> Tracer:
        place = index if isinstance(index, tuple) else (index,)
        leaf = self._leaves.get(place)
        if leaf is None:
            if len(place) != len(self.shape):
                raise IndexError(f"{self.label} has {len(self.shape)} dimensions, not {len(place)}")
            if all(0 <= i < n for i, n in zip(place, self.shape, strict=True)):
                number = self.array[place]
                leaf = self.tape.input(self.label, number.item() if hasattr(number, "item") else number, place)
            elif self._padding is not None:
                leaf = self.tape.padding(self.label, self._padding, place)
            else:
                raise IndexError(f"{self.label}{list(place)} is outside the shape {self.shape}")
            self._leaves[place] = leaf
        return leaf
