"""What the tests of the formats share."""

import re

from opcheck.grading import formats
from opcheck.grading.results import Result
from tests.grading import examples

ASSIGNMENT = examples.Titled()
# Control characters but tab and newline, marks that turn writing around, halves of pairs, U+FFFE and U+FFFF.
# Separators of lines and paragraphs, and what nobody sees.
DANGEROUS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff]"
)


def rendered(name: str, *results: Result) -> dict[str, str]:
    """Every text of a format by file name; one text has the name ""."""
    found = formats.render(name, results, ASSIGNMENT)
    return {"": found} if isinstance(found, str) else dict(found)


def one(name: str, result: Result) -> str:
    return rendered(name, result)[""]
