"""A person is named nowhere: not in an id, not in a free text (P1, R87)."""

import json
import re
from collections.abc import Callable
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InvalidRequest
from domain.plan_language import CarePlanBody
from domain.pseudonym import in_text, in_token
from domain.request import RecallBody, SubjectBody, check_subject, read
from tests.builders import a_care_plan

PSEUDONYMS = [
    "S-7F3A", "S-00001", "S-00012345", "K7F3AB2QZO", "xK9aQ2LmPz77bTrq4WsE1A", "S-FACEBEAD", "deadbeefcafe", "KZN-0017",
    "SAM-0017", "patient-17", "Patient.017", "S-PROBE", "subject_2026.001", "case-9.b", "p1", "ward-3-patient-12",
    "5f0c6d7e-8a9b-4c1d-9e2f-001122334455", "b3b1f0c2d4e54f60a1b2c3d4e5f60718", "S-E2E-001", "test-user-17",
]  # fmt: skip

NAMES = [
    "ivanov", "Ivanov", "IVANOV", "ivanov-ivan", "IvanovIvan", "Ivanova_M_1956", "ivanov1956", "maria.petrova",
    "john.smith.1961", "O-Brien-Conor", "anna-7", "S-Kuznetsov", "patient-olga", "Abdulla17", "nguyen", "Jean-Luc",
]  # fmt: skip

NUMBERS = [
    "79161234567", "8-916-123-45-67", "112-233-445.95", "112-233-445-95", "11223344595", "S-112-233-445-95",
    "078-05-1120", "S-078-05-1120", "943-476-5919", "9434765919", "7700001234567890", "7700-0012-3456-7890",
    "123456789",
]  # fmt: skip


@pytest.mark.parametrize("token", PSEUDONYMS)
def test_p1_f3_r87_a_pseudonym_is_accepted(token: str) -> None:
    assert check_subject(token) == token


