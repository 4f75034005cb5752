"""Margins, metrics and samplers of pytorch-metric-learning."""

import math

import numpy as np
import pytest
import torch
from pytorch_metric_learning.losses import ArcFaceLoss, CosFaceLoss

pytestmark = pytest.mark.filterwarnings("ignore")


def test_pytorch_metric_learning_arcface_falls_beyond_pi_less_m():
    """pytorch-metric-learning 2.9.0: beyond pi - m ArcFace is cos - m sin(m), so it falls on all the way.

    `learn.models.margin.FixedMargin` uses it;
    `tests/learn/models/test_margin.py::test_beyond_pi_less_m_arcface_is_that_of_recipe_f`.
    """
    loss = ArcFaceLoss(2, 2, margin=math.degrees(0.5), scale=1.0)
    angles = torch.linspace(0.01, math.pi - 0.01, 200)
    assert (loss.modify_cosine_of_target_classes(angles.cos()).diff() < 0).all()


def test_pytorch_metric_learning_arcface_takes_degrees():
    """pytorch-metric-learning 2.9.0: ArcFace's margin is in degrees, CosFace's a cosine: 0.5 is no margin at all.

    `learn.models.margin` converts; `tests/learn/models/test_margin.py::test_the_margin_is_in_radians_or_cosines`.
    """
    assert ArcFaceLoss(2, 2, margin=0.5).margin == pytest.approx(math.radians(0.5))
    assert CosFaceLoss(2, 2, margin=0.5).margin == 0.5


def test_pytorch_metric_learning_get_logits_is_scaled():
    """pytorch-metric-learning 2.9.0: `get_logits` is s times the cosine, without the margin, as at inference.

    `learn.models.margin.FixedMargin.logits`;
    `tests/learn/models/test_margin.py::test_without_a_margin_it_is_softmax_of_scaled_cosines`.
    """
    torch.manual_seed(0)
    loss, wells = ArcFaceLoss(5, 3, scale=64), torch.randn(4, 3)
    assert torch.allclose(loss.get_logits(wells), 64 * loss.get_cosine(wells))


def test_pytorch_metric_learning_accuracy_leaves_out_queries_without_a_match():
    """pytorch-metric-learning 2.9.0: a query whose class no reference has does not count; one of three right is 1/2.

    The program counts such wells as wrong: `decide.metrics`; `tests/decide/test_metrics.py`.
    """
    from pytorch_metric_learning.distances import LpDistance
    from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
    from pytorch_metric_learning.utils.inference import CustomKNN

    search = CustomKNN(LpDistance(normalize_embeddings=False))
    calculator = AccuracyCalculator(include=("precision_at_1",), k=1, knn_func=search)
    wells = torch.tensor([[0.0, 0], [1, 0], [5, 5]])
    known, labels = torch.tensor([[0.0, 0.1], [1, 0.1], [9, 9]]), torch.tensor([0, 1, 1])

    def accuracy(classes: list[int]) -> float:
        return float(calculator.get_accuracy(wells, torch.tensor(classes), known, labels, False)["precision_at_1"])

    assert accuracy([0, 0, 0]) == pytest.approx(1 / 3)
    assert accuracy([0, 0, 7]) == pytest.approx(1 / 2)


def test_pytorch_metric_learning_distances_are_of_directions():
    """pytorch-metric-learning 2.9.0: `LpDistance()` scales vectors to length 1 first, so it is no distance of points.

    `decide.knn` says that it compares directions; give `normalize_embeddings=False` for distances of points.
    """
    from pytorch_metric_learning.distances import LpDistance

    one, far = torch.tensor([[1.0, 0]]), torch.tensor([[9.0, 0]])
    assert float(LpDistance()(one, far)) == pytest.approx(0, abs=1e-5)
    assert float(LpDistance(normalize_embeddings=False)(one, far)) == pytest.approx(8)


def test_pytorch_metric_learning_a_pass_of_m_per_class_is_not_the_data():
    """pytorch-metric-learning 2.9.0: with classes of 1, 10 and 100 wells a pass is 99,996 wells, a third of each class.

    `pixels.batches.sampler` draws every site once an epoch;
    `tests/pixels/batches/test_sampler.py::test_every_epoch_is_another_permutation`.
    """
    from pytorch_metric_learning.samplers import MPerClassSampler

    labels = np.repeat([0, 1, 2], [1, 10, 100])
    assert len(MPerClassSampler(labels, 4)) == 99_996
    indices = list(MPerClassSampler(labels, 4, length_before_new_iter=1200))
    assert np.bincount(labels[indices]).tolist() == [400] * 3
