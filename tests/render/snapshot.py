"""Snapshots: a text that somebody looked at, kept in a file; UPDATE_SNAPSHOTS=1 writes what is printed now."""

import os
from pathlib import Path

DIRECTORY = Path(__file__).parent / "snapshots"


def matches(name: str, text: str, directory: Path = DIRECTORY) -> None:
    """Asserts that `text` is what the file of that name holds."""
    path = directory / name
    if os.environ.get("UPDATE_SNAPSHOTS") == "1":
        path.write_text(text + "\n", encoding="utf-8")
    assert path.is_file(), f"no snapshot {name}: UPDATE_SNAPSHOTS=1 writes it; look at it before you keep it"
    assert text + "\n" == path.read_text(encoding="utf-8"), f"{name} changed: UPDATE_SNAPSHOTS=1 if that is right"
