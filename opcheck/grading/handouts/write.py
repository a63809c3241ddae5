"""Writes what is handed out with an assignment into a folder."""

from pathlib import Path

from opcheck import files
from opcheck.errors import Refused
from opcheck.grading.assignments.assignment import Assignment
from opcheck.grading.handouts import selftest, sheet, starter
from opcheck.grading.handouts.task import tasks
from opcheck.language import say


def texts(assignment: Assignment) -> dict[str, str]:
    """The starter files, the sheet of signatures and the self-test, by name."""
    found = tasks(assignment)
    return {
        **starter.render(assignment, found),
        sheet.NAME: sheet.render(assignment, found),
        selftest.NAME: selftest.render(assignment, found),
    }


def write(assignment: Assignment, folder: Path) -> list[Path]:
    """Writes the handout and gives its paths; raises Refused where a file of that name is there already."""
    written = {folder / name: text for name, text in texts(assignment).items()}
    for path in written:
        if path.exists():
            raise Refused(say("{path} already exists", path=files.shown(path)), fix=say("name a new folder"))
        if not path.resolve().is_relative_to(folder.resolve()):
            raise Refused(say("{path} lies outside of the folder", path=files.shown(path)))
    for path, text in written.items():
        files.make_folder(path.parent)
        files.write(path, text)
    return [*written]
