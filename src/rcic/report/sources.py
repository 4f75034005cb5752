"""The sources of a report: the folders of the command line, read when a section first needs them."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pandas as pd

from rcic.check.verdicts import Verdict, check_results
from rcic.ensemble.calibration import Calibration, calibrate_once
from rcic.ensemble.decision import Decision, decide_once
from rcic.ensemble.ensemble_options import EnsembleOptions
from rcic.ensemble.scoring import score
from rcic.errors import UserError
from rcic.files.regular import is_there
from rcic.profiles.profile_scores import ProfileScores, profile_scores
from rcic.report import answer_tables as answers
from rcic.report import quality
from rcic.report import training_runs as runs
from rcic.report.ladders import Scored, folder_names, plate_title, with_plate_names
from rcic.report.quality import Quality
from rcic.report.report_options import ReportOptions
from rcic.report.training_runs import Run
from rcic.screen.layout import Groups, learn_groups
from rcic.screen.source import DataRoot, as_source
from rcic.screen.table import Screen, read_screen
from rcic.screen.work_dir import AUDIT_DIR, place_in


@dataclass(frozen=True)
class Given:
    """The screen of a report, its options and those of the ensemble."""

    data_root: DataRoot
    options: ReportOptions = field(default_factory=ReportOptions)
    ensemble: EnsembleOptions = field(default_factory=EnsembleOptions)


@dataclass(frozen=True, eq=False)
class ReportSources:
    """Reader of the sources, each once. ``say`` gets progress messages, ``note`` the sources that could not be read."""

    given: Given
    say: Callable[[str], None]
    note: Callable[[str, str], None]  # what is absent, and why

    @cached_property
    def screen(self) -> Screen:
        """The screen; UserError if its tables are incomplete."""
        return read_screen(self.given.data_root)

    @cached_property
    def groups(self) -> Groups:
        """Its plate groups."""
        return learn_groups(self.screen)

    @property
    def mixed_plates(self) -> list[str]:
        """The names of the train plates that hold treatments of several groups."""
        return [plate_title(name, self.screen.barcode(name, plate)) for name, plate in self.groups.mixed_plates]

    @cached_property
    def scores(self) -> list[Scored]:
        """The ladders of all predictions on both splits where truth is known; the others are noted."""
        found, names = [], self._names
        for name, root in {names[root]: root for root in self._roots}.items():
            for split in self._splits:
                self.say(f"scores of {root}, {split}")
                truth = self.given.options.truth if split == "test" else None
                try:
                    result = score(self.screen, root, split, truth, self.given.ensemble, keep=True)
                except UserError as error:
                    self.note(f"The ladder of {root} on {'test' if split == 'test' else 'held-out'} wells", str(error))
                else:
                    found.append(Scored(name, split, with_plate_names(self.screen, result)))
        return found

    @property
    def audit_dir(self) -> Path | None:
        """The folder of the audit, None if none is to be shown."""
        given = self.given.options.audit_dir
        return place_in(self.screen, given, AUDIT_DIR) if given else None

    @cached_property
    def has_test_wells(self) -> bool:
        """Whether the screen has test wells; that it has none is noted, once."""
        if has := len(self.screen.select("test", "treatment")) > 0:
            return has
        self.note("The ladder on test wells", f"{self.screen.root}: the screen has no test wells")
        return has

    @property
    def _splits(self) -> list[str]:
        """The splits to score: a screen without test wells lacks no truth."""
        return ["test", "valid"] if self.has_test_wells else ["valid"]

    @property
    def _roots(self) -> list[str]:
        """The prediction folders; the one that answers comes first."""
        return list(reversed(self.given.options.predict_root))

    @property
    def _names(self) -> dict[str, str]:
        return folder_names(self._roots)

    @property
    def last(self) -> list[Scored]:
        """The scores of the predictions that give the answers: those of the last folder."""
        return [scored for scored in self.scores if scored.name == self._names[self._roots[0]]]

    @cached_property
    def calibration(self) -> Calibration | None:
        """What `calibrate` would do for the answers; None if it has been done, or cannot be."""
        given = self.given
        if not given.options.predict_root or given.ensemble.calibration:
            return None
        self.say(f"calibration of {self._roots[0]}, to see whether it would help")
        try:
            return calibrate_once(self.screen, self._roots[0], given.ensemble.model_names)
        except UserError:
            return None

    @cached_property
    def profiles(self) -> ProfileScores:
        """What the embeddings of the scored wells are worth; UserError without such embeddings."""
        given, options = self.given, self.given.options
        if not options.embed_root:
            raise UserError("no --embed_root was given")
        split = self.last[0].split if options.predict_root and self.last else self._splits[-1]
        self.say(f"profiles of {options.embed_root}, {split}")
        truth = options.truth if split == "test" else None
        return profile_scores(self.screen, options.embed_root, split, truth, given.ensemble.model_names, keep=True)

    @cached_property
    def decision(self) -> Decision | None:
        """The answers on test wells of unknown truth; None if there are none."""
        is_known = not self.has_test_wells or any(scored.split == "test" for scored in self.last)
        if not self.given.options.predict_root or is_known:
            return None
        try:
            return decide_once(self.screen, self.given.options.predict_root[-1], self.given.ensemble)
        except UserError:
            return None  # the ladder's note says why

    @cached_property
    def answers(self) -> pd.DataFrame:
        """The answers well by well, of the last predictions."""
        return answers.answer_table(self.screen, self.last, self.decision)

    @cached_property
    def quality(self) -> Quality:
        """The wells' image quality; UserError without images and statistics."""
        stats = self.screen.root / quality.STATS
        if not self.given.options.quality_images:
            if is_there(stats):
                return quality.from_stats(self.screen, stats)
            raise UserError(f"--quality_images is 0, and there is no {stats}")
        from rcic.pixels.packed.open_store import open_store  # with torch

        threads = len(os.sched_getaffinity(0))
        try:
            store = open_store(self.screen)
        except UserError:
            if is_there(stats):
                return quality.from_stats(self.screen, stats)
            raise
        return quality.from_images(self.screen, store, self.given.options.quality_images, self.say, threads)

    @cached_property
    def plates(self) -> pd.DataFrame:
        """The wells with all their facts."""
        try:
            table = self.quality.table
        except UserError as error:
            self.note("Image quality", str(error))
            table = pd.DataFrame({"id_code": pd.Series(dtype="str")})
        return answers.plate_table(self.screen, self.answers, table)

    @cached_property
    def verdicts(self) -> list[Verdict]:
        """The quick verdicts on everything that the report shows; [] if there is no result."""
        options = self.given.options
        roots = [*map(Path, options.predict_root), *([Path(options.log_root)] if options.log_root else [])]
        present = [root for root in [*roots, *([self.audit_dir] if self.audit_dir else [])] if root.exists()]
        try:
            return check_results(present, source=as_source(self.given.data_root)) if present else []
        except UserError:
            return []

    @cached_property
    def runs(self) -> list[Run]:
        """The trainings; UserError if there are none."""
        if not self.given.options.log_root:
            raise UserError("no --log_root was given")
        return runs.read_runs(Path(self.given.options.log_root))
