"""Messages of the library on the console: progress notes on stdout, warnings on stderr, one line each."""

import logging
import sys


class ConsoleHandler(logging.Handler):
    """Writes a record's message as it is. A closed or full standard output raises here, as it does for ``print``."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write the message above any progress bar, and at once."""
        file = sys.stderr if record.levelno >= logging.WARNING else sys.stdout
        if (bars := sys.modules.get("tqdm")) is not None:
            bars.tqdm.write(self.format(record), file=file)
        else:
            file.write(self.format(record) + "\n")
        file.flush()


def show_messages() -> None:
    """Send what the package logs to the console; a second call changes nothing."""
    logger = logging.getLogger("rcic")
    if not any(isinstance(handler, ConsoleHandler) for handler in logger.handlers):
        logger.addHandler(ConsoleHandler())
    logger.setLevel(logging.INFO)
    logger.propagate = False
