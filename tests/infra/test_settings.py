"""Contract: every function is given each setting that it reads, and no other."""

import copy
import importlib
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import pytest

from adapters.environment import read, variable
from infra.rules import Template, of_type, text
from infra.stage import STAGES
from tests.infra.conftest import TemplateOf


def settings_of(handler: str) -> type[Any]:
    """`Settings` of the handler's package, or `<Name>Settings` where a package has several handlers."""
    package, _, name = handler.rpartition(".handler.")
    settings = importlib.import_module(f"{package}.settings")
    found: type[Any] = settings.Settings if name == "handle" else getattr(settings, f"{name.title()}Settings")
    return found


def unlike(handler: str, given: dict[str, Any], settings: type[Any]) -> Iterator[str]:
    """What the function reads and is not given, or is given and does not read."""
    reads = {variable(field.name) for field in fields(settings)}
    gets = {name for name in given if name.startswith("PMA_")}
    yield from (f"{handler} reads {name}, which the stack does not give" for name in sorted(reads - gets))
    yield from (f"{handler} is given {name}, which it does not read" for name in sorted(gets - reads))


def given(template: Template) -> Iterator[tuple[str, dict[str, Any]]]:
    for _, function in of_type(template, "AWS::Lambda::Function"):
        yield function["Handler"], function["Environment"]["Variables"]


@pytest.mark.parametrize("stage", STAGES)
def test_every_function_is_given_each_setting_that_it_reads(synthesised: TemplateOf, stage: str) -> None:
    found = [
        one
        for handler, variables in given(synthesised(stage))
        for one in unlike(handler, variables, settings_of(handler))
    ]
    assert found == []


@pytest.mark.parametrize("stage", STAGES)
def test_every_value_is_of_the_settings_type(synthesised: TemplateOf, stage: str) -> None:
    for handler, variables in given(synthesised(stage)):
        read(settings_of(handler), {name: text(value) for name, value in variables.items()})


def test_a_setting_that_is_read_and_not_given_is_found(synthesised: TemplateOf) -> None:
    handler, variables = next(given(copy.deepcopy(synthesised("prod"))))
    missing, *_ = (name for name in variables if name.startswith("PMA_"))
    del variables[missing]
    assert list(unlike(handler, variables, settings_of(handler))) == [
        f"{handler} reads {missing}, which the stack does not give"
    ]


def test_a_setting_that_is_given_and_not_read_is_found() -> None:
    @dataclass(frozen=True)
    class Settings:
        known_table: str

    assert list(unlike("f", {"PMA_KNOWN_TABLE": "", "PMA_OLD_TABLE": "", "POWERTOOLS_SERVICE_NAME": ""}, Settings)) == [
        "f is given PMA_OLD_TABLE, which it does not read"
    ]
