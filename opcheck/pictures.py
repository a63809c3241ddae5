"""Pictures as arrays of grey, and the classic kernels that one tries on them."""

from pathlib import Path
from typing import Any

import numpy as np

from opcheck.errors import CouldNotRun
from opcheck.language import say
from opcheck.operators.spec import Array, Op, Refused

SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp")
LARGEST = 4096  # pixels across and down
KERNELS: dict[str, tuple[float, ...]] = {  # 3×3, row by row; a dyadic blur is exact
    "blur": tuple(each / 16 for each in (1, 2, 1, 2, 4, 2, 1, 2, 1)),
    "sharpen": (0, -1, 0, -1, 5, -1, 0, -1, 0),
    "sobel-x": (-1, 0, 1, -2, 0, 2, -1, 0, 1),
    "sobel-y": (-1, -2, -1, 0, 0, 0, 1, 2, 1),
    "emboss": (-2, -1, 0, -1, 1, 1, 0, 1, 2),
    "outline": (-1, -1, -1, -1, 8, -1, -1, -1, -1),
}


def kernel(name: str) -> Array:
    return np.array(KERNELS[name], dtype=float).reshape(3, 3)


def read(name: str, path: Path) -> Array:
    """The picture in grey, 0 to 255, one number a pixel; raises Refused for a file that is none."""
    try:
        from PIL import Image
    except ImportError:
        raise CouldNotRun(say("to read a picture: pip install 'opcheck[image]'")) from None
    try:
        with Image.open(path) as picture:
            sizes: Any = picture.size
            if max(sizes) > LARGEST:
                raise Refused(
                    say("{name}: a picture can have at most {n} pixels in width and height", name=name, n=LARGEST),
                    got="{}×{}".format(*sizes),
                )
            return np.asarray(picture.convert("L"), dtype=float)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        if isinstance(error, Refused):
            raise
        raise Refused(say("{name}: {path} is not a picture", name=name, path=path), got=type(error).__name__) from None


def taking(op: Op) -> str:
    """The input of an operator that is an image; raises Refused if there is none."""
    for each in op.inputs:
        if each.letters.split()[-2:] == ["H", "W"]:
            return each.name
    raise Refused(say("{op} takes no image", op=op.title or op.name), fix=say("conv2d, max_pool2d and avg_pool2d do"))
