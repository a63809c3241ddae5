"""A page of a program whose array cannot be a row of numbers."""

from opcheck import explain


def halved(x: "N D", scale=0.5):  # noqa: F722
    """Each number, halved."""
    return x * scale


def test_a_program_of_matrices_alone_has_its_page():
    assert "halved" in explain(halved, shapes={"x": (2, 2)}).render("html")
