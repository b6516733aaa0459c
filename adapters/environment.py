"""What a function does once, before its first batch: read its settings, and set what its start made aside."""

import gc
import os
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

T = TypeVar("T")

_OBJECTS_A_COLLECTION = 50_000
"""A batch makes fewer, and they go with it: looking for cycles among them at every 700th was a fifth of its CPU."""


class MissingSetting(RuntimeError):
    """The stack gave the function no value for a setting that it reads."""


def variable(field: str) -> str:
    """The environment variable of a setting: `observations_table` is `PMA_OBSERVATIONS_TABLE`."""
    return f"PMA_{field.upper()}"


def read(settings: type[T], environ: Mapping[str, str] = os.environ) -> T:
    """Fill the frozen dataclass `settings` (fields of type str or int) from `environ`.

    Raises MissingSetting naming every variable that is absent, and ValueError for an int that is none.
    """
    wanted: dict[str, Any] = {field.name: field.type for field in fields(settings)}  # type: ignore[arg-type]
    missing = [variable(name) for name in wanted if variable(name) not in environ]
    if missing:
        raise MissingSetting(f"{settings.__module__} needs {', '.join(missing)}: see the function's construct in infra")
    return settings(
        **{
            name: int(environ[variable(name)]) if kind is int else environ[variable(name)]
            for name, kind in wanted.items()
        }
    )


def settle() -> None:
    """What the start made lives as long as the process: the garbage collector need not look at it again."""
    gc.freeze()
    gc.set_threshold(_OBJECTS_A_COLLECTION)
