"""What was practised so far, kept as JSON beside the progress of the lessons: for each operator how many problems were
asked and right, and the level that was reached. A file that cannot be read counts as none.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from opcheck.learning.practice import Score
from opcheck.learning.progress import UNREADABLE, kept, locked, text_of

SCHEMA = "opcheck.practice/1"


@dataclass
class Practised:
    """One operator, over all sessions."""

    asked: int = 0
    right: int = 0
    level: int = 1


def read(path: Path) -> dict[str, Practised]:
    """What the file says, by operator."""
    try:
        data = json.loads(text_of(path))
        if data["schema"] != SCHEMA:
            return {}
        return {
            str(name): Practised(int(each["asked"]), int(each["right"]), int(each["level"]))
            for name, each in data["operators"].items()
        }
    except (OSError, *UNREADABLE):
        return {}


def add(path: Path, operator: str, score: Score) -> str:
    """Adds a session; why it could not be kept, or nothing."""
    if not score.asked:
        return ""
    with locked(path):
        known = read(path)
        before = known.get(operator, Practised())
        asked, right = before.asked + score.asked, before.right + score.right
        known[operator] = Practised(asked, right, max(before.level, score.level))
        return kept({"schema": SCHEMA, "operators": {name: asdict(each) for name, each in known.items()}}, path)
