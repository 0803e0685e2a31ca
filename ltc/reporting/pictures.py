"""Pictures of samples, small enough to stand in a page."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ltc.errors import ArgumentTypeError, ArgumentValueError
from ltc.store.samples import to_numpy

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["picture_source"]

SIDE: Final = 96  # pixels, at most
_QUALITY: Final = 80
_MOST_PIXELS: Final = 100_000_000


def picture_source(picture: Any, what: str) -> str:
    """Return a picture as the address of an ``<img>`` that holds it.

    Parameters
    ----------
    picture : PIL image, bytes or array
        Bytes are those of a file that PIL reads. Arrays, tensors too, have shape ``[H, W]``,
        ``[H, W, C]`` or ``[C, H, W]`` with 1, 3 or 4 channels: uint8, or real numbers, of which the
        lowest becomes black and the highest white.
    what : str
        What it shows, for errors.

    Returns
    -------
    str
        A ``data:`` address of a PNG or JPEG file of at most 96 pixels to a side, the smaller of
        both.

    Raises
    ------
    ArgumentTypeError, ArgumentValueError
        It is no picture.

    Examples
    --------
    >>> picture_source(np.zeros((2, 2), np.uint8), "train sample 0")[:22]
    'data:image/png;base64,'
    """
    image = _as_image(picture, what)
    image.thumbnail((SIDE, SIDE))
    files = {}
    for kind, options in (("png", {"optimize": True}), ("jpeg", {"quality": _QUALITY})):
        file = io.BytesIO()
        shown = image.convert("RGB") if kind == "jpeg" and image.mode != "L" else image
        shown.save(file, kind, **options)
        files[kind] = file.getvalue()
    kind = min(files, key=lambda name: len(files[name]))
    if "A" in image.getbands():  # JPEG has no transparency
        kind = "png"
    return f"data:image/{kind};base64,{base64.b64encode(files[kind]).decode('ascii')}"


def _as_image(picture: Any, what: str) -> Image:
    from PIL import Image

    if isinstance(picture, Image.Image):
        image = picture.copy()
    elif isinstance(picture, bytes | bytearray | memoryview):
        try:
            image = Image.open(io.BytesIO(bytes(picture)))
            if image.width * image.height > _MOST_PIXELS:
                raise ArgumentValueError(
                    f"pictures must give at most {_MOST_PIXELS:,} pixels, got {image.width} x "
                    f"{image.height} for {what}"
                )
            image.load()
        except (OSError, SyntaxError, Image.DecompressionBombError) as error:
            raise ArgumentValueError(
                f"pictures must give bytes of a file that PIL reads, got others for {what}"
            ) from error
    else:
        image = Image.fromarray(_as_pixels(picture, what))
    if image.mode in ("L", "RGB", "RGBA"):
        return image
    return image.convert("RGBA" if "transparency" in image.info or "A" in image.mode else "RGB")


def _as_pixels(picture: Any, what: str) -> Any:
    pixels = to_numpy(picture)
    if pixels.dtype.kind not in "uifb":
        raise ArgumentTypeError(
            f"pictures must give PIL images, bytes or arrays of numbers, got "
            f"{type(picture).__name__} for {what}"
        )
    if pixels.ndim == 3 and pixels.shape[2] not in (1, 3, 4) and pixels.shape[0] in (1, 3, 4):
        pixels = np.moveaxis(pixels, 0, 2)
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    if (
        not (pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (3, 4)))
        or not pixels.size
    ):
        raise ArgumentValueError(
            "pictures must give arrays of shape [H, W], [H, W, C] or [C, H, W] with 1, 3 or 4 "
            f"channels, got shape {np.shape(picture)} for {what}"
        )
    if pixels.dtype == np.uint8:
        return np.ascontiguousarray(pixels)
    real = pixels.astype(np.float64)
    if not np.isfinite(real).all():
        raise ArgumentValueError(f"pictures must give finite numbers, got others for {what}")
    spread = np.ptp(real)
    shades = (real - real.min()) * (255 / spread) if spread else np.zeros_like(real)
    return np.ascontiguousarray(shades.round().astype(np.uint8))
