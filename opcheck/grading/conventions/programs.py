"""How conventions call what is in no list of theirs: a teacher's own spec, by its own names.

    pairs    out, cache = layernorm_forward(x, gamma, beta, {"eps": 1e-5})
             dx, dgamma, dbeta = layernorm_backward(dout, cache)
    classes  layer = GRUCell(input_size, hidden_size); layer.Wx = ...; h = layer.forward(x, h_prev)
             dx, dh_prev = layer.backward(dh); layer.dWx
             a constructor's parameters are those of the spec, or letters of its shapes: "N input_size"

An array whose name is an attribute of the class belongs to it; the others are the arguments of its forward pass.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from opcheck.grading.conventions import tensors
from opcheck.grading.conventions.base import Cotangent, Entry, Plan, Reading, Request, has, method
from opcheck.grading.conventions.layouts import SAME, Layout
from opcheck.operators.spec import Array, widened
from opcheck.sandbox import Call, Definition, Place, Set
from opcheck.verification.truth.bounds import one_or_dict


def pair_names(title: str) -> Entry:
    return Entry((f"{title}_forward", f"{title}_forward_naive"), (f"{title}_backward", f"{title}_backward_naive"))


def class_names(title: str) -> Entry:
    return Entry((title,))


def pair(r: Request) -> Plan:
    """A function that returns its outputs and a cache."""
    args: list[Any] = [r.array(each.name) for each in r.op.inputs if each.name in r.case.arrays]
    keywords: dict[str, Any] = {}
    options = {each.name: r.p[each.name] for each in r.op.params}
    further = [each.name for each in r.found.parameters[len(args) :]] if r.found else []
    if options and r.found and all(has(r.found, name) for name in options):
        keywords = options
    elif further:  # a dict of options, which some have though they ask for none
        args.append(options)
    return Plan([Call(r.forward, args, keywords, keep="out")], _outputs(r, cached=True))


def pair_gradients(r: Request, cotangent: Cotangent) -> Plan:
    upstream = [r.sent(each) for each in cotangent.values()]
    names = tensors.smooth(r)
    call = Call(r.backward, [*upstream, Place(f"out[{len(_outputs(r, cached=True))}]")], keep="gradients")
    places = {name: f"gradients[{k}]" if len(names) > 1 else "gradients" for k, name in enumerate(names)}
    return Plan([call], {name: Reading(place) for name, place in places.items()})


def layer(r: Request) -> Plan:
    """An object with a forward pass. It gets copies of its parameters: it may change them in backward."""
    own = _own(r)
    steps: list[Call | Set] = [Call("numpy.array", (r.array(name),), keep=name) for name in own]
    steps.append(Call(r.forward, (), _constructor(r, own), keep="layer"))
    steps += [Set(f"layer.{name}", Place(name)) for name in own if name in _attributes(r.found)]
    given = [r.array(each.name) for each in r.op.inputs if each.name in r.case.arrays and each.name not in _own(r)]
    return Plan([*steps, Call("layer.forward", given, keep="out")], _outputs(r))


def layer_gradients(r: Request, cotangent: Cotangent) -> Plan:
    upstream = [r.sent(each) for each in cotangent.values()]
    steps = [Call("layer.backward", [*upstream, *_again(r, len(upstream))], keep="back")]
    own, names = _own(r), tensors.smooth(r)
    given = [name for name in names if name not in own]
    readings = {}
    for name in names:
        if name in own:
            names_of_it = (f"d{_plain(name)}", f"dld{_plain(name)}")
            kept = [f"layer.{each}" for each in _attributes(r.found) if _plain(each) in names_of_it]
            usual = (f"layer.d{name}", f"layer.dLd{name}", f"layer.grads['{name}']")
            readings[name] = Reading(tuple(dict.fromkeys([*kept, *usual])), _per_example(r, name, cotangent))
        else:
            readings[name] = Reading(f"back[{given.index(name)}]" if len(given) > 1 else ("back", "back[0]"))
    return Plan(steps, readings)


def _again(r: Request, upstream: int) -> list[Any]:
    """What backward is given again, as in 11-785: backward(delta, h_t, h_prev_l, h_prev_t) gets the output and the
    inputs; by their number, as nobody calls them the same."""
    backward = method(r.found, "backward")
    more = [each for each in backward.parameters if each.name != "self"][upstream:] if backward else []
    demanded = [each for each in more if not each.has_default]
    own = _own(r)
    inputs = [r.array(each.name) for each in r.op.inputs if each.name in r.case.arrays and each.name not in own]
    if not demanded or len(demanded) < len(inputs):
        return []
    outputs = [Place(str(each.place)) for each in _outputs(r).values()]
    return [*outputs, *inputs] if len(demanded) == len(outputs) + len(inputs) else inputs


def _per_example(r: Request, name: str, cotangent: Cotangent) -> Layout:
    """The gradient of an array of a cell is summed over the batch, or, as in 11-785, its mean is taken."""
    n = len(next(iter(r.case.arrays.values())))
    if not r.convention.startswith("cmu") or n < 2 or r.op.inputs[0].letters.split()[:1] != ["N"]:
        return SAME
    with np.errstate(all="ignore"):
        right = r.op.vjp(r.p, one_or_dict(r.op, cotangent), **widened(r.case.arrays))[name]

    def off(array: Array) -> float:  # from what one call gives, or two of which the first counted twice
        return float(min(np.abs(array - times * right).max() for times in (1, 3)))

    def take(array: Array) -> Array:
        return n * array if array.shape == right.shape and off(n * array) < off(array) else array

    return Layout(lambda a: a, take)


def _plain(name: str) -> str:
    return name.replace("_", "").lower()


def module(r: Request) -> Plan:
    """A torch.nn.Module whose parameters have the names of the spec's arrays."""
    steps, places = tensors.made(r)
    steps.append(Call(r.forward, (), _constructor(r), keep="layer"))
    if r.number == "float64":
        steps.append(Call("layer.double"))
    steps += [Call(f"layer.{name}.data.copy_", (places[name],)) for name in _own(r)]
    given = [places[name] for name in r.case.arrays if name not in _own(r)]
    return Plan([*steps, Call("layer", given, keep="out")], _outputs(r))


