"""The names that a program's own variables give to its arrays, so that a worked calculation can use them."""

import sys
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

from opcheck.programs.arrays import ArrayTape, TracedArray


def with_names(tape: ArrayTape, code: CodeType | None, call: Callable[[], Any]) -> Any:
    """What a call returns; arrays that a local variable of `code` holds at the end have its name on the tape."""

    def look(frame: FrameType, event: str, _: Any) -> None:
        if event == "return" and frame.f_code is code:
            for name, value in frame.f_locals.items():
                if isinstance(value, TracedArray):
                    tape.names.setdefault(value.id, name)

    before = sys.getprofile()
    sys.setprofile(look)
    try:
        return call()
    finally:
        sys.setprofile(before)
