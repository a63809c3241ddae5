"""Which convention a submission follows: by the names that it defines, and by what these look like."""

from collections.abc import Container, Iterator, Sequence
from typing import NamedTuple

from opcheck.grading import conventions
from opcheck.grading.conventions import Convention, Entry
from opcheck.grading.submissions.locate import Found, Missing, locate
from opcheck.operators.spec import Op
from opcheck.sandbox import Definition


class Candidate(NamedTuple):
    """One way to read what a submission defines as an operator."""

    convention: Convention
    entry: Entry
    found: Found
    arrays: str = "numpy"


def candidates(op: Op, definitions: Sequence[Definition], torch: bool, others: Container[str] = ()) -> list[Candidate]:
    """All ways in which this may be the operator, the likeliest first: names that are spelt so before those that nearly
    are, and those of torch before others where the code imports it. Entries whose title is one of the `others` are
    another question's."""
    found = [each for each in _candidates(op, definitions, torch) if each.entry.title not in others]
    return sorted(found, key=lambda each: each.found.forward.partition(".")[2] not in each.entry.forward)


def _candidates(op: Op, definitions: Sequence[Definition], torch: bool) -> Iterator[Candidate]:
    known = [conventions.get(name) for name in (*conventions.NAMES, *conventions.COURSES)]
    for arrays in ("torch", "numpy") if torch else ("numpy",):
        for convention in known:
            if convention.arrays != arrays and not convention.either:
                continue
            for entry in convention.entries_of(op):
                if arrays == "torch" and convention.autograd:
                    entry = entry._replace(backward=())
                try:
                    found = locate(definitions, entry)
                except Missing:
                    continue
                if convention.fits(op, found.definition, definitions):
                    yield Candidate(convention, entry, found, arrays)
