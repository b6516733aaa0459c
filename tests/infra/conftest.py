"""Each stage is synthesised at most once a session, over empty zips: a template does not depend on what is in them."""

import copy
import zipfile
from collections.abc import Callable

import pytest

from infra.app import synthesise
from infra.build import functions
from infra.rules import Template
from infra.stage import STAGES

TemplateOf = Callable[[str], Template]


@pytest.fixture(scope="session")
def synthesised(tmp_path_factory: pytest.TempPathFactory) -> TemplateOf:
    """`synthesised("prod")` is the template of a stage; nobody may change it."""
    zips = tmp_path_factory.mktemp("zips")
    for name in ("layer", *functions()):
        with zipfile.ZipFile(zips / f"{name}.zip", "w") as archive:
            archive.writestr("name", name)
    made: dict[str, Template] = {}

    def of(stage: str) -> Template:
        if stage not in made:
            made[stage] = synthesise(STAGES[stage], zips=zips, outdir=str(tmp_path_factory.mktemp(stage)))
        return made[stage]

    return of


@pytest.fixture
def prod(synthesised: TemplateOf) -> Template:
    """A copy of the production template, to break."""
    return copy.deepcopy(synthesised("prod"))
