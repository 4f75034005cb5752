"""From image files to batches, in uint8 up to the compute device."""

import os

import cv2

# The loader's threads work in parallel on samples. OpenCV's own thread pool would only compete for the same cores.
cv2.setNumThreads(1)

# Without this albumentations checks for a newer version over the network when it is imported.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
