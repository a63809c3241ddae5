"""Automatic differentiation shown: traces of expressions, of functions and of tensor programs."""

from opcheck.autodiff.function import load, trace

__all__ = ["load", "trace"]