def module_gradients(r: Request, cotangent: Cotangent) -> Plan:
    leaves = {name: Place(f"layer.{name}" if name in _own(r) else name) for name in tensors.smooth(r)}
    return tensors.differentiated(r, cotangent, leaves)


def _outputs(r: Request, cached: bool = False) -> dict[str, Reading]:
    names = [*r.op.checked(r.case)[1]]
    several = cached or len(names) > 1
    return {name: Reading(f"out[{k}]" if several else "out") for k, name in enumerate(names)}


def _constructor(r: Request, own: Sequence[str] = ()) -> dict[str, Any]:
    """What a constructor asks for by name: parameters of the spec, its arrays, and sizes by the letters of its shapes;
    where none of it is named so, the arrays, or the sizes, in their order."""
    known: dict[str, Any] = {each.name: r.p[each.name] for each in r.op.params}
    for each in r.op.inputs:
        if each.name in r.case.arrays:
            known |= _sizes(each.letters.split(), r.case.arrays[each.name].shape)
    kept = _own(r)
    of_layer = {letter for each in r.op.inputs if each.name in kept or not kept for letter in each.letters.split()}
    letters = dict.fromkeys(letter for each in r.op.inputs for letter in each.letters.split())
    sizes = [letter for letter in letters if letter in known and letter in of_layer]
    known |= {name: Place(name) for name in own}
    parameters = r.found.parameters if r.found else ()
    found = {each.name: known[each.name] for each in parameters if each.name in known}
    unknown = [each.name for each in parameters if each.name not in found and not each.has_default
               and not each.kind.startswith("VAR_")]  # fmt: skip
    if unknown and len(unknown) == len(own):
        found |= dict(zip(unknown, map(Place, own), strict=True))
    elif unknown and len(unknown) == len(of_it := [each for each in sizes if each != "N"]):
        found |= {name: known[letter] for name, letter in zip(unknown, of_it, strict=True)}
    return found


def _sizes(letters: Sequence[str], shape: Sequence[int]) -> Mapping[str, int]:
    return dict(zip(letters, shape, strict=False)) if len(letters) == len(shape) else {}


def _own(r: Request) -> list[str]:
    """The arrays that belong to the object: those of its attributes that forward does not take, of which it takes the
    first ones, whatever it calls them."""
    forward = method(r.found, "forward")
    taken = [each.name for each in forward.parameters if each.name != "self"] if forward else []
    own = [name for name in r.case.arrays if name in _attributes(r.found) and name not in taken]
    demanded = sum(not each.has_default for each in forward.parameters if each.name != "self") if forward else 0
    return own[max(0, demanded - (len(r.case.arrays) - len(own))) :]


def _attributes(found: Definition | None) -> Sequence[str]:
    return found.attributes if found else ()
