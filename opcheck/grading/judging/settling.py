"""Settles how a submission's code is called: where it is, by which convention, and what of the cases it can take."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from opcheck.errors import CouldNotRun, Refused
from opcheck.grading import conventions
from opcheck.grading.assignments.assignment import Assignment, Question
from opcheck.grading.conventions import Entry
from opcheck.grading.drawing.cases import draw
from opcheck.grading.judging.calls import Desk
from opcheck.grading.judging.parts import examine
from opcheck.grading.judging.student import Student
from opcheck.grading.results import Outcome
from opcheck.grading.submissions.loading import Loaded
from opcheck.grading.submissions.locate import Found, Missing, Unfit, locate
from opcheck.grading.submissions.recognition import Candidate, candidates, operator_of
from opcheck.language import say
from opcheck.sandbox import Definition

TRIED = 12  # conventions of one question, and their variants
SECONDS = 3.0  # for each of them
NUMBERS = ("eps", "momentum")  # that stand in the code, where it has no parameter for them
NAMED = 12  # definitions that a note names


def _unfit(name: str, op: str, convention: str) -> str:
    """Why something that has an operator's name was not graded."""
    if convention == conventions.ANY:
        return say("{name} was not graded: no known way to call {op} fits it; lesson 17 shows how to describe "
                   "yours", name=name, op=op)  # fmt: skip
    return say("{name} was not graded: the convention {convention} has no {op} of this kind; --convention any looks in "
               "all of them", name=name, op=op, convention=convention)  # fmt: skip


@dataclass
class Readings:
    """How the questions were read, for the teacher."""

    found: dict[str, list[str]] = field(default_factory=dict)  # by convention
    notes: list[str] = field(default_factory=list)
    forward_only: dict[str, str] = field(default_factory=dict)  # question: the backward pass that it lacks
    used: set[tuple[str, ...]] = field(default_factory=set)  # modules, and the functions and classes that were graded
    instead: dict[str, str] = field(default_factory=dict)  # by operator: what was graded as it
    unfit: dict[str, list[str]] = field(default_factory=dict)  # what has an operator's name: those operators

    def told(self) -> tuple[str, ...]:
        found = [say("{names}: called as {convention} does", names=", ".join(names), convention=convention)
                 for convention, names in self.found.items()]  # fmt: skip
        if self.forward_only:
            names, missing = ", ".join(self.forward_only), ", ".join(self.forward_only.values())
            found.append(say("{names}: only the forward pass was graded; to have gradients graded, write {missing}",
                             names=names, missing=missing))  # fmt: skip
        return (*found, *self.notes)

    def left_out(self, definitions: Sequence[Definition], convention: str) -> Iterator[str]:
        """What a submission defines and was not looked at, and why."""
        graded = {name for _, *names in self.used for name in names}
        unfit = {ops[0]: name for name, ops in self.unfit.items() if name not in graded}
        others: list[str] = []
        for name in [each.name for each in definitions if self._is_left(each)]:
            op = operator_of(name)
            if op in self.instead:
                yield say("{name} was not graded: {other} was, which is the same operator", name=name,
                          other=self.instead[op])  # fmt: skip
            elif op:
                unfit.setdefault(op, name)
            else:
                others.append(name)
        for op, name in unfit.items():
            yield _unfit(name, op, convention)
        if others and self.used:
            names = ", ".join(others[:NAMED]) + (", …" if len(others) > NAMED else "")
            yield say("not graded, because no operator has these names: {names}", names=names)

    def _is_left(self, each: Definition) -> bool:
        helper = each.name.startswith(("_", "test")) or each.name == "main" or each.kind == "value"
        return each.own and not helper and (each.module, each.name) not in self.used and each.name not in self.unfit


def settled(
    question: Question, assignment: Assignment, loaded: Loaded, desk: Desk, seeds: Sequence[int], readings: Readings
) -> tuple[Question, Found]:
    """The question as this submission is asked it, and what was found; raises Missing."""
    definitions = loaded.within(question.file)
    if question.convention.name == conventions.ANY:
        titles = {each.entry.title for each in assignment.questions if each.op is question.op}
        several = candidates(question.op, definitions, loaded.torch, titles - {question.entry.title})
        if not several:
            name = locate(definitions, question.entry, assignment.names).definition.name
            raise Unfit(say("nothing defined here looks like {op}", op=question.name), name)
        question, found = _chosen(question, several, desk, seeds)
        name = found.forward.partition(".")[2]
        shown = name if name == question.name else f"{question.name} ({name})"
        readings.found.setdefault(question.convention.name, []).append(shown)
    else:
        question = _in_its_arrays(question, loaded)
        found = locate(definitions, question.entry, assignment.names)
        if layouts := _layouts(question, found):
            several = [Candidate(question.convention, each, found, question.arrays) for each in layouts]
            question, found = _chosen(question, several, desk, seeds)
    readings.used |= {tuple(place.split(".")[:2]) for place in (found.forward, found.backward)}
    readings.instead[question.op.name] = found.forward.partition(".")[2]
    question, left_out = _narrowed(question, found, assignment.only_found)
    readings.notes += left_out
    if assignment.only_found and (missing := _missing_backward(question, found)):
        readings.forward_only[question.name] = missing
        asked = {part: points for part, points in question.points.items() if not part.startswith(("vjp", "repeat"))}
        question = replace(question, points=asked or question.points)
    return question, found


def _layouts(question: Question, found: Found) -> list[Entry]:
    """The entry in each of the ways in which the convention may lay out the arrays of what was found, if there are
    several."""
    convention, entry = question.convention, question.entry
    known = convention.entries_of(question.op)
    variants = [each.variant for each in known if each[:2] == known[0][:2] and each.title == entry.title]
    if len(variants) < 2:
        return []
    return [entry._replace(variant=each) for each in variants if convention.knows(question.op, found.definition, each)]


