"""The client: one connection pool, one token, and a request for each route."""

import json
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from threading import Lock
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar
from urllib.parse import quote, urlencode
from uuid import uuid4

import urllib3
from pydantic import BaseModel

from pma_client.errors import Unauthorised, Unreachable, to_problem
from pma_client.models import (
    Alert,
    Assignment,
    Attempt,
    Audited,
    CarePlan,
    Claim,
    Consent,
    Contact,
    DaysTransmitted,
    Decided,
    Delivery,
    Derived,
    Device,
    DryRun,
    Endpoint,
    Erasure,
    Observation,
    QuarantineCount,
    Quarantined,
    Recall,
    Subject,
    Trial,
)

M = TypeVar("M", bound=BaseModel)

_TRIES = 6
_LONGEST_PAUSE = 20.0
_RENEW_BEFORE = 60.0  # seconds: a token must not run out on its way


class Answer(Protocol):
    """What the client reads of an answer; urllib3's responses are such."""

    @property
    def status(self) -> int: ...
    @property
    def data(self) -> bytes: ...
    @property
    def headers(self) -> Mapping[str, str]: ...


class Http(Protocol):
    """What sends a request. Raises urllib3's HTTPError when no answer came."""

    def request(self, method: str, url: str, *, body: bytes | None, headers: Mapping[str, str]) -> Answer: ...


