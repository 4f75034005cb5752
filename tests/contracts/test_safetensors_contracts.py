"""safetensors: tensors whose memory is not in the order of their axes."""

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file as load_arrays
from safetensors.numpy import save_file as save_arrays
from safetensors.torch import save_file


def test_channels_last_weights_are_refused(tmp_path):
    """``save_file`` raises for a convolution in channels_last; ``contiguous()`` before it helps.

    Seen in 0.8.0. The program writes ``.pth`` (``save_checkpoint`` in ``rcic.learn.runs.checkpoint``), which keeps the
    memory format, and reads safetensors.
    """
    weight = torch.arange(24.0).view(1, 2, 3, 4).contiguous(memory_format=torch.channels_last)
    with pytest.raises(ValueError, match="non contiguous tensor"):
        save_file({"weight": weight}, tmp_path / "weights.safetensors")
    save_file({"weight": weight.contiguous()}, tmp_path / "weights.safetensors")


def test_a_fortran_array_is_scrambled_without_a_word(tmp_path):
    """``safetensors.numpy.save_file`` writes an array's memory and the shape of its axes: a transposed one differs.

    Seen in 0.8.0: [[0, 1, 2], [3, 4, 5]] in Fortran's order is read as [[0, 3, 1], [4, 2, 5]]. The program writes none;
    weights that a user converts by numpy need ``np.ascontiguousarray``.
    """
    array = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    save_arrays({"array": array}, tmp_path / "array.safetensors")
    assert load_arrays(tmp_path / "array.safetensors")["array"].tolist() == [[0, 3, 1], [4, 2, 5]]
