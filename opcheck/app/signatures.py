"""`opcheck ops conv2d --convention cs231n`: how a course's code is called, by the calls that grading makes."""

import json

from opcheck import specs
from opcheck.grading import conventions
from opcheck.grading.assignments.assignment import Assignment, parse
from opcheck.grading.assignments.scaffold import single
from opcheck.grading.handouts import sheet
from opcheck.grading.handouts.task import Task, task
from opcheck.language import say
from opcheck.operators import catalog
from opcheck.operators.spec import Op
from opcheck.steps import Block, Prose, Table

PLACES = 3  # how many of the places where a result may be are shown


def listing(name: str) -> list[Block]:
    """The operators of a convention, and what they are called there."""
    convention = conventions.get(name)
    rows = tuple(
        (op, ", ".join(entry.forward[0] for entry in convention.several(op)),
         ", ".join(entry.backward[0] for entry in convention.several(op) if entry.backward))
        for op in convention.entries
    )  # fmt: skip
    return [
        Prose(say("{name}: {summary}", name=name, summary=convention.summary), "title"),
        Table((say("operator"), say("forward"), say("backward")), rows),
        Prose(say("opcheck ops OP --convention {name} shows one", name=name), "hint"),
    ]


def describe(spec: str, name: str) -> list[Block]:
    """One operator in a convention: signatures, arrays, a call with what is read from it, and what may be asked."""
    op = specs.get(spec)
    if name == conventions.ANY:
        return [block for each in (*conventions.NAMES, *conventions.COURSES)
                if conventions.get(each).entries_of(op) for block in describe(spec, each)]  # fmt: skip
    asked = single(op.name, name) if op in catalog.every() else _of_a_file(spec, name)
    shown = task(asked.questions[0])
    title = say("{op} in {name}: {summary}", op=op.title or op.name, name=name,
                summary=conventions.get(name).summary)  # fmt: skip
    blocks: list[Block] = [Prose(title, "title")]
    blocks.append(Prose("\n".join(line for stub in shown.stubs for line in stub.lines), "code"))
    blocks.append(Table(sheet.headers(), tuple(sheet.arrays(shown))))
    blocks += [Prose(say("It is called like this:")), Prose("\n".join(sheet.calls(shown)), "code")]
    blocks += [Prose(sheet.results(shown, most=PLACES).replace("`", "")), *_asked(shown)]
    return [*blocks, *_others(op, name)]


def _of_a_file(spec: str, name: str) -> Assignment:
    return parse(f"convention = {json.dumps(name)}\n[[question]]\nspec = {json.dumps(spec)}", "assignment")


def _asked(shown: Task) -> list[Block]:
    if not (asked := sheet.ranges(shown.question)):
        return []
    return [Prose(say("Asked by default: {ranges}.", ranges="; ".join(asked)))]


def _others(op: Op, name: str) -> list[Block]:
    """Other names under which it is found."""
    found = [word for entry in conventions.get(name).entries_of(op) for word in (*entry.forward, *entry.backward)]
    if len(found) <= 2:
        return []
    return [Prose(say("Found under any of these names: {names}.", names=", ".join(dict.fromkeys(found))), "note")]
