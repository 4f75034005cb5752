"""Calibration error by torchmetrics."""

import pytest
import torch

pytest.importorskip("torchmetrics", reason="torchmetrics is not installed: make contracts-all")


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_torchmetrics_a_constant_changes_the_calibration_error_of_logits():
    """torchmetrics 1.9.0: logits that all lie between 0 and 1 are taken for probabilities; others get a softmax.

    So a constant added to logits, which changes no probability, changes the error. Give probabilities. The program's
    reliability is of probabilities; `tests/decide/test_reliability.py`.
    """
    from torchmetrics.functional.classification import multiclass_calibration_error

    logits = torch.rand(200, 5, generator=torch.Generator().manual_seed(0))
    labels = logits.argmax(dim=1)
    near, far = (float(multiclass_calibration_error(logits + shift, labels, 5)) for shift in (0, 5))
    assert abs(near - far) > 0.1
    assert torch.allclose(logits.softmax(1), (logits + 5).softmax(1))
