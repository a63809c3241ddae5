"""Nodes of a tensor program as text: v₋₁·v₀ + 2, sum(v₃, axis=0), linear(v₋₁, v₀)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from opcheck.language import say
from opcheck.operators.recorded import ITEM, Call
from opcheck.programs.arrays import ArrayNode
from opcheck.programs.elementwise import UFUNCS
from opcheck.programs.movement import filled
from opcheck.render.notation import ATOM
from opcheck.render.numbers import digits
from opcheck.render.signs import Signs
from opcheck.steps import Apply, Expression, Number, Symbol
from opcheck.tracing.arithmetic import as_typed

COMPARISONS = {"less": "<", "greater": ">", "less_equal": "≤", "greater_equal": "≥", "equal": "==",
               "not_equal": "!=", "logical_and": "&", "logical_or": "|"}  # fmt: skip
BETWEEN = {**COMPARISONS, "matmul": "@"}
ELEMENTWISE = frozenset((*UFUNCS, "power", "abs", "max", "min")) - {"expm1"}  # it is not exp(x) - 1 to the last digit
SPELLED = {"total": "sum", "largest": "max", "smallest": "min", "first_largest": "first_max",
           "first_smallest": "first_min"}  # fmt: skip
PLACED = {"put": 1, "assigned": 0}  # how many arrays stand before those that say where
FEW = 4  # an array of at most so many numbers is written out

write = Signs().write


def call_of(node: ArrayNode) -> Call | None:
    """The call of a catalogue operator that a node is, or whose VJP it is."""
    call = getattr(node.rule.forward, "__self__", None) if node.rule else None
    return call if isinstance(call, Call) else None


def is_vjp(node: ArrayNode, call: Call) -> bool:
    """Whether a node is the recorded VJP of a call, and not the call."""
    return node.rule is not None and node.rule.name != call.op.name


class Writer:
    """Writes nodes in terms of the nodes that have names. apply(op, args): how an elementwise operation is written."""

    def __init__(
        self,
        nodes: Sequence[ArrayNode],
        names: Mapping[int, Expression],
        apply: Callable[[str, tuple[Expression, ...]], Expression],
    ) -> None:
        self.nodes, self.names, self.apply = nodes, names, apply

    def expression(self, id: int) -> Expression:
        return self.names[id] if id in self.names else self.operation(id)

    def operation(self, id: int) -> Expression:
        """What a node does, even if it has a name."""
        node = self.nodes[id]
        if node.rule is None:
            return Symbol(node.label) if node.label else constant(node.value)
        if node.rule is ITEM:
            return self.item(node)
        call, name, args = call_of(node), node.rule.name, [self.expression(arg) for arg in node.args]
        if call is not None:
            return Symbol(call_text(node, call, list(map(write, args))))
        if name in BETWEEN:
            return Symbol(
                f" {BETWEEN[name]} ".join(
                    write(self.enclosed(*each), ATOM) for each in zip(node.args, args, strict=True)
                )
            )
        if name == "logical_not":
            return Symbol(f"~{write(self.enclosed(node.args[0], args[0]), ATOM)}")
        if name in ELEMENTWISE:
            return self.apply(name, tuple(map(self.enclosed, node.args, args)))
        if name == "getitem":
            return Symbol(f"{write(args[0], ATOM)}[{index(filled(node.params['index'], args[1:]))}]")
        params = node.params
        if name in PLACED:
            arrays = PLACED[name]
            args, params = args[:arrays], params | {"index": filled(params["index"], args[arrays:])}
        return Symbol(f"{SPELLED.get(name, name)}({', '.join([*map(write, args), *settings(params)])})")

    def item(self, node: ArrayNode) -> Expression:
        """One of several outputs, or one gradient of a VJP."""
        (bundle,), name = node.args, node.params["name"]
        several, call = self.nodes[bundle], call_of(self.nodes[bundle])
        which = f'["{name}"]' if call is not None and is_vjp(several, call) else f" → {name}"
        return Symbol(write(self.operation(bundle)) + which)

    def enclosed(self, id: int, expression: Expression) -> Expression:
        """A comparison inside an operation stands in parentheses."""
        rule = self.nodes[id].rule
        is_comparison = id not in self.names and rule is not None and rule.name in COMPARISONS
        return Symbol(f"({write(expression)})") if is_comparison else expression


# --- calls of operators ---------------------------------------------------------------------------------------------


def call_text(node: ArrayNode, call: Call, args: Sequence[str]) -> str:
    """linear(x, weight), or linear.vjp(cotangent, x, weight)."""
    if not is_vjp(node, call):
        return f"{call.op.name}({', '.join(call_arguments(call, args))})"
    given = node.params["given"]
    return vjp_text(call, dict(zip(given, args, strict=False)), args[len(given) :])


def vjp_text(call: Call, cotangents: Mapping[str, str], args: Sequence[str]) -> str:
    """The VJP of a call as `opcheck.reference` has it."""
    cotangent = braced(cotangents) if call.takes_dicts else next(iter(cotangents.values()))
    return f"{call.op.name}.vjp({', '.join([cotangent, *call_arguments(call, args)])})"


def jvp_text(call: Call, tangents: Mapping[str, str], args: Sequence[str]) -> str:
    """The JVP of a call as `opcheck.reference` has it."""
    return f"{call.op.name}.jvp({', '.join([braced(tangents), *call_arguments(call, args)])})"


def braced(entries: Mapping[str, str]) -> str:
    return "{" + ", ".join(f'"{name}": {text}' for name, text in entries.items()) + "}"


def call_arguments(call: Call, args: Sequence[str]) -> Iterator[str]:
    """Arrays by position as far as they follow each other in the signature, then by name; what is not the default."""
    order = list(call.op.signature.parameters)
    given = call.op.gathered(dict(zip(call.names, args, strict=True)))
    words = {name: f"({', '.join(text)})" if isinstance(text, tuple) else text for name, text in given.items()}
    for k, (name, text) in enumerate(sorted(words.items(), key=lambda word: order.index(word[0]))):
        yield text if order[k] == name else f"{name}={text}"
    defaults = {each.name: each.default for each in call.op.params}
    yield from (f"{key}={value!r}" for key, value in call.case.params.items() if value != defaults[key])


# --- settings, constants, shapes ------------------------------------------------------------------------------------


def settings(params: Mapping[str, Any]) -> list[str]:
    """What an operation says beside its arrays, where that is not its default: axis=1."""
    axis, axes = params.get("axis"), params.get("axes")
    if isinstance(axis, tuple) and len(axis) == 1:
        (axis,) = axis
    given = [f'"{params["spec"]}"'] if "spec" in params else []
    given += [f"axis={axis}"] if axis is not None else []
    given += ["keepdims=True"] if params.get("keepdims") else []
    given += [number_text(params[bound]) for bound in ("low", "high") if bound in params]
    at = f"at=[{index(params['index'])}]" if "index" in params else ""
    sizes = shape_text(params["shape"]) if "shape" in params else ""
    given += [at, f"shape={sizes}"] if at else [sizes] if sizes else []
    given += [params["dtype"]] if "dtype" in params else []
    given += [f"axes={tuple(map(int, axes))}"] if axes is not None and not is_reversal(axes) else []
    return given


def is_reversal(axes: Sequence[int]) -> bool:
    """Whether an order of axes is the one that transpose(x) has without saying it."""
    return list(axes) == list(range(len(axes)))[::-1]


def constant(value: Any) -> Expression:
    """A number or a short list as a program writes it; of a larger array, its shape."""
    if np.ndim(value) == 0:
        return Number(as_typed(float(value)))
    if np.size(value) and (np.ndim(value) == 1 or np.asarray(value).dtype.kind in "iub") and np.size(value) <= FEW:
        return Symbol(_listed(np.asarray(value)))
    if np.shape(value) == (0,):
        return Symbol("[]")
    sizes = shape_text(np.shape(value))
    for alike, name in ((0, "zeros"), (1, "ones")):
        if np.size(value) and (np.asarray(value) == alike).all():
            return Symbol(f"{name}({sizes})")
    return Symbol(say("array {shape}", shape=sizes))


def _listed(value: Any) -> str:
    """A short array as nested lists."""
    if value.ndim:
        return f"[{', '.join(map(_listed, value))}]"
    return str(value) if value.dtype.kind == "b" else number_text(value)


def index(key: Any) -> str:
    """A slice as it is written."""
    parts = key if isinstance(key, tuple) else (key,)
    words = []
    for part in parts:
        if isinstance(part, slice):
            ends = ["" if each is None else str(each) for each in (part.start, part.stop, part.step)]
            words.append(":".join(ends[:2] if not ends[2] else ends))
        else:
            if isinstance(part, (Number, Symbol, Apply)):  # an index that is its own line
                words.append(write(part))
                continue
            is_plain = part is Ellipsis or part is None or np.ndim(part) == 0
            words.append("..." if part is Ellipsis else str(part) if is_plain else write(constant(part)))
    return ", ".join(words)


def shape_text(sizes: tuple[int, ...]) -> str:
    return "×".join(map(str, sizes)) if sizes else say("number")


def number_text(x: Any) -> str:
    value = as_typed(float(x))
    return digits(value if isinstance(value, float) else Fraction(value))
