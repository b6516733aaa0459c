"""Every write leaves a link in a chain, and so does every look at what is not the caller's (R81, R92)."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.audit import Audit, chain_key
from adapters.aws import client as aws_client
from adapters.dynamodb import encode_item
from domain.audit import BEGINNING, Entry, Link, broken, chain_of, link, state_hash
from domain.errors import LostRace
from functions.registry.wiring import wired
from ops.audit import AuditBroken, verify
from tests.builders import NOW
from tests.functions.test_registry import SUBJECT, D, S, enrol
from tests.in_process import InProcess, api
from tests.ops.test_alert_load import outputs


@pytest.fixture(scope="module")
def running() -> Iterator[InProcess]:
    with api() as started:
        yield started


@pytest.fixture
def pma(running: InProcess) -> InProcess:
    running.forget()
    wired().audit._heads.clear()
    return running


def an_entry(**changes: Any) -> Entry:
    facts: dict[str, Any] = {
        "organisation": "clinic-a",
        "at": NOW,
        "actor": "client-a",
        "operation": "put_subject",
        "path": S,
        "request": "r-1",
        "outcome": "200",
        "before": None,
        "after": state_hash("shown"),
    }
    return Entry(**facts | changes)


def a_chain(length: int) -> list[Link]:
    links: list[Link] = []
    for number in range(length):
        links.append(link(an_entry(request=f"r-{number}"), 3, links[-1] if links else None))
    return links


def rows(pma: InProcess, **asked: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = pma.call("GET", "/v1/audit")[1]["items"]
    return [one for one in items if all(one[name] == value for name, value in asked.items())]


def test_a_chain_that_was_left_alone_is_whole() -> None:
    links = a_chain(5)
    assert (links[0].previous, [one.number for one in links]) == (BEGINNING, [1, 2, 3, 4, 5])
    assert broken(links) is None
    assert broken(links[2:]) is None, "what was kept as long as it had to be is gone"
    assert broken([]) is None


@given(st.data())
def test_r92_no_character_of_an_entry_can_be_changed_unseen(data: st.DataObject) -> None:
    links = a_chain(4)
    place = data.draw(st.integers(0, 3))
    name = data.draw(st.sampled_from(["actor", "operation", "path", "request", "outcome", "after", "organisation"]))
    said = getattr(links[place].entry, name)
    at = data.draw(st.integers(0, len(said) - 1))
    flipped = said[:at] + chr(ord(said[at]) ^ 1) + said[at + 1 :]
    links[place] = replace(links[place], entry=replace(links[place].entry, **{name: flipped}))
    assert broken(links) == f"entry {place + 1} of chain 3 was changed"


@pytest.mark.parametrize("place", [1, 2])
def test_r92_no_entry_can_be_taken_out_or_put_in_unseen(place: int) -> None:
    links = a_chain(4)
    assert broken(links[:place] + links[place + 1 :]) is not None
    forged = link(an_entry(actor="nobody"), 3, links[place - 1])
    assert broken([*links[:place], forged, *links[place:]]) is not None
    assert broken([*links[:place], forged, *links[place + 1 :]]) is not None


def test_r92_a_chain_cannot_be_begun_anew_with_a_history_before_it() -> None:
    forged = link(an_entry(), 3, None)
    forged = replace(forged, previous="1" * 64)
    assert broken([forged]) == "entry 1 of chain 3 was changed"
    before = Link(an_entry(), 3, 0, BEGINNING, "1" * 64)
    assert broken([link(an_entry(), 3, before)]) == "entry 1 of chain 3 is not the beginning that it says"


# through the API


def test_a_write_leaves_who_what_when_before_and_after(pma: InProcess) -> None:
    began = datetime.now(UTC)
    pma.call("PUT", S, SUBJECT)
    pma.call("PUT", S, SUBJECT | {"language": "en"})
    done, asked, first, first_asked = rows(pma, path=S)
    assert [one["outcome"] for one in (first_asked, first, asked, done)] == ["asked", "201", "asked", "200"]
    assert {(one["actor"], one["operation"]) for one in (first, done)} == {("client-a", "put_subject")}
    assert began <= datetime.fromisoformat(first["at"]) <= datetime.now(UTC)
    assert (first["before"], done["before"]) == (None, first["after"])
    assert done["after"] not in (None, done["before"])
    assert verify(wired().audit, "clinic-a", {}, now=NOW)["heads"]


def test_r92_a_write_that_is_broken_off_was_asked_for(pma: InProcess) -> None:
    class Broken:
        def get(self, organisation: str, subject: str) -> None:
            raise RuntimeError("the process is gone")

    with pma.wired(erasures=Broken()), pytest.raises(RuntimeError):
        pma.call("PUT", S, SUBJECT)
    assert [one["outcome"] for one in rows(pma, path=S)] == ["broken-off", "asked"]


@pytest.mark.parametrize(
    ("method", "path", "body", "outcome"),
    [
        ("PUT", S, {"nothing": 1}, "refused"),
        ("PUT", f"{S}/contacts", {"patient": [], "doctor": []}, "refused"),
        ("POST", f"{D}/assignments/none/end", {"to": "2026-11-01T00:00:00Z"}, "not-found"),
    ],
)
def test_what_was_refused_says_so(pma: InProcess, method: str, path: str, body: Any, outcome: str) -> None:
    enrol(pma)
    pma.call(method, path, body)
    assert rows(pma, path=path)[0]["outcome"] == outcome


def test_r81_a_look_at_anothers_subject_leaves_a_row_of_who_looked(pma: InProcess) -> None:
    enrol(pma)
    assert pma.call("GET", f"{S}/observations", client="client-b")[0] == 404
    (row,) = pma.call("GET", "/v1/audit", client="client-b")[1]["items"]
    assert (row["actor"], row["path"], row["outcome"]) == ("client-b", f"{S}/observations", "not-found")
    assert not any(one["actor"] == "client-b" for one in rows(pma)), "nor does anybody see another's audit"


def test_a_look_at_ones_own_leaves_nothing(pma: InProcess) -> None:
    enrol(pma)
    before = len(rows(pma))
    pma.call("GET", S)
    assert len(rows(pma)) == before


def test_r87_a_name_in_the_place_of_a_pseudonym_is_not_written_down(pma: InProcess) -> None:
    pma.call("PUT", "/v1/subjects/ivanov-ivan", SUBJECT)
    pma.call("GET", "/v1/subjects/79161234567")
    table = json.dumps(aws_client("dynamodb").scan(TableName="audit")["Items"])
    assert not any(word in table for word in ("ivanov", "7916"))
    assert {one["path"] for one in rows(pma)} == {"/v1/subjects/(no pseudonym)"}


def test_r92_an_audit_holds_no_contact_and_no_secret(pma: InProcess) -> None:
    enrol(pma)
    secret = pma.call("PUT", "/v1/endpoints/mis-1", {"url": "https://mis.example/pma"})[1]["secret"]
    table = json.dumps(aws_client("dynamodb").scan(TableName="audit")["Items"])
    assert not any(word in table for word in ("15005550001", secret, "Samara"))


def test_the_audit_is_paged_newest_first_and_passes_over_nothing(pma: InProcess) -> None:
    for number in range(15):
        pma.call("PUT", f"/v1/subjects/S-{number:03}", SUBJECT)
    seen: list[tuple[int, int]] = []
    times: list[str] = []
    after = ""
    while True:
        page = pma.call("GET", f"/v1/audit?limit=7{after}")[1]
        seen += [(one["chain"], one["number"]) for one in page["items"]]
        times += [one["at"] for one in page["items"]]
        if page["next"] is None:
            break
        after = f"&cursor={page['next']}"
    assert len(seen) == len(set(seen)) == 30
    assert times == sorted(times, reverse=True)


# the table


def test_two_who_write_at_once_both_find_their_place(pma: InProcess) -> None:
    here = wired().audit
    one, other = Audit(here.client, "audit"), Audit(here.client, "audit")
    for number in range(6):
        (one if number % 2 else other).append(an_entry(request=f"r-{number}"))
    links = list(here.chain("clinic-a", chain_of("clinic-a", S)))
    assert [one.entry.request for one in links] == [f"r-{number}" for number in range(6)]
    assert broken(links) is None


def test_who_never_finds_a_place_says_so(pma: InProcess) -> None:
    class Rival(Audit):
        def _put(self, one: Link) -> bool:
            return False

    with pytest.raises(LostRace):
        Rival(wired().audit.client, "audit").append(an_entry())


def test_entries_are_kept_for_six_years(pma: InProcess) -> None:
    wired().audit.append(an_entry())
    (item,) = aws_client("dynamodb").scan(TableName="audit")["Items"]
    assert int(item["expires_at"]["N"]) == int((NOW + timedelta(days=2190)).timestamp())


# the verifier


@pytest.fixture
def written(pma: InProcess) -> InProcess:
    for number in range(4):
        wired().audit.append(an_entry(request=f"r-{number}"))
    return pma


PLACE = {"pk": chain_key("clinic-a", chain_of("clinic-a", S)), "sk": f"{2:012d}"}


def test_r92_the_verifier_finds_one_changed_byte(written: InProcess) -> None:
    aws_client("dynamodb").update_item(
        TableName="audit",
        Key=encode_item(PLACE),
        UpdateExpression="SET actor = :other",
        ExpressionAttributeValues={":other": {"S": "client-b"}},
    )
    with pytest.raises(AuditBroken, match=r"entry 2 of chain .* was changed"):
        verify(wired().audit, "clinic-a", {}, now=NOW)


def test_r92_the_verifier_finds_an_entry_that_was_deleted(written: InProcess) -> None:
    aws_client("dynamodb").delete_item(TableName="audit", Key=encode_item(PLACE))
    with pytest.raises(AuditBroken, match=r"entry 3 of chain .* does not follow entry 1"):
        verify(wired().audit, "clinic-a", {}, now=NOW)


def test_r92_what_was_cut_off_at_the_end_shows_against_what_was_printed_before(
    written: InProcess, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from ops.__main__ import main

    with outputs(AuditTable="audit"):
        assert main(["audit", "verify", "clinic-a", "--stack", "pma-test"]) == 0
    known = tmp_path / "heads.json"
    known.write_text(capsys.readouterr().out, encoding="utf-8")
    aws_client("dynamodb").delete_item(TableName="audit", Key=encode_item(PLACE | {"sk": f"{4:012d}"}))
    with outputs(AuditTable="audit"):
        assert main(["audit", "verify", "clinic-a", "--stack", "pma-test"]) == 0, "a chain may end anywhere"
    with outputs(AuditTable="audit"):
        assert main(["audit", "verify", "clinic-a", "--stack", "pma-test", "--against", str(known)]) == 2
    assert "entry 4" in capsys.readouterr().err


def test_r92_what_was_cut_off_at_the_beginning_shows_unless_it_ran_out(written: InProcess) -> None:
    audit, chain = wired().audit, str(chain_of("clinic-a", S))
    heads = verify(audit, "clinic-a", {}, now=NOW)["heads"]
    assert heads[chain]["months"] == {f"{NOW:%Y-%m}": 4}
    aws_client("dynamodb").delete_item(TableName="audit", Key=encode_item(PLACE | {"sk": f"{1:012d}"}))
    assert verify(audit, "clinic-a", {}, now=NOW)["heads"], "an old chain may begin anywhere"
    with pytest.raises(AuditBroken, match=rf"chain {chain} had 4 entries of .*, and has 3"):
        verify(audit, "clinic-a", heads, now=NOW)
    verify(audit, "clinic-a", heads, now=NOW + audit.kept_for)
