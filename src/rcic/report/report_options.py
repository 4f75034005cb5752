"""Options of the report."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ReportOptions:
    """The inputs of the report; sections without input are left out.

    Attributes:
        log_root: the run folders of all stages, e.g. logs.
        predict_root: where predict-all wrote; several are compared, e.g. predictions/full,predictions/pseudo, and the
            last one gives the answers.
        truth: a CSV with id_code and label (titled as in the screen's tables, or sirna) of test wells; not needed
            where these have the labels.
        audit_dir: where data audit wrote; auto is audit in the screen's work folder.
        embed_root: where embed-all wrote.
        quality_images: the most images to read for brightness and focus by well; 0 reads none.
        map_wells: the most wells in the map of embeddings.
    """

    log_root: str = ""
    predict_root: tuple[str, ...] = ()
    truth: str | None = None
    audit_dir: str = "auto"
    embed_root: str = ""
    quality_images: int = 50_000
    map_wells: int = 2000
