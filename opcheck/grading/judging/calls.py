"""Makes a convention's calls in the sandbox, many in one round trip, and reads plain arrays from what comes back."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from opcheck.grading.conventions import Plan, Reading
from opcheck.grading.conventions.layouts import Layout
from opcheck.grading.judging.replies import Failed, Returns, called, failure, plain_array
from opcheck.grading.results import Outcome
from opcheck.language import say
from opcheck.operators.spec import Array, Shape
from opcheck.sandbox import Call, Outsized, Place, Set, Status, Worker
from opcheck.sandbox import Outcome as Reply

_ROOT = re.compile(r"[A-Za-z_]\w*")
MOST_MISSHAPEN = 1 << 16  # numbers of an array of a wrong shape that are looked at, to find out why it is wrong
ROOM = 1 << 24  # bytes for what a submission returns beside arrays of the sizes that are due
WIDEST = 8  # bytes of a number
TOGETHER = 64  # jobs in one round trip


@dataclass(frozen=True, slots=True)
class Wanted:
    """A result that is due: where it is read, its shape in torch's layout, and whether it is a real array."""

    reading: Reading
    shape: Shape
    real: bool = True


@dataclass
class Job:
    """One case's calls: the forward plan, the backward plan, and what is due of each."""

    forward: Plan
    outputs: Mapping[str, Wanted]
    backward: Plan | None = None
    gradients: Mapping[str, Wanted] = field(default_factory=dict)
    may_change: bool = False  # its inputs
    tensors: bool = False  # arrays are torch's, for a convention that does not say so itself
    made: "Made | None" = None
    decided: dict[tuple[str, ...], str] = field(default_factory=dict)  # of several places, the one that was there

    @property
    def undecided(self) -> bool:
        """Whether a result may be at one of several places."""
        return any(
            not isinstance(each.reading.place, str) for each in (*self.outputs.values(), *self.gradients.values())
        )


@dataclass
class Made:
    """What came of a job. A result is an array in torch's layout, or the failure that stands in its place."""

    outputs: dict[str, Array | Failed] = field(default_factory=dict)
    gradients: dict[str, Array | Failed] = field(default_factory=dict)
    misshaped: dict[str, str] = field(default_factory=dict)  # by output, or "vjp:" and the input: what is wrong
    mistyped: dict[str, str] = field(default_factory=dict)  # the same, of the type of its numbers
    changed: bool = False  # an input
    lost: bool = False  # the process ended on the way
    seconds: float = 0.0
    printed: str = ""


class Desk:
    """Where the jobs of one submission are carried out, within the time that it has left."""

    def __init__(self, worker: Worker, seconds: float, total_seconds: float | None) -> None:
        self.worker, self.seconds = worker, seconds
        self.left = total_seconds if total_seconds is not None else float("inf")

    def carry_out(self, jobs: Sequence[Job], seconds: float | None = None) -> None:
        """All jobs in a few round trips, up to the first that ends the process."""
        waiting = [job for job in jobs if job.made is None]
        for first in range(0, len(waiting), TOGETHER):
            if first and (lost := waiting[first - 1].made) is not None and lost.lost:
                self._without_backward(waiting[first:], lost, seconds)
                return
            self._carry_out(waiting[first : first + TOGETHER], seconds)

    def _carry_out(self, waiting: Sequence[Job], seconds: float | None) -> None:
        """All of them at once; if anything fails, one by one, up to the first that ends the process.

        That one costs at most half of the time: all together have had the whole of it.
        """
        together: Reply | None = None
        if len(waiting) > 1:
            made, together = self._attempt(waiting, seconds)
            if made is not None:
                for job, each in zip(waiting, made, strict=True):
                    job.made = each
                return
            seconds = (self.seconds if seconds is None else seconds) / 2
        for k, job in enumerate(waiting):
            job.made = self.one(job, seconds)
            if job.made.lost:
                self._without_backward(waiting[k:], job.made, seconds)
                return
        if together is not None and together.status is Status.RAISED:
            _count_the_first_time(waiting, together)

    def _without_backward(self, jobs: Sequence[Job], lost: Made, seconds: float | None) -> None:
        """The first of these ended the process: where backward did that, the forward passes are looked at alone."""
        made = None
        if any(job.backward is not None for job in jobs):
            made, _ = self._attempt([replace(job, backward=None, gradients={}) for job in jobs], seconds)
        failures = [each for each in (*lost.gradients.values(), *lost.outputs.values()) if isinstance(each, Failed)]
        reason = failures[0] if failures else Failed(Outcome.CRASHED, say("there is no result"))
        for k, job in enumerate(jobs):
            nothing = _nothing(job, reason, lost=True)
            job.made = replace(made[k], gradients=nothing.gradients, lost=True) if made else nothing

    def one(self, job: Job, seconds: float | None = None) -> Made:
        """One job alone."""
        if self.left <= 0:
            failed = Failed(Outcome.TOO_SLOW, say("the time for the whole submission is used up"))
            return _nothing(job, failed, lost=True)
        script = Script(job, "", self.seconds)
        reply = self._run([script], seconds)
        return script.made(reply, lost=not self.worker.alive)

    def _attempt(self, jobs: Sequence[Job], seconds: float | None) -> tuple[list[Made] | None, Reply | None]:
        """What came of all jobs in one round trip; if anything failed, how."""
        if self.left <= 0:
            return None, None
        scripts = [Script(job, f"{k}", self.seconds) for k, job in enumerate(jobs)]
        reply = self._run(scripts, seconds)
        if reply.status is not Status.OK:
            return None, reply
        return [script.made(reply) for script in scripts], reply

    def _run(self, scripts: Sequence["Script"], seconds: float | None) -> Reply:
        allowed = min(self.seconds if seconds is None else seconds, self.left)
        steps = [step for script in scripts for step in script.steps]
        places = {key: place for script in scripts for key, place in script.places.items()}
        largest = WIDEST * max(MOST_MISSHAPEN, *(max(script.sizes, default=0) for script in scripts))
        room = ROOM + WIDEST * sum(sum(script.sizes) for script in scripts)
        reply = self.worker.run(steps, places, seconds=allowed, largest=largest, reply=room)
        self.left -= reply.seconds
        return reply


