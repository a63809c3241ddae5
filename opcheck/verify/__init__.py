"""Verification: claims, proven bounds, the runner and its report. The module is the function `opcheck.verify`."""

import sys
from types import ModuleType
from typing import Any

from opcheck.verify.api import verify
from opcheck.verify.report import Report
from opcheck.verify.verdict import Status, Verdict


class _Verify(ModuleType):
    """`opcheck.verify` is this package to the import system and a function to whoever calls it."""

    def __call__(self, *args: Any, **options: Any) -> Report:
        return verify(*args, **options)


sys.modules[__name__].__class__ = _Verify

__all__ = ["Report", "Status", "Verdict", "verify"]
