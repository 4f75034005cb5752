"""kornia, which is not in the pinned environment: whose share lambda is."""

import pytest
import torch

augmentation = pytest.importorskip(
    "kornia.augmentation", reason="kornia is not in the pinned environment: make contracts-all"
)


@pytest.mark.filterwarnings("ignore")
def test_lambda_is_the_share_of_the_other_image():
    """``RandomMixUpV2`` and ``RandomCutMixV2`` give lambda as the partner's share; the papers and timm as one's own.

    Seen in 0.9.0: the mean of a black image mixed with a white one is lambda. A loss written for the paper's lambda
    learns the wrong labels. The program mixes by its own code (``rcic.pixels.batches.mix``).
    """
    pair, labels = torch.stack([torch.zeros(1, 8, 8), torch.ones(1, 8, 8)]), torch.tensor([0, 1])
    for kind in (augmentation.RandomMixUpV2, augmentation.RandomCutMixV2):
        torch.manual_seed(3)  # each image gets the other as partner
        mixed, told = kind(p=1.0, data_keys=["input", "class"])(pair, labels)
        own, partner, share = told.reshape(-1, 3)[0].tolist()
        assert (own, partner) == (0, 1)
        assert 0 < share < 0.4
        assert abs(float(mixed[0].mean()) - share) < 1e-6
