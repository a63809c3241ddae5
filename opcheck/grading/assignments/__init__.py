"""Assignments: read from TOML, scaffolded for a start, and checked before students see them."""
