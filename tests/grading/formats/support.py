"""What the tests of the formats share."""

import re

from opcheck.grading import formats
from opcheck.grading.results import Result
from tests.grading import examples

ASSIGNMENT = examples.Titled()
# Control characters but tab and newline, marks that turn writing around, halves of pairs, U+FFFE and U+FFFF.
DANGEROUS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")


def rendered(name: str, *results: Result) -> dict[str, str]:
    """Every text of a format by file name; one text has the name ""."""
    found = formats.render(name, results, ASSIGNMENT)
    return {"": found} if isinstance(found, str) else dict(found)


def one(name: str, result: Result) -> str:
    return rendered(name, result)[""]
