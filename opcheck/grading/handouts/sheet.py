"""The sheet of signatures: what is to be written, how it is called, and what is asked of it, in Markdown."""

from collections.abc import Iterator, Sequence

from opcheck.grading.assignments.assignment import Assignment, Question
from opcheck.grading.conventions.base import Reading
from opcheck.grading.formats import wording
from opcheck.grading.handouts import selftest
from opcheck.grading.handouts.example import MODULE, names, places, shape
from opcheck.grading.handouts.task import Task
from opcheck.language import say
from opcheck.sandbox import Limits

NAME = "SIGNATURES.md"


def render(assignment: Assignment, tasks: Sequence[Task]) -> str:
    """The whole sheet."""
    files = list(dict.fromkeys(f"`{task.file}`" for task in tasks))
    lines = [
        f"# {assignment.title}",
        "",
        say("Write your code in {files}. `python {selftest}` tries it on a few public cases; grading uses others.",
            files=", ".join(files), selftest=selftest.NAME),
        "",
        *_rules(assignment),
    ]  # fmt: skip
    for task in tasks:
        lines += ["", f"## {task.question.name}", "", *_task(task)]
    return "\n".join(lines) + "\n"


def _rules(assignment: Assignment) -> Iterator[str]:
    limits: Limits = assignment.limits
    if assignment.allowed is not None:
        if assignment.allowed:
            names = ", ".join(assignment.allowed)
            yield say("- You may import the standard library and {names}.", names=names)
        else:
            yield say("- You may import only the standard library.")
    elif assignment.forbidden:
        yield say("- You may not import {names}.", names=", ".join(assignment.forbidden))
    yield say("- Each question may take {seconds:g} seconds; all of them together, {total:g} seconds and {memory} "
              "MiB of memory.", seconds=limits.seconds or 0, total=limits.total_seconds or 0,
              memory=(limits.memory or 0) >> 20)  # fmt: skip
    yield say("- Do not change the arguments of your functions.")


def _task(task: Task) -> Iterator[str]:
    question = task.question
    if question.op.summary:
        summary = question.op.summary.rstrip(".")
        yield from (f"{summary[0].upper()}{summary[1:]}.", "")
    yield from ("```python", *(line for stub in task.stubs for line in stub.lines), "```", "")
    yield from (f"| {' | '.join(row)} |" for row in [headers(), ("---",) * 4, *arrays(task)])
    yield from ("", say("It is called like this:"), "", "```python", *calls(task), "```", "")
    yield results(task)
    if asked := ranges(question):
        yield from ("", say("Values that are asked: {ranges}.", ranges="; ".join(asked)))
    if not question.hidden:
        points = ", ".join(f"{wording.name_of(part)} {wording.number(n)}" for part, n in question.points.items())
        yield from ("", say("Points: {points}.", points=points))


def headers() -> tuple[str, str, str, str]:
    return say("array"), say("in torch"), say("shape"), say("meaning")


def arrays(task: Task) -> list[tuple[str, str, str, str]]:
    """Each array: its name in the calls, torch's name, its shape in the convention, and what it is."""
    op, found = task.question.op, []
    for each in op.inputs:
        name = names(op)[each.name]
        if name in task.example.layouts or each.name in task.example.arrays:
            sizes = shape(each.letters, task.example.layouts[name])
            found.append((name, each.name, f"({', '.join(sizes.split())})" if sizes else "", each.help))
    for made in op.outputs:
        name = f"d{names(op)[made.name]}"
        if name in task.example.layouts:
            sizes = shape(made.letters, task.example.layouts[name])
            told = say("the upstream gradient")
            found.append((name, say("upstream"), f"({', '.join(sizes.split())})" if sizes else "", told))
    return found


def calls(task: Task) -> list[str]:
    """The lines of one call."""
    lines = (*task.example.forward, *task.example.backward)
    return [line.replace(f"{MODULE}.", "") for line in lines]


def results(task: Task, most: int = 1) -> str:
    """Where the results are looked for: the first places of those where they may be."""
    read = [say("{name} is `{place}`", name=name, place=_place(each, most))
            for name, each in task.example.outputs.items()]  # fmt: skip
    read += [say("the gradient of {name} is `{place}`", name=names(task.question.op).get(name, name),
                 place=_place(each, most)) for name, each in task.example.gradients.items()]  # fmt: skip
    return say("Your results are read here: {results}.", results="; ".join(read))


def _place(reading: Reading, most: int) -> str:
    return say("` or `").join(places(reading)[:most])


def ranges(question: Question) -> list[str]:
    """What is asked of each parameter, where it is more than its default."""
    usual = {each.name: each.default for each in question.op.params}
    return [
        f"{name} {', '.join(map(str, values))}"
        for name, values in question.scope.ranges.items()
        if values != (usual.get(name),) and values != (False,)
    ]
