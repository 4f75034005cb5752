"""Presets: the size and the difficulty of synthetic screens, one plain record each."""

from dataclasses import asdict, dataclass
from typing import Any

from rcic.errors import UserError, nearest

N_GROUPS = 4
_OFF_BY_DEFAULT = ("one_type", "outliers")  # absent from the settings of a screen that was drawn before there were any


@dataclass(frozen=True)
class Preset:
    """The size and the difficulty of one synthetic screen.

    pixels: side of the square images, px. field: side of the imaged area, in pixels of the published 512-px
    images (so pixels / field is the magnification: 1.0 shows cells as large as the real ones, 0.5 half as
    large). siRNAs: 4 groups of `group_size` treatments, `positives` positive controls and one negative
    control, with `positive_wells` and `negative_wells` wells of each on every plate. train, test:
    experiments by cell type. effect: size of the typical siRNA's effect (see effect.py). specific: share of
    the effect that differs between cell types, 0..1. missing: probability that a plate lacks one or two treatment
    wells. one_type: share of the treatments that act in one cell type only, 0..1. outliers: experiments that were
    stained and lit in another way (see batch_effect.py).
    """

    name: str
    pixels: int
    field: float
    group_size: int
    positives: int
    positive_wells: int
    negative_wells: int
    train: dict[str, int]
    test: dict[str, int]
    effect: float
    specific: float = 0.3
    missing: float = 0.18
    one_type: float = 0.0
    outliers: tuple[str, ...] = ()

    @property
    def n_treatments(self) -> int:
        """The number of treatment siRNAs; their labels are 0..n_treatments-1."""
        return N_GROUPS * self.group_size

    @property
    def n_classes(self) -> int:
        """All siRNAs: treatments, then positive controls, then the negative control (the last label)."""
        return self.n_treatments + self.positives + 1

    @property
    def settings(self) -> dict[str, Any]:
        """The fields as JSON values, without those of `_OFF_BY_DEFAULT` that are off."""
        fields = asdict(self)
        off = [name for name in _OFF_BY_DEFAULT if not fields[name]]
        plain = {name: list(value) if isinstance(value, tuple) else value for name, value in fields.items()}
        return {name: value for name, value in plain.items() if name not in off}

    @property
    def cell_types(self) -> list[str]:
        """The cell types of the screen, sorted."""
        return sorted(self.train)


PRESETS = {
    preset.name: preset
    for preset in (
        Preset(
            name="test",
            pixels=40,
            field=110.0,
            group_size=2,
            positives=2,
            positive_wells=1,
            negative_wells=2,
            train={"HUVEC": 3, "RPE": 2},
            test={"HUVEC": 1, "RPE": 1},
            effect=2.4,
        ),
        Preset(
            name="demo",
            pixels=96,
            field=190.0,
            group_size=6,
            positives=5,
            positive_wells=1,
            negative_wells=2,
            train={"HUVEC": 4, "HEPG2": 3, "RPE": 3, "U2OS": 2},
            test={"HUVEC": 1, "HEPG2": 1, "RPE": 1, "U2OS": 1},
            effect=4.0,
        ),
        Preset(
            name="bench",
            pixels=128,
            field=200.0,
            group_size=24,
            positives=6,
            positive_wells=2,
            negative_wells=2,
            train={"HUVEC": 5, "RPE": 3},
            test={"HUVEC": 2, "RPE": 2},
            effect=2.6,
        ),
        Preset(  # effect: set on seed 1, so that `best`, stages I and II, is right in 55 to 65 % (docs/recipes.md)
            name="bench-hard",
            pixels=96,
            field=200.0,
            group_size=36,
            positives=5,
            positive_wells=1,
            negative_wells=3,
            train={"HUVEC": 5, "RPE": 4, "U2OS": 1},
            test={"HUVEC": 2, "RPE": 2, "U2OS": 1},
            effect=2.55,
            one_type=0.125,
            outliers=("HUVEC-05",),
        ),
    )
}


def find_preset(name: str) -> Preset:
    """Return the preset called ``name``; UserError with the nearest name for an unknown one."""
    if name not in PRESETS:
        raise UserError(f"preset {name!r} is unknown (known: {', '.join(PRESETS)}){nearest(name, PRESETS)}")
    return PRESETS[name]
