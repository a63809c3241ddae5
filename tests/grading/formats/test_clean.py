"""Students' strings made harmless."""

import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from opcheck.grading.formats import clean
from tests.grading import examples
from tests.grading.formats.support import DANGEROUS


@given(examples.texts)
def test_clean_text_is_clean_and_stays_as_it_is(raw):
    once = clean.text(raw)
    assert not DANGEROUS.search(once)
    assert clean.text(once) == once
    assert "\n" not in clean.line(raw)


@given(examples.texts)
def test_a_file_name_is_one(raw):
    name = clean.file_name(raw)
    assert re.fullmatch(r"[\w.-]{1,60}", name) and name[0] not in ".-" and Path(name).name == name


@given(st.text(max_size=50), st.integers(0, 60))
def test_shortened_is_at_most_that_long_or_whole(raw, most):
    short = clean.shortened(raw, most)
    assert short == raw if len(raw) <= most else len(short) <= max(most, len(clean.CUT))