def _count_the_first_time(jobs: Sequence[Job], reply: Reply) -> None:
    """A call that raised when all were made together and does so no more, now that each was made alone, failed: whoever
    uses it does not call it twice."""
    made = [job.made for job in jobs if job.made is not None]
    if any(isinstance(found, Failed) for each in made for found in (*each.outputs.values(), *each.gradients.values())):
        return
    once = failure(reply, "", {}, 0.0)
    failed = Failed(once.outcome, say("{reason}, but only on the first call", reason=str(once)))
    for job, each in zip(jobs, made, strict=True):
        job.made = replace(
            each, outputs=dict.fromkeys(each.outputs, failed), gradients=dict.fromkeys(each.gradients, failed)
        )


class Script:
    """A job as steps whose names are its own, so that many fit into one run; its arrays are kept to be compared."""

    def __init__(self, job: Job, tag: str, limit: float) -> None:
        self.job, self.tag, self.limit = job, tag, limit
        self.sent: dict[str, Array] = {}
        steps = [step for plan in (job.forward, job.backward) if plan for step in plan.steps]
        self._own = {step.keep if isinstance(step, Call) else _root(step.place) for step in steps} - {""}
        body = [self._renamed(step) for step in job.forward.steps]
        self.inputs = tuple(self.sent)  # without the upstream gradient: many overwrite it, and nobody needs it again
        if job.backward is not None:
            body += [self._renamed(step) for step in job.backward.steps]
        given: list[Call | Set] = [
            Call("torch.tensor", (array,), keep=name) if job.tensors else Set(name, array)
            for name, array in self.sent.items()
        ]
        self.steps: list[Call | Set] = [*given, *body]
        due = {f"o{tag}:{name}": each for name, each in job.outputs.items()}
        due |= {f"g{tag}:{name}": each for name, each in job.gradients.items()}
        self.places = {
            key + "|" * k: self._place(place)
            for key, each in due.items()
            for k, place in enumerate(_several(each.reading.place))
        }
        if not job.may_change:
            self.places |= {f"i{tag}:{name}": name for name in self.inputs}
        # how many numbers the arrays have that come back if all is right, a result once for each of its places
        self.sizes = [math.prod(each.shape) * len(_several(each.reading.place)) for each in due.values()]
        self.sizes += [self.sent[name].size for name in self.inputs]

    def made(self, reply: Reply, lost: bool = False) -> Made:
        """What the reply says of this job."""
        made = Made(lost=lost, seconds=reply.seconds, printed=reply.printed)
        for kind, due, found in (("o", self.job.outputs, made.outputs), ("g", self.job.gradients, made.gradients)):
            for name, each in due.items():
                arrived = self._arrived(f"{kind}{self.tag}:{name}", each, reply)
                full = name if kind == "o" else f"vjp:{name}"
                if arrived is not None:
                    found[name] = self._read(each, *arrived, made, full)
                elif reply.status is Status.OK:
                    found[name] = Failed(Outcome.CRASHED, say("there is no result"))
                else:
                    found[name] = failure(reply, called(full), self._returns(), self.limit)
        if not self.job.may_change:
            back = {name: reply.values[key] for name in self.inputs if (key := f"i{self.tag}:{name}") in reply.values}
            made.changed = any(not _same(each, self.sent[name]) for name, each in back.items())
        return made

    def _returns(self) -> dict[str, Returns]:
        """The functions that should return several values, by the name under which their result is kept."""
        job, found = self.job, {}
        calls = [step for plan in (job.forward, job.backward) if plan for step in plan.steps if isinstance(step, Call)]
        passed_on = [each.text for step in calls for each in step.args if isinstance(each, Place)]
        read: dict[Any, str] = {each.reading.place: called(name) for name, each in job.outputs.items()}
        read |= {each.reading.place: called(f"vjp:{name}") for name, each in job.gradients.items()}
        read = {**dict.fromkeys(passed_on, say("what backward needs")), **read}
        for step in calls:
            places = {f"[{k}]": f"{step.keep}[{k}]" for k in range(len(read))}
            values = {part: read[place] for part, place in places.items() if place in read}
            found[f"{step.keep}_{self.tag}"] = Returns(step.function.partition(".")[2], values)
        return found

    def _arrived(self, key: str, wanted: Wanted, reply: Reply) -> tuple[str, Any] | None:
        """The place and the value of a result, from the first of its places that was there with a number in it."""
        places = wanted.reading.place
        there = {
            place: reply.values[key + "|" * k]
            for k, place in enumerate(_several(places))
            if key + "|" * k in reply.values
        }
        place = next(
            (p for p, value in there.items() if isinstance(value, (np.ndarray, float))), next(iter(there), None)
        )
        if place is None:
            return None
        if not isinstance(places, str):
            self.job.decided[places] = place
        return place, there[place]

    def _read(self, wanted: Wanted, place: str, value: Any, made: Made, name: str) -> Array | Failed:
        """An array in torch's layout; what is wrong with its shape in the convention's layout is noted."""
        what = called(name, place)
        layout = wanted.reading.layout
        due = layout.give(np.zeros(wanted.shape)).shape
        try:
            shape = value.shape if isinstance(value, Outsized) else (array := plain_array(value, what)).shape
        except Failed as error:
            return error
        if shape != due:
            misshaped = say("{what} has shape {got}; it should be {due}", what=what, got=shape, due=due)
            if isinstance(value, Outsized) or max(array.size, *shape, 0) > MOST_MISSHAPEN:
                return Failed(Outcome.WRONG, misshaped)
            made.misshaped[name] = misshaped
        if wanted.real and array.dtype.kind != "f":
            made.mistyped[name] = say("{what} has dtype {got}; it should hold real numbers", what=what, got=array.dtype)
        with np.errstate(all="ignore"):
            return _in_torchs_layout(layout, array, len(due))

    def _renamed(self, step: Call | Set) -> Call | Set:
        if isinstance(step, Set):
            return Set(self._place(step.place), self._filled(step.value))
        args = [self._filled(each) for each in step.args]
        kwargs = {name: self._filled(each) for name, each in step.kwargs.items()}
        return Call(self._place(step.function), args, kwargs, keep=step.keep and f"{step.keep}_{self.tag}")

    def _place(self, text: str) -> str:
        root = _root(text)
        return f"{root}_{self.tag}{text[len(root) :]}" if root in self._own else text

    def _filled(self, value: Any) -> Any:
        """The value with places renamed, and with each array set aside under a name."""
        if isinstance(value, np.ndarray):
            for name, array in self.sent.items():
                if array is value:
                    return Place(name)
            name = f"input{len(self.sent)}_{self.tag}"
            self.sent[name] = value
            return Place(name)
        if isinstance(value, Place):
            return Place(self._place(value.text))
        if isinstance(value, (list, tuple)):
            return type(value)(self._filled(each) for each in value)
        if isinstance(value, dict):
            return {key: self._filled(each) for key, each in value.items()}
        return value


def _nothing(job: Job, failed: Failed, lost: bool) -> Made:
    return Made(dict.fromkeys(job.outputs, failed), dict.fromkeys(job.gradients, failed), lost=lost)


def _in_torchs_layout(layout: Layout, array: Array, rank: int) -> Array:
    """The array as torch has it; one of a shape that the layout cannot turn stays as it is."""
    if array.ndim == rank:
        try:
            return layout.take(array)
        except ValueError:  # of an array from which the layout's own does not subtract, say
            pass
    return array / layout.by


def _several(places: str | tuple[str, ...]) -> tuple[str, ...]:
    return (places,) if isinstance(places, str) else places


def _root(place: str) -> str:
    match = _ROOT.match(place)
    return match[0] if match else place


def _same(a: Any, b: Array) -> bool:
    return isinstance(a, np.ndarray) and a.shape == b.shape and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
