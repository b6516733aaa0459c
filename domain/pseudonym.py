"""What names a person, and so has no place in an id or in a free text (P1, R87).

An id is judged strictly: the hospital makes it, and can make another. A text for people is judged by what marks a name
or a number in it; a dictionary of names would refuse doctors their own words.
"""

import re
from collections.abc import Iterable

_NEUTRAL = frozenset(
    re.findall(
        r"\w+",
        "actor app assistant attending bot call cardiologist care case centre clinic clinician coordinator demo device "
        "dispatcher doc doctor duty endocrinologist head midwife mis night nurse obstetrician on operator paramedic "
        "participant patient person physician probe pseudonym record shift staff subject system team test therapist "
        "user ward",
    )
)
"""Words that say what an id is of, not who."""

_VOWEL = re.compile(r"[aeiouy]", re.IGNORECASE)
_PARTS = re.compile(r"[._-]+")
_HEXADECIMAL = re.compile(r"[0-9a-f]{8,}|[0-9A-F]{8,}")
_UUID = re.compile(r"[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}", re.IGNORECASE)
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
_CODE = 3
"""Capital letters, up to so many, are a code as in `KZN-0017`."""

_DIGITS = re.compile(r"\d(?:[ ._()-]{0,2}\d){8,}")
_INSURANCE = (
    re.compile(r"(?<!\d)\d{3}[ ._-]\d{3}[ ._-]\d{3}[ ._-]\d{2}(?!\d)"),  # SNILS
    re.compile(r"(?<!\d)\d{3}[ ._-]\d{2}[ ._-]\d{4}(?!\d)"),  # SSN
    re.compile(r"(?<!\d)(?:\d{4}[ ._-]?){3}\d{4}(?!\d)"),  # OMS
)
_INSURANCE_OR_PHONE = (
    re.compile(r"(?<!\d)\d{3}[ ._-]?\d{3}[ ._-]?\d{4}(?!\d)"),  # NHS
    re.compile(r"(?<!\d)\d{11}(?!\d)"),  # SNILS
)
_NUMBER = "a phone or insurance number"
_EMAIL = re.compile(r"[^\s@]+@[^\s@]+\.\w", re.UNICODE)

_UPPER, _LOWER = "A-ZÀ-ÞА-ЯЁ", "a-zß-ÿа-яё"
_NAME = f"[{_UPPER}][{_LOWER}]+(?:-[{_UPPER}][{_LOWER}]+)?"
_INITIAL = rf"[{_UPPER}]\."
_MARKED = (
    re.compile(rf"\b{_NAME},? {_INITIAL}"),
    re.compile(rf"\b{_INITIAL} ?(?:{_INITIAL} ?)?{_NAME}"),
    re.compile(rf"\b(?:Mr|Mrs|Ms|Miss|Dr|Herr|Frau|Г-н|Г-жа|г-н|г-жа|гр\.)\.? {_NAME}"),
    re.compile(rf"\b[{_UPPER}][{_LOWER}]+(?:ович|евич|ьич)(?:а|у|ем|е)?\b"),
    re.compile(rf"\b{_NAME} [{_UPPER}][{_LOWER}]+(?:овн|евн|ичн|иничн)(?:а|ы|е|у|ой)\b"),
    re.compile(rf"(?i:\bname(?:d| is)|\bзовут|\bфамилия|\bимя) (?:\w+ )?{_NAME}"),
)
_PAIR = re.compile(rf"\b{_NAME} {_NAME}\b")


def in_token(token: str) -> str | None:
    """What an id reads like that names a person; None when it is a pseudonym.

    >>> in_token("S-7F3A"), in_token("ivanov-1956")
    (None, 'a name')
    """
    if _UUID.fullmatch(token):
        return None
    if _DIGITS.fullmatch(token) or _any(_INSURANCE, token) or _any(_INSURANCE_OR_PHONE, token):
        return _NUMBER
    return "a name" if any(_is_name(part) for part in _PARTS.split(token)) else None


def _is_name(part: str) -> bool:
    letters = part.strip("0123456789")
    words = _WORD.findall(letters)
    if _HEXADECIMAL.fullmatch(part) or not letters.isalpha() or not _VOWEL.search(letters) or len(letters) <= 2:
        return False
    if letters.isupper():
        return len(letters) > _CODE and letters.lower() not in _NEUTRAL
    # IvanIvanov is two words; xQaZr is none
    return all(len(word) > 1 for word in words) and not {word.lower() for word in words if len(word) > 2} <= _NEUTRAL


def in_text(text: str, *, about_people: bool = True) -> str | None:
    """What in a text for people reads like a person's name, number or address; None when nothing does.

    Of a text that is not `about_people` (what to do in an emergency, why a model is recalled) two words with capitals
    are no name, and a phone number is a service's.
    """
    if _EMAIL.search(text):
        return "an e-mail address"
    if _any(_INSURANCE, text) or (about_people and _DIGITS.search(text)):
        return _NUMBER
    if _any(_MARKED, text) or (about_people and _PAIR.search(text)):
        return "a person's name"
    return None


def _any(patterns: Iterable[re.Pattern[str]], text: str) -> bool:
    return any(pattern.search(text) for pattern in patterns)
