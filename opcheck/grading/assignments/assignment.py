"""An assignment: what is asked, for how many points, within which limits. One TOML file, checked field by field."""

import hashlib
import math
import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from opcheck import specs
from opcheck.errors import CouldNotRun, Refused
from opcheck.grading import conventions
from opcheck.grading.assignments.late import Late
from opcheck.grading.assignments.late import read as read_late
from opcheck.grading.assignments.reader import Reader
from opcheck.grading.assignments.scope import Scope, is_optimiser, names
from opcheck.grading.conventions import Convention, Entry
from opcheck.grading.drawing.cases import draw
from opcheck.language import CATALOGUES, say
from opcheck.operators.params import Kind, Whole
from opcheck.operators.spec import Op
from opcheck.sandbox import Limits
from opcheck.sandbox.visible import readable

PARTS = ("forward", "vjp", "shapes", "dtype", "accuracy", "stability", "special values", "repeat", "efficiency")
FEEDBACK = ("score", "part", "counterexample", "diagnosis", "worked calculation")  # each shows what the one before does
PARTIAL = ("none", "cases")
VISIBILITY = ("visible", "after_due_date", "after_published", "hidden")  # as Gradescope calls it
SECONDS = 1.0  # of "efficiency": six nested loops over a case of that size take more, a few calls of numpy far less
DTYPES = ("float32", "float64")
MEBIBYTE, KIBIBYTE = 1 << 20, 1 << 10
LARGEST = 4 * MEBIBYTE  # of an assignment


@dataclass(frozen=True)
class Question:
    """One operator that students write."""

    name: str
    op: Op
    convention: Convention
    entry: Entry  # the names to look for
    points: Mapping[str, float]  # by part, or by one gradient of it ("vjp:weight")
    scope: Scope
    dtype: str = "float32"
    arrays: str = "numpy"
    hidden: bool = False
    depends_on: tuple[str, ...] = ()
    partial: str = "none"  # or "cases": the share of conditions that are right earns that share of the points
    seconds: float = SECONDS  # for the part "efficiency": what a case of the size of a training step may take
    file: str = ""  # the end of the path of the file in which it is looked for; "": in every one
    feedback: str = ""  # how much a student reads of it; "": as the assignment says
    visibility: str = VISIBILITY[0]  # when Gradescope shows it


@dataclass(frozen=True)
class Assignment:
    """What a class is graded by. `digest` changes whenever a result might."""

    title: str
    questions: tuple[Question, ...]
    limits: Limits = field(default_factory=lambda: Limits(total_seconds=60.0))
    forbidden: tuple[str, ...] = ()
    allowed: tuple[str, ...] | None = None  # besides the standard library; None: all but forbidden
    notes: tuple[str, ...] = ()  # for the teacher
    seed: int | None = None  # None: drawn after each submission was read
    feedback: str = "worked calculation"
    language: str = "en"
    digest: str = ""
    teachers: tuple[Path, ...] = field(default=(), repr=False, compare=False)  # files that no submission may see
    late: Late | None = field(default=None, compare=False)  # what handing in late costs, after grading
    only_found: bool = False  # what a submission has not got is not asked, such as gradients without a backward pass
    origin: tuple[str, str, Path] | None = field(default=None, repr=False, compare=False)  # text, its name, its folder

    def __getstate__(self) -> dict[str, Any]:
        """Pickled, questions are names: they are partly code, and another process reads them from the text again."""
        names = tuple(question.name for question in self.questions)
        return {**self.__dict__, "questions": names} if self.origin else self.__dict__

    def __setstate__(self, state: dict[str, Any]) -> None:
        if state["origin"]:
            read_again = parse(*state["origin"]).questions
            state = {**state, "questions": tuple(each for each in read_again if each.name in state["questions"])}
        self.__dict__.update(state)

    @property
    def points(self) -> float:
        return sum(sum(question.points.values()) for question in self.questions)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of functions and classes that the questions look for."""
        found = [name for question in self.questions for name in (*question.entry.forward, *question.entry.backward)]
        return tuple(dict.fromkeys(found))

    @property
    def files(self) -> tuple[str, ...]:
        """The files that questions are pinned to."""
        return tuple(dict.fromkeys(question.file for question in self.questions if question.file))

    def for_question(self, question: Question) -> "Assignment":
        """The same assignment, with that question's feedback level."""
        return self if question.feedback in ("", self.feedback) else replace(self, feedback=question.feedback)

    def shows(self, level: str) -> bool:
        """Whether the feedback level includes `level`."""
        return FEEDBACK.index(self.feedback) >= FEEDBACK.index(level)


