"""Whether the earlier stage that a training starts from is still a training of this screen."""

from collections.abc import Callable
from pathlib import Path

from rcic.errors import UserError
from rcic.files.names import CONFIG
from rcic.files.regular import is_there
from rcic.learn.config.settings import Config
from rcic.learn.runs.folder import init_path, run_state
from rcic.learn.runs.origin import Origin
from rcic.schema.convert import from_plain, read_yaml


def stale_start(config: Config, log_root: Path, origin_of: Callable[[Config], Origin]) -> str:
    """Return why the earlier stage's training was made from something else, "" if it was not or nobody can know.

    ``origin_of`` returns what a training of a config would be made from now. A checkpoint that the config names is the
    user's choice and not compared.
    """
    path = init_path(config, log_root)
    if path is None or config.init.checkpoint is not None or not is_there(path.parents[1] / CONFIG):
        return ""
    folder = path.parents[1]
    try:
        made_with = from_plain(Config, read_yaml(folder / CONFIG), str(folder / CONFIG))
        state = run_state(folder, made_with, origin_of(made_with))
    except UserError:
        return ""
    return f"{folder}: was trained with {state.words}; train it again with --force" if state.kind == "stale" else ""
