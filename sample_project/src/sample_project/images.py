"""Make thumbnails of images that strangers send."""

from __future__ import annotations

import io
from dataclasses import dataclass

from PIL import Image, ImageOps, UnidentifiedImageError

FORMATS = ("PNG", "JPEG", "WEBP")
MAX_PIXELS = 25_000_000
"""Pixels that an image may have: decoded, they take four bytes each of the function's memory."""

_DAMAGED = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)
"""What Pillow raises while it reads an image."""


class NotAnImageError(ValueError):
    """Report bytes that are in none of the known formats."""


class UnusableImageError(ValueError):
    """Report an image that is too large or damaged."""


@dataclass(frozen=True)
class Thumbnail:
    """A small picture, ready to be sent."""

    width: int
    height: int
    content: bytes
    media_type: str = "image/webp"


def thumbnail(content: bytes, size: int) -> Thumbnail:
    """Shrink an image until neither side is longer than *size* pixels; a smaller one keeps its size."""
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            return _shrink(image, size)
    except UnidentifiedImageError as error:
        raise NotAnImageError(f"image: expected one of {', '.join(FORMATS)}") from error
    except _DAMAGED as error:
        raise UnusableImageError(f"image: {error}") from error


def _shrink(image: Image.Image, size: int) -> Thumbnail:
    if image.width * image.height > MAX_PIXELS:
        raise UnusableImageError(f"more than {MAX_PIXELS} pixels")
    image.thumbnail((size, size))
    upright = ImageOps.exif_transpose(image)
    output = io.BytesIO()
    upright.save(output, "WEBP")
    return Thumbnail(width=upright.width, height=upright.height, content=output.getvalue())
