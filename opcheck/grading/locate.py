"""Finds the functions and classes that an assignment asks for among what a submission defines."""

import difflib
from collections.abc import Iterable, Sequence
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
    can_differentiate: bool


class Missing(Exception):
    """The submission has no such name; the text says what it has."""


def locate(definitions: Sequence[Definition], entry: Entry) -> Found:
    """The first of the entry's names that is there, exactly or but for case and underscores; raises Missing."""
    forward = _search(definitions, entry.forward)
    if forward is None:
        raise Missing(_absent(definitions, entry.forward[0]))
    backward = _search(definitions, entry.backward)
    return Found(
        f"module.{forward[0]}",
        f"module.{backward[0]}" if backward else "",
        forward[1],
        can_differentiate=not entry.backward or backward is not None,
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


def _absent(definitions: Sequence[Definition], name: str) -> str:
    own = [each.name for each in definitions if each.kind != "value" and each.own]
    near = difflib.get_close_matches(name, own, n=1, cutoff=0.6)
    if near:
        return say("there is no {name}; did you mean it by {near}?", name=name, near=near[0])
    if own:
        shown = ", ".join(own[:8]) + (", …" if len(own) > 8 else "")
        return say("there is no {name}; the file defines {names}", name=name, names=shown)
    return say("there is no {name}; the file defines nothing", name=name)
