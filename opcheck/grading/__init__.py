"""Grading student implementations, one file or a whole class, safely: the code is untrusted."""
