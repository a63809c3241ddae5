"""Pictures as input, and the classic kernels."""

import numpy as np
import pytest

from opcheck import pictures
from opcheck.arrays import parse
from tests.app.support import run

Image = pytest.importorskip("PIL.Image")


@pytest.fixture
def picture(tmp_path):
    rows = np.arange(60 * 64).reshape(60, 64) % 256
    Image.fromarray(rows.astype(np.uint8)).save(tmp_path / "rows.png")
    return tmp_path / "rows.png", rows


def test_a_picture_is_an_array_of_grey(picture):
    path, rows = picture
    assert np.array_equal(parse("input", f"@{path}", 0), rows)
    done = run("explain", "conv2d", "--image", str(path), "--weight", "sobel-x", "--cell", "1,2")
    assert done.code == 0
    assert "conv2d   x 60×64 · w 3×3" in done.out
    window = rows[1:4, 2:5]
    assert f"= {int((window * pictures.kernel('sobel-x')).sum())}" in done.out


@pytest.mark.parametrize("name", pictures.KERNELS)
def test_the_kernels_are_known_by_name(name):
    found = parse("weight", name, 0)
    assert found.shape == (3, 3)
    assert found.sum() == {"blur": 1, "sharpen": 1, "emboss": 1}.get(name, 0)


def test_what_is_no_picture_is_told_in_one_message(tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\nno")
    done = run("explain", "conv2d", "--image", str(broken))
    assert (done.code, done.out) == (2, "")
    assert "is not a picture" in done.err
    done = run("explain", "softmax", "--image", str(broken))
    assert done.code == 2
    assert "softmax takes no image" in done.err
    done = run("explain", "conv2d", "--image", str(tmp_path / "nowhere.png"))
    assert done.code == 2
    assert "there is no file" in done.err


def test_a_picture_that_is_too_large_is_not_read(tmp_path):
    Image.new("1", (pictures.LARGEST + 1, 1)).save(tmp_path / "wide.png")
    done = run("explain", "conv2d", "--image", str(tmp_path / "wide.png"))
    assert done.code == 2
    assert "4096 pixels" in done.err and "4097×1" in done.err


def test_the_page_shows_it_before_and_after(picture, tmp_path):
    path, _ = picture
    page = tmp_path / "page.html"
    done = run("explain", "conv2d", "--image", str(path), "--weight", "blur", "--stride", "1", "--padding", "1",
               "--cell", "9,9", "--format", "html", "-o", str(page))  # fmt: skip
    assert done.code == 0
    assert page.read_text().count("data:image/png;base64,") == 2
