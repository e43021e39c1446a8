"""How large an image may be: one limit for every reader, so that a small file cannot ask for gigabytes."""

from __future__ import annotations

MOST_PIXELS = 120_000_000  # those of telephones have up to 108 million; uint8 RGB of this many takes 0.36 GB
LARGEST_FILE = 2**27  # bytes of one encoded image


def too_many_pixels(width: int, height: int) -> str:
    """What is wrong with an image of this size; "" if nothing is."""
    if width * height <= MOST_PIXELS:
        return ""
    return f"it has {width:,} x {height:,} pixels, more than the {MOST_PIXELS:,} allowed"
