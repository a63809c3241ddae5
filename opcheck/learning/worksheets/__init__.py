"""Worksheets for a class on paper: exercises with blanks, easy ones first, and an answer key of its own.

`exercise` draws one and knows what stands in its blanks; `sheet` has several, level after level; `networks` are small
programs to be worked out; `paper` prints a sheet or its key as HTML, LaTeX or Markdown.
"""

from opcheck.learning.worksheets.sheet import FORMATS, Sheet, drawn

__all__ = ["FORMATS", "Sheet", "drawn"]
