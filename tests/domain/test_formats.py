"""The topic says which format a message is of."""

import pytest

from domain.errors import UnknownFormat
from domain.formats import decode
from tests.builders import SERIAL, an_arrival


def test_readings_are_read() -> None:
    assert len(decode(an_arrival(), {}).readings) == 1


@pytest.mark.parametrize(
    "topic", [f"dt/pma/{SERIAL}/{name}" for name in ("other", "")] + [f"dt/pma/{SERIAL}", "dt", ""]
)
def test_a_format_of_a_topic_that_is_not_read(topic: str) -> None:
    with pytest.raises(UnknownFormat):
        decode(an_arrival(topic=topic), {})
