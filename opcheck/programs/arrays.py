"""Traced arrays: numpy's functions and `opcheck.reference` record what is done to them, with its value.

A traced array has a shape and can be computed with like numpy's; Python cannot decide on its values. Each node's rule
is a row of `rules.RULES`, or an operator of the catalogue with its own VJP and JVP (`operators`).
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, NamedTuple, NoReturn, TypeVar

import numpy as np

from opcheck.language import say
from opcheck.programs.movement import Slot, filled
from opcheck.programs.rule import Rule, applied
from opcheck.programs.rules import RULES
from opcheck.tracing import TracedControlFlowError

D = TypeVar("D", bool, int)


class ArrayNode(NamedTuple):
    """One line of a tensor program. `rule` is None for inputs (which have a label) and constants."""

    rule: Rule | None
    args: tuple[int, ...]
    params: dict[str, Any]
    value: Any  # an array, or a dict of them by output name
    label: str = ""


class ArrayTape:
    """The list that traced arrays write on. `expanded`: an operator of the catalogue is not one line of it, but the
    lines of its own program. `literal`: every line is as it was written, for people to read; else what is known by
    another name, as 1/(1 + exp(−x)) is, may be recorded by it. `torn`: at a tie any subgradient is right, so bounds are
    as wide as they are apart; else the one that the definition has."""

    __slots__ = ("decided", "expanded", "literal", "names", "nodes", "torn")

    def __init__(
        self, expanded: bool = False, decided: Callable[[bool | int], None] | None = None, literal: bool = True
    ) -> None:
        self.nodes: list[ArrayNode] = []
        self.expanded = expanded
        self.literal = literal
        self.torn = False
        self.decided = decided  # is told what a program decides by; None: it must hold for every value
        self.names: dict[int, str] = {}  # of nodes that a person has a name for

    def input(self, label: str, value: Any) -> "TracedArray":
        return self._append(ArrayNode(None, (), {}, as_float(value), label))

    def constant(self, value: Any) -> "TracedArray":
        kind = np.asarray(value).dtype
        if kind.kind not in "fiubO":  # objects may be numbers: Fractions
            raise TypeError(say("numbers of dtype {dtype} cannot be traced", dtype=kind))
        return self._append(ArrayNode(None, (), {}, as_float(value)))

    def fresh(self, value: Any) -> "TracedArray":
        """A constant that the program may fill: `out[i] = ...`."""
        made = self.constant(value)
        made.is_fresh = True
        return made

    def record(self, rule: Rule, args: Iterable[Any], **params: Any) -> "TracedArray":
        """One more line, computed at once; arguments that are not traced become constants."""
        traced = [self.lifted(arg) for arg in args]
        with np.errstate(all="ignore"):
            value = rule.forward(*[arg.value for arg in traced], **params)
        ids = tuple(arg.id for arg in traced)
        return self._append(ArrayNode(rule, ids, params, value if isinstance(value, dict) else np.asarray(value)))

    def lifted(self, x: Any) -> "TracedArray":
        if not isinstance(x, TracedArray):
            known: TracedArray | None = getattr(x, "recorded", None)  # how a table was made (`tables`)
            if known is None or known.tape is not self or not np.array_equal(np.asarray(x), known.value):
                return self.constant(x)  # or it was changed since
            return known
        if x.tape is not self:
            raise TypeError(say("arrays from different traces cannot be combined: trace the whole function at once"))
        return x

    def _append(self, node: ArrayNode) -> "TracedArray":
        self.nodes.append(node)
        return TracedArray(self, len(self.nodes) - 1)


_current: ContextVar[ArrayTape | None] = ContextVar("current", default=None)


@contextmanager
def recording(tape: ArrayTape) -> Iterator[None]:
    """While a program runs: what it makes of plain numbers alone may record as well, and no warning is printed."""
    token = _current.set(tape)
    try:
        with np.errstate(all="ignore"):
            yield
    finally:
        _current.reset(token)


def current() -> ArrayTape | None:
    """The tape of the program that is running."""
    return _current.get()


def taped(*values: Any) -> ArrayTape:
    """The tape of the first traced array among `values`."""
    return next(x.tape for x in values if isinstance(x, TracedArray))


def as_float(value: Any) -> Any:
    """Real numbers in float64, Python's too; whole-number and boolean arrays (classes, masks) stay as they are."""
    array = np.asarray(value)
    return array.astype(np.float64, copy=False) if array.dtype.kind == "f" or not hasattr(value, "dtype") else array


