"""A definition in JSON: axes, inputs and outputs with their shapes, and a reference in Python, as an operator.

    {"name": "gemm", "axes": {"M": {"type": "var"}, "N": {"type": "const", "value": 64}, ...},
     "inputs": {"A": {"shape": ["M", "K"], "dtype": "float16"}, ...}, "outputs": {"C": {"shape": ["M", "N"], ...}},
     "reference": "import torch\\ndef run(A, B): ..."}

Constant axes are numbers of its shapes, the others are letters. `solution` finds the function of a solution in JSON.
"""

import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from opcheck import loading
from opcheck.errors import Refused
from opcheck.language import say

RUN = "run"


def reference(path: str) -> Callable[..., Any]:
    """The reference of a definition, annotated with its shapes; raises Refused."""
    data = read(path, ("name", "axes", "inputs", "outputs", "reference"))
    folder = Path(tempfile.mkdtemp(prefix="opcheck-"))
    (folder / "reference.py").write_text(str(data["reference"]))
    function: Callable[..., Any] = loading.find(f"{folder}/reference.py:{RUN}")
    axes = {name: str(each["value"]) if each.get("type") == "const" else name for name, each in data["axes"].items()}
    function.__annotations__ = {name: _annotation(path, name, each, axes) for name, each in data["inputs"].items()}
    function.__name__ = str(data["name"])
    function.__doc__ = str(data.get("description") or data["name"])
    return function


def _annotation(path: str, name: str, each: Mapping[str, Any], axes: Mapping[str, str]) -> Any:
    kind = str(each.get("dtype", ""))
    if each.get("shape") is None:
        return float if "float" in kind else bool if kind == "bool" else int
    if "float" not in kind:
        raise Refused(
            say("{path}: {name} holds whole numbers, and a definition does not say which are "
                "allowed", path=path, name=name),
            got=kind, fix=say('write the spec as a function: {name}: "N < C"', name=name),
        )  # fmt: skip
    return " ".join(axes.get(axis, axis) for axis in each["shape"])


def solution(path: str) -> Callable[..., Any]:
    """The function at the entry point of a solution, whose sources are in the file; raises Refused."""
    data = read(path, ("name", "spec", "sources"))
    folder = Path(tempfile.mkdtemp(prefix="opcheck-"))
    for each in data["sources"]:
        place = (folder / each["path"]).resolve()
        if not place.is_relative_to(folder.resolve()):
            raise Refused(say("{path}: a source lies outside of the solution", path=path), got=each["path"])
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(each["content"])
    file, _, name = str(data["spec"].get("entry_point", "")).partition("::")
    if not file.endswith(".py") or not name:
        raise Refused(say("{path}: the entry point is FILE.py::NAME", path=path), got=data["spec"].get("entry_point"))
    found: Any = loading.find(f"{folder}/{file}:{name}")
    if data["spec"].get("destination_passing_style", False):
        found.destination_passing = True
    function: Callable[..., Any] = found
    return function


def read(path: str, needed: tuple[str, ...]) -> dict[str, Any]:
    """The file as an object with these fields; raises Refused."""
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Refused(say("there is no file {path}", path=path)) from None
    except ValueError as error:
        raise Refused(say("{path} is not valid JSON", path=path), got=str(error)) from None
    missing = [name for name in needed if not isinstance(data, dict) or name not in data]
    if missing:
        raise Refused(say("{path} lacks {names}", path=path, names=", ".join(missing)))
    found: dict[str, Any] = data
    return found
