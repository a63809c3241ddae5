"""Traces of functions of numbers: from the text of an expression to the tables of a lecture."""