def _in_its_arrays(question: Question, loaded: Loaded) -> Question:
    """The question in numpy's arrays, where a course has tensors and the file imports no torch."""
    convention = question.convention
    if loaded.torch or question.arrays != convention.arrays or not convention.either or question.arrays == "numpy":
        return question
    entry = convention.entry(question.op.name, question.entry.forward[0])
    return replace(question, arrays="numpy", entry=question.entry._replace(backward=entry.backward))


def _chosen(
    question: Question, several: Sequence[Candidate], desk: Desk, seeds: Sequence[int]
) -> tuple[Question, Found]:
    """The reading by which most trials are right; of equals the likeliest."""
    best: tuple[tuple[int, int, int], Question, Found] | None = None
    for place, each in enumerate(several[:TRIED], start=1):
        read = _read(question, each)
        try:
            scope = read.scope.narrower(each.entry.allows, each.entry.usual, each.entry.prepared)
            read = replace(read, scope=scope)
            narrowed, _ = _narrowed(read, each.found, only_found=True)
            known = len(several) == 1 and not each.loose
            score = (0, 0, 0) if known else _score(narrowed, each, desk, seeds)
        except (Refused, CouldNotRun, Missing):
            continue
        if best is None or score > best[0]:
            best = score, read, each.found
        if not any(score) or (not score[0] and all(_lacks_backward(question, other) for other in several[place:TRIED])):
            break
    if best is None:
        name = several[0].found.definition.name
        raise Unfit(say("the code accepts none of the cases that are asked"), name)
    return best[1], best[2]


def _read(question: Question, candidate: Candidate) -> Question:
    return replace(question, convention=candidate.convention, entry=candidate.entry, arrays=candidate.arrays)


def _lacks_backward(question: Question, candidate: Candidate) -> bool:
    return bool(_missing_backward(_read(question, candidate), candidate.found))


def _score(question: Question, candidate: Candidate, desk: Desk, seeds: Sequence[int]) -> tuple[int, int, int]:
    """Minus the number of wrong trials, forward and backward, all of them where a backward pass that is asked lacks;
    and of those without an answer: of two wrong readings the likelier one is that by which the code runs.
    Raises Unfit where nothing is right of what has another name than the operator."""
    found = candidate.found
    student = Student(desk, question, found)
    drawn = draw(question.scope, question.dtype, seeds, special=False, upstream=question.entry.upstream)
    gradients = found.can_differentiate and any(part.startswith("vjp") for part in question.points)
    student.prefetch(drawn.ordinary, gradients, min(SECONDS, desk.seconds))
    parts = ["forward", *(["vjp"] if gradients else [])]
    found_wrong = [examine(part, student, drawn, seeds) for part in parts]
    wrong = [len({id(each.verdict.trial) for each in finding.wrongs}) for finding in found_wrong]
    if candidate.loose and wrong[0] == len(drawn.ordinary):
        raise Unfit(say("nothing defined here looks like {op}", op=question.name), found.definition.name)
    silent = sum(not student.answers(each.case) for each in drawn.ordinary)
    if _missing_backward(question, found) or found_wrong[-1].outcome is Outcome.CRASHED_ALWAYS:
        return -wrong[0], -len(drawn.ordinary) - 1, -silent  # a wrong one is looked at, if there is any
    return -wrong[0], -(wrong[1] if len(wrong) > 1 else 0), -silent


def _narrowed(question: Question, found: Found, only_found: bool) -> tuple[Question, tuple[str, ...]]:
    """The question without the cases that the code has no parameter for, and a note on what that is.

    An array that the code cannot take, a bias, is asked all the same, unless it is `only_found` that is; never one that
    is drawn by chance.
    """
    takes = question.convention.takes(question.op, found.definitions)
    op = question.op
    arrays = [each.name for each in op.inputs if each.optional and not only_found and each.name != op.draws]
    takes = {name: allowed for name, allowed in takes.items() if name not in arrays or allowed(True)}
    if not takes:
        return question, ()
    try:
        scope = question.scope.narrower(takes)
    except Refused as error:
        name = found.definition.name
        raise Missing(say("{name} cannot take what is asked: {rule}", name=name, rule=error.rule)) from None
    optional = {each.name for each in question.op.inputs if each.optional}
    lacking = [
        name
        for name, values in question.scope.ranges.items()
        if len(scope.ranges[name]) < len(values)
        and name not in NUMBERS
        and not (name in optional and True in scope.ranges[name])  # what must be given is not lacking
    ]
    if not lacking:
        return replace(question, scope=scope), ()
    note = say("{question}: cases that need parameters {name} lacks were left out ({lacking})", question=question.name,
               name=found.definition.name, lacking=", ".join(lacking))  # fmt: skip
    return replace(question, scope=scope), (note,)


def _missing_backward(question: Question, found: Found) -> str:
    """What a submission would have to define for gradients to be graded; "" if they can be."""
    missing = not found.can_differentiate
    if found.definition.kind == "class" and not question.convention.autograd:
        missing = not any(each.name == "backward" for each in found.definition.methods)
    if not missing or not any(part.startswith("vjp") for part in question.points):
        return ""
    name = question.entry.backward[0] if question.entry.backward else f"{found.definition.name}.backward"
    if not question.convention.name.startswith("functional"):
        return name
    arrays = [each.name for each in question.op.inputs if each.differentiable]
    arguments = ", ".join(["dy", *arrays, *(["..."] if question.op.params else [])])
    return f"{name}({arguments})"