def read(path: Path) -> Assignment:
    """The assignment in a TOML file; raises Refused with the line and the field of what is wrong."""
    try:
        text = _read(path).decode("utf-8").replace("\r\n", "\n")
    except OSError as error:
        raise Refused(say("cannot read the assignment"), got=f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Refused(say("an assignment is a text file in UTF-8"), got=str(path)) from None
    return parse(text, str(path), path.parent)


def _read(path: Path) -> bytes:
    """What is in the file, or comes out of a pipe; a FIFO into which nobody writes is empty, and not waited for."""
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:  # noqa: PTH123  a Path knows no such flag
        os.set_blocking(file.fileno(), True)
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise Refused(
            say("an assignment is a text file of at most {most} MiB", most=LARGEST // MEBIBYTE), got=str(path)
        )
    return data


def parse(text: str, name: str = "assignment.toml", folder: Path | None = None) -> Assignment:
    """The assignment that a TOML text describes; files that it names are looked up in `folder`."""
    try:
        data = tomllib.loads(text)
    except RecursionError:
        raise Refused(say("{file} is nested too deeply", file=name)) from None
    except ValueError as error:  # besides what TOML does not allow, numbers of thousands of digits
        raise Refused(say("{file} is not TOML", file=name), got=str(error)) from None
    reader = Reader(data, name, text)
    folder = folder or Path()
    title = reader.text("title", default=Path(name).stem)
    shared = {
        "convention": reader.text("convention", default="functional"),
        "dtype": reader.word("dtype", DTYPES, default="float32"),
        "arrays": reader.text("arrays", default=""),
        "partial": reader.word("partial", PARTIAL, default="none"),
        "file": reader.text("file", default=""),
        "feedback": reader.word("feedback", FEEDBACK, default="worked calculation"),
        "visibility": reader.word("visibility", VISIBILITY, default=VISIBILITY[0]),
    }
    _convention(reader, shared["convention"], folder)
    seed = reader.seed("seed")
    forbidden, allowed, notes = _imports(reader)
    feedback = shared["feedback"]
    language = reader.word("language", tuple(sorted(CATALOGUES)), default="en")
    only_found = reader.flag("only_found", default=False)
    limits = _limits(reader.table("limits"))
    late = read_late(reader.table("late")) if reader.has("late") else None
    parts = reader.tables("question")
    if not parts:
        raise reader.refuse("question", say("an assignment has at least one [[question]]"), say("none"))
    questions: list[Question] = []
    digest = hashlib.sha256((_graded_by(data) if late else text).encode())
    own = [folder / name] if (folder / Path(name).name).is_file() else []
    for part in parts:
        questions.append(_question(part, shared, folder, [each.name for each in questions]))
        used = part.text("convention", default=shared["convention"])
        spec = part.text("spec", default="").rpartition(":")[0]
        for file in (used, spec):
            if file.endswith(".py"):
                digest.update((folder / file).read_bytes())
                own.append(folder / file)
        _check_reach(part, folder / spec if spec else None)
    _check_memory(reader.table("limits"), limits, questions)
    reader.finish()
    return Assignment(
        title, tuple(questions), limits, forbidden, allowed, notes, seed, feedback, language, digest.hexdigest(),
        tuple(path.resolve() for path in own), late, only_found, (text, name, folder.absolute()),
    )  # fmt: skip


def _graded_by(data: Mapping[str, Any]) -> str:
    """All of a file that may change a result: what lateness costs is taken off afterwards."""
    return repr({name: value for name, value in data.items() if name != "late"})


def _check_reach(reader: Reader, spec: Path | None) -> None:
    """Refuse a teacher's answers where submissions may read: among the interpreter's own files and its packages."""
    for place in readable() if spec is not None else ():
        if spec is not None and spec.resolve().is_relative_to(Path(place).resolve()):
            raise reader.refuse(
                "spec",
                say("submissions can read what is in {place}", place=place),
                str(spec),
                fix=say("move it to another folder"),
            )


def _imports(reader: Reader) -> tuple[tuple[str, ...], tuple[str, ...] | None, tuple[str, ...]]:
    """What may not and what may be imported, and a note where both are said."""
    forbidden = tuple(reader.texts("forbidden"))
    for module in forbidden:
        if not module.isidentifier() or module == "numpy":
            raise reader.refuse("forbidden", say("a forbidden module is a top-level name, and not numpy"), repr(module))
    if not reader.has("allowed"):
        return forbidden, None, ()
    allowed = tuple(reader.texts("allowed"))
    for module in allowed:
        if not module.isidentifier():
            raise reader.refuse("allowed", say("an allowed module is a top-level name, such as numpy"), repr(module))
    if not forbidden:
        return (), allowed, ()
    return (), allowed, (say("`forbidden` has no effect beside `allowed`: anything not allowed cannot be imported"),)


def _limits(reader: Reader) -> Limits:
    seconds = reader.positive("seconds", default=10.0)
    total = reader.positive("total_seconds", default=60.0)
    memory = reader.positive("memory", default=2048)
    output = reader.positive("output", default=64)
    processes = reader.positive("processes", default=1)
    if processes != 1:
        raise reader.refuse("processes", say("a submission gets one process"), f"{processes:g}")
    reader.finish()
    return Limits(
        seconds=seconds, total_seconds=total, memory=int(memory * MEBIBYTE), output=int(output * KIBIBYTE)
    )  # fmt: skip


NEEDED = {"numpy": 128, "torch": 1024}  # MiB, without which a process that imports them does not start


def _check_memory(reader: Reader, limits: Limits, questions: Sequence[Question]) -> None:
    """Refuses a limit that the library alone exceeds: each student would read that his code does not run."""
    library = "torch" if any(each.arrays == "torch" for each in questions) else "numpy"
    least = NEEDED[library]
    if limits.memory is not None and limits.memory < least * MEBIBYTE:
        rule = say("must be at least {n} (MiB): {library} alone needs most of that", n=least, library=library)
        raise reader.refuse("memory", rule, f"{limits.memory / MEBIBYTE:g}")


def usual_points(op: Op) -> dict[str, float]:
    """The parts that are graded by default."""
    points: dict[str, float] = {"forward": 4, "shapes": 1}
    if not is_optimiser(op):
        points["vjp"] = 4
    return points


def _question(reader: Reader, shared: Mapping[str, str], folder: Path, before: Sequence[str]) -> Question:
    op = _operator(reader, folder)
    name = reader.text("name", default=op.title or op.name)
    if name in before:
        raise reader.refuse("name", say("two questions are called {name}", name=name), fix=say("give one a `name`"))
    convention, entry = _called(reader, op, shared["convention"], folder)
    depends_on = tuple(reader.texts("depends_on"))
    for other in depends_on:
        if other not in before:
            known = ", ".join(before) or say("none")
            raise reader.refuse(
                "depends_on", say("a question depends on earlier ones: {known}", known=known), repr(other)
            )
    points = _points(reader.table("points"), op, entry)
    ranges = _ranges(reader.table("parameters"), op)
    try:
        scope = Scope.of(op, ranges, entry.allows, entry.usual, entry.prepared)
        _draw_once(scope, "special values" in points)
    except (Refused, CouldNotRun) as error:
        raise reader.refuse("parameters", getattr(error, "rule", str(error)), getattr(error, "got", "")) from None
    arrays = reader.word("arrays", ("numpy", "torch"), default=shared["arrays"] or convention.arrays)
    if arrays == "torch" and convention.autograd:
        entry = entry._replace(backward=())
    question = Question(
        name, op, convention, entry, points, scope,
        dtype=reader.word("dtype", DTYPES, default=shared["dtype"]),
        arrays=arrays,
        hidden=reader.flag("hidden", default=False),
        depends_on=depends_on,
        partial=reader.word("partial", PARTIAL, default=shared["partial"]),
        seconds=reader.positive("seconds", default=SECONDS),
        file=reader.text("file", default=shared["file"]),
        feedback=reader.word("feedback", FEEDBACK, default=shared["feedback"]),
        visibility=reader.word("visibility", VISIBILITY, default=shared["visibility"]),
    )  # fmt: skip
    reader.finish()
    return question


@lru_cache(maxsize=256)
def _draw_once(scope: Scope, special: bool) -> None:
    """Raises Refused or CouldNotRun where the ranges allow no legal call."""
    draw(scope, "float32", [0], special)


def _operator(reader: Reader, folder: Path) -> Op:
    """What a question asks for: an operator, or a function of the teacher's (`spec = "reference.py:attention"`), whose
    file lies beside the assignment and is never seen by a submission."""
    field = "spec" if reader.has("spec") else "operator"
    asked = reader.text(field)
    try:
        if field == "operator":
            return specs.get(asked)
        where, _, name = asked.rpartition(":")
        if not where.endswith(".py") or not name:
            raise Refused(say("a spec is FILE.py:NAME"), got=repr(asked))
        return specs.get(f"{folder / where}:{name}")
    except Refused as error:
        raise reader.refuse(field, error.rule, error.got if field == "spec" else "", fix=error.fix) from None


def _called(reader: Reader, op: Op, usual: str, folder: Path) -> tuple[Convention, Entry]:
    """The convention of a question, and its entry with the names that the assignment gives."""
    convention = _convention(reader, reader.text("convention", default=usual), folder)
    forward, backward = reader.text("entry", default=""), reader.text("backward", default="")
    try:
        entry = entry_of(convention, op, forward)
    except Refused as error:
        raise reader.refuse("operator", error.rule, fix=error.fix) from None
    if forward:
        entry = entry._replace(forward=(forward,))
    if backward:
        entry = entry._replace(backward=(backward,))
    return convention, entry


def _convention(reader: Reader, name: str, folder: Path) -> Convention:
    try:
        return conventions.get(name, folder)
    except Refused as error:
        raise reader.refuse("convention", error.rule, error.got, error.fix) from None


def entry_of(convention: Convention, op: Op, name: str = "") -> Entry:
    """Where a convention looks for an operator; raises Refused if it has none."""
    if convention.names is not None and op.title and not op.elsewhere:
        return convention.names(op.title)
    if op.name not in convention.entries:
        raise Refused(
            say("convention {name} has no {op}", name=convention.name, op=op.title or op.name),
            fix=say("it has {names}", names=", ".join(sorted(convention.entries))),
        )
    return convention.entry(op.name, name)


def _points(reader: Reader, op: Op, entry: Entry) -> dict[str, float]:
    gradients = [f"vjp:{each.name}" for each in op.inputs if each.differentiable]
    points = {part: reader.positive(part) for part in (*PARTS, *gradients) if reader.has(part)}
    reader.finish(say("parts are {parts}", parts=", ".join((*PARTS, *gradients))))
    return points or usual_points(op)


def _ranges(reader: Reader, op: Op) -> dict[str, tuple[Any, ...]]:
    known = names(op)
    ranges: dict[str, tuple[Any, ...]] = {}
    for name in known:
        if not reader.has(name):
            continue
        unset = any(each.name == name and each.default is None for each in op.params)  # TOML has no word for it
        values = tuple(
            None if unset and each == "none" else tuple(each) if isinstance(each, list) else each
            for each in reader.values(name)
        )
        for value in values:
            _check_value(reader, op, name, value)
        ranges[name] = values
    reader.finish(say("{op} has {names}", op=op.name, names=", ".join(known) or say("none")))
    return ranges


def _check_value(reader: Reader, op: Op, name: str, value: Any) -> None:
    window = Whole(1, dims=op.outputs[0].letters.count(" ") - 1)
    kinds: dict[str, Kind] = {"kernel_size": window, "batch": Whole(1), "dims": Whole(1)} | {
        each.name: each.kind for each in op.params
    }
    if name in kinds:
        try:
            kinds[name].check(name, value)
        except Refused as error:
            raise reader.refuse(name, error.rule, error.got) from None
        _check_size(reader, name, value)
    elif not isinstance(value, bool):
        raise reader.refuse(name, say("{name} must be true or false: whether it is given", name=name), repr(value))


LARGEST_VALUES = {"kernel_size": 32, "stride": 32, "padding": 32, "dilation": 32, "batch": 1000, "dims": 4}


def _check_size(reader: Reader, name: str, value: Any) -> None:
    """Refuses what would make the arrays of a case too large: a window spans kernel_size times dilation."""
    largest = LARGEST_VALUES.get(name, math.inf)
    if any(isinstance(k, int) and k > largest for k in (value if isinstance(value, tuple) else (value,))):
        raise reader.refuse(name, say("{name} can be at most {n}", name=name, n=largest), repr(value))
