"""Automatic differentiation shown: the documents of traces, of expressions, of functions and of tensor programs.

`function` is the door (`opcheck.trace`); `scalar` has the traces of functions of numbers, `tensor` those of functions
of arrays (recorded by `opcheck.programs`). Both are `traced.Traced`, are printed by `page`, drawn by `drawing` and
`motion`, and checked by witnesses.
"""

from opcheck.traces.function import load, trace

__all__ = ["load", "trace"]
