"""The names that a program's own variables give to its arrays, so that a worked calculation can use them."""

import sys
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

from opcheck.programs.arrays import TracedArray


def with_names(code: CodeType | None, call: Callable[[], Any]) -> tuple[Any, dict[int, str]]:
    """What a call returns, and for each node that a local variable of `code` held at the end, that variable's name."""
    found: dict[int, str] = {}

    def look(frame: FrameType, event: str, _: Any) -> None:
        if event == "return" and frame.f_code is code:
            for name, value in frame.f_locals.items():
                if isinstance(value, TracedArray):
                    found.setdefault(value.id, name)

    before = sys.getprofile()
    sys.setprofile(look)
    try:
        result = call()
    finally:
        sys.setprofile(before)
    return result, found
