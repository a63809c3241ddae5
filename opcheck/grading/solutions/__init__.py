"""Solutions in each convention, right or with a chosen mistake: what `opcheck grade --check` grades an assignment by.

They run in a trusted process, never beside a student's code.
"""
