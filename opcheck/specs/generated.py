"""A reference of one argument, ref_kernel(data), whose data generate_input(**kwargs) makes, as an operator.

Kernel competitions write their problems this way. The data keeps its form (a tensor, a tuple, nested ones, with numbers
and words between them): a candidate is called like the reference, custom_kernel(data).
"""

import inspect
import json
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from opcheck.errors import Refused
from opcheck.language import say
from opcheck.specs.captured import Captured

SIZE = 16  # of what generate_input asks for, where no tests say it


class Generated(Captured):
    """Its arrays are the tensors in the data, in their order."""

    def __init__(self, reference: Callable[..., Any], name: str, data: Any) -> None:
        import torch

        leaves, self.form = torch.utils._pytree.tree_flatten(data)
        form, title = self.form, reference.__name__

        base: Any = torch.nn.Module

        class Kernel(base):  # type: ignore[misc]
            def forward(self, *leaves: Any) -> Any:
                return reference(torch.utils._pytree.tree_unflatten(list(leaves), form))

        Kernel.__name__ = title
        Kernel.__doc__ = inspect.getdoc(reference)
        self.function = reference
        super().__init__(Kernel, name, lambda: leaves, [])

    @property
    def weights(self) -> Any:  # none: its data are all that it is given
        return None

    @property
    def names(self) -> list[str]:
        return [f"data{k}" if len(self.given) > 1 else "data" for k in range(len(self.given))]

    def packed(self, tensors: Sequence[Any]) -> list[Any]:
        return [self.torch_.utils._pytree.tree_unflatten(list(self.arguments_of(tensors)), self.form)]


def is_reference(found: Any) -> bool:
    """Whether a function stands beside generate_input and takes one argument without a shape."""
    home = getattr(found, "__globals__", {})
    if not inspect.isfunction(found) or not callable(home.get("generate_input")) or "torch" not in sys.modules:
        return False
    parameters = list(inspect.signature(found).parameters.values())
    return len(parameters) == 1 and not isinstance(parameters[0].annotation, str)


def generated(reference: Callable[..., Any], name: str) -> Generated:
    """The reference with the data of the first test that is known; raises Refused where it cannot be made."""
    generate = reference.__globals__["generate_input"]
    options = _options(generate, Path(inspect.getfile(reference)).parent)
    try:
        data = generate(**options)
    except Exception as error:
        raise Refused(
            say("generate_input cannot make the data: {kind}: {error}", kind=type(error).__name__, error=str(error)),
            got=", ".join(f"{key}={value}" for key, value in options.items()),
            fix=say("give its arguments defaults, or write tests in task.yml beside it"),
        ) from None
    return Generated(reference, name, data)


def _options(generate: Callable[..., Any], folder: Path) -> dict[str, Any]:
    """The arguments of the first test of task.yml; else defaults, and SIZE for what has none."""
    parameters = inspect.signature(generate).parameters
    task = folder / "task.yml"
    for row in re.findall(r"^\s*-\s*(\{.*\})\s*$", task.read_text() if task.is_file() else "", re.MULTILINE):
        try:
            found = json.loads(row)
        except ValueError:
            continue
        if found.keys() <= parameters.keys():
            return dict(found)
    asked = [each.name for each in parameters.values() if each.default is each.empty]
    return {each: 0 if each == "seed" else SIZE for each in asked}


__all__ = ["generated", "is_reference"]
