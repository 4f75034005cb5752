"""What identifies a screen: the names of its classes, its wells by experiment, and the sources of its pixels.

A result keeps what it used of these as plain values; `rcic.files.difference` compares them later, and says in words
what has changed. Wells are known by experiment, the plate's name in the tables and well, never by a rank: a plate
that is added changes nothing for the others.
"""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from rcic.files.sealed_json import digest_of_values
from rcic.screen.spec import ScreenSpec

DIGEST = 16  # hexadecimal digits of a digest in a record that has many
_FACTS = ["barcode", "well", "cell_type", "split", "well_type", "name"]


def digest_of_wells(wells: pd.DataFrame, columns: Sequence[str]) -> str:
    """Return the sha256 (hex) of some columns of a table of wells, in the order of its rows."""
    return digest_of_values([wells[name].astype(str).tolist() for name in columns])


@dataclass(frozen=True)
class ScreenIdentity:
    """The identity of a screen; each method returns the plain values of one aspect, for a record."""

    classes: tuple[str, ...]  # in order, treatments first
    n_treatments: int
    experiments: dict[str, str]  # experiment -> digest of its wells
    spec: ScreenSpec

    @property
    def treatments(self) -> list[str]:
        """The names of the treatments, in the order of the classes."""
        return list(self.classes[: self.n_treatments])

    @property
    def controls(self) -> list[str]:
        """The names of the controls, in the order of the classes."""
        return list(self.classes[self.n_treatments :])

    def wells(self, experiments: Collection[str] | None = None) -> dict[str, str]:
        """Return experiment -> digest of its wells (plate, well, cell type, split, type, label), for some or all."""
        return {name: digest for name, digest in self.experiments.items() if experiments is None or name in experiments}

    def images(self, channels: Sequence[int] = ()) -> dict[str, Any]:
        """Return where the pixels of some channels come from, by default of all: patterns, bits, words and levels.

        Planes, the words of sites and the columns of paths are in it where the screen spec gives them.
        """
        spec, used = self.spec, channels or self.spec.channel_numbers
        words = {spec.site_name(site): spec.site_word(site) for site in spec.sites}
        numbered = all({spec.site_name(site), spec.site_word(site)} == {str(site)} for site in spec.sites)
        columns = {key: title for key, title in vars(spec.images.columns).items() if title is not None}
        given = {
            "z": spec.images.z,
            "time": spec.images.time,
            "columns": columns or None,
            "sites": None if numbered else words,
        }
        return {
            "files": list(spec.images.file),
            "bits": spec.images.bits,
            "channels": {str(number): self._channel(number) for number in sorted(used)},
            **{key: value for key, value in given.items() if value is not None},
        }

    def stains(self, channels: Sequence[int]) -> dict[str, str]:
        """Return channel number -> name, as text: what a network that is used on another screen must find there."""
        return {str(number): self.spec.channels[number - 1].name for number in sorted(channels)}

    def _channel(self, number: int) -> dict[str, Any]:
        channel, levels = self.spec.channels[number - 1], self.spec.levels(number)
        return {"name": channel.name, "file": channel.file or str(number), "levels": levels and list(levels)}


def experiment_digests(wells: pd.DataFrame) -> dict[str, str]:
    """Return experiment -> digest of its wells, in any order; ``wells`` has experiment, ``barcode`` and ``name``.

    ``name`` is the label of a well as in the tables, "" where it is hidden.
    """
    grouped = pd.Series(_lines(wells), dtype=object).groupby(wells["experiment"].to_numpy(), sort=True)
    return {str(name): digest_of(sorted(rows)) for name, rows in grouped}


def digest_of(lines: Sequence[str]) -> str:
    """Return the first hexadecimal digits of the sha256 of some lines."""
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:DIGEST]


def _lines(wells: pd.DataFrame) -> list[str]:
    """Return the facts of each well as a line; columns as lists are ten times as fast as rows of a table."""
    return ["\t".join(values) for values in zip(*(wells[name].astype(str).tolist() for name in _FACTS), strict=True)]
