"""The fixed views of a batch for test-time augmentation, whose predictions are averaged."""

from collections.abc import Iterator, Sequence

from torch import Tensor

from rcic.errors import UserError, nearest
from rcic.pixels.batches.batch import normalize

# Numbers of rcic.pixels.batches.d4.d4_view. "rot90" is counter-clockwise, as in NumPy; "transverse" is the
# transpose about the other diagonal.
D4 = {
    "identity": 0,
    "hflip": 1,
    "vflip": 2,
    "rot180": 3,
    "transpose": 4,
    "rot270": 5,
    "rot90": 6,
    "transverse": 7,
}
CROPS = "crops"


def views(x: Tensor, names: Sequence[str], crop: int | None = None, pixels: Tensor | None = None) -> Iterator[Tensor]:
    """Return an iterator over the named views of a normalised batch (B, C, H, W), in order.

    Names are those of :data:`D4` and ``crops``: the four corners and the middle, each (B, C, ``crop``, ``crop``), or
    the whole image once if it has that size. Crops are cut from ``x`` or, if given, from the same images' ``pixels``
    (B, C, H, W) uint8 and then normalised, each by its own statistics, as crops are in training. Raises UserError for
    an unknown name, or for ``crops`` without ``crop`` or with one that is larger than the images.
    """
    windows = _windows(names, crop, (x.shape[2], x.shape[3]))
    return (view for name in names for view in (_cut(x, windows, pixels) if name == CROPS else [d4_batch(x, D4[name])]))


def d4_batch(x: Tensor, view: int) -> Tensor:
    """Return one of the eight flips and rotations of a batch (..., H, W): ``d4.d4_view`` for tensors."""
    x = x.transpose(-1, -2) if view & 4 else x
    flipped = [axis for bit, axis in ((2, -2), (1, -1)) if view & bit]
    return x.flip(flipped) if flipped else x


def _cut(x: Tensor, windows: Sequence[tuple[slice, slice]], pixels: Tensor | None) -> Iterator[Tensor]:
    if pixels is None:
        return (x[:, :, rows, columns] for rows, columns in windows)
    return (normalize(pixels[:, :, rows, columns].contiguous()) for rows, columns in windows)


def _windows(names: Sequence[str], crop: int | None, shape: tuple[int, int]) -> list[tuple[slice, slice]]:
    """Check the names; return the windows (rows, columns) of ``crops``, none if it is not named. Raises UserError."""
    known = (*D4, CROPS)
    for name in names:
        if name not in known:
            raise UserError(f"predict.tta: {name!r} is none of {', '.join(known)}{nearest(str(name), known)}")
    if CROPS not in names:
        return []
    if crop is None:
        raise UserError("predict.tta: crops have the size of augment.crop, which is null; give it or leave out crops")
    height, width = shape
    if crop > min(shape):
        raise UserError(
            f"predict.tta: crops of augment.crop {crop} are larger than the images, {height} x {width} pixels"
        )
    down, right = height - crop, width - crop
    corners = [(0, 0), (0, right), (down, 0), (down, right), (down // 2, right // 2)]
    return [(slice(y, y + crop), slice(x, x + crop)) for y, x in dict.fromkeys(corners)]
