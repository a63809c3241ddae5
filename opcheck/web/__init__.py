"""`opcheck serve`: opcheck's interactive pages, for a browser on the same machine.

A request goes down these steps: `protocol` (who is too slow), `guard` (who may ask, how much, how often), `site` (which
address), `workroom` (who answers, so that nobody waits for what somebody else computes), `process` (on its own, with
limits of time and memory), `answers` (what an address asks, and what is said). An address holds numbers, shapes and
names of the catalogue, so that a link is an exercise; it never names a path, a file or code.
"""
