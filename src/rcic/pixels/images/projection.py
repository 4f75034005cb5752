"""One image from the z planes of a stack."""

from collections.abc import Iterable

import cv2
import numpy as np


def project(planes: Iterable[np.ndarray], how: str) -> np.ndarray:
    """Project planes (..., H, W) of one type along z: ``max``, ``mean`` or ``sharpest``; the result has their type.

    ``mean``: of whole grey levels it is rounded, halves to the even level. ``sharpest``: for each channel the plane
    with the largest variance of its Laplacian (Pech-Pacheco et al., ICPR 2000), the first of several. Raises ValueError
    for planes of different shapes or types.
    """
    stack = _checked(planes)
    return {"max": _max, "mean": _mean, "sharpest": _sharpest}[how](stack)


def sharpness(image: np.ndarray) -> float:
    """Return the variance of the Laplacian of an image (H, W)."""
    return float(cv2.Laplacian(image.astype(np.float64), cv2.CV_64F).var())


def _checked(planes: Iterable[np.ndarray]) -> Iterable[np.ndarray]:
    first: np.ndarray | None = None
    for plane in planes:
        first = plane if first is None else first
        if plane.shape != first.shape or plane.dtype != first.dtype:
            raise ValueError(f"{plane.shape} {plane.dtype} among planes of {first.shape} {first.dtype}")
        yield plane


def _max(planes: Iterable[np.ndarray]) -> np.ndarray:
    highest: np.ndarray | None = None
    for plane in planes:
        highest = plane.copy() if highest is None else np.maximum(highest, plane, out=highest)
    return _some(highest)


def _mean(planes: Iterable[np.ndarray]) -> np.ndarray:
    total, count, dtype = None, 0, None
    for plane in planes:
        total = plane.astype(np.float64) if total is None else np.add(total, plane, out=total)
        count, dtype = count + 1, plane.dtype
    mean = _some(total) / count
    return (np.rint(mean) if np.issubdtype(dtype, np.integer) else mean).astype(dtype)


def _sharpest(planes: Iterable[np.ndarray]) -> np.ndarray:
    best: np.ndarray | None = None
    scores = np.zeros(0)
    for plane in planes:
        images = plane.reshape(-1, *plane.shape[-2:])  # (C, H, W)
        found = np.array([sharpness(image) for image in images])
        if best is None:
            best, scores = images.copy(), found
        else:
            better = found > scores
            best[better], scores = images[better], np.maximum(scores, found)
        shape = plane.shape
    return _some(best).reshape(shape)


def _some(image: np.ndarray | None) -> np.ndarray:
    if image is None:
        raise ValueError("there is no plane")
    return image
