"""A function's settings, read once from its environment."""

import os
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

T = TypeVar("T")


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
