"""The web application. A request names a well, which is looked up in the tables; no request contains a path.

::

    /                                                      the page
    /static/NAME                                           its style and scripts
    /api/screen                                            the screen's facts
    /api/plate?experiment&plate                            a plate's wells
    /api/well?experiment&plate&well[&show]                 a well, and its neighbours in a filter
    /api/nearest?experiment&plate&well                     the wells nearest by embedding
    /api/contrast?experiment&plate                         a plate's black and white points, by channel
    /image?experiment&plate&well&site&channel[&size]       one channel of a site, a greyscale PNG
    /thumb?experiment&plate&well&site&size                 all channels of a site, small, one below the other
    POST /api/note                                         a well's flag and note, if --notes was given

Errors are JSON, ``{"error": ...}``: 400 for a malformed request, 403 for a note that another site sends, 404 for an
unknown well or a missing image, 409 for a note on a note that was changed meanwhile, 422 for an unusable image or file.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from rcic.browse.catalogue import FILTERS, Catalogue
from rcic.browse.guard import HEADERS, SafeHeaders, is_own_post
from rcic.browse.nearest_wells import Nearest
from rcic.browse.notebook import Notebook, posted
from rcic.browse.notes_file import NotesFile
from rcic.browse.plate_thumbs import THUMB_SIZES, PlateImages
from rcic.browse.site_png import SIZES, site_png
from rcic.browse.views import nearest_view, plate_view, screen_view, well_view
from rcic.errors import UserError
from rcic.pixels.images.image import BadImage
from rcic.pixels.images.sites import Site
from rcic.pixels.images.store import Store

FULL_WIDTH, ABSENT_CHANNELS = "Full-Width", "Absent-Channels"  # headers: of the image in pixels; of a small one
STATIC = Path(__file__).with_name("static")
_ABSENT = ("missing", "left-out")  # kinds of images that do not exist


@dataclass(frozen=True, eq=False)
class Browser:
    """The data of the page, and the handlers of its requests."""

    catalogue: Catalogue
    store: Store
    nearest: Nearest | None
    name: str  # of the screen
    notes: NotesFile | None = None

    def screen(self, request: Request) -> Response:  # noqa: ARG002
        """Return the screen's facts."""
        return JSONResponse(self._facts)

    @cached_property
    def _facts(self) -> dict[str, Any]:
        return screen_view(self.catalogue, self.nearest, self.name) | {"notes": self.notes is not None}

    @cached_property
    def _small(self) -> PlateImages:
        return PlateImages(self.store)

    @cached_property
    def _notes(self) -> Notebook:
        return Notebook(self.catalogue, self.notes)

    def plate(self, request: Request) -> Response:
        """Return a plate's wells."""
        experiment, plate = self._plate(request)
        notes = self._notes.of_plate(experiment, plate)
        return JSONResponse({**plate_view(self.catalogue, experiment, plate), "notes": notes})

    def contrast(self, request: Request) -> Response:
        """Return the black and white points of a plate's channels."""
        plate, first = self._plate(request), self.catalogue.screen.spec.sites[0]
        sites = [self._site(row, first) for row in self.catalogue.plates[plate].values()]
        return JSONResponse({"limits": self._small.limits(plate, sites)})

    def well(self, request: Request) -> Response:
        """Return the facts of a well."""
        chosen = request.query_params.get("show", FILTERS[0])
        if chosen not in FILTERS:
            raise HTTPException(400, f"show must be one of {', '.join(FILTERS)}")
        row = self._row(request)
        return JSONResponse({**well_view(self.catalogue, row, chosen), "note": self._notes.of(row)})

    async def write_note(self, request: Request) -> Response:
        """Write a well's flag and note."""
        if not is_own_post(request):
            raise HTTPException(403, "only the page itself may write notes")
        return await run_in_threadpool(self._notes.write, await posted(request))

    def near(self, request: Request) -> Response:
        """Return the wells nearest to a well."""
        if self.nearest is None:
            raise HTTPException(404, "no embeddings were given (--embed_root)")
        return JSONResponse(nearest_view(self.catalogue, self.nearest, self._row(request)))

    def image(self, request: Request) -> Response:
        """Return one channel of a site as a PNG."""
        row, spec = self._row(request), self.catalogue.screen.spec
        site, channel = _number(request, "site"), _number(request, "channel")
        if site not in spec.sites or channel not in spec.channel_numbers:
            raise HTTPException(404, f"there is no channel {channel} of a site {site}")
        size = _number(request, "size") if "size" in request.query_params else None
        if size is not None and not SIZES[0] <= size <= SIZES[1]:
            raise HTTPException(400, f"size must be a number of pixels from {SIZES[0]} to {SIZES[1]}")
        return self._png(self._site(row, site), channel, size)

    def thumb(self, request: Request) -> Response:
        """Return all channels of a site as one small PNG; the header names those without an image."""
        row, site, size = self._row(request), _number(request, "site"), _number(request, "size")
        if site not in self.catalogue.screen.spec.sites:
            raise HTTPException(404, f"there is no site {site}")
        if not THUMB_SIZES[0] <= size <= THUMB_SIZES[1]:
            raise HTTPException(400, f"size must be a number of pixels from {THUMB_SIZES[0]} to {THUMB_SIZES[1]}")
        made = self._small.thumb(self._site(row, site), size)
        return Response(made.png, media_type="image/png", headers={ABSENT_CHANNELS: ",".join(map(str, made.absent))})

    def _site(self, row: int, site: int) -> Site:
        well = self.catalogue.columns
        return Site(well["split"][row], well["experiment"][row], well["plate"][row], well["well"][row], site)

    def _plate(self, request: Request) -> tuple[str, int]:
        """Return the plate that a request names; HTTPException 404 if there is none."""
        experiment, plate = _text(request, "experiment"), _number(request, "plate")
        if (experiment, plate) not in self.catalogue.plates:
            raise HTTPException(404, f"there is no plate {plate} in experiment {experiment}")
        return experiment, plate

    def _png(self, site: Site, channel: int, size: int | None) -> Response:
        try:
            image = site_png(self.store, site, channel, size)
            headers = {FULL_WIDTH: str(self.store.shape(site, channel)[1])} if self.store.spec.images.pixel_um else None
            return Response(image, media_type="image/png", headers=headers)
        except BadImage as error:
            content = {"error": error.reason, "kind": error.kind}
            return JSONResponse(content, 404 if error.kind in _ABSENT else 422)
        except (UserError, OSError) as error:
            return JSONResponse({"error": str(error).replace(f"{self.store.root}/", ""), "kind": "unreadable"}, 422)

    def _row(self, request: Request) -> int:
        """Return the row of the well that a request names; HTTPException 404 if there is none."""
        experiment, plate, well = _text(request, "experiment"), _number(request, "plate"), _text(request, "well")
        if (row := self.catalogue.row(experiment, plate, well)) is None:
            raise HTTPException(404, f"there is no well {well} on plate {plate} of {experiment}")
        return row


