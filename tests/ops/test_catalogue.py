"""The table of units is what its generator makes of today's library."""

from ops.catalogue import UNITS, rendered


def test_the_table_of_units_is_as_generated() -> None:
    assert UNITS.read_text(encoding="utf-8") == rendered()
