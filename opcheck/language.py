"""The functions that every sentence for a person goes through, so that a second language is a catalogue."""

from collections.abc import Mapping

CATALOGUES: dict[str, Mapping[str, str]] = {"en": {}}
_current = "en"


def use(language: str) -> None:
    """Speak `language` from now on; raises KeyError with the known ones if there is no such catalogue."""
    global _current
    if language not in CATALOGUES:
        raise KeyError(f"no language {language!r}; there are {', '.join(sorted(CATALOGUES))}")
    _current = language


def say(sentence: str, /, **values: object) -> str:
    """The sentence in the current language with its {values} filled in.

    >>> say("step {k} of {n}", k=1, n=9)
    'step 1 of 9'
    """
    sentence = CATALOGUES[_current].get(sentence, sentence)
    return sentence.format(**values) if values else sentence


def counted(n: int, one: str, many: str, /, **values: object) -> str:
    """`one` or `many` in the current language, as n asks.

    >>> counted(1, "{n} case", "{n} cases"), counted(9, "{n} case", "{n} cases")
    ('1 case', '9 cases')
    """
    return say(one if n == 1 else many, n=n, **values)