def build_app(browser: Browser, hosts: Sequence[str]) -> Starlette:
    """Return the application for requests addressed to one of ``hosts``."""
    routes = [
        Route("/", _page, methods=["GET"]),
        Route("/api/screen", browser.screen, methods=["GET"]),
        Route("/api/plate", browser.plate, methods=["GET"]),
        Route("/api/well", browser.well, methods=["GET"]),
        Route("/api/nearest", browser.near, methods=["GET"]),
        Route("/api/contrast", browser.contrast, methods=["GET"]),
        Route("/image", browser.image, methods=["GET"]),
        Route("/thumb", browser.thumb, methods=["GET"]),
        *([Route("/api/note", browser.write_note, methods=["POST"])] if browser.notes is not None else []),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]
    guards = [Middleware(SafeHeaders), Middleware(TrustedHostMiddleware, list(hosts), www_redirect=False)]
    return Starlette(
        routes=routes, middleware=guards, exception_handlers={HTTPException: _http_error, Exception: _failed}
    )


def _page(request: Request) -> Response:  # noqa: ARG001
    return FileResponse(STATIC / "index.html", media_type="text/html; charset=utf-8")


def _http_error(request: Request, error: Exception) -> Response:  # noqa: ARG001
    """Return an HTTP error as JSON."""
    code, detail, headers = error.status_code, error.detail, error.headers  # type: ignore[attr-defined]
    content: dict[str, Any] = {"error": detail}
    return JSONResponse(content, code, headers)


def _failed(request: Request, error: Exception) -> Response:  # noqa: ARG001
    """Return an internal error as JSON; its traceback is printed in the terminal."""
    return JSONResponse({"error": "internal error; see the terminal in which the program runs"}, 500, HEADERS)


def _text(request: Request, name: str) -> str:
    if name not in request.query_params:
        raise HTTPException(400, f"{name} is missing")
    return request.query_params[name]


def _number(request: Request, name: str) -> int:
    text = _text(request, name)
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise HTTPException(400, f"{name} is not a whole number")
    return int(text)
