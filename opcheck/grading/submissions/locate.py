"""Finds the functions and classes that an assignment asks for among what a submission defines."""

import difflib
import re
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass

from opcheck.grading.conventions import Entry
from opcheck.language import say
from opcheck.sandbox import Definition

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+")
_IDLE = ("my", "np", "numpy", "torch", "custom", "manual", "naive", "fast", "scratch", "from", "simple", "basic",
         "stable", "vectorized", "loop", "loops", "einsum", "im2col", "impl", "py", "layer", "func", "function", "op",
         "activation")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Found:
    """Places in the loaded modules: "module.conv2d", "module1.Conv.forward"."""

    forward: str
    backward: str  # empty if there is none
    definition: Definition
    gradient: Definition | None = None  # the backward function
    missing: str = ""  # where the entry's backward function is not there: that, and what is

    @property
    def definitions(self) -> tuple[Definition, ...]:
        """What is called."""
        return (self.definition, self.gradient) if self.gradient else (self.definition,)

    @property
    def can_differentiate(self) -> bool:
        return not self.missing


class Missing(Exception):
    """The submission has no such name; the text says what it has."""


class Unfit(Missing):
    """It has the name, and what is called so cannot be called as any convention does; the text says why."""

    def __init__(self, reason: str, name: str) -> None:
        super().__init__(reason)
        self.name = name


def locate(
    definitions: Sequence[Definition], entry: Entry, others: Container[str] = (), loosely: bool = False
) -> Found:
    """The first of the entry's names that is there, exactly or but for case and underscores; raises Missing.

    What is asked for by one of the `others` is not taken for a misspelt name; `loosely`, my_relu and relu_numpy are
    names of relu.
    """
    forward = _search(definitions, entry.forward, loosely)
    if forward is None:
        raise Missing(_absent(definitions, entry.forward[0], others))
    beside = sorted(definitions, key=lambda each: each.module != forward[1].module)  # in the same file before others
    backward = _search(beside, entry.backward, loosely)
    absent = entry.backward and backward is None
    return Found(
        f"{forward[1].module}.{forward[0]}",
        f"{backward[1].module}.{backward[0]}" if backward else "",
        forward[1],
        backward[1] if backward else None,
        _absent(definitions, entry.backward[0], others) if absent else "",
    )


def _search(definitions: Sequence[Definition], names: Sequence[str], loosely: bool) -> tuple[str, Definition] | None:
    places: dict[str, Definition] = {}
    for place, each in _places(definitions):
        places.setdefault(place, each)  # of two files that have it, the likelier one comes first
    for name in names:
        if name in places:
            return name, places[name]
    for bare in (plain, core) if loosely else (plain,):
        alike = {bare(place): place for place in reversed(places) if bare is plain or "." not in place}
        for name in names:
            if bare(name) in alike:
                return alike[bare(name)], places[alike[bare(name)]]
    return None


def _places(definitions: Sequence[Definition]) -> Iterable[tuple[str, Definition]]:
    """Functions, classes and methods by their place, the submission's own before what it imports."""
    for each in sorted(definitions, key=lambda definition: not definition.own):
        if each.kind != "value":
            yield each.name, each
            for method in each.methods:
                yield f"{each.name}.{method.name}", method


def plain(name: str) -> str:
    """A name without what people change in it: case and underscores."""
    return name.replace("_", "").lower()


def core(name: str) -> str:
    """A name without words that say nothing of what it computes, plainly written.

    >>> core("my_relu"), core("SoftmaxLayer"), core("conv2d_im2col_backward")
    ('relu', 'softmax', 'conv2dbackward')
    """
    return plain("".join(word for word in _WORDS.findall(name) if word.lower() not in _IDLE))


def _absent(definitions: Sequence[Definition], name: str, others: Container[str]) -> str:
    own = [each.name for each in definitions if each.kind != "value" and each.own]
    near = difflib.get_close_matches(name, [each for each in own if each not in others], n=1, cutoff=0.6)
    if near:
        return say("there is no {name}; did you mean {near}?", name=name, near=near[0])
    if own:
        shown = ", ".join(own[:8]) + (", …" if len(own) > 8 else "")
        return say("there is no {name}; the file defines {names}", name=name, names=shown)
    return say("there is no {name}; the file defines nothing", name=name)
