"""Worked calculations: every number that is printed comes from the graph of the textbook definition."""

from opcheck.explanation.document import Explanation, explain

__all__ = ["Explanation", "explain"]
