"""Elements of an instrument's XML file, one after another, without entities or document types."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from rcic.errors import UserError, brief
from rcic.files.regular import open_regular, read_error

_STEP = 2**20  # bytes parsed together


@dataclass
class XmlRecord:
    """An element with what is in it. Names have no namespaces: instruments change those with every version.

    Attributes:
        name: name of the element.
        namespace: its namespace, "" if it has none.
        attributes: name -> value.
        text: the text before its first child, without blanks at the ends.
        children: the elements in it, in order.
    """

    name: str
    namespace: str = ""
    attributes: dict[str, str] = field(default_factory=dict)
    text: str = ""
    children: list["XmlRecord"] = field(default_factory=list)

    def child_text(self, name: str) -> str:
        """Return the text of the first child of a name, "" if there is none."""
        return next((child.text for child in self.children if child.name == name), "")


class _Handler:
    """What expat calls; ``done`` gets the root, without its children, and every whole element of a wanted name."""

    def __init__(self, path: Path, wanted: Collection[str]) -> None:
        self._path, self._wanted = path, wanted
        self._open: list[XmlRecord] = []
        self._seen_root = False
        self.done: list[XmlRecord] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        space, _, local = name.rpartition(" ")
        record = XmlRecord(local, space, {key.rpartition(" ")[2]: value for key, value in attributes.items()})
        if not self._seen_root:
            self._seen_root = True
            self.done.append(record)
        elif self._open or local in self._wanted:
            if self._open:
                self._open[-1].children.append(record)
            self._open.append(record)

    def end(self, _: str) -> None:
        if self._open:
            record = self._open.pop()
            record.text = record.text.strip()
            if not self._open:
                self.done.append(record)

    def characters(self, text: str) -> None:
        if self._open and not self._open[-1].children:
            self._open[-1].text += text

    def refuse(self, *_: object) -> None:
        raise UserError(f"{self._path}: has a document type, as no instrument writes; copy the file again from there")


def xml_records(path: Path, wanted: Collection[str]) -> Iterator[XmlRecord]:
    """Yield the root of an XML file, without its children, then every outermost element of a ``wanted`` name.

    The file is never in memory as a whole. Raises UserError if it is missing, cut off, no XML, or has a document type,
    which could define entities; errors of the system as `rcic.files.regular.open_regular` does.
    """
    parser = expat.ParserCreate(namespace_separator=" ")
    handler = _Handler(path, wanted)
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = handler.start, handler.end
    parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = handler.characters, handler.refuse
    try:
        with open_regular(path) as file:
            while block := file.read(_STEP):
                parser.Parse(block, False)
                yield from _taken(handler)
            parser.Parse(b"", True)
            yield from _taken(handler)
    except expat.ExpatError as error:
        raise UserError(f"{path}: is no whole XML file ({brief(str(error))}); copy it again") from None
    except FileNotFoundError:
        raise UserError(f"{path}: the file is missing") from None
    except OSError as error:
        raise read_error(path, error) from error


def _taken(handler: _Handler) -> list[XmlRecord]:
    """Return the finished elements and forget them."""
    done, handler.done = handler.done, []
    return done
