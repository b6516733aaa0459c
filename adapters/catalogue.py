"""The catalogue: data files beside the code, read once a process and checked as they are read."""

from functools import cache
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from domain.profile import DeviceProfile

CATALOGUE = Path(__file__).resolve().parent.parent / "catalogue"

M = TypeVar("M", bound=BaseModel)


class BrokenCatalogue(RuntimeError):
    """A file of the catalogue does not say what its folder is for."""


def load(folder: str, model: type[M], *, root: Path = CATALOGUE) -> dict[str, M]:
    """`{id: model}` of every file of a folder of the catalogue. Raises BrokenCatalogue naming the file."""
    found = {}
    for path in sorted((root / folder).glob("*.json")):
        try:
            one = model.model_validate_json(path.read_bytes())
        except ValidationError as error:
            raise BrokenCatalogue(f"{folder}/{path.name}: {error}") from error
        if getattr(one, "id", None) != path.stem:
            raise BrokenCatalogue(f"{folder}/{path.name}: its id is not its name")
        found[path.stem] = one
    return found


@cache
def profiles() -> dict[str, DeviceProfile]:
    """`{id: DeviceProfile}` of all devices and gateways."""
    return load("devices", DeviceProfile)
