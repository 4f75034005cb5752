"""`rcic browse`: read the data once, then serve the page until Ctrl-C."""

import errno
import logging
import socket
import time
import webbrowser
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from rcic.browse.app import Browser, build_app
from rcic.browse.browse_options import BrowseOptions
from rcic.browse.catalogue import Catalogue
from rcic.browse.connections import web_server
from rcic.browse.decisions import no_decisions, read_decisions
from rcic.browse.guard import allowed_hosts, is_everywhere, is_local
from rcic.browse.nearest_wells import read_nearest
from rcic.browse.notes_file import NotesFile
from rcic.ensemble.ensemble_options import EnsembleOptions
from rcic.ensemble.scoring import known_truth
from rcic.errors import UserError
from rcic.pixels.audit.findings import Finding, Unaudited, read_findings
from rcic.pixels.images.no_images import NoImages
from rcic.pixels.packed.open_store import open_store
from rcic.screen.source import DataRoot, as_source
from rcic.screen.spec_files import resolve_spec
from rcic.screen.table import Screen, read_screen
from rcic.screen.well_notes import check_noted
from rcic.screen.work_dir import AUDIT_DIR, place_in

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BrowserSources:
    """The screen to show, and the options of the browser and the ensemble."""

    data_root: DataRoot
    options: BrowseOptions = field(default_factory=BrowseOptions)
    ensemble: EnsembleOptions = field(default_factory=EnsembleOptions)


def serve(sources: BrowserSources, host: str, port: int, open_page: bool) -> None:
    """Serve the page until Ctrl-C, which is raised as KeyboardInterrupt.

    Raises UserError for an unavailable port, before anything is read, and for unusable input.
    """
    listener = listen(host, port)
    with listener:
        began = time.perf_counter()
        app = build_app(gather(sources), allowed_hosts(host))
        url = url_of(host, listener.getsockname()[1])
        _log.info(f"{url}  (ready in {time.perf_counter() - began:.1f} s, stop with Ctrl-C)")
        if not is_local(host):
            may = "see the images and write notes" if sources.options.notes else "see the images"
            _log.info(f"anyone on the network can {may}; omit --host to allow this computer only")
        if open_page:
            webbrowser.open(url)
        web_server(app).run(sockets=[listener])


def gather(sources: BrowserSources) -> Browser:
    """Read the tables, predictions, embeddings and the audit's findings; UserError for unusable input."""
    notes = _notes(sources)
    used = read_screen(sources.data_root)
    screen = _with_flagged_wells(sources.data_root, used)
    store = NoImages(screen.root, screen.spec) if screen.spec.images.none else open_store(screen)
    findings, truth = _findings(sources.options.audit_dir, used), _truth(screen, sources.options.truth)
    nearest = (
        read_nearest(used, sources.options.embed_root, sources.options.embed_member, screen)
        if sources.options.embed_root
        else None
    )
    answers = no_decisions(len(screen.wells))
    if sources.options.predict_root:
        answers = read_decisions(screen, used, sources.options.predict_root, sources.ensemble)
    catalogue = Catalogue(
        screen=screen, truth=truth, answers=answers, findings=findings, min_margin=sources.options.min_margin
    )
    name = "/".join(screen.root.absolute().parts[-2:])
    if notes is not None:
        wells = zip(screen.wells["experiment"], screen.wells["plate"], screen.wells["well"], strict=True)
        known = {(experiment, screen.barcode(experiment, plate), well) for experiment, plate, well in wells}
        check_noted(notes.path, notes.all(), known)
    return Browser(catalogue=catalogue, store=store, nearest=nearest, name=name, notes=notes)


def listen(host: str, port: int) -> socket.socket:
    """Return a socket at an address of this machine (port 0: any free one); UserError if it is unavailable."""
    if not 0 <= port <= 65535:
        raise UserError(f"--port is {port}, must be from 1 to 65535")
    try:
        kind, _, _, _, address = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        raise UserError(f"--host {host}: no such address: {error}") from error
    listener = socket.socket(kind, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()  # from now on connections queue until the server is ready
    except OSError as error:
        listener.close()
        raise UserError(_refusal(host, port, error)) from error
    return listener


def url_of(host: str, port: int) -> str:
    """Return the page's URL for a browser on this machine."""
    name = "localhost" if is_everywhere(host) else host.strip("[]")
    return f"http://{f'[{name}]' if ':' in name else name}:{port}/"


def _refusal(host: str, port: int, error: OSError) -> str:
    """Return the reason why an address cannot be listened on, with a remedy."""
    if error.errno == errno.EADDRINUSE:
        return f"port {port} of {host} is in use by another program; choose another with --port"
    if error.errno == errno.EACCES:
        return f"port {port}: no permission; choose one above 1023 with --port"
    return f"--host {host}: not an address of this computer ({error.strerror})"


def _notes(sources: BrowserSources) -> NotesFile | None:
    """Return the file of notes, made if it is not there, before the screen that may name it is read."""
    root = Path(str(sources.data_root))
    if sources.options.notes is None or not root.is_dir():
        return None
    path = Path(sources.options.notes)
    spec = resolve_spec(root, as_source(sources.data_root).screen)
    file, skipped = NotesFile(path, spec), spec.well_types.skip_file
    if skipped is None or (root / skipped).resolve() != path.resolve():
        name = path.name if path.absolute().parent == root.absolute() else path.absolute()
        _log.info(f"{path}: flags are kept; well_types.skip_file: {name} in the screen spec leaves flagged wells out")
    return file


def _with_flagged_wells(data_root: DataRoot, used: Screen) -> Screen:
    """Return the screen with the wells that its notes leave out, which are to be seen and may be taken back.

    They are not shown where the screen has other classes with them: class numbers would no longer be those of results.
    """
    types = used.spec.well_types
    if types.skip_file is None:
        return used
    everything = read_screen(data_root, replace(used.spec, well_types=replace(types, skip_file=None)))
    if everything.classes == used.classes:
        return everything
    _log.info(f"flagged wells are not shown, as {used.root} has other classes without them")
    return used


def _findings(audit_dir: str, screen: Screen) -> pd.DataFrame:
    """Return the audit's findings; without an audit an empty table, with a message."""
    try:
        if screen.spec.images.none:
            raise Unaudited("the screen has profiles, no images")
        return read_findings(place_in(screen, audit_dir, AUDIT_DIR), screen)
    except Unaudited as reason:
        _log.info(f"bad images are not marked: {reason}")
        return pd.DataFrame(columns=list(Finding._fields))


def _truth(screen: Screen, path: str | None) -> np.ndarray:
    """Return every well's class, (N,) int64, -1 where unknown."""
    truth = screen.wells["label"].to_numpy().copy()
    if path is None and screen.truth is None:
        return truth
    tests = ((screen.wells["split"] == "test") & (screen.wells["well_type"] == "treatment")).to_numpy()
    truth[tests] = known_truth(screen, screen.wells[tests], path)
    return truth
