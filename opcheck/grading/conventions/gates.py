"""Cells of an LSTM that keep a matrix for each gate, as classes of numpy or of torch.

    layer.W_xi, layer.W_hi, layer.b_i (also Wxi, W_ix, W_ii, or W_i with U_i);  layer.W_i for both arrays side by side
    layer.W_xi = nn.Linear(input_size, hidden_size);  layer.forget_gate = nn.Linear(both sizes, hidden_size)
    layer.params["W_f"];  h, c = layer.forward(x, h, c);  dx, dh, dc = layer.backward(dh, dc);  layer.dW_xi

Of how the same matrices are laid out nothing but the results tells, so each way is a variant of the entry: in rows or
in columns, the state or the input first where they are side by side, and examples that are columns.
"""

import itertools
from collections.abc import Iterator, Mapping
from functools import cache
from typing import NamedTuple

import numpy as np

from opcheck.grading.conventions import classes, tensors
from opcheck.grading.conventions.base import Allowed, Cotangent, Entry, Plan, Reading, Request, only, several
from opcheck.grading.conventions.layouts import SAME, TRANSPOSED, Layout
from opcheck.operators.spec import Array, Op
from opcheck.sandbox import Call, Definition, Place, Set
from opcheck.sandbox.inside.wire import Value

APART = ("gates columns", "gates rows", "gates rows, examples in columns")
BESIDE = tuple(f"{each}, {first} first" for each in APART for first in ("state", "input"))
VARIANTS = (*APART, *BESIDE)
# Torch's order of the gates, i f g o, in letters and in words.
_LETTERS = [*itertools.product("iu", "f", "gcan", "o")]
_WORDS = [("input", "forget", cell, "output") for cell in ("cell", "candidate", "cand", "c", "update", "modulation")]
_PAIRS = (("W_x{}", "W_h{}"), ("Wx{}", "Wh{}"), ("W_{}x", "W_{}h"), ("W{}x", "W{}h"), ("w_x{}", "w_h{}"),
          ("wx{}", "wh{}"), ("W_i{}", "W_h{}"), ("W_{}", "U_{}"), ("W{}", "U{}"), ("w_{}", "u_{}"),
          ("x2{}", "h2{}"), ("x_{}", "h_{}"))  # fmt: skip
_SINGLE = ("W_{}", "W{}", "w_{}", "w{}", "{}_gate", "gate_{}", "fc_{}", "linear_{}", "W_{}_gate", "weight_{}")
_BIASES = ("b_{}", "b{}", "bias_{}", "B_{}", "b_{}_gate")
_DICTS = ("params", "parameters", "weights", "p")


class Gates(NamedTuple):
    """What a cell calls its arrays, by gate."""

    x: tuple[str, ...]  # for the input; for both where `h` is empty
    h: tuple[str, ...]
    b: tuple[str, ...]
    linear: bool  # whether these are Linear layers, which have their biases


def kept(found: Definition | None) -> Gates | None:
    """The arrays of a cell with a matrix for each gate; None if it has no such."""
    return _kept(found) if found is not None else None


@cache
def _kept(found: Definition) -> Gates | None:
    for x, h in _PAIRS:
        if (of_x := _by_gate(found, x)) and (of_h := _by_gate(found, h)):
            return _with_biases(found, of_x, of_h)
    for single in _SINGLE:
        if of_both := _by_gate(found, single):
            return _with_biases(found, of_both, ())
    return None


def _with_biases(found: Definition, x: tuple[str, ...], h: tuple[str, ...]) -> Gates:
    linear = "Linear" in found.attributes
    biases = next((names for each in _BIASES if (names := _by_gate(found, each))), ())
    return Gates(x, h, () if linear else biases, linear)


def _by_gate(found: Definition, form: str) -> tuple[str, ...]:
    """Four attributes, one for each gate, whose names have this form."""
    for gates in (*_LETTERS, *_WORDS):
        names = tuple(classes.place_in(found, (form.format(gate),), _DICTS) for gate in gates)
        if all(names):
            return names
    return ()


def knows(op: Op, found: Definition, variant: str) -> bool:
    """Whether a class may keep its arrays in this way."""
    if op.name != "lstm_cell":
        return True
    gates = kept(found)
    if gates is None or variant not in VARIANTS:
        return gates is None and variant not in VARIANTS
    if gates.linear and "columns" in variant:  # its rows are the outputs, as torch has it
        return False
    return (variant in APART) == bool(gates.h)


def is_gated(op: Op, found: Definition) -> bool:
    return op.name == "lstm_cell" and kept(found) is not None


def takes(op: Op, layer: Definition) -> Mapping[str, Allowed]:
    """A cell has one bias, two where they are those of Linear layers, or none."""
    gates = kept(layer)
    assert gates is not None
    return {"b_ih": only(gates.linear or bool(gates.b)), "b_hh": only(gates.linear and bool(gates.h))}


