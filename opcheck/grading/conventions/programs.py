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

from opcheck.grading.conventions import tensors
from opcheck.grading.conventions.base import Cotangent, Entry, Plan, Reading, Request, has, method
from opcheck.sandbox import Call, Definition, Place, Set


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
    steps: list[Call | Set] = [Call(r.forward, (), _constructor(r), keep="layer")]
    for name in _own(r):
        steps += [Call("numpy.array", (r.array(name),), keep=name), Set(f"layer.{name}", Place(name))]
    given = [r.array(each.name) for each in r.op.inputs if each.name in r.case.arrays and each.name not in _own(r)]
    return Plan([*steps, Call("layer.forward", given, keep="out")], _outputs(r))


def layer_gradients(r: Request, cotangent: Cotangent) -> Plan:
    steps = [Call("layer.backward", [r.sent(each) for each in cotangent.values()], keep="back")]
    own, names = _own(r), tensors.smooth(r)
    given = [name for name in names if name not in own]
    readings = {}
    for name in names:
        if name in own:
            readings[name] = Reading((f"layer.d{name}", f"layer.dLd{name}", f"layer.grads['{name}']"))
        else:
            readings[name] = Reading(f"back[{given.index(name)}]" if len(given) > 1 else ("back", "back[0]"))
    return Plan(steps, readings)


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


def _constructor(r: Request) -> dict[str, Any]:
    """What a constructor asks for by name: parameters of the spec, and sizes by the letters of its shapes."""
    known: dict[str, Any] = {each.name: r.p[each.name] for each in r.op.params}
    for each in r.op.inputs:
        if each.name in r.case.arrays:
            known |= _sizes(each.letters.split(), r.case.arrays[each.name].shape)
    names = [each.name for each in r.found.parameters] if r.found else []
    return {name: known[name] for name in names if name in known}


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
