"""Arrays that remember how they were made: a Python function over arrays, recorded as a graph, and its readings.

`arrays` records and `rules` says what each operation computes and how it is differentiated; `sweeps` reads the graph in
forward and reverse mode.
"""
