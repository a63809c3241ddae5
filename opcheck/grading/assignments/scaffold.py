"""Assignments to begin with: `opcheck grade --init` prints one, and `--op` asks for one operator without a file."""

import json
import os
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from opcheck import specs
from opcheck.grading import conventions
from opcheck.grading.assignments.assignment import FEEDBACK, PARTS, Assignment, entry_of, parse, usual_points
from opcheck.grading.assignments.scope import Scope
from opcheck.grading.conventions import Convention
from opcheck.language import say
from opcheck.operators.spec import Op


def single(op: str, convention: str = "any") -> Assignment:
    """The assignment that asks for one operator, or one spec of the teacher's own, and nothing else: `opcheck grade
    --op conv2d`. Of code without a backward pass it asks the forward pass."""
    if _is_own(op):
        specs.get(op)  # what is wrong with it is said of the option, and not of a line that nobody wrote
    folder = Path(op.rpartition(":")[0]).parent if _is_own(op) else Path()
    asked = scaffold([op], convention, folder)
    return parse(f"only_found = true\n{asked}", "assignment", folder)


def everything(convention: str = "any") -> Assignment:
    """The assignment that asks for whatever a submission defines: `opcheck grade hw.py`."""
    chosen = conventions.get(convention)
    lines = [f'title = "{say("what was found")}"', f'convention = "{convention}"', "only_found = true"]
    lines.append(f"allowed = [{_allowed(chosen)}]")
    for op in chosen.entries:
        for title in dict.fromkeys(each.title for each in chosen.several(op)):
            entry = next(each for each in chosen.several(op) if each.title == title)
            lines += ["[[question]]", f'operator = "{op}"']
            if entry.title:
                lines += [f'name = "{op} {entry.title}"', f'entry = "{entry.forward[0]}"']
    return parse("\n".join(lines), "assignment")


def scaffold(ops: Sequence[str], convention: str = "functional", folder: Path = Path()) -> str:
    """A TOML file that asks for these operators, to be edited by a teacher; raises Refused for unknown names.

    It is for `folder`, from which it names the files of specs."""
    chosen = conventions.get(convention)
    lines = [
        f'title = "{_title(ops)}"',
        *_comment(
            say(
                "{names}, or a .py file here; {any}: whichever each submission follows",
                any=conventions.ANY,
                names=", ".join((*conventions.NAMES, *conventions.COURSES)),
            )
        ),
        f'convention = "{convention}"',
        'dtype = "float32"  # the required precision; inputs are float64 and float32',
        'partial = "cases"  # points for the kinds of cases that are right; or "none"',
        f"# from less to more: {', '.join(FEEDBACK)}",
        f'feedback = "{FEEDBACK[-1]}"',
        'seed = "fresh"  # drawn after a submission is read; a number repeats a run',
        f"allowed = [{_allowed(chosen)}]  # nothing else, besides the standard library",
        "",
        "[limits]",
        "seconds = 10  # for each question",
        "total_seconds = 60  # for a whole submission",
        "memory = 2048  # MiB",
        "output = 64  # KiB that a submission may print",
    ]
    lines += ["", "# points are for " + ", ".join(PARTS[:4]).replace("vjp", "vjp (gradients)") + ","]
    lines += ["# " + ", ".join(PARTS[4:])]
    lines += ["# a correct formula with fewer digits or a smaller range than possible loses"]
    lines += ["# only points of accuracy or stability"]
    for name in ops:
        lines += _scaffolded(name, chosen, folder)
    return "\n".join(lines) + "\n"


def _allowed(chosen: Convention) -> str:
    return '"numpy"' if chosen.arrays == "numpy" and chosen.name != conventions.ANY else '"numpy", "torch"'


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, 80, initial_indent="# ", subsequent_indent="# ")


def _title(ops: Sequence[str]) -> str:
    names = [op.title or op.name for op in map(specs.get, ops)]
    return ", ".join(names) if len(names) <= 4 else say("{first} and {n} more", first=names[0], n=len(names) - 1)


def _is_own(op: str) -> bool:
    """Whether this is a spec of the teacher's own, FILE.py:NAME."""
    return op.partition(":")[0].endswith(".py")


def _asked(name: str, op: Op, folder: Path) -> str:
    """The line that says what a question asks for."""
    if not _is_own(name):
        return f'operator = "{op.name}"'
    where, _, title = name.rpartition(":")
    place = Path(os.path.relpath(where, folder))
    return f"spec = {json.dumps(f'{place.as_posix()}:{title}', ensure_ascii=False)}"


def _scaffolded(name: str, convention: Convention, folder: Path) -> list[str]:
    op = specs.get(name)
    entry = entry_of(convention, op)
    scope = Scope.of(op, {}, entry.allows, entry.usual, entry.prepared)
    lines = ["", "[[question]]", _asked(name, op, folder), f'entry = "{entry.forward[0]}"']
    if entry.backward:
        lines.append(f'backward = "{entry.backward[0]}"')
    points = usual_points(op)
    lines += ["points = { " + ", ".join(f"{_key(part)} = {n:g}" for part, n in points.items()) + " }"]
    taught = {name: values for name, values in scope.ranges.items() if len(values) > 1}
    if taught:
        lines.append("[question.parameters]  # what the course has taught")
        lines += [f"{name} = {_toml([each for each in values if each is not None])}" for name, values in taught.items()]
    return lines


def _key(part: str) -> str:
    return part if part.isidentifier() else f'"{part}"'


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return repr(value)
