"""Parameters of operators: kinds that check and normalise a value, and the error that says what is allowed."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from opcheck.errors import Refused, RefusedType
from opcheck.language import say

REQUIRED: Any = object()


class Kind:
    """What values a parameter takes. `check` returns the normalised value, `parse` reads a word of a command line."""

    def describe(self) -> str:
        raise NotImplementedError

    def check(self, name: str, value: Any) -> Any:
        raise NotImplementedError

    def parse(self, name: str, text: str) -> Any:
        raise NotImplementedError

    def refuse(self, name: str, value: Any, type_is_wrong: bool = True) -> Refused:
        error = RefusedType if type_is_wrong else Refused
        return error(say("{name} must be {allowed}", name=name, allowed=self.describe()), got=f"{value!r}")


class Whole(Kind):
    """A whole number from `low` up; with `dims`, that many of them (one number, or a one-element tuple, means all)."""

    def __init__(self, low: int | None = None, dims: int = 0) -> None:
        self.low, self.dims = low, dims

    def describe(self) -> str:
        one = say("a whole number") if self.low is None else say("a whole number, at least {low}", low=self.low)
        return say("{one}, or {dims} of them", one=one, dims=self.dims) if self.dims > 1 else one

    def check(self, name: str, value: Any) -> Any:
        if not self.dims:
            return self._one(name, value, value)
        values = value if isinstance(value, (tuple, list)) else (value,)
        if len(values) not in (1, self.dims):
            raise self.refuse(name, value, type_is_wrong=False)
        numbers = tuple([self._one(name, each, value) for each in values])
        return numbers if len(numbers) == self.dims else numbers * self.dims

    def _one(self, name: str, each: Any, value: Any) -> int:
        if isinstance(each, bool) or not hasattr(each, "__index__"):
            raise self.refuse(name, value)
        number = int(each)
        if self.low is not None and number < self.low:
            raise self.refuse(name, value, type_is_wrong=False)
        return number

    def parse(self, name: str, text: str) -> Any:
        words = text.replace("x", ",").split(",") if self.dims else [text]
        try:
            numbers = tuple(int(word) for word in words)
        except ValueError:
            raise self.refuse(name, text) from None
        return numbers if len(numbers) > 1 else numbers[0]


class Sizes(Kind):
    """Sizes in a tuple, each a whole number from `low` up, or None where `open` allows it. `count`: how many there are,
    and then one number alone means all of them; 0: as many as are written, and one at least."""

    def __init__(self, low: int = 0, count: int = 0, open: bool = False) -> None:
        self.low, self.count, self.open = low, count, open

    def describe(self) -> str:
        if not self.count:
            return say("a tuple of whole numbers, each at least {low}", low=self.low)
        if self.open:
            return say("a whole number, at least {low}, or {n} of them, each of which may be None", low=self.low,
                       n=self.count)  # fmt: skip
        return say("a whole number, at least {low}, or {n} of them", low=self.low, n=self.count)

    def check(self, name: str, value: Any) -> Any:
        if not isinstance(value, (tuple, list)):
            if not self.count or value is None:
                raise self.refuse(name, value)
            return (self._one(name, value, value),) * self.count
        if len(value) != self.count if self.count else not value:
            raise self.refuse(name, value, type_is_wrong=False)
        return tuple([self._one(name, each, value) for each in value])

    def _one(self, name: str, each: Any, value: Any) -> int | None:
        if each is None and self.open:
            return None
        if isinstance(each, bool) or not hasattr(each, "__index__"):
            raise self.refuse(name, value)
        if int(each) < self.low:
            raise self.refuse(name, value, type_is_wrong=False)
        return int(each)

    def parse(self, name: str, text: str) -> Any:
        try:
            sizes = tuple(None if word.lower() == "none" else int(word) for word in text.replace("x", ",").split(","))
        except ValueError:
            raise self.refuse(name, text) from None
        return sizes[0] if self.count and len(sizes) == 1 else sizes


class Real(Kind):
    """A real number between `low` and `high`, ends included."""

    def __init__(self, low: float | None = None, high: float | None = None) -> None:
        self.low, self.high = low, high

    def describe(self) -> str:
        if self.low is None:
            return say("a number")
        if self.high is None:
            return say("a number, at least {low}", low=self.low)
        return say("a number from {low} to {high}", low=self.low, high=self.high)

    def check(self, name: str, value: Any) -> Any:
        if isinstance(value, (bool, str)) or not hasattr(value, "__float__"):
            raise self.refuse(name, value)
        number = float(value)
        if (self.low is not None and not number >= self.low) or (self.high is not None and not number <= self.high):
            raise self.refuse(name, value, type_is_wrong=False)
        return number

    def parse(self, name: str, text: str) -> Any:
        try:
            return float(text)
        except ValueError:
            raise self.refuse(name, text) from None


class Reals(Kind):
    """A fixed number of real numbers, each from `low` up to but not including `high`, such as Adam's two betas."""

    def __init__(self, count: int, low: float, high: float) -> None:
        self.count, self.low, self.high = count, low, high

    def describe(self) -> str:
        return say("{n} numbers, each from {low} to below {high}", n=self.count, low=self.low, high=self.high)

    def check(self, name: str, value: Any) -> Any:
        try:
            numbers = tuple(float(each) for each in value)
        except (TypeError, ValueError):
            raise self.refuse(name, value) from None
        if len(numbers) != self.count or not all(self.low <= each < self.high for each in numbers):
            raise self.refuse(name, value, type_is_wrong=False)
        return numbers

    def parse(self, name: str, text: str) -> Any:
        try:
            return tuple(float(word) for word in text.split(","))
        except ValueError:
            raise self.refuse(name, text) from None


