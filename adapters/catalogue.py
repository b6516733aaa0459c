"""The catalogue: data files beside the code, read once a process and checked as they are read."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Protocol, TypeVar

from domain.errors import InvalidRequest
from domain.profile import DeviceProfile

CATALOGUE = Path(__file__).resolve().parent.parent / "catalogue"


class Named(Protocol):
    @property
    def id(self) -> str: ...


N = TypeVar("N", bound=Named)


class BrokenCatalogue(RuntimeError):
    """A file of the catalogue does not say what its folder is for."""


def load(folder: str, parse: Callable[[bytes], N], *, root: Path = CATALOGUE) -> dict[str, N]:
    """`{id: what parse makes of it}` of every file of a folder of the catalogue; `parse` raises ValueError
    or InvalidRequest.

    Raises BrokenCatalogue naming the file.
    """
    found = {}
    for path in sorted((root / folder).glob("*.json")):
        try:
            one = parse(path.read_bytes())
        except (ValueError, InvalidRequest) as error:
            raise BrokenCatalogue(f"{folder}/{path.name}: {error}") from error
        if one.id != path.stem:
            raise BrokenCatalogue(f"{folder}/{path.name}: its id is not its name")
        found[one.id] = one
    return found


@cache
def profiles() -> dict[str, DeviceProfile]:
    """`{id: DeviceProfile}` of all devices and gateways."""
    return load("devices", DeviceProfile.model_validate_json)
