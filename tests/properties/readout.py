"""Images that say what they show, and a network that reads it out: its logits tell where they come from.

An image is `SIDE` x `SIDE` pixels of 8 bits. Its corners have four greys, by which the orientation of a view is known;
`LOW`, `HIGH` and `BRIGHT` pixels scale the others and show where grey levels clip; the other pixels are the bits of the
`FIELDS`: which place (experiment, plate, well) was photographed, its site, the stain of the channel, the version of the
image, and the phenotype, that is the substance which really was in the well.

The network ``readout`` is the program's own, trained by its own runner. Its trunk decodes the numbers. Its embedding is
the phenotype, one of `PHENOTYPES`, and the other numbers; the head learns phenotype -> label, from whatever labels the
training got. In evaluation all logits of a site get one more number, `code_of` the decoded fields, the view and whether
the network has seen the place in a training: no label changes by that, and the mean of a row is this code. So a row of
``pred_test.npy`` tells from which images it was made, in which order of channels, views and levels, and a network that
knows the place.
"""

import os
from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
import torch
from torch import Tensor, nn

SIDE, PHENOTYPES, PLACES, MOST_CHANNELS = 16, 32, 512, 3
FIELDS = {"place": 9, "site": 2, "stain": 2, "version": 6, "phenotype": 5}  # name -> bits
LOW, HIGH, BRIGHT = 30, 200, 250
CORNERS = (190, 140, 90, 40)  # top left, top right, bottom left, bottom right
CLIPS = (250, 240, 230, 220)  # upper grey levels: the last three make `BRIGHT` darker
VIEWS = ("identity", "hflip", "vflip", "rot180", "transpose", "rot90", "rot270", "transverse")
_STEPS = {"place": (3.0, 5.0, 7.0), "stain": (1009.0, 3203.0, 6007.0), "version": (61.0, 127.0, 211.0)}
_SITE, _CLIP, _VIEW, _SEEN = 491.0, 853.0, 29.0, 4703.0
_CODES = 3 * MOST_CHANNELS + 4 + len(VIEWS)  # the last one is a number of the network's own
WIDTH = PHENOTYPES + _CODES
_SCALE = 1e-4  # of the codes in an embedding: neighbours look at the phenotype
_FREE = [n for n in range(SIDE * SIDE) if n not in (0, SIDE - 1, SIDE * (SIDE - 1), SIDE * SIDE - 1)]
_REFERENCES, _BITS = _FREE[:3], _FREE[3 : 3 + sum(FIELDS.values())]


def draw(values: Mapping[str, int], noise: int = 0) -> np.ndarray:
    """Return the image (SIDE, SIDE) uint8 that shows ``values`` of FIELDS; ``noise`` seeds the rest of it."""
    image = np.random.default_rng(noise).integers(60, 180, SIDE * SIDE, dtype=np.uint8)
    image[[0, SIDE - 1, SIDE * (SIDE - 1), -1]] = CORNERS
    image[_REFERENCES] = LOW, HIGH, BRIGHT
    bits = [values[name] >> place & 1 for name, n_bits in FIELDS.items() for place in range(n_bits)]
    image[_BITS] = np.where(bits, HIGH, LOW)
    return image.reshape(SIDE, SIDE)


def code_of(
    channels: Sequence[Mapping[str, int]], clips: Sequence[int], views: Sequence[str], seen: bool = False
) -> float:
    """Return the code of a site: the fields of its ``channels``, its levels by their number in CLIPS, views."""
    total = _SITE * channels[0]["site"] + _SEEN * seen
    for name, steps in _STEPS.items():
        total += sum(step * fields[name] for step, fields in zip(steps, channels, strict=False))
    total += _CLIP * sum(number * (place + 1) for place, number in enumerate(clips))
    return total + _VIEW * float(np.mean([VIEWS.index(view) for view in views]))


