"""Large arrays as pictures: one pixel per number, in grey, or from blue over white to orange where signs differ."""

import base64
import math
import struct
import zlib

from opcheck.steps import Picture

NEGATIVE, POSITIVE = (31, 120, 196), (217, 115, 13)  # as the shades of a board


def draw(picture: Picture) -> str:
    """An image for the page, with a frame around the part that is also shown in numbers."""
    tall, wide = len(picture.rows), len(picture.rows[0])
    data = base64.b64encode(png(picture.rows)).decode("ascii")
    frame = ""
    if picture.part:
        top, bottom, left, right = picture.part
        frame = f'<rect class="part" x="{left}" y="{top}" width="{right - left}" height="{bottom - top}"/>'
    return (
        f'<svg class="picture" style="--wide: {wide}" viewBox="0 0 {wide} {tall}" width="{wide}" height="{tall}" '
        'aria-hidden="true">'
        f'<image width="{wide}" height="{tall}" href="data:image/png;base64,{data}"/>{frame}</svg>'
    )


def png(rows: tuple[tuple[float, ...], ...]) -> bytes:
    """A picture of 256 shades; what is not a number is as dark as the smallest."""
    finite = [x for row in rows for x in row if math.isfinite(x)] or [0.0]
    low, high = min(finite), max(finite)
    signed = low < 0
    if signed:
        low, high = -max(-low, high), max(-low, high)
    scale = 255 / (high - low) if high > low else 0.0
    lines = b"".join(
        b"\0" + bytes(round((min(max(x, low), high) - low) * scale) if x == x else 0 for x in row) for row in rows
    )
    head = struct.pack(">IIBBBBB", len(rows[0]), len(rows), 8, 3, 0, 0, 0)
    chunks = (("IHDR", head), ("PLTE", _palette(signed)), ("IDAT", zlib.compress(lines, 9)), ("IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind.encode(), data) for kind, data in chunks)


def _palette(signed: bool) -> bytes:
    if not signed:
        return bytes(each for shade in range(256) for each in (shade, shade, shade))
    colours = []
    for shade in range(256):
        share = (shade - 127.5) / 127.5
        end = POSITIVE if share > 0 else NEGATIVE
        colours += [round(255 + (each - 255) * abs(share)) for each in end]
    return bytes(colours)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
