"""Which plate each plane of the indexes belongs to: no two may have one."""

from rcic.pixels.images.plane_table import PlaneTable


class PlaneOwners:
    """The planes of plates whose indexes list files in the same folders; of other plates only the folders are kept."""

    def __init__(self) -> None:
        self._folders: dict[str, tuple[str, PlaneTable, int]] = {}  # folder -> its first plate
        self._planes: dict[tuple[str, int], str] = {}  # file, page -> plate, where plates share a folder
        self._entered: set[str] = set()  # plates whose planes are in it

    def claim(self, plate: str, table: PlaneTable, code: int) -> tuple[str, int, str] | None:
        """Note the planes of a plate; return the first that another plate has: file, page, and that plate."""
        shared = []
        for folder in table.folders(code):
            first = self._folders.setdefault(folder, (plate, table, code))
            if first[0] != plate and first[1:] != (table, code):  # one part of one index is told by check_indexes
                shared.append(first)
        clash = None
        for first in [*shared, (plate, table, code)] if shared else ():
            clash = self._enter(*first) or clash
        return clash

    def _enter(self, plate: str, table: PlaneTable, code: int) -> tuple[str, int, str] | None:
        if plate in self._entered:
            return None
        self._entered.add(plate)
        for key in table.planes_of_plate(code):
            if (other := self._planes.setdefault(key, plate)) != plate:
                return (*key, other)
        return None