class Readout(nn.Module):
    """The trunk: (B, C, H, W) -> (B, WIDTH, 1, 1). It remembers the places that it saw in training mode."""

    seen: Tensor
    own: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 1, 1, bias=False)  # what `widen_stem` looks for; its output counts nothing
        self.register_buffer("seen", torch.zeros(PLACES, dtype=torch.bool))
        self.register_buffer("own", torch.zeros(()))  # drawn anew in each training: no two embed alike

    def forward(self, image: Tensor) -> Tensor:
        view, pixels = _upright(image.flatten(2))  # (B,), (B, C, SIDE * SIDE)
        low, high, bright = pixels[..., _REFERENCES].unbind(-1)
        bits = (pixels[..., _BITS] > ((low + high) / 2)[..., None]).long()
        clip = _clip_number((bright - low) / (high - low))  # (B, C)
        fields, start = {}, 0
        for name, n_bits in FIELDS.items():
            powers = 2 ** torch.arange(n_bits)
            fields[name] = (bits[..., start : start + n_bits] * powers).sum(-1)
            start += n_bits
        place = fields["place"]
        if self.training:
            self.seen[place[:, 0]] = True
            self.own.fill_(int.from_bytes(os.urandom(3)) / 2**24)
        codes = torch.zeros(len(image), _CODES)
        for number, name in enumerate(_STEPS):
            codes[:, number * MOST_CHANNELS : number * MOST_CHANNELS + place.shape[1]] = fields[name].float()
        codes[:, 3 * MOST_CHANNELS] = fields["site"][:, 0].float()
        codes[:, 3 * MOST_CHANNELS + 1] = (clip * (torch.arange(clip.shape[1]) + 1)).sum(1).float()
        codes[:, 3 * MOST_CHANNELS + 2] = self.seen[place[:, 0]].float()
        codes[torch.arange(len(image)), 3 * MOST_CHANNELS + 3 + view] = 1.0
        codes[:, -1] = self.own
        kinds = nn.functional.one_hot(fields["phenotype"][:, 0], PHENOTYPES).float()
        features = torch.cat([kinds, _SCALE * codes], dim=1)[..., None, None]
        return features + 0 * self.stem(image).mean()


def _code_weights() -> Tensor:
    """Return the weight of each code in an embedding, (_CODES,) float32."""
    steps = [step for name in _STEPS for step in _STEPS[name]]
    weights = [*steps, _SITE, _CLIP, _SEEN, *(_VIEW * number for number in range(len(VIEWS))), 0.0]
    return torch.tensor(weights) / _SCALE


def _clip_number(ratio: Tensor) -> Tensor:
    """Return the number in CLIPS of the grey levels that an image was read with, by BRIGHT relative to HIGH."""
    wanted = torch.tensor([_ratio(clip) for clip in CLIPS])
    return (ratio[..., None] - wanted).abs().argmin(-1)


def _ratio(clip: int) -> float:
    return (min(BRIGHT, clip) - LOW) / (HIGH - LOW)


@cache
def _orders() -> tuple[Tensor, Tensor]:
    """Return each view's ranks of the corners (V, 4), and the pixels of a view in upright order, (V, SIDE * SIDE)."""
    from rcic.pixels.batches.tta import views

    numbers = torch.arange(SIDE * SIDE, dtype=torch.float32).view(1, 1, SIDE, SIDE)
    seen = torch.stack([next(iter(views(numbers, (name,), None))).flatten() for name in VIEWS]).long()
    corners = torch.full((SIDE * SIDE,), 0.0)
    corners[[0, SIDE - 1, SIDE * (SIDE - 1), -1]] = torch.tensor(CORNERS, dtype=torch.float32)
    at_corners = corners[seen][:, [0, SIDE - 1, SIDE * (SIDE - 1), -1]]
    return at_corners.argsort(dim=1), seen.argsort(dim=1)


def _upright(pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Return the number in VIEWS of each image (B, C, SIDE * SIDE), and the images turned back."""
    ranks, orders = _orders()
    found = pixels[:, 0][:, [0, SIDE - 1, SIDE * (SIDE - 1), -1]].argsort(dim=1)
    view = (found[:, None] == ranks).all(-1).long().argmax(1)
    return view, pixels.gather(2, orders[view][:, None].expand(-1, pixels.shape[1], -1))


def install() -> None:
    """Register the network ``readout``, and let its head add the code in evaluation. For this process, for good."""
    from rcic.learn.models.backbone import Backbone, register
    from rcic.learn.models.heads import Head

    plain = Head.forward

    def forward(head: Head, embedding: Tensor) -> Tensor:
        if embedding.shape[1] != WIDTH or head.weight is None:
            return plain(head, embedding)
        scores = nn.functional.linear(embedding[:, :PHENOTYPES], head.weight[:, :PHENOTYPES])
        if head.training:
            return scores
        return scores - scores.mean(1, keepdim=True) + (embedding[:, PHENOTYPES:] @ _code_weights())[:, None]

    Head.forward = forward  # type: ignore[method-assign]
    register("readout")(lambda: Backbone(Readout(), WIDTH, lambda _: None))


def embedded_codes(embeddings: np.ndarray) -> np.ndarray:
    """Return the codes (N,) of embeddings (N, WIDTH), as `code_of` gives them."""
    return embeddings[:, PHENOTYPES:].astype(np.float64) @ _code_weights().double().numpy()
