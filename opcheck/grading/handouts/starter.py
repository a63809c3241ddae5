"""The starter file: every function and class that is asked for, with nothing in it."""

from collections.abc import Iterator, Sequence

from opcheck.grading.assignments.assignment import Assignment
from opcheck.grading.handouts.stubs import Stub
from opcheck.grading.handouts.task import Task
from opcheck.language import say

_EMPTY = "raise NotImplementedError"


def render(assignment: Assignment, tasks: Sequence[Task]) -> dict[str, str]:
    """The text of each file that students begin with, by its name."""
    found: dict[str, list[Task]] = {}
    for task in tasks:
        found.setdefault(task.file, []).append(task)
    return {file: _file(assignment, those) for file, those in found.items()}


def _file(assignment: Assignment, tasks: Sequence[Task]) -> str:
    title = assignment.title.replace("\\", "").replace('"""', "")
    torch = any(task.question.arrays == "torch" for task in tasks)
    imports = "import torch\n" if torch else "import numpy as np\n"
    written: set[str] = set()
    parts = []
    for task in tasks:
        for stub in task.stubs:
            if stub.name not in written:
                written.add(stub.name)
                parts.append("\n".join(_stub(stub, task)))
    return f'"""{title}"""\n\n{imports}\n\n' + "\n\n\n".join(parts) + "\n"


def _stub(stub: Stub, task: Task) -> Iterator[str]:
    told = f'"""{_told(task)}"""'
    if not stub.is_class:
        yield from (f"def {stub.name}({stub.parameters}):", f"    {told}", f"    {_EMPTY}")
        return
    yield f"class {stub.name}({stub.base}):" if stub.base else f"class {stub.name}:"
    yield f"    {told}"
    yield ""
    static = any(each.static for each in stub.methods)
    if not static:
        words = ", ".join(filter(None, ("self", stub.parameters)))
        yield f"    def __init__({words}):"
        yield from ["        super().__init__()"] if stub.base else []
        yield f"        {_EMPTY if stub.parameters or stub.base else 'pass'}"
        yield ""
    for place, each in enumerate(stub.methods):
        yield from [""] if place else []
        yield from ["    @staticmethod"] if static else []
        words = each.parameters if static else ", ".join(filter(None, ("self", each.parameters)))
        yield from (f"    def {each.name}({words}):", f"        {_EMPTY}")


def _told(task: Task) -> str:
    name, summary = task.question.name, task.question.op.summary.replace("\\", "").replace('"""', "")
    return say("{name}: {summary}.", name=name, summary=summary.rstrip(".")) if summary else name
