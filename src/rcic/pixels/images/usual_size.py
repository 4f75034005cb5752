"""The size that most images of a plate have, by which the audit and packing tell images that do not belong."""

import numpy as np


def usual_size(shapes: np.ndarray) -> tuple[int, int]:
    """Return the (H, W) that most images have, of ``shapes`` (M, 2); (0, 0) if there is none.

    Of several sizes that are as frequent it is the smallest.
    """
    sizes, counts = np.unique(shapes, axis=0, return_counts=True)
    return (0, 0) if len(sizes) == 0 else (int(sizes[counts.argmax()][0]), int(sizes[counts.argmax()][1]))
