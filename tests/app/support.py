"""Runs the command line in this process, as `opcheck ARGUMENTS` would, and says what came out."""

import io
import sys
from collections.abc import Mapping
from typing import NamedTuple

import pytest

from opcheck.app import main


class Ran(NamedTuple):
    code: int
    out: str
    err: str


class Screen(io.TextIOWrapper):
    """A stream that may be a terminal."""

    def __init__(self, tty: bool, encoding: str) -> None:
        super().__init__(io.BytesIO(), encoding=encoding)
        self.tty = tty

    def isatty(self) -> bool:
        return self.tty

    def text(self) -> str:
        self.flush()
        return self.buffer.getvalue().decode(self.encoding)  # type: ignore[attr-defined]


COLOURS = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "TERM")


def run(*arguments: str, tty: bool = False, encoding: str = "utf-8", env: Mapping[str, str] | None = None) -> Ran:
    """`opcheck ARGUMENTS` on a terminal or not, with these variables of the environment and no others of COLOURS."""
    with pytest.MonkeyPatch.context() as patch:
        for name in COLOURS:
            patch.delenv(name, raising=False)
        for name, value in (env or {}).items():
            patch.setenv(name, value)
        out, err = Screen(tty, encoding), Screen(tty, encoding)
        patch.setattr(sys, "argv", ["opcheck", *arguments])
        patch.setattr(sys, "stdout", out)
        patch.setattr(sys, "stderr", err)
        with pytest.raises(SystemExit) as stopped:
            main()
        return Ran(int(stopped.value.code or 0), out.text(), err.text())
