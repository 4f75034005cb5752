"""The record of an HTML page, in a comment at its end."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

from rcic.files.atomic import whole
from rcic.files.record import Record, record_of_values, with_command
from rcic.files.regular import read_regular
from rcic.files.sealed_json import Unsound, opened, sealed

_COMMENT = "<!-- rcic record "


def write_page(path: Path, text: str, record: Record) -> None:
    """Write the text of an HTML page, with its record and the text's checksum in a comment at its end."""
    digest = hashlib.sha256(text.encode()).hexdigest()
    content = sealed({**asdict(with_command(record)), "page": digest}).replace("--", "-\\u002d")
    with whole(path) as temporary:
        temporary.write_text(f"{text}\n{_COMMENT}{content}-->\n", encoding="utf-8")


def read_page(path: Path) -> Record | None:
    """Return the record in a page that `write_page` wrote, None for another one. Raises Unsound if it was changed."""
    page = read_regular(path).decode("utf-8", errors="replace")
    text, mark, comment = page.rpartition("\n" + _COMMENT)
    if not mark:
        return None
    content = opened(path, json.loads(comment.removesuffix("-->\n")))
    if content["page"] != hashlib.sha256(text.encode()).hexdigest():
        raise Unsound(f"{path}: the page was changed or damaged")
    return record_of_values(content)