class Flag(Kind):
    """True or False."""

    def describe(self) -> str:
        return say("True or False")

    def check(self, name: str, value: Any) -> Any:
        if not isinstance(value, (bool, int)) and type(value).__name__ not in ("bool_", "bool"):
            raise self.refuse(name, value)
        return bool(value)

    def parse(self, name: str, text: str) -> Any:
        word = text.lower()
        if word in ("true", "yes", "on", "1"):
            return True
        if word in ("false", "no", "off", "0"):
            return False
        raise self.refuse(name, text)


class Choice(Kind):
    """One of some words."""

    def __init__(self, words: tuple[str, ...]) -> None:
        self.words = words

    def describe(self) -> str:
        return say("one of {words}", words=", ".join(map(repr, self.words)))

    def check(self, name: str, value: Any) -> Any:
        if value not in self.words:
            raise self.refuse(name, value, type_is_wrong=not isinstance(value, str))
        return value

    def parse(self, name: str, text: str) -> Any:
        return self.check(name, text)


def _checked(whole: Kind, part: Kind, name: str, value: Any) -> Any:
    """What `part` makes of the value; a refusal says all that the `whole` kind allows."""
    try:
        return part.check(name, value)
    except Refused as refusal:
        raise whole.refuse(name, value, isinstance(refusal, TypeError)) from None


class Either(Kind):
    """A word, or else another kind: padding is "same", "valid" or whole numbers."""

    def __init__(self, words: Choice, other: Kind) -> None:
        self.words, self.other = words, other

    def describe(self) -> str:
        return say("{other}, or {words}", other=self.other.describe(), words=self.words.describe())

    def check(self, name: str, value: Any) -> Any:
        if isinstance(value, str):
            if value not in self.words.words:
                raise self.refuse(name, value, type_is_wrong=False)
            return value
        return _checked(self, self.other, name, value)

    def parse(self, name: str, text: str) -> Any:
        if text in self.words.words:
            return text
        try:
            return self.other.parse(name, text)
        except Refused:
            raise self.refuse(name, text) from None


class Maybe(Kind):
    """None, or a value of another kind."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind

    def describe(self) -> str:
        return say("{kind}, or None", kind=self.kind.describe())

    def check(self, name: str, value: Any) -> Any:
        return None if value is None else _checked(self, self.kind, name, value)

    def parse(self, name: str, text: str) -> Any:
        return None if text.lower() == "none" else self.kind.parse(name, text)


class Absent(Kind):
    """None: a parameter of torch that is not computed here."""

    def describe(self) -> str:
        return say("None: opcheck does not compute this")

    def check(self, name: str, value: Any) -> Any:
        if value is not None:
            raise self.refuse(name, value)
        return value

    def parse(self, name: str, text: str) -> Any:
        return self.check(name, None if text.lower() == "none" else text)


class Param(NamedTuple):
    """A parameter that is not an array: torch's name and default, its kind, and one line of help."""

    name: str
    default: Any
    kind: Kind
    help: str
    keyword_only: bool = False
    quiet: bool = False  # not shown in a heading while it has its default
    example: Any = None  # what `explain` takes where a required one is not given, or where the default asks for more
    symbol: str = ""  # what a formula calls it: "μ", or "β1, β2" for two numbers
    without: Any = None  # what a function means that has no such argument, where torch's default is kept for old code


class Params(Mapping[str, Any]):
    """Checked, normalised parameter values by name: p.stride is (2, 2) for stride=2 of a conv2d."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.__dict__.update(values)  # so that reading p.stride costs no call

    def replace(self, **values: Any) -> "Params":
        return Params({**self.__dict__, **values})

    def __getattr__(self, name: str) -> Any:  # reached for what is not there
        raise AttributeError(name)

    def __getitem__(self, name: str) -> Any:
        return self.__dict__[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.__dict__)

    def __len__(self) -> int:
        return len(self.__dict__)

    def __repr__(self) -> str:
        return f"Params({', '.join(f'{name}={value!r}' for name, value in self.items())})"
