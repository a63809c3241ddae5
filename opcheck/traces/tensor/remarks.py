"""What a reader should be told about a tensor program: inputs that are not used, and where a NaN or an infinity was
born."""

from typing import Any

import numpy as np

from opcheck.language import say
from opcheck.traces.scalar.remarks import LIMITS
from opcheck.traces.tensor.formulas import called, computes
from opcheck.traces.tensor.trace import ArrayTrace
from opcheck.traces.tensor.written import number_text


def remarks(trace: ArrayTrace) -> list[str]:
    """Sentences, in the order of evaluation."""
    used = {arg for node in trace.nodes for arg in node.args} | set(trace.outputs)
    found = [
        say("{name} is not used: every derivative with respect to it is 0", name=name)
        for name, id in trace.inputs.items()
        if id not in used
    ]
    found += [born(trace, id) for id in trace.names if is_born(trace, id)]
    return found + [each for id in trace.names for each in limits(trace, id)]


def limits(trace: ArrayTrace, id: int) -> list[str]:
    """Which numbers of a line float64 cannot tell from a limit that the function never reaches."""
    node = trace.nodes[id]
    if node.rule is None or node.rule.name not in LIMITS or isinstance(node.value, dict):
        return []
    x, y = np.broadcast_arrays(trace.nodes[node.args[0]].value, node.value)
    count = int((np.isin(y, LIMITS[node.rule.name]) & np.isfinite(x)).sum())
    told = say("{n} of the numbers of {name} are so near a limit of {function} that float64 cannot tell them apart; a "
               "derivative of 0 there is small, not 0", n=count, name=called(trace, id).name,
               function=node.rule.name)  # fmt: skip
    return [told] if count else []


def is_born(trace: ArrayTrace, id: int) -> bool:
    """Whether a line is not finite although all of its arguments are."""
    node = trace.nodes[id]
    return bool(node.args) and not is_finite(node.value) and all(is_finite(trace.nodes[arg].value) for arg in node.args)


def born(trace: ArrayTrace, id: int) -> str:
    """The value that is not finite, and its position (the first of several)."""
    name, formula, value = called(trace, id).name, computes(trace, id), np.asarray(trace.nodes[id].value)
    places = np.argwhere(~np.isfinite(value))
    place = tuple(int(k) for k in places[0])
    shown = number_text(value[place])
    if not place:
        return say("{name} is {value}, from finite numbers: {formula}", name=name, value=shown, formula=formula)
    return say(
        "{name} is {value} at [{place}], from finite numbers ({n} such positions in all): {formula}",
        name=name, value=shown, place=", ".join(map(str, place)), n=len(places), formula=formula,
    )  # fmt: skip


def is_finite(value: Any) -> bool:
    arrays = value.values() if isinstance(value, dict) else (value,)
    return all(np.isfinite(each).all() for each in arrays)
