"""Pictures: an image is seen whole, with the part that stands in numbers framed."""

import zlib

import numpy as np

from opcheck import explain
from opcheck.render import json, render
from opcheck.render.pictures import png
from opcheck.steps import Pictures


def shown(image, kernel, **options):
    step = explain("conv2d", image, kernel, **options).document("html")
    return step, next((block.pictures for block in step.blocks if isinstance(block, Pictures)), ())


def test_a_large_image_is_seen_before_and_after():
    image = np.arange(80.0 * 90).reshape(80, 90) % 17
    step, (x, y) = shown(image, np.array([[0.0, 1.0], [0.0, 0.0]]), cell=(40, 50))
    assert (x.title, y.title) == ("x", "y")
    assert np.array_equal(np.array(x.rows), image)
    assert np.array_equal(np.array(y.rows), image[:-1, 1:])
    assert y.part == (34, 46, 44, 56)  # around the cell
    assert x.part == (34, 47, 44, 57)
    assert json.load(json.render(step)) == step
    assert "picture" not in render(step, "text")


def test_an_image_whose_numbers_all_stand_there_is_seen_without_a_frame():
    x, y = shown(np.ones((20, 20)), np.ones((2, 2)))[1]
    assert (len(x.rows), x.part, len(y.rows), y.part) == (20, (), 19, ())
    assert shown(np.ones((15, 20)), np.ones((2, 2)))[1] == ()  # too few numbers to be an image


def test_the_picture_of_an_array_has_a_shade_for_each_number():
    rows = ((0.0, 1.0), (0.5, float("nan")))
    data = png(rows)
    start = data.index(b"IDAT") + 4
    size = int.from_bytes(data[start - 8 : start - 4])
    assert zlib.decompress(data[start : start + size]) == bytes([0, 0, 255, 0, 128, 0])
    start = data.index(b"PLTE") + 4
    assert data[start : start + 768] == bytes(k for k in range(256) for _ in range(3))
    signed = png(((-1.0, 0.5),))
    start = signed.index(b"PLTE") + 4
    assert signed[start : start + 3] == bytes([31, 120, 196])