@pytest.mark.parametrize("token", [*NAMES, *NUMBERS])
def test_p1_f3_r87_an_id_that_reads_like_a_person_is_refused_and_not_repeated(token: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_subject(token)
    (fault,) = refused.value.faults
    assert fault.field == "path:subject"
    assert "pseudonym" in fault.message
    assert token not in fault.message


@given(st.uuids())
def test_p1_f3_r87_every_uuid_is_a_pseudonym(made: UUID) -> None:
    assert [in_token(str(made)), in_token(made.hex), in_token(made.hex.upper())] == [None, None, None]


@given(st.integers(0, 99_999_999), st.sampled_from(["S-", "P", "KZN-", "patient-", "clinic-", "case."]))
def test_p1_f3_r87_a_count_behind_a_code_is_a_pseudonym(number: int, code: str) -> None:
    assert in_token(f"{code}{number:05}") is None


FIRST = ["ivan", "olga", "maria", "john", "anna", "fatima", "aleksandr", "chloe", "yusuf", "mei"]
LAST = ["ivanov", "kuznetsova", "smith", "garcia", "mueller", "obrien", "khan", "nguyen", "dubois", "petrenko"]


@given(
    first=st.sampled_from(FIRST),
    last=st.sampled_from(LAST),
    style=st.sampled_from([str.lower, str.upper, str.capitalize]),
    between=st.sampled_from(["", ".", "_", "-", "--"]),
    after=st.from_regex(r"([._-]?[0-9]{1,4})?", fullmatch=True),
)
def test_p1_f3_r87_names_in_every_spelling_are_refused(
    first: str, last: str, style: Callable[[str], str], between: str, after: str
) -> None:
    assert in_token(f"{style(last)}{between}{style(first)}{after}") == "a name"


@given(
    st.lists(st.integers(0, 9), min_size=9, max_size=16),
    st.sampled_from(["", "-", ".", "_"]),
)
def test_p1_f3_r87_no_number_of_nine_digits_or_more_is_a_pseudonym(digits: list[int], between: str) -> None:
    assert in_token(between.join(map(str, digits))) == "a phone or insurance number"


CLEAN = [
    "no answer since this morning", "Артефакт движения, измерено повторно", "Recalibrated 2026-11-22, drift 4 min",
    "cuff too small; 152/97 repeated 148/95", "Per protocol 12", "Датчик снят до 18:00", "MRI until noon",
]  # fmt: skip
PERSONAL = {
    "call ivan@example.org": "an e-mail address",
    "спросите иванова@клиника.рф": "an e-mail address",
    "her phone is +7 (916) 123-45-67": "a phone or insurance number",
    "СНИЛС 112-233-445 95": "a phone or insurance number",
    "OMS 7700 0012 3456 7890": "a phone or insurance number",
    "SSN 078-05-1120": "a phone or insurance number",
    "NHS 943 476 5919": "a phone or insurance number",
    "Иванов И. И. отказался": "a person's name",
    "И.И. Иванов отказался": "a person's name",
    "Мария Петровна не отвечает": "a person's name",
    "передать Анне Ивановне": "a person's name",
    "asked by Dr House": "a person's name",
    "told John Smith": "a person's name",
    "Smith, J. refused": "a person's name",
    "my name is Anna": "a person's name",
    "меня зовут Ольга": "a person's name",
}


@pytest.mark.parametrize("text", CLEAN)
def test_p1_f3_r87_words_about_a_measurement_are_accepted(text: str) -> None:
    assert in_text(text) is None


@pytest.mark.parametrize(("text", "what"), PERSONAL.items(), ids=list(PERSONAL))
def test_p1_f3_r87_a_text_that_names_a_person_is_refused(text: str, what: str) -> None:
    assert in_text(text) == what


@pytest.mark.parametrize(
    "text",
    [
        "Call 112 at once",
        "Позвоните 103",
        "Горячая Линия 8 800 200-0-200",
        "Emergency Services: 911",
        "Omron Healthcare",
    ],
)
def test_p1_f3_r87_where_help_is_may_be_said(text: str) -> None:
    assert in_text(text, about_people=False) is None


@pytest.mark.parametrize(
    "text", [one for one, what in PERSONAL.items() if "phone is" not in one and "NHS" not in one and "John" not in one]
)
def test_p1_f3_r87_an_emergency_text_names_nobody(text: str) -> None:
    assert in_text(text, about_people=False) is not None
    body: dict[str, object] = {
        "programmes": [],
        "time_zone": "UTC",
        "language": "en",
        "consent": None,
        "emergency_text": text,
    }
    with pytest.raises(InvalidRequest, match="/emergency_text") as refused:
        read(SubjectBody, _json(body))
    assert text not in str(refused.value)


@pytest.mark.parametrize("text", ["told by ivan@example.org", "asked by Dr House", "Иванов И. И. сообщил"])
def test_p1_f3_r87_the_reason_of_a_recall_names_nobody(text: str) -> None:
    body = {"lot": "L7", "mode": "block", "reason": text}
    with pytest.raises(InvalidRequest, match="/reason"):
        read(RecallBody, _json(body))
    assert read(RecallBody, _json(body | {"reason": "Omron Healthcare: cuffs of lot L7 leak"})).mode == "block"


@pytest.mark.parametrize("author", ["Ivanov", "dr.house", "maria-petrova", "79161234567"])
def test_p1_f3_r87_an_author_is_a_token_and_no_name(author: str) -> None:
    with pytest.raises(InvalidRequest, match="/author"):
        read(CarePlanBody, _json(a_care_plan(author=author)))


@given(st.text(max_size=200))
def test_p1_f3_r87_whatever_the_text_it_is_judged(text: str) -> None:
    assert in_text(text, about_people=False) is None or in_text(text) is not None


def test_p1_f3_r87_what_looks_for_a_person_takes_no_longer_for_a_long_text() -> None:
    """No pattern goes back over what it has read: a text of 64 KB is judged, not waited for."""
    for text in ("A" * 4000, "1 " * 2000, "Aa " * 2000, "a@" * 2000, "1-" * 2000, "И. " * 2000):
        in_text(text)
        in_token(re.sub(r"[^A-Za-z0-9._-]", "", text) or "x1")


def _json(body: object) -> str:
    return json.dumps(body, ensure_ascii=False)


def a_subject_body(**changes: object) -> dict[str, object]:
    return {"programmes": [], "time_zone": "UTC", "language": "en", "consent": None} | changes
