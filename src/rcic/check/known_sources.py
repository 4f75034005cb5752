"""What results are compared with: screens, their pixels and the tables of trainings, each read once."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rcic.check.changed_pixels import read_pixels
from rcic.errors import UserError
from rcic.files.names import CONFIG
from rcic.files.record import Record
from rcic.learn.config.settings import Config
from rcic.learn.data.audit_policy import audit_of_training
from rcic.learn.data.stage_table import StageTable, stage_table
from rcic.learn.data.training_origin import training_origin
from rcic.learn.runs.folder import init_path, weights_path
from rcic.learn.runs.origin import Origin
from rcic.pixels.audit.findings import Audit
from rcic.pixels.audit.pixel_states import pixel_states
from rcic.pixels.images.pixel_state import PlatePixels
from rcic.schema.convert import from_plain, read_yaml
from rcic.screen.source import ScreenSource
from rcic.screen.table import Screen, read_screen


@dataclass(eq=False)
class KnownSources:
    """The present state of what results were made from.

    ``given`` is the screen to compare with; without one it is that of each result's record. ``full``: the images are
    compared, too.
    """

    given: ScreenSource | None = None
    full: bool = False
    _screens: dict[ScreenSource, Screen] = field(default_factory=dict)
    _pixels: dict[tuple[Path, str | None, bool], PlatePixels] = field(default_factory=dict)
    _audits: dict[tuple[Path, str, str], Audit | UserError | None] = field(default_factory=dict)
    _tables: dict[tuple[Path, Config], StageTable] = field(default_factory=dict)

    def screen(self, record: Record) -> Screen | None:
        """Return the screen of a record, None if it names none. Raises UserError for one that cannot be read."""
        root, spec = record.facts.get("data_root"), record.facts.get("screen_spec")
        source = self.given or (None if root is None else ScreenSource(str(root), spec))
        if source is None:
            return None
        if source not in self._screens:
            self._screens[source] = read_screen(source)
        return self._screens[source]

    def pixels(self, screen: Screen, then: PlatePixels) -> PlatePixels:
        """Return the identities of a screen's pixels, {} unless they are to be compared with ``then``.

        Where ``then`` knows pixels every image is read, once for all results; else names and sizes are compared.
        """
        are_read = any(state["pixels"] for state in then.values())
        key = screen.root, screen.spec_file, are_read
        if self.full and key not in self._pixels:
            self._pixels[key] = read_pixels(screen) if are_read else pixel_states(screen)
        return self._pixels.get(key, {})

    def training(self, folder: Path, screen: Screen, log_root: Path, then: PlatePixels) -> Origin:
        """Return what the training of a run folder would be made from now; ``then`` are the pixels that it knew.

        Raises UserError for tables that it lacks.
        """
        config = from_plain(Config, read_yaml(folder / CONFIG), str(folder / CONFIG))
        audit = self._audit(config, screen)
        key = screen.root, Config(stage=config.stage, data=replace(config.data, channels=(1,)), train=config.train)
        if key not in self._tables:
            self._tables[key] = stage_table(screen, config)
        origin = training_origin(config, screen, self._tables[key], self.pixels(screen, then), audit)
        return origin.with_start(init_path(config, log_root) or weights_path(config))

    def _audit(self, config: Config, screen: Screen) -> Audit | None:
        """Return the audit of a training, each read once. Raises UserError as `audit_of_training`."""
        key = screen.root, config.data.audit, config.data.audit_dir
        if key not in self._audits:
            try:
                self._audits[key] = audit_of_training(config, screen)
            except UserError as error:
                self._audits[key] = error
        if isinstance(found := self._audits[key], UserError):
            raise found
        return found


def compared(origin: Origin) -> dict[str, Any]:
    """Return the values of an origin without those that are empty because they were not asked for."""
    return {name: value for name, value in origin.values.items() if name != "pixels" or value}
