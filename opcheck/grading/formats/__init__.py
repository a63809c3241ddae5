"""Results in the formats that teachers and platforms read; each file here is one of them.

Each has `render(results, assignment)`, which gives one text, or several by file name, made when they are written.
"""

import sys
from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from opcheck import files
from opcheck.errors import Refused
from opcheck.grading.results import Result
from opcheck.language import say

if TYPE_CHECKING:
    from opcheck.grading.assignments.assignment import Assignment

PER_STUDENT = ("html", "gradescope", "check50", "prairielearn", "autolab")  # a file for each, where there are several
FORMATS = (
    "text", "json", "csv", "html", "moodle", "canvas", "gradescope", "gradescope-csv", "junit", "check50",
    "prairielearn", "autolab",
)  # fmt: skip
TABLES = ("csv", "moodle", "canvas", "gradescope-csv")

MARK = "\N{ZERO WIDTH NO-BREAK SPACE}"  # in a file of UTF-8, by which Excel knows it

# What the file of a format that is one text is called in a folder, where it is not results.json.
_NAMES = {
    "text": "results.txt",
    "csv": "grades.csv",
    "moodle": "moodle.csv",
    "canvas": "canvas.csv",
    "gradescope-csv": "gradescope.csv",
    "html": "index.html",
    "junit": "results.xml",
    "autolab": "results.txt",
}

Files = Iterable[tuple[str, str]]  # (name, text) of each


def render(name: str, results: Sequence[Result], assignment: "Assignment") -> str | Files:
    """The results in the format of that name: one text, or files where the format is one per student."""
    if name not in FORMATS:
        raise Refused(
            say("there is no format {name!r}", name=name), fix=say("one of {names}", names=", ".join(FORMATS))
        )
    rendered: str | Files = import_module(f"opcheck.grading.formats.{name.replace('-', '_')}").render(
        results, assignment
    )
    return rendered


def write(name: str, results: Sequence[Result], assignment: "Assignment", output: Path | None = None) -> None:
    """The results to `output`, a file or a folder, or to stdout. Several files need a folder; each is written whole."""
    rendered = render(name, results, assignment)
    if isinstance(rendered, str):
        if name == "csv" and output is not None and not rendered.isascii():
            rendered = f"{MARK}{rendered}"
        if output is None:
            _print(rendered)
        elif output.is_dir():
            _save(output / _NAMES.get(name, "results.json"), rendered)
        else:
            _save(output, rendered)
        return
    check_place(name, len(results), output)
    if results:
        assert output is not None
        for file, text in rendered:
            _save(output / file, text)


def check_place(name: str, students: int, output: Path | None) -> None:
    """Raises Refused where results of so many students cannot be written to that place."""
    if name in PER_STUDENT and students > 1 and (output is None or (output.exists() and not output.is_dir())):
        raise Refused(
            say("{format} writes one file for each student", format=name),
            got=say("{n} students", n=students),
            fix=say("name a folder for them (-o FOLDER)"),
        )


def _print(text: str) -> None:
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "replace").decode(encoding).rstrip("\n") + "\n")
    sys.stdout.flush()


def _save(path: Path, text: str) -> None:
    files.make_folder(path.parent)
    files.write(path, text.rstrip("\n") + "\n")
