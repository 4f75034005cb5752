"""Normalisations of real profiles, compared: ``PYTHONPATH=src python benchmarks/profiles.py BBBC021 WORK``.

Prints the page (``make bench-profiles`` writes it into ``benchmarks/profiles.md``). BBBC021 is a folder with the files
that `profiles_data` names. Other packages' normalisations are made by the Python that RCIC_PEERS names, or else the one
that runs this, in WORK. What is measured is at the top of `profiles_protocol`.
"""

import json
import os
import subprocess
import sys
import time
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import profiles_methods as methods
from profiles_data import Profiles, read
from profiles_methods import CENTRES
from profiles_page import page
from profiles_protocol import Named, Transform, mechanisms, name_held_out

from rcic.decide.intervals import Interval, mean_interval


@dataclass(eq=False)
class Results:
    """What was measured, in %: by normalisation (and classifier); ``named`` has the wells behind it."""

    profiles: Profiles
    named: dict[tuple[str, str], Named] = field(default_factory=dict)
    matched: dict[str, tuple[Interval, Interval]] = field(default_factory=dict)  # NSC, NSCB
    candidates: dict[str, Named] = field(default_factory=dict)  # of auto, by flags
    chosen: list[pd.DataFrame] = field(default_factory=list)  # auto's table of each fold, the chosen first
    lda_auto: float = np.nan  # top-1 of LDA with shrinkage="auto", after the plate's mean was taken off
    peers: dict[str, Any] = field(default_factory=dict)  # versions and failed
    seconds: float = 0.0

    def interval(self, values: np.ndarray) -> Interval:
        """Return the mean of values (N,), NaN where a well does not count, in %, with its interval over weeks."""
        return mean_interval(values, self.profiles.wells).scaled(100)

    def above(self, name: str, classifier: str = CENTRES) -> Interval:
        """Return by how many points of top-1 a normalisation is above the recipe of before."""
        return self.interval(self.named[name, classifier].top - self.named[methods.TODAY, CENTRES].top)


def peers(profiles: Profiles, work: Path) -> tuple[dict[str, Transform], dict[str, Any]]:
    """Return the normalisations of other packages, made without labels, and what is known of them."""
    given = {"features": profiles.features, "scaled": profiles.scaled, "names": np.array(profiles.names)}
    plates = profiles.wells["plate"].to_numpy(str)
    np.savez(work / "profiles.npz", plates=plates, controls=~profiles.treated, **given)
    script = Path(__file__).with_name("profiles_peers.py")
    python = os.environ.get("RCIC_PEERS", sys.executable)
    subprocess.run([python, str(script), str(work / "profiles.npz"), str(work)], check=True)
    about = json.loads((work / "peers.json").read_text(encoding="utf-8"))
    made = [name for name in about["methods"] if name not in about["failed"]]
    return {name: methods.fixed(np.load(work / f"{name}.npy")) for name in made}, about


def measure(profiles: Profiles, work: Path) -> Results:
    """Return the results of every normalisation with every classifier, and of every candidate of auto."""
    start, results = time.monotonic(), Results(profiles)
    others, results.peers = peers(profiles, work)
    auto = methods.Auto(profiles.scaled)
    classify = methods.classifiers(profiles.wells["label"].max() + 1)
    for name, transform in {**methods.normalisations(profiles), methods.AUTO: auto, **others}.items():
        named = name_held_out(profiles, transform, classify)
        results.named.update({(name, kind): each for kind, each in named.items()})
        results.matched[name] = _matched(profiles, transform)
        print(f"{time.monotonic() - start:.0f} s: {name}", file=sys.stderr)
    results.chosen = [choice.table for choice in auto.choices.values()][:3]
    for name, transform in methods.single_choices(profiles):
        results.candidates[name] = name_held_out(profiles, transform, {CENTRES: classify[CENTRES]})[CENTRES]
    plain = methods.product(methods.Normalisation(), profiles.scaled)
    by_itself = name_held_out(profiles, plain, {"auto": methods.lda(profiles.wells["label"].max() + 1, "auto")})
    results.lda_auto = 100 * float(np.nanmean(by_itself["auto"].top))
    results.seconds = time.monotonic() - start
    return results


def _matched(profiles: Profiles, transform: Transform) -> tuple[Interval, Interval]:
    """Return NSC and NSCB in % with intervals; the normalisation may use which wells are replicates, all of them."""
    vectors = transform(profiles.wells.drop(columns=["mechanism"]), profiles.treated)
    treatments, nsc, nscb = mechanisms(profiles, vectors)
    return mean_interval(nsc, treatments).scaled(100), mean_interval(nscb, treatments).scaled(100)


if __name__ == "__main__":
    if len(sys.argv) != 3 or not Path(sys.argv[1]).is_dir():
        sys.exit("usage: python benchmarks/profiles.py FOLDER_OF_BBBC021 WORK_FOLDER")
    warnings.filterwarnings("ignore", module="sklearn")
    Path(sys.argv[2]).mkdir(parents=True, exist_ok=True)
    print(page(measure(read(Path(sys.argv[1])), Path(sys.argv[2]))))
