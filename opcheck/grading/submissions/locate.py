"""Finds the functions and classes that an assignment asks for among what a submission defines."""

import difflib
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass

from opcheck.grading.conventions import Entry
from opcheck.language import say
from opcheck.sandbox import Definition


@dataclass(frozen=True, slots=True)
class Found:
    """Places in the loaded module: "module.conv2d", "module.Conv.forward"."""

    forward: str
    backward: str  # empty if there is none
    definition: Definition
    missing: str = ""  # where the entry's backward function is not there: that, and what is

    @property
    def can_differentiate(self) -> bool:
        return not self.missing


class Missing(Exception):
    """The submission has no such name; the text says what it has."""


def locate(definitions: Sequence[Definition], entry: Entry, others: Container[str] = ()) -> Found:
    """The first of the entry's names that is there, exactly or but for case and underscores; raises Missing.

    What is asked for by one of the `others` is not taken for a misspelt name.
    """
    forward = _search(definitions, entry.forward)
    if forward is None:
        raise Missing(_absent(definitions, entry.forward[0], others))
    backward = _search(definitions, entry.backward)
    absent = entry.backward and backward is None
    return Found(
        f"module.{forward[0]}",
        f"module.{backward[0]}" if backward else "",
        forward[1],
        _absent(definitions, entry.backward[0], others) if absent else "",
    )


def _search(definitions: Sequence[Definition], names: Sequence[str]) -> tuple[str, Definition] | None:
    places = dict(_places(definitions))
    for name in names:
        if name in places:
            return name, places[name]
    alike = {_plain(place): place for place in reversed(places)}
    for name in names:
        if _plain(name) in alike:
            return alike[_plain(name)], places[alike[_plain(name)]]
    return None


def _places(definitions: Sequence[Definition]) -> Iterable[tuple[str, Definition]]:
    """Functions, classes and methods by their place, the submission's own before what it imports."""
    for each in sorted(definitions, key=lambda definition: not definition.own):
        if each.kind != "value":
            yield each.name, each
            for method in each.methods:
                yield f"{each.name}.{method.name}", method


def _plain(name: str) -> str:
    return name.replace("_", "").lower()


def _absent(definitions: Sequence[Definition], name: str, others: Container[str]) -> str:
    own = [each.name for each in definitions if each.kind != "value" and each.own]
    near = difflib.get_close_matches(name, [each for each in own if each not in others], n=1, cutoff=0.6)
    if near:
        return say("there is no {name}; did you mean it by {near}?", name=name, near=near[0])
    if own:
        shown = ", ".join(own[:8]) + (", …" if len(own) > 8 else "")
        return say("there is no {name}; the file defines {names}", name=name, names=shown)
    return say("there is no {name}; the file defines nothing", name=name)
