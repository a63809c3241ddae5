"""Imported before processes that answer are copied: what the first answers of each kind read and compile is there."""

from opcheck.operators import catalog
from opcheck.web.answers import answer

_FIRST = next(iter(catalog.own())).name

for _what, _name in (("explain", _FIRST), ("form", _FIRST), ("trace", ""), ("traced-page", ""), ("practice", _FIRST)):
    answer(_what, _name, {})
