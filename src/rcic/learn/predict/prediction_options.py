"""Flags of a prediction, shared by the commands predict-all and embed-all."""

from dataclasses import dataclass
from typing import Literal

from rcic.errors import UserError
from rcic.learn.config.rules import VIEWS, are_views
from rcic.learn.config.settings import Config, Precision, Predict
from rcic.schema.convert import from_plain


@dataclass(frozen=True)
class PredictionOptions:
    """Prediction.

    Raises UserError for a number that is too small, or views that a config does not allow.

    Attributes:
        device: auto takes a GPU if there is one.
        batch_size: sites a batch.
        workers: threads that read images ahead.
        at_once: networks in memory at the same time, which share one pass over the images; as many as fit if not given.
        drop_incomplete: leave out sites that lack a channel instead of stopping.
        tta: views to average, e.g. identity,hflip,rot90, instead of those of each training's config.
        audit_dir: the folder of the audit, whose bad images are not read; without an audit a warning is logged.
            auto is audit in the screen's work folder.
        by_site: of embed-all, keep the embeddings of single sites, too; predict-all always keeps sites.
        precision: auto, bf16 or fp32 instead of that of each training's config (predict.precision). If given as bf16
            or fp32, what was predicted in the other is predicted anew.
        compile: compile networks with running statistics by torch.compile, half a minute or more for an architecture.
    """

    device: Literal["auto", "cpu", "cuda"] = "auto"
    batch_size: int = 64
    workers: int = 0
    at_once: int | None = None
    drop_incomplete: bool = False
    tta: tuple[str, ...] = ()
    audit_dir: str | None = "auto"
    by_site: bool = False
    precision: Precision | None = None
    compile: bool = False

    def __post_init__(self) -> None:
        for flag, number, least in (("batch_size", self.batch_size, 1), ("workers", self.workers, 0)):
            if number < least:
                raise UserError(f"--{flag} is {number}, must be {least} or more")
        if self.at_once is not None and self.at_once < 1:
            raise UserError(f"--at_once is {self.at_once}, must be 1 or more")
        from_plain(Predict, {"tta": self.tta}, "--tta")
        if self.tta and not are_views(self.tta):
            raise UserError(f"--tta is {','.join(self.tta)}, {VIEWS}")

    def precision_of(self, config: Config) -> Precision:
        """Return the precision that is asked for a network of this config."""
        return self.precision or config.predict.precision
