"""Which convention a submission follows: by the names that it defines, and by what these look like."""

import re
from collections.abc import Container, Iterator, Mapping, Sequence
from functools import cache
from typing import NamedTuple

from opcheck.grading import conventions
from opcheck.grading.conventions import Convention, Entry
from opcheck.grading.conventions.base import several
from opcheck.grading.submissions.locate import Found, Missing, core, locate, plain
from opcheck.operators import catalog
from opcheck.operators.spec import Op
from opcheck.sandbox import Definition


class Candidate(NamedTuple):
    """One way to read what a submission defines as an operator."""

    convention: Convention
    entry: Entry
    found: Found
    arrays: str = "numpy"
    loose: bool = False  # found by a name such as my_relu: it need not be the operator at all


def candidates(op: Op, definitions: Sequence[Definition], torch: bool, others: Container[str] = ()) -> list[Candidate]:
    """All ways in which this may be the operator, the likeliest first: names that are spelt so before those that nearly
    are, and those of torch before others where the code imports it. Entries whose title is one of the `others` are
    another question's."""
    for loosely in (False, True):
        every = _candidates(op, definitions, torch, loosely)
        if found := [each for each in every if each.entry.title not in others]:
            break
    return sorted(found, key=lambda each: each.found.forward.partition(".")[2] not in each.entry.forward)


def _candidates(op: Op, definitions: Sequence[Definition], torch: bool, loosely: bool) -> Iterator[Candidate]:
    known = [conventions.get(name) for name in (*conventions.NAMES, *conventions.COURSES)]
    for arrays in ("torch", "numpy") if torch else ("numpy",):
        for convention in known:
            if convention.arrays != arrays and not convention.either:
                continue
            for entry in convention.entries_of(op):
                if arrays == "torch" and convention.autograd:
                    entry = entry._replace(backward=())
                try:
                    found = locate(definitions, entry, loosely=loosely)
                except Missing:
                    continue
                if entry.variant and found.missing:  # of how a backward pass is written that is not there
                    continue
                if convention.fits(op, found.definition, definitions) and convention.knows(
                    op, found.definition, entry.variant
                ):
                    yield Candidate(convention, entry, found, arrays, loosely)


def operator_of(name: str) -> str:
    """The operator that a function or a class seems to be by its name, however it may be called; "" if none does.

    >>> operator_of("dropout_forward"), operator_of("MySoftmaxLayer"), operator_of("conv2d_im2col"), operator_of("fit")
    ('dropout', 'softmax', 'conv2d', '')
    """
    bare = re.sub("forward|backward|grad$|step$", "", core(name))
    return _names().get(plain(name)) or _names().get(bare, "")


@cache
def _names() -> Mapping[str, str]:
    """Every name of every operator, plainly written."""
    known = conventions.get(conventions.ANY).entries
    found = {plain(each): op.name for op in catalog.every() for each in (op.name, *op.aliases) if "." not in each}
    for op, entries in known.items():
        for entry in several(entries):
            found |= {plain(each): op for each in (*entry.forward, *entry.backward) if "." not in each} | found
    return found
