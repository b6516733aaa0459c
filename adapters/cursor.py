"""Opaque cursors: where the page before ended, checked when they come back."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode

from domain.errors import Fault, InvalidRequest


def write_cursor(place: str) -> str:
    return urlsafe_b64encode(place.encode()).decode()


def read_cursor(cursor: str | None, form: re.Pattern[str]) -> str | None:
    """The place in `cursor`, of the given form. Raises InvalidRequest for a cursor that no page gave."""
    if cursor is None:
        return None
    try:
        place = urlsafe_b64decode(cursor.encode()).decode()
    except ValueError:
        place = ""
    if not form.fullmatch(place):
        raise InvalidRequest(Fault("query:cursor", "as `next` of the page before gave it"))
    return place
