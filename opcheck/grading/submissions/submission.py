"""What a student handed in: whose it is, where it lies, and the code that the sandbox gets to see."""

from pathlib import Path
from typing import NamedTuple

from opcheck.sandbox import File, Source


class Submission(NamedTuple):
    """One student's code for one assignment."""

    student: str
    path: Path
    code: File | Source
