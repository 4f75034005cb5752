"""Options of the well browser."""

from dataclasses import dataclass


@dataclass(frozen=True)
class BrowseOptions:
    """The inputs of the browser; parts without input are left out.

    Attributes:
        predict_root: where predict-all wrote.
        embed_root: where embed-all wrote.
        embed_member: the folder below EMBED_ROOT whose embeddings are compared, e.g. [1,2,3,4,5]/fold_0/NAME.
        truth: a CSV with id_code and label (titled as in the screen's tables, or sirna) of test wells; not needed
            where these have the labels.
        audit_dir: where data audit wrote; auto is audit in the screen's work folder. Without an audit bad images are
            not marked.
        notes: a CSV file for flags and notes on wells, made if it is not there; well_types.skip_file of the screen spec
            leaves the flagged wells out.
        min_margin: nats; an answer with a smaller margin over the next allowed one is shown as unsure.
    """

    predict_root: str | None = None
    embed_root: str | None = None
    embed_member: str | None = None
    truth: str | None = None
    audit_dir: str = "auto"
    notes: str | None = None
    min_margin: float = 1.0