class TracedArray:
    """An array on a tape."""

    __slots__ = ("id", "is_fresh", "tape")
    is_traced = True

    def __init__(self, tape: ArrayTape, id: int) -> None:
        self.tape = tape
        self.id = id
        self.is_fresh = False

    # --- what is known of it ------------------------------------------------------------------------------------

    @property
    def value(self) -> Any:
        """Its numbers; for the rules, not for programs: what depends on it is not traced."""
        return self.tape.nodes[self.id].value

    @property
    def shape(self) -> tuple[int, ...]:
        shape: tuple[int, ...] = self.value.shape
        return shape

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=int))

    @property
    def dtype(self) -> Any:
        return self.value.dtype

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError(say("a traced number has no length"))
        return self.shape[0]

    def __iter__(self) -> Any:
        return (self[k] for k in range(len(self)))

    def __repr__(self) -> str:
        return f"TracedArray(shape={self.shape})"

    # --- numpy records through these ------------------------------------------------------------------------------

    def __array_ufunc__(self, ufunc: Any, method: str, *args: Any, **options: Any) -> Any:
        from opcheck.programs.numpy_functions import apply

        return apply(self.tape, ufunc, method, args, options)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        from opcheck.programs.numpy_functions import call

        return call(function, args, kwargs)

    # --- arithmetic -------------------------------------------------------------------------------------------------

    def __add__(self, other: Any) -> Any:
        return np.add(self, other)

    def __radd__(self, other: Any) -> Any:
        return np.add(other, self)

    def __sub__(self, other: Any) -> Any:
        return np.subtract(self, other)

    def __rsub__(self, other: Any) -> Any:
        return np.subtract(other, self)

    def __mul__(self, other: Any) -> Any:
        return np.multiply(self, other)

    def __rmul__(self, other: Any) -> Any:
        return np.multiply(other, self)

    def __truediv__(self, other: Any) -> Any:
        return np.divide(self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return np.divide(other, self)

    def __pow__(self, other: Any) -> Any:
        return np.power(self, other)

    def __rpow__(self, other: Any) -> Any:
        return np.power(other, self)

    def __matmul__(self, other: Any) -> Any:
        return np.matmul(self, other)

    def __rmatmul__(self, other: Any) -> Any:
        return np.matmul(other, self)

    def __neg__(self) -> Any:
        return np.negative(self)

    def __abs__(self) -> Any:
        return np.absolute(self)

    def __lt__(self, other: Any) -> Any:
        return np.less(self, other)

    def __gt__(self, other: Any) -> Any:
        return np.greater(self, other)

    def __le__(self, other: Any) -> Any:
        return np.less_equal(self, other)

    def __ge__(self, other: Any) -> Any:
        return np.greater_equal(self, other)

    def __eq__(self, other: Any) -> Any:
        return False if other is None or isinstance(other, str) else np.equal(self, other)

    def __ne__(self, other: Any) -> Any:
        return True if other is None or isinstance(other, str) else np.not_equal(self, other)

    def __and__(self, other: Any) -> Any:
        return np.logical_and(self, other)

    def __or__(self, other: Any) -> Any:
        return np.logical_or(self, other)

    def __xor__(self, other: Any) -> Any:
        return np.not_equal(self, other)

    def __invert__(self) -> Any:
        return np.logical_not(self)

    __rand__, __ror__, __rxor__ = __and__, __or__, __xor__

    def __pos__(self) -> Any:
        return self

    # --- shapes and reductions --------------------------------------------------------------------------------------

    def sum(self, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False) -> Any:
        return self.tape.record(RULES["total"], (self,), axis=axis, keepdims=keepdims)

    def mean(self, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False) -> Any:
        return self.tape.record(RULES["mean"], (self,), axis=axis, keepdims=keepdims)

    def max(self, axis: Any = None, out: Any = None, keepdims: bool = False) -> Any:
        return self.tape.record(RULES["largest"], (self,), axis=axis, keepdims=keepdims)

    def min(self, axis: Any = None, out: Any = None, keepdims: bool = False) -> Any:
        return self.tape.record(RULES["smallest"], (self,), axis=axis, keepdims=keepdims)

    def reshape(self, *shape: Any, **_: Any) -> Any:
        wanted = shape[0] if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape
        return self.tape.record(RULES["reshape"], (self,), shape=self.value.reshape(wanted).shape)

    def transpose(self, *axes: Any) -> Any:
        wanted = axes[0] if len(axes) == 1 and isinstance(axes[0], (tuple, list, np.ndarray)) else axes
        wanted = () if len(wanted) == 1 and wanted[0] is None else wanted
        order = tuple(int(k) % self.ndim for k in wanted) if len(wanted) else tuple(range(self.ndim))[::-1]
        return self.tape.record(RULES["transpose"], (self,), axes=order)

    @property
    def T(self) -> Any:  # noqa: N802  # numpy's name
        return self.transpose()

    def swapaxes(self, a: int, b: int) -> Any:
        order = list(range(self.ndim))
        order[a], order[b] = order[b], order[a]
        return self.transpose(*order)

    def clip(self, min: float | None = None, max: float | None = None) -> Any:
        """Bounded values; at the bounds themselves the gradient passes, as torch.clamp has it."""
        low = -np.inf if min is None else float(min)
        return self.tape.record(RULES["clip"], (self,), low=low, high=np.inf if max is None else float(max))

    clamp = clip

    def detach(self) -> Any:
        """The same numbers, held constant by differentiation."""
        return self.tape.record(RULES["detach"], (self,))

    def astype(self, dtype: Any, **_: Any) -> Any:
        """Class numbers or a mask, through which nothing is differentiated; real numbers stay in float64."""
        wanted = np.dtype(dtype)
        if wanted.kind not in "fiub":
            raise TypeError(say("numbers of dtype {dtype} cannot be traced", dtype=wanted))
        if wanted.kind == "f":
            return self if self.dtype.kind == "f" else self.tape.record(RULES["astype"], (self,), dtype="float64")
        return self.tape.record(RULES["astype"], (self,), dtype=wanted.name)

    def __getitem__(self, index: Any) -> Any:
        chosen, placed = slots(index)
        if any(each.dtype.kind not in "iu" for each in chosen):
            raise TracedControlFlowError(
                say("a mask that was computed cannot choose elements, since their number would depend on values: use "
                    "np.where(mask, a, b)")
            )  # fmt: skip
        return self.tape.record(RULES["getitem"], (self, *chosen), index=placed)

    def __setitem__(self, index: Any, value: Any) -> None:
        """Into an array that the program made, which then is another line."""
        self.check_fresh()
        chosen, placed = slots(index)
        if any(each.dtype.kind == "b" for each in chosen):
            self.id = self._where(index, value)
            return
        shape = np.broadcast_to(0, self.shape)[filled(placed, [each.value for each in chosen])].shape
        if 0 not in shape:
            source = applied(RULES["assigned"], *chosen, index=placed, shape=self.shape)
            new: Any = np.reshape(np.broadcast_to(self.tape.lifted(value), shape), -1)[source]
            self.id = self.tape.record(RULES["where"], (source >= 0, new, self)).id

    def check_fresh(self) -> None:
        """Raises TypeError for an array that the program did not make."""
        if not self.is_fresh:
            raise TypeError(
                say("a traced array is not changed in place: build a new one with np.where or np.concatenate, or fill "
                    "one that the program made (out = np.zeros_like(x); out[i] = ...)")
            )  # fmt: skip

    def _where(self, mask: Any, value: Any) -> int:
        """The node of the array after out[mask] = number, with a mask that was computed."""
        if isinstance(mask, tuple) or mask.shape != self.shape or np.ndim(value):
            raise TracedControlFlowError(
                say("a mask that was computed cannot choose what is assigned to: use np.where(mask, a, b)")
            )
        return self.tape.record(RULES["where"], (mask, value, self)).id

    def __getattr__(self, name: str) -> Any:
        """A method of numpy's arrays that is a function of numpy as well: x.var(axis=0) is np.var(x, axis=0)."""
        from opcheck.programs.numpy_functions import METHODS

        if name not in METHODS:
            raise AttributeError(unknown_method(name))
        return partial(METHODS[name], self)

    # --- what is refused --------------------------------------------------------------------------------------------

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise TracedControlFlowError(
            say(
                "Python asked for the values of a traced array (if, while, float(), int(), print, or an assignment "
                "into an array of numbers), but a trace records what is computed. Use np.where (a select) or "
                "np.maximum for a choice; collect parts in a list and np.stack them, or fill np.zeros_like(x); index "
                "an array of numbers with np.take; and return what you want to see"
            )
        )

    def __bool__(self) -> bool:
        return self._decided(bool)

    def __int__(self) -> int:
        return self._decided(int)

    __index__ = __int__

    def _decided(self, kind: type[D]) -> D:
        """A number that the program decides by, where the trace is of the path at this point alone."""
        if self.tape.decided is None or self.size != 1:
            self._refuse()
        answer = kind(self.value.item())
        self.tape.decided(answer)
        return answer

    __float__ = __complex__ = __array__ = item = tolist = _refuse
    __hash__ = object.__hash__


def slots(index: Any) -> tuple[list[TracedArray], Any]:
    """The traced arrays in an index, and the index with a slot for each."""
    parts = index if isinstance(index, tuple) else (index,)
    chosen = [part for part in parts if isinstance(part, TracedArray)]
    count = iter(range(len(chosen)))
    placed = tuple(Slot(next(count)) if isinstance(part, TracedArray) else part for part in parts)
    return chosen, placed if chosen else index


def unknown_method(name: str) -> str:
    return say("a traced array has no attribute {name}: use numpy functions", name=name)