def call(r: Request) -> Plan:
    """A new object, its arrays, and its forward pass."""
    args, keywords = classes.constructor(r)
    steps: list[Call | Set] = [Call(r.forward, args, keywords, keep="layer")]
    for k, (place, array, is_bias) in enumerate(_own(r)):
        if is_bias:  # in the shape that it has there
            steps.append(Call("numpy.put", (Place(f"layer.{place}"), [*range(array.size)], array)))
        else:  # a copy, as the object may change it
            steps += [Call("numpy.array", (array,), keep=f"own{k}"), Set(f"layer.{place}", Place(f"own{k}"))]
    given = [r.array(name, _data(r)) for name in ("input", "h_0", "c_0")]
    forward = classes.first_method(r.found, classes.FORWARD) or classes.FORWARD[0]
    steps.append(Call(f"layer.{forward}", classes.in_parts(r, given), keep="out"))
    return Plan(steps, {name: each._replace(layout=_data(r)) for name, each in classes.outputs(r).items()})


def gradients(r: Request, cotangent: Cotangent) -> Plan:
    """What backward returns, and what it leaves in the object."""
    back = classes.first_method(r.found, classes.BACKWARD) or classes.BACKWARD[0]
    upstream = [r.sent(each, _data(r)) for each in cotangent.values()]
    steps: list[Call | Set] = [Call(f"layer.{back}", upstream, keep="back")]
    readings = {name: Reading(f"back[{k}]", _data(r)) for k, name in enumerate(("input", "h_0", "c_0"))}
    gates = kept(r.found)
    assert gates is not None and r.found is not None
    axis, layout = (1, TRANSPOSED) if "columns" in r.variant.partition(",")[0] else (0, SAME)
    for name, own in (("w_ih", gates.x), ("w_hh", gates.h), ("b_ih", gates.b)):
        known = [_gradient(r.found, each) for each in own]
        places: list[Value] = [Place(f"layer.{each}") for each in known if each]
        if len(places) == len(own) > 0:
            steps.append(Call("numpy.concatenate", (places, None if name == "b_ih" else axis), keep=f"d_{name}"))
            readings[name] = Reading(f"d_{name}", SAME if name == "b_ih" else layout)
    if not gates.h and "w_ih" in readings:
        names, at = ("w_hh", "w_ih"), r.case.arrays["w_hh"].shape[1]
        if "input first" in r.variant:
            names, at = ("w_ih", "w_hh"), r.case.arrays["w_ih"].shape[1]
        steps.append(Call("numpy.split", (Place("d_w_ih"), [at], 1 - axis), keep="parts"))
        readings |= {name: Reading(f"parts[{k}]", layout) for k, name in enumerate(names)}
    return Plan(steps, readings)


def module(r: Request) -> Plan:
    """The same of a torch.nn.Module."""
    steps, places = tensors.made(r)
    args, keywords = classes.constructor(r)
    steps.append(Call(r.forward, args, keywords, keep="layer"))
    steps += [Call("layer.double")] if r.number == "float64" else []
    for k, (place, array, _) in enumerate(_own(r)):
        steps.append(Call("torch.tensor", (array,), keep=f"as{k}"))
        steps.append(Call("torch.reshape", (Place(f"as{k}"), Place(f"layer.{place}.shape")), keep=f"own{k}"))
        steps.append(Call(f"layer.{place}.data.copy_", (Place(f"own{k}"),)))
    given = [places[name] for name in ("input", "h_0", "c_0")]
    return Plan([*steps, Call("layer", classes.in_parts(r, given), keep="out")], classes.outputs(r))


def module_gradients(r: Request, cotangent: Cotangent) -> Plan:
    """Of the inputs; those of the matrices follow from the same chain by autograd."""
    return tensors.differentiated(r, cotangent, {name: Place(name) for name in ("input", "h_0", "c_0")})


def _own(r: Request) -> Iterator[tuple[str, Array, bool]]:
    """The arrays of each gate as the cell has them, their places, and whether they are biases."""
    gates, arrays = kept(r.found), r.case.arrays
    assert gates is not None
    layout = TRANSPOSED if "columns" in r.variant.partition(",")[0] else SAME
    x, h = (np.split(arrays[name], 4) for name in ("w_ih", "w_hh"))
    if not gates.h:
        pairs = zip(x, h, strict=True) if "input first" in r.variant else zip(h, x, strict=True)
        x, h = [np.hstack(pair) for pair in pairs], []
    end = ".weight" if gates.linear else ""
    for names, parts in ((gates.x, x), (gates.h, h)):
        yield from ((f"{name}{end}", r.sent(part, layout), False) for name, part in zip(names, parts, strict=True))
    of_linear = [f"{name}.bias" for name in (*gates.x, *gates.h)] if gates.linear else []
    biases = [part for name in ("b_ih", "b_hh") if name in arrays for part in np.split(arrays[name], 4)]
    for name, part in zip(of_linear or gates.b, biases, strict=False):
        yield name, r.sent(part), True


def _gradient(found: Definition, name: str) -> str:
    """What a class calls the gradient of one of its arrays."""
    bare = name.partition("['")[2].removesuffix("']") or name
    forms = [form.format(bare) for form in classes.GRADIENTS]
    dicts = ("grads", "gradients", "grad")
    return classes.place_in(found, forms, ()) or classes.place_in(found, (*forms, bare), dicts, only_there=True)


def _data(r: Request) -> Layout:
    return TRANSPOSED if "examples in columns" in r.variant else SAME


_ANY = several(classes.ENTRIES["lstm_cell"])
ENTRIES: dict[str, Entry | tuple[Entry, ...]] = {
    "lstm_cell": (*_ANY, *(_ANY[0]._replace(variant=each) for each in VARIANTS))
}
