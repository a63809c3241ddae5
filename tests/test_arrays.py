"""Arrays as people write them."""

import numpy as np
import pytest

from opcheck.app import run
from opcheck.arrays import parse
from opcheck.operators.spec import Refused


@pytest.mark.parametrize(
    ("text", "shape"), [("4", (4,)), ("4x4", (4, 4)), ("1x3x8x8", (1, 3, 8, 8)), (" 2x0 ", (2, 0))]
)
def test_a_shape_leaves_the_values_to_opcheck(text, shape):
    assert parse("--x", text, 0) == shape


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("[1,2]", [1, 2]),
        ("[[1,2],[3,4.5]]", [[1, 2], [3, 4.5]]),
        ("[nan, inf, -inf, -Infinity, NaN]", [np.nan, np.inf, -np.inf, -np.inf, np.nan]),
        ("[]", []),
        ("[[true, False], [True, false]]", [[True, False], [True, False]]),
        ("ones:2x3", np.ones((2, 3))),
        ("zeros:2", np.zeros(2)),
        ("0..5:2x3", [[0, 1, 2], [3, 4, 5]]),
        ("-1..1:3", [-1, 0, 1]),
    ],
)
def test_literals_and_fillings(text, values):
    np.testing.assert_array_equal(parse("--x", text, 0), values)


def test_whole_numbers_stay_whole_so_that_they_can_be_classes():
    assert parse("--x", "[0,2]", 0).dtype.kind == "i"
    assert parse("--x", "[0,2.0]", 0).dtype.kind == "f"


@pytest.mark.parametrize("filling", ["random", "randn"])
def test_random_numbers_are_of_unit_scale_with_two_decimals_and_of_their_seed_and_name(filling):
    one, same, other = (parse("--x", f"{filling}:40x40", seed) for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    assert not np.array_equal(one, parse("--y", f"{filling}:40x40", 1))
    assert np.array_equal(one, np.round(one, 2))
    assert np.all(one != 0)
    assert 0.4 < one.std() < 1.2
    assert abs(one).max() <= (1 if filling == "random" else 5)


def test_fractions_are_numbers_and_exact_where_fractions_are_shown(capsys):
    np.testing.assert_array_equal(parse("--x", "[[1/3, 0.5], [-2/4, 1.5/3]]", 0), [[1 / 3, 0.5], [-0.5, 0.5]])
    with pytest.raises(Refused, match="not a list of numbers"):
        parse("--x", "[1/0]", 0)
    assert run(["explain", "linear", "--input", "[1/3,0.5]", "--weight", "[[3,1/7]]", "--exact"]) == 0
    assert "15/14" in capsys.readouterr().out


def test_files_hold_what_was_saved(tmp_path):
    values = np.array([[1.5, -2.0], [0.1, 4.0]])
    np.save(tmp_path / "x.npy", values)
    np.savetxt(tmp_path / "x.csv", values, delimiter=",")
    (tmp_path / "x.json").write_text(str(values.tolist()))
    for name in ("x.npy", "x.csv", "x.json"):
        np.testing.assert_array_equal(parse("--x", f"@{tmp_path / name}", 0), values)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.npy", b"not an array", "cannot be read"),
        ("x.npy", b"", "x.npy is empty"),
        ("x.csv", b"", "x.csv is empty"),
        ("x.csv", b"1,2\n3,a\n", "cannot be read"),
        ("x.csv", b"1,2\n3\n", "cannot be read"),
        ("x.json", b"[1,", "cannot be read"),
        ("x.json", b"[[1,2],[3]]", "must be rectangular"),
        ("x.txt", b"1", r"a file must be \.npy, \.csv, \.json or a picture"),
    ],
)
def test_a_broken_file_is_refused_with_its_name(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(Refused, match=f"--x.*{message}"):
        parse("--x", f"@{path}", 0)


def test_a_directory_is_no_file(tmp_path):
    with pytest.raises(Refused, match=r"--x: .* is a directory\. give a file in it"):
        parse("--x", f"@{tmp_path}", 0)


def test_a_file_of_objects_is_refused_unread(tmp_path):
    np.save(tmp_path / "x.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(Refused, match="cannot be read"):
        parse("--x", f"@{tmp_path / 'x.npy'}", 0)
    np.save(tmp_path / "c.npy", np.array([1j]))
    with pytest.raises(Refused, match="must hold real numbers"):
        parse("--x", f"@{tmp_path / 'c.npy'}", 0)


def test_a_literal_that_the_shell_took_apart_gets_a_hint():
    with pytest.raises(Refused, match="quote a literal"):
        parse("--x", "1,2]", 0)


def test_the_sign_that_pages_write_is_read():
    assert parse("x", "4×4", 0) == (4, 4)
    np.testing.assert_array_equal(parse("x", "ones:2×1", 0), np.ones((2, 1)))


def test_the_word_that_is_no_number_is_named():
    with pytest.raises(Refused, match="x is not a list of numbers: -7x2 is not a number"):
        parse("x", "[[1,2],[5,-7x2]]", 0)
    with pytest.raises(Refused, match="x is not a list of numbers: Expecting"):
        parse("x", "[[1,2],[5,6]", 0)
