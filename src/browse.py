"""Look at a screen well by well: ``python src/browse.py --data_root DIR``."""

from rcic.cli import main as cli


def browse(
    data_root: str,
    predict_root: str | None = None,
    embed_root: str | None = None,
    truth: str | None = None,
    audit_dir: str = "csv/audit",
    host: str = "127.0.0.1",
    port: int = 8000,
    open: bool = False,
    model_names: tuple[str, ...] = (),
    weights: tuple[float, ...] = (),
    calibration: str | None = None,
    sinkhorn: bool = False,
    min_margin: float = 1.0,
    embed_member: str | None = None,
) -> None:
    """Serve a page on this computer: the plates, every well's images, answers and nearest wells. Ctrl-C ends it.

    Args:
        data_root: the folder with the screen's CSV files and images, PNGs or packed.
        predict_root: where predict-all wrote.
        embed_root: where embed-all wrote.
        truth: a CSV with id_code,sirna of test wells; not needed where the screen's own tables tell.
        audit_dir: where data.py audit wrote; without an audit no well is marked as having a bad image.
        host: the address to listen on; with any other than this one the network can see the images.
        port: the port to listen on; 0 takes any that is free.
        open: open the page in a web browser.
        model_names: only these models, e.g. a,b (NAME@: all of NAME's cell types); all if not given.
        weights: one a model, e.g. 2,1.
        calibration: the file that calibrate wrote.
        sinkhorn: balance each plate before the assignment.
        min_margin: nats; an answer that beats the next allowed one by less is shown as unsure.
        embed_member: the folder below EMBED_ROOT whose embeddings are compared, e.g. [1,2,3,4,5]/fold_0/NAME.
    """
    from rcic.browse.serve import Sources, serve
    from rcic.ensemble.predictions import Ensemble

    ensemble = Ensemble(model_names, weights, calibration, sinkhorn)
    sources = Sources(data_root, predict_root, embed_root, truth, audit_dir, ensemble, min_margin, embed_member)
    serve(sources, host, port, open)


if __name__ == "__main__":
    cli.main({"browse": browse})
