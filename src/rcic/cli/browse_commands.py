"""Look at a screen well by well in a web browser: ``rcic browse``."""

from rcic.browse.browse_options import BrowseOptions
from rcic.ensemble.ensemble_options import EnsembleOptions
from rcic.screen.source import ScreenSource


def browse(
    source: ScreenSource,
    options: BrowseOptions,
    ensemble: EnsembleOptions,
    host: str = "127.0.0.1",
    port: int = 8000,
    open: bool = False,
) -> None:
    """Serve a page on this computer: the plates, every well's images, answers and nearest wells. Ctrl-C ends it.

    Args:
        host: the address to listen on; with any other than this one the network can see the images.
        port: the port to listen on; 0 takes any that is free.
        open: open the page in a web browser.
    """
    from rcic.browse.serve import BrowserSources, serve

    serve(BrowserSources(source, options, ensemble), host, port, open)


COMMANDS = (browse,)
