"""From image files to a batch: uint8 until the compute device."""

import os

import cv2

# Parallel work is over samples (threads of the loader). OpenCV's own thread pool on top of that only takes turns on
# the same cores.
cv2.setNumThreads(1)

# Without this albumentations asks the network for its newest version when it is imported.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