class _Pool:
    def __init__(self) -> None:
        self._pool = urllib3.PoolManager(
            maxsize=16, retries=False, timeout=urllib3.Timeout(connect=5, read=30), cert_reqs="CERT_REQUIRED"
        )

    def request(self, method: str, url: str, *, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        return self._pool.request(method, url, body=body, headers=headers)

    def close(self) -> None:
        self._pool.clear()


class Client:
    """An organisation's client of the API. May be shared by threads; every request may safely be repeated.

    What the API or the way to it refuses for the moment (429, 5xx, no connection) is tried again, six times in all,
    with back-off and as `Retry-After` says; a write bears one Idempotency-Key through all its tries. Raises Problem
    and Unreachable (see `pma_client.errors`).
    """

    def __init__(
        self,
        api_url: str,
        token_url: str,
        client_id: str,
        client_secret: str,
        *,
        http: Http | None = None,
        pause: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api = api_url.rstrip("/")
        self._token_url = token_url
        self._credentials = urllib3.make_headers(basic_auth=f"{client_id}:{client_secret}")
        self._pool = None if http is not None else _Pool()
        self._http: Http = http or self._pool  # type: ignore[assignment]
        self._pause = pause
        self._clock = clock
        self._token = ""
        self._token_until = float("-inf")
        self._renewing = Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections that the client opened."""
        if self._pool is not None:
            self._pool.close()

    # Subjects

    def put_subject(
        self,
        subject: str,
        *,
        programmes: Sequence[str],
        time_zone: str,
        language: str,
        consent: Consent | None,
        emergency_text: str | None = None,
        if_match: int | None = None,
    ) -> Subject:
        body = {
            "programmes": programmes,
            "time_zone": time_zone,
            "language": language,
            "consent": None if consent is None else consent.model_dump(mode="json"),
            "emergency_text": emergency_text,
        }
        return self._put(Subject, f"/v1/subjects/{_part(subject)}", body, if_match)

    def subject(self, subject: str) -> Subject:
        return self._get(Subject, f"/v1/subjects/{_part(subject)}")

    def erase_subject(self, subject: str, *, if_match: int | None = None) -> Erasure:
        """Forget a subject for good; asked again, it says how far that is and what was found where."""
        path = f"/v1/subjects/{_part(subject)}"
        return Erasure.model_validate(self._call("DELETE", path, headers=_if_match(if_match)))

    def subjects(self, *, incomplete: bool = False) -> Iterator[Subject]:
        """Who is enrolled, by token; `incomplete`: only those who still lack something."""
        return self._pages(Subject, "/v1/subjects", {"incomplete": "true" if incomplete else None})

    def put_contacts(
        self,
        subject: str,
        *,
        patient: Sequence[Contact],
        doctor: Sequence[Contact],
        duty: Sequence[Contact] = (),
        head: Sequence[Contact] = (),
    ) -> None:
        """Set where the patient and the doctor's team are told. It cannot be read back."""
        roles = {"patient": patient, "doctor": doctor, "duty": duty, "head": head}
        body = {role: [contact.model_dump(exclude_none=True) for contact in among] for role, among in roles.items()}
        self._call("PUT", f"/v1/subjects/{_part(subject)}/contacts", body)

    def put_care_plan(self, subject: str, plan: Mapping[str, Any], *, if_match: int | None = None) -> CarePlan:
        """Set the subject's care plan; the same document again makes no new version."""
        return self._put(CarePlan, f"/v1/subjects/{_part(subject)}/care-plan", plan, if_match)

    def care_plan(self, subject: str) -> CarePlan:
        """The newest version."""
        return self._get(CarePlan, f"/v1/subjects/{_part(subject)}/care-plan")

    def try_care_plan(self, subject: str, plan: Mapping[str, Any], *, days: int = 30) -> DryRun:
        """What `plan` would have made of the last `days`; it may be without author and time, and nothing is kept."""
        path = f"/v1/subjects/{_part(subject)}/care-plan/dry-run"
        return DryRun.model_validate(self._call("POST", path, {"plan": plan, "days": days}))

    def care_plan_versions(self, subject: str) -> Iterator[CarePlan]:
        """Every version, the newest first."""
        return self._pages(CarePlan, f"/v1/subjects/{_part(subject)}/care-plan/versions", {})

    # Devices

    def put_device(
        self,
        serial: str,
        *,
        profile: str,
        device_class: str,
        lot: str | None = None,
        gateway: str | None = None,
        cloud: str | None = None,
        roster: Sequence[str] = (),
        if_match: int | None = None,
    ) -> Device:
        body = {
            "profile": profile,
            "class": device_class,
            "lot": lot,
            "gateway": gateway,
            "cloud": cloud,
            "roster": roster,
        }
        return self._put(Device, f"/v1/devices/{_part(serial)}", body, if_match)

    def device(self, serial: str) -> Device:
        return self._get(Device, f"/v1/devices/{_part(serial)}")

    def assign(
        self, serial: str, subject: str, *, from_at: datetime, to_at: datetime | None = None, slot: int | None = None
    ) -> Assignment:
        """Put a device on a subject; asked again, it is the same assignment."""
        body = {
            "subject": subject,
            "from": from_at.isoformat(),
            "to": None if to_at is None else to_at.isoformat(),
            "slot": slot,
        }
        return Assignment.model_validate(self._call("POST", f"/v1/devices/{_part(serial)}/assignments", body))

    def end_assignment(self, serial: str, assignment: str, *, to_at: datetime) -> Assignment:
        path = f"/v1/devices/{_part(serial)}/assignments/{_part(assignment)}/end"
        return Assignment.model_validate(self._call("POST", path, {"to": to_at.isoformat()}))

    # Gateways

    def claim(self, serial: str, *, profile: str) -> Claim:
        """A temporary claim, with which a gateway that is enrolled fetches a certificate of its own within minutes."""
        return Claim.model_validate(self._call("POST", "/v1/gateways/claims", {"serial": serial, "profile": profile}))

    def keep_certificate(self, thing: str, certificate: str) -> tuple[str, ...]:
        """Retire every certificate of a gateway but this one, by its id; the ids of those that were retired."""
        path = f"/v1/gateways/{_part(thing)}/certificates"
        return tuple(self._call("POST", path, {"certificate": certificate})["retired"])

    def revoke_gateway(self, thing: str) -> datetime:
        """Put a gateway out of service for good; since when it is."""
        return datetime.fromisoformat(self._call("POST", f"/v1/gateways/{_part(thing)}/revoke")["revoked_at"])

    # Endpoints

    def put_endpoint(
        self,
        endpoint: str,
        *,
        url: str,
        kinds: Sequence[str] = ("*",),
        programmes: Sequence[str] = ("*",),
        window_seconds: int = 10,
        shards: int = 1,
        if_match: int | None = None,
    ) -> Endpoint:
        """Set where a system receives. The answer that makes the endpoint holds its `secret`: it is shown once."""
        body = {
            "url": url,
            "kinds": kinds,
            "programmes": programmes,
            "mode": "fhir-transaction",
            "window_seconds": window_seconds,
            "shards": shards,
        }
        return self._put(Endpoint, f"/v1/endpoints/{_part(endpoint)}", body, if_match)

    def endpoint(self, endpoint: str) -> Endpoint:
        return self._get(Endpoint, f"/v1/endpoints/{_part(endpoint)}")

    def delete_endpoint(self, endpoint: str) -> None:
        self._call("DELETE", f"/v1/endpoints/{_part(endpoint)}")

    def try_endpoint(self, endpoint: str) -> Trial:
        """Have a signed bundle without entries sent there, and hear what came of it."""
        return Trial.model_validate(self._call("POST", f"/v1/endpoints/{_part(endpoint)}/test"))

    def rotate_secret(self, endpoint: str, *, if_match: int | None = None) -> Endpoint:
        """A new `secret`, shown in this answer only; the one before signs beside it for a day."""
        path = f"/v1/endpoints/{_part(endpoint)}/rotate-secret"
        return Endpoint.model_validate(self._call("POST", path, headers=_if_match(if_match)))

    def enable_endpoint(self, endpoint: str) -> Endpoint:
        """Have deliveries sent there again, from where each lane stopped."""
        return Endpoint.model_validate(self._call("POST", f"/v1/endpoints/{_part(endpoint)}/enable"))

    def replay(self, endpoint: str, *, shard: str, after: int) -> int:
        """Have lane `shard` sent once more from the number after `after` on; the last number that goes again."""
        path = f"/v1/endpoints/{_part(endpoint)}/replay"
        return int(self._call("POST", path, {"shard": shard, "after": after})["to"])

    def deliveries(self, endpoint: str, *, shard: str, after: int = 0) -> Iterator[Delivery]:
        """What lane `shard` (as in `pma-shard`) holds after number `after`, in order: for a system that missed some."""
        query = {"shard": shard, "after": str(after)}
        return self._pages(Delivery, f"/v1/endpoints/{_part(endpoint)}/deliveries", query)

    def attempts(self, endpoint: str) -> Iterator[Attempt]:
        """What came of each try, the newest first."""
        return self._pages(Attempt, f"/v1/endpoints/{_part(endpoint)}/attempts", {})

    # Alerts

    def queue(self, *, severity: str | None = None) -> Iterator[Alert]:
        """Open alerts of all subjects, the most severe first, of these the oldest."""
        return self._pages(Alert, "/v1/alerts", {"severity": severity})

    def acknowledge(self, alert: Alert, *, actor: str) -> Alert:
        """Take on an alert as it was when it was read. Raises Stale when it has grown worse since."""
        return self._attend(alert, "acknowledge", {"actor": actor})

    def snooze(self, alert: Alert, *, until: datetime, actor: str, reason: str) -> Alert:
        """Have nobody told of it until then, for a day at most; an `until` that is past ends the snooze."""
        return self._attend(alert, "snooze", {"actor": actor, "reason": reason, "until": until.isoformat()})

    def resolve(self, alert: Alert, *, actor: str, reason: str) -> Alert:
        return self._attend(alert, "resolve", {"actor": actor, "reason": reason})

    def _attend(self, alert: Alert, what: str, body: Mapping[str, Any]) -> Alert:
        path = f"/v1/alerts/{_part(alert.id)}/{what}"
        return Alert.model_validate(self._call("POST", path, {"version": alert.version, **body}))

    # Reading back

    def observations(
        self,
        subject: str,
        *,
        kind: str | None = None,
        from_at: datetime | None = None,
        to_at: datetime | None = None,
    ) -> Iterator[Observation]:
        """Kind by kind, each in the order of measuring, from `from_at` (inclusive) to `to_at` (exclusive)."""
        query = {
            "kind": kind,
            "from": None if from_at is None else from_at.isoformat(),
            "to": None if to_at is None else to_at.isoformat(),
        }
        return self._pages(Observation, f"/v1/subjects/{_part(subject)}/observations", query)

    def days_transmitted(self, *, until: datetime | None = None) -> Iterator[DaysTransmitted]:
        """On how many of the thirty days up to that of `until` (now) each subject's devices sent something."""
        query = {"until": None if until is None else until.isoformat()}
        return self._pages(DaysTransmitted, "/v1/reports/days-transmitted", query)

    def summary(self, subject: str) -> tuple[Derived, ...]:
        """What the readings say together, as of now: mean pressure, glucose statistics, weight, days transmitted."""
        answered = self._call("GET", f"/v1/subjects/{_part(subject)}/summary")
        return tuple(Derived.model_validate(one) for one in answered["derived"])

    def alerts(self, subject: str) -> Iterator[Alert]:
        """The newest first."""
        return self._pages(Alert, f"/v1/subjects/{_part(subject)}/alerts", {})

    def decisions(
        self,
        subject: str,
        *,
        kind: str | None = None,
        from_at: datetime | None = None,
        to_at: datetime | None = None,
    ) -> Iterator[Decided]:
        """Why each reading did or did not alarm, the newest first."""
        query = {
            "kind": kind,
            "from": None if from_at is None else from_at.isoformat(),
            "to": None if to_at is None else to_at.isoformat(),
        }
        return self._pages(Decided, f"/v1/subjects/{_part(subject)}/decisions", query)

    # What is set aside, and what is recalled

    def audit(self) -> Iterator[Audited]:
        """What was done by whom, the newest first: each write, and each look at what is not the organisation's."""
        return self._pages(Audited, "/v1/audit", {})

    def quarantine(self, *, reason: str | None = None, profile: str | None = None) -> Iterator[Quarantined]:
        """Readings that were set aside, the newest first; for a reason, or of a model of device."""
        return self._pages(Quarantined, "/v1/quarantine", {"reason": reason, "profile": profile})

    def quarantine_counts(self, *, from_at: datetime | None = None) -> Iterator[QuarantineCount]:
        """How many per model and reason, the most first: of the last day, or of what arrived since `from_at`."""
        query = {"from": None if from_at is None else from_at.isoformat()}
        return self._pages(QuarantineCount, "/v1/quarantine/counts", query)

    def replay_quarantined(self, identifier: str) -> None:
        """Have it judged once more, with its own times. Raises Conflict where no payload was kept (no-consent)."""
        self._call("POST", f"/v1/quarantine/{_part(identifier)}/replay")

    def recall(
        self,
        *,
        mode: str,
        reason: str,
        profile: str | None = None,
        lot: str | None = None,
        serials: tuple[str, str] | None = None,
    ) -> Recall:
        """Block or flag a model, a lot, or the serials from the first to the last. Asked again, it is the same one."""
        said = {
            "profile": profile,
            "lot": lot,
            "serials": None if serials is None else {"from": serials[0], "to": serials[1]},
            "mode": mode,
            "reason": reason,
        }
        return Recall.model_validate(self._call("POST", "/v1/recalls", said))

    def recalls(self) -> Iterator[Recall]:
        """Those in force."""
        return self._pages(Recall, "/v1/recalls", {})

    def withdraw_recall(self, identifier: str) -> None:
        """It is over: its marks are taken back, and what it set aside is judged once more."""
        self._call("DELETE", f"/v1/recalls/{_part(identifier)}")

    # How

    def _put(self, model: type[M], path: str, body: Mapping[str, Any], if_match: int | None) -> M:
        return model.model_validate(self._call("PUT", path, body, _if_match(if_match)))

    def _get(self, model: type[M], path: str) -> M:
        return model.model_validate(self._call("GET", path))

    def _pages(self, model: type[M], path: str, query: Mapping[str, str | None]) -> Iterator[M]:
        asked = {name: value for name, value in query.items() if value is not None} | {"limit": "500"}
        while True:
            page = self._call("GET", f"{path}?{urlencode(asked)}")
            yield from (model.model_validate(item) for item in page["items"])
            if page["next"] is None:
                return
            asked["cursor"] = page["next"]

    def _call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None
    ) -> Any:
        sent = dict(headers or {}) | ({} if body is None else {"content-type": "application/json"})
        if method != "GET":  # one key for all tries of this write: whatever got lost, it is done once
            sent["idempotency-key"] = str(uuid4())
        data = None if body is None else json.dumps(body, default=float).encode()
        answer = self._send(method, path, data, sent | {"authorization": f"Bearer {self._bearer()}"})
        if answer.status == 401:  # the pool's keys may have changed: a new token settles whether it is us
            self._forget()
            answer = self._send(method, path, data, sent | {"authorization": f"Bearer {self._bearer()}"})
        if answer.status >= 300:
            raise to_problem(answer.status, answer.data)
        return json.loads(answer.data) if answer.data else None

    def _send(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        return self._persist(lambda: self._http.request(method, self._api + path, body=body, headers=headers))

    def _bearer(self) -> str:
        with self._renewing:
            if self._clock() >= self._token_until:
                self._token, lasts = self._new_token()
                self._token_until = self._clock() + lasts - _RENEW_BEFORE
            return self._token

    def _forget(self) -> None:
        with self._renewing:
            self._token_until = float("-inf")

    def _new_token(self) -> tuple[str, float]:
        headers = self._credentials | {"content-type": "application/x-www-form-urlencoded"}
        body = urlencode({"grant_type": "client_credentials"}).encode()
        answer = self._persist(lambda: self._http.request("POST", self._token_url, body=body, headers=headers))
        if answer.status != 200:  # the pool answers 400 to an unknown client
            raise Unauthorised(401, "unknown-client", "the user pool does not know this client id and secret")
        token = json.loads(answer.data)
        return token["access_token"], float(token["expires_in"])

    def _persist(self, request: Callable[[], Answer]) -> Answer:
        """The answer of `request`, tried again while it is refused for the moment."""
        for attempt in range(_TRIES):
            last = attempt == _TRIES - 1
            try:
                answer = request()
            except urllib3.exceptions.HTTPError as error:
                if last:
                    raise Unreachable(f"no answer after {_TRIES} tries") from error
                self._pause(_wait(attempt))
                continue
            if answer.status not in (409, 429) and answer.status < 500:
                return answer
            if answer.status == 409 and "retry-after" not in answer.headers:
                return answer
            if not last:
                self._pause(_wait(attempt, answer.headers.get("retry-after")))
        raise to_problem(answer.status, answer.data)


def _if_match(version: int | None) -> dict[str, str]:
    return {} if version is None else {"if-match": f'"{version}"'}


def _part(name: str) -> str:
    return quote(name, safe="")


def _wait(attempt: int, retry_after: str | None = None) -> float:
    """Seconds until the next try: what the API asks for, else twice as long each time, with jitter."""
    asked = float(retry_after) if retry_after is not None and retry_after.isdecimal() else 0.0
    backed_off: float = random.uniform(0.1, 0.2) * 2**attempt  # noqa: S311 - jitter, no secret
    return min(_LONGEST_PAUSE, max(asked, backed_off))
