"""Traces of tensor programs: arrays that record what numpy and `opcheck.reference` do to them."""
