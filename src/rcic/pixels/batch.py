"""What is done to a whole batch on its compute device: normalise, then drop channels."""

import torch

_CONSTANT = 1e-4  # below any uint8 image that is not constant: one grey level in one of 10^8 pixels


def normalize(batch: torch.Tensor) -> torch.Tensor:
    """Return (B, C, H, W) float32 with mean 0 and variance 1 in every image and channel.

    ``batch`` is (B, C, H, W) uint8 (or float), on any device; a constant channel becomes 0. The standard
    deviation is taken as the norm of the centred pixels: on a CPU ten times as fast as ``torch.std_mean``,
    and so near to dividing by statistics measured beforehand (1.1 against 0.7 ms for 64 images of
    5 x 96 x 96) that no sample needs to carry any.
    """
    pixels = batch.flatten(2).to(torch.float32, copy=True)  # (B, C, H*W)
    pixels -= pixels.mean(2, keepdim=True)
    std = torch.linalg.vector_norm(pixels, dim=2, keepdim=True) / pixels.shape[2] ** 0.5
    pixels *= torch.where(std > _CONSTANT, 1 / std, 0.0)
    return pixels.view(batch.shape)


def channel_dropout(batch: torch.Tensor, p: float, generator: torch.Generator | None = None) -> torch.Tensor:
    """Return the batch (B, C, H, W) float in which, with probability ``p`` an image, one channel is zero.

    To be called after :func:`normalize`, so that a dropped channel is zero for the network too. A batch of
    one channel comes back as it is.
    """
    n_images, n_channels = batch.shape[:2]
    if p == 0 or n_channels == 1:
        return batch
    device = batch.device if generator is None else generator.device
    dropped = torch.rand(n_images, generator=generator, device=device) < p  # (B,)
    channel = torch.randint(n_channels, (n_images,), generator=generator, device=device)  # (B,)
    keep = ~(dropped[:, None] & (channel[:, None] == torch.arange(n_channels, device=device)))  # (B, C)
    return batch * keep.to(batch.device, batch.dtype)[:, :, None, None]
