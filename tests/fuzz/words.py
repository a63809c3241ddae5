"""What stands on hostile command lines: words, arrays, expressions, and values for each option by its kind."""

import click
from hypothesis import strategies as st

# No word has a slash, so that nothing is written outside of the folder in which the commands run.
HOSTILE = (
    "", " ", "-", "--", "-1", "0", "1", "2", "3", "nan", "inf", "-inf", "1e400", "-0.0", "1e-400", "0x1F", "0b1",
    "1_0",
    "1,2", "1,2,3,4", ",", "1,", "2x2", "x", "½", "١٢", "²", "\ud800", "\udcff", "\n", "a\nb", "\x1b[31m",
    "é",
    "{}", "{name}", "%s", "None", "True", "[]", "[[]]", "[1]", "[nan]", "[1e999]", "[1,[2]]", "[[1,2],[3]]",
    "[1000000]",
    "@", "@missing.npy", "@folder.npy", "9" * 20, "-" + "9" * 20, "9" * 5000, "9" * 100_000, "a" * 4096, "[" * 5000,
    "[" * 5000 + "]" * 5000, "(" * 5000, "-" * 5000 + "1", "1." + "9" * 5000, "same", "valid", "mean", "reflect",
)  # fmt: skip
ARRAYS = (
    "3", "2x3", "4x4", "1x1x4x4", "2x2x3x3", "0", "0x3", "2x0", "1", "[1,2,3]", "[[1,2],[3,4]]", "[0,1]",
    "[-1.5,2e3]",
    "ones:3", "zeros:2x2", "random:2x3", "0..5:2x3", "5..0:2x3", "-3..-1:3", "0..99999999999:2x3",
    "0x99999999999999999999",
    "x".join("1" * 40), "x".join("1" * 70), "1000000000", "3000x3000", "1x3000000", "[true]", '["a"]', "[null]",
    "[{}]",
    "[NaN,Infinity,-Infinity]", "[1e308,-1e308,1e-320]", "[9223372036854775807]", "[99999999999999999999]", "[1,2",
    *(f"@{name}" for name in ("a.npy", "a.csv", "a.json", "a.txt")),
)  # fmt: skip
TOKENS = (
    "x", "y", "x1", "2", "0.5", "1e308", "1e-320", "10**100000000", "2**2**2**2**2", "pi", "e", "+", "-", "*", "/",
    "**",
    "^", "(", ")", ",", "ln(", "exp(", "sin(", "sqrt(", "max(", "relu(", "abs(", "pow(", "log1p(", "foo(", "x²",
    "√", "=",
    "<", " if ", "[0]", "'s'", "True", "1j", "lambda: 0", "\ud800", "9" * 400, "0x99999999999999999999",
)  # fmt: skip
OUTPUTS = ("out", "out.html", "folder", "missing-folder-out", "a" * 4096, "", ".", "..", "link", "\ud800")

hostile = st.sampled_from(HOSTILE) | st.text(
    st.characters(exclude_characters="/\0", exclude_categories=()), max_size=12
)
arrays = st.sampled_from(ARRAYS) | hostile
expressions = st.lists(st.sampled_from(TOKENS), min_size=1, max_size=9).map("".join) | st.sampled_from(
    ("x*x", "exp(x)*y", "(x+y)**2, x/y", "x**x**x", "+".join(["x"] * 3000), "(" * 90 + "x" + ")" * 90, "-" * 3000 + "x")
)
numbers = st.one_of(hostile, st.integers().map(str), st.floats().map(str))


def value_of(option: click.Parameter) -> st.SearchStrategy[str]:
    """Values for an option: mostly what it takes, else anything."""
    if isinstance(option.type, click.Choice):
        return st.sampled_from([str(each) for each in option.type.choices]) | hostile
    if option.name == "output" or isinstance(option.type, click.Path):
        return st.sampled_from(OUTPUTS)
    if option.metavar == "ARRAY":
        return arrays
    if isinstance(option.type, click.types.IntParamType | click.types.FloatParamType):
        return st.sampled_from(("1", "2", "7")) | numbers
    return st.sampled_from(("1", "2", "3", "0", "2,2", "mean", "none", "true")) | numbers


def flags(option: click.Option) -> st.SearchStrategy[list[str]]:
    """An option with its value, if it takes one."""
    name = st.sampled_from([*option.opts, *option.secondary_opts])
    if option.is_flag:
        return name.map(lambda flag: [flag])
    return st.tuples(name, value_of(option)).map(list)


def options(command: click.Command, most: int = 4, without: tuple[str, ...] = ()) -> st.SearchStrategy[list[str]]:
    """Some options of a command."""
    known = [each for each in command.params if isinstance(each, click.Option) and each.name not in without]
    one = st.one_of([flags(each) for each in known]) if known else st.just([])
    return st.lists(one, max_size=most).map(lambda chosen: [word for words in chosen for word in words])
