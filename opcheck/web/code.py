"""Show me the code: an exercise as a call of torch, of numpy, as a command line, and as JSON."""

import json
import shlex
from typing import Any

from opcheck.operators.spec import Array, Case
from opcheck.verification.casefile import Trial
from opcheck.verification.diagnosis.snippet import snippet
from opcheck.web.exercise import VIEWS, Exercise

SHOWN = 2000  # numbers of all arrays together: more is no code that somebody reads


def code(exercise: Exercise, case: Case, query: dict[str, str], upstream: Array | None) -> dict[str, str]:
    """The exercise in each language that has it, by the language's name."""
    if sum(array.size for array in case.arrays.values()) > SHOWN:
        return {"shell": shell(exercise, query)}
    own = exercise.op.elsewhere
    return {
        **({"torch": torch(exercise, case, upstream)} if own else {}),
        **({"numpy": numpy(exercise, case, upstream)} if own else {}),
        "shell": shell(exercise, query),
        "json": as_json(exercise, case, upstream),
    }


def torch(exercise: Exercise, case: Case, upstream: Array | None) -> str:
    """A call of torch in float64; of gradients, the backward pass too."""
    op = exercise.op
    inputs = [each.name for each in op.inputs if each.differentiable and each.name in case.arrays]
    if upstream is None or not inputs:
        return snippet(op, Trial(case, "float64"), {"claim": "answers"})
    output = next(each.name for each in op.outputs if each.differentiable)
    trial = Trial(case, "float64", cotangent={output: upstream}, tangents=dict.fromkeys(inputs, upstream))
    text = snippet(op, trial, {"claim": f"vjp:{inputs[0]}", "name": inputs[0]})
    return text + "".join(f"\nprint({name}.grad)" for name in inputs[1:])


def numpy(exercise: Exercise, case: Case, upstream: Array | None) -> str:
    """A call of the reference function."""
    op = exercise.op
    lines = ["import numpy as np", "from opcheck import reference", ""]
    lines += [f"{name} = np.array({array.tolist()})" for name, array in case.arrays.items()]
    words = [f"{name}={name}" for name in case.arrays] + [f"{name}={value!r}" for name, value in case.params.items()]
    lines.append(f"print(reference.{op.name}({', '.join(words)}))")
    if upstream is not None:
        lines += [f"g = np.array({upstream.tolist()})", f"print(reference.{op.name}.vjp({', '.join(['g', *words])}))"]
    return "\n".join(lines)


def shell(exercise: Exercise, query: dict[str, str]) -> str:
    """The command that prints the same."""
    words = ["opcheck", "explain", exercise.op.name]
    for name, text in query.items():
        flag, value = f"--{name.replace('_', '-')}", text.strip()
        if name.startswith("set-"):
            words += ["--set", f"{name.removeprefix('set-')}={value}"]
        elif isinstance(exercise.view.get(name) if name in VIEWS else exercise.given.get(name), bool):
            on = exercise.view[name] if name in VIEWS else exercise.given[name]
            words += [flag if on else f"--no-{flag[2:]}"] if on or name not in VIEWS else []
        elif value:
            words += [flag, value]
    return shlex.join(words)


def as_json(exercise: Exercise, case: Case, upstream: Array | None) -> str:
    """The call as data."""
    arrays = {name: array.tolist() for name, array in case.arrays.items()}
    data: dict[str, Any] = {"op": exercise.op.name, "arrays": arrays, "params": dict(case.params)}
    if upstream is not None:
        data["upstream"] = upstream.tolist()
    return json.dumps(data)
