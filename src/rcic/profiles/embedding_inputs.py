"""What is made from one network's embeddings depends on these inputs: the identity under which it is kept beside them.

``EMBED_ROOT/CHANNELS/FOLD/MODEL/kept_WHAT.npz`` (`rcic.files.kept`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rcic.ensemble.array_origin import read_origin
from rcic.files.checksums import Checksum
from rcic.files.kept import kept_record
from rcic.files.names import Member, embedding_files
from rcic.files.record import Record
from rcic.files.regular import is_there
from rcic.screen.identity import digest_of_wells
from rcic.screen.table import WELL_COLUMNS, Screen


@dataclass(frozen=True, eq=False)
class EmbeddingInputs:
    """One member's embeddings of those ``splits`` that are there, the wells of the screen, and the ``settings``."""

    screen: Screen
    root: Path  # of the embeddings
    member: Member
    splits: Sequence[str]
    settings: Mapping[str, Any]  # plain values

    @property
    def folder(self) -> Path:
        """The folder of the member."""
        return self.root / self.member.folder

    def record(self, checksum: Checksum) -> Record:
        """Return the record of what is made from these inputs as they are now, without files.

        Raises as `rcic.ensemble.array_origin.read_origin`.
        """
        made_from = {
            "contents": {split: self._content(split, checksum) for split in self.splits if self._is_there(split)},
            "classes": list(self.screen.identity.classes),
            "wells": digest_of_wells(self.screen.wells, WELL_COLUMNS),
        }
        return kept_record(made_from, self.settings)

    def path(self, what: str) -> Path:
        """Return where the record of ``what`` is kept."""
        return self.folder / f"kept_{what}.json"

    def _is_there(self, split: str) -> bool:
        return is_there(embedding_files(self.folder, split)["embeddings"])

    def _content(self, split: str, checksum: Checksum) -> list[str]:
        """Return the network of a split's embeddings and the checksums of their files."""
        files = embedding_files(self.folder, split)
        record = read_origin(files, "embedding", self.screen, ("embeddings", "wells"), checksum)
        network = "" if record is None else str(record.facts.get("network", ""))
        return [network, *(checksum(files[name]) for name in ("embeddings", "wells") if is_there(files[name]))]
