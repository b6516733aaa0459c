"""What a MIS may ask for: the bodies of the HTTP API, read strictly, and the facts that they become.

Bodies are pydantic models, so the API's document can be made from them. Unknown fields are refused; nothing is
converted (a number in quotes is no number); a refusal names each field at fault and never repeats its value.
"""

import json
import re
from collections.abc import Collection, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from domain.codes import KINDS
from domain.enrolment import Assignment, Consent, Device, Endpoint, Subject
from domain.errors import Fault, InvalidRequest
from domain.identity import deterministic_id
from domain.pseudonym import in_text, in_token

TOKEN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,63}")
"""Subjects and endpoints: an opaque name that is safe in a path, a key and a log."""

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")
"""What any id in a path may be, theirs or ours."""

SERIAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_:-]{1,63}")
"""Devices: as tokens, but within what a thing may be called (no dot; a colon for hardware addresses)."""

_MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[+-][0-9]{2}:[0-9]{2})"
)
_ZONE = re.compile(r"UTC|[A-Z][A-Za-z]+(?:/[A-Za-z0-9_+-]+){1,2}")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffd-\uffff]")
_PHONE = re.compile(r"\+[1-9]\d{6,14}")
_SEALED_BYTES = 4096  # what the key service encrypts in one call


def check_subject(token: str) -> str:
    """`token` if it may name a subject (P1, R87). Raises InvalidRequest when it reads like a person's."""
    if not TOKEN.fullmatch(token):
        raise InvalidRequest(
            Fault("path:subject", "2 to 64 letters, digits, dots, underscores or hyphens; a pseudonym, never a name")
        )
    what = in_token(token)
    if what is not None:
        raise InvalidRequest(
            Fault("path:subject", f"reads like {what}: use a pseudonym that only you can resolve, as in S-7F3A")
        )
    return token


def check_serial(serial: str) -> str:
    """`serial` if it may name a device, which is also its name as an MQTT client. Raises InvalidRequest."""
    if not SERIAL.fullmatch(serial):
        raise InvalidRequest(Fault("path:serial", "2 to 64 letters, digits, underscores, colons or hyphens"))
    return serial


def check_endpoint_id(token: str) -> str:
    """`token` if it may name an endpoint. Raises InvalidRequest."""
    if not TOKEN.fullmatch(token):
        raise InvalidRequest(Fault("path:endpoint", "2 to 64 letters, digits, dots, underscores or hyphens"))
    return token


def _moment(value: object) -> datetime:
    if not isinstance(value, str) or not _MOMENT.fullmatch(value):
        raise ValueError("a date and time with its offset, as in 2026-11-01T09:00:00+04:00")
    moment = datetime.fromisoformat(value)
    if not 2000 <= moment.year <= 2200:  # nearer the ends of the calendar an offset has no place
        raise ValueError("a date and time of our age")
    return moment


def _zone(name: str) -> str:
    try:
        if _ZONE.fullmatch(name):
            ZoneInfo(name)
            return name
    except (KeyError, OSError):
        pass  # a well-formed name, or a folder of the database, that is no zone
    raise ValueError("a zone of the IANA database, as in Europe/Samara")


def _all_different(values: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(values)) != len(values):
        raise ValueError("each at most once")
    return values


def _token(value: str) -> str:
    if not TOKEN.fullmatch(value):
        raise ValueError("2 to 64 letters, digits, dots, underscores or hyphens")
    return value


def _readable(text: str) -> str:
    """`text` if it may be sent: SMS and FHIR servers refuse control characters, and all that is with them (P4). What
    the gateway could not read as UTF-8 it replaces by U+FFFD."""
    if _CONTROL.search(text):
        raise ValueError("no control characters, and in UTF-8")
    return text


def names_nobody(text: str) -> str:
    """`text` if it names nobody (P1) and may be sent. Raises ValueError."""
    _readable(text)
    what = in_text(text, about_people=False)
    if what is not None:
        raise ValueError(f"reads like {what}: nobody is named here")
    return text


def _lot(text: str) -> str:
    """`text` if it is no person's; its digits are no number of anybody's, for lots are full of them."""
    names_nobody(re.sub(r"\d", "", text))
    return text


def _serial(value: str) -> str:
    if not SERIAL.fullmatch(value):
        raise ValueError("2 to 64 letters, digits, underscores, colons or hyphens")
    return value


def described(pattern: re.Pattern[str], **more: str) -> WithJsonSchema:
    """What the API's document says of a text that our own validator judges."""
    return WithJsonSchema({"type": "string", "pattern": f"^(?:{pattern.pattern})$", **more})


Moment = Annotated[datetime, BeforeValidator(_moment), described(_MOMENT, format="date-time")]
Zone = Annotated[str, AfterValidator(_zone), described(_ZONE)]
Token = Annotated[str, AfterValidator(_token), described(TOKEN)]
Serial = Annotated[str, AfterValidator(_serial), described(SERIAL)]
_DIFFERENT = Field(json_schema_extra={"uniqueItems": True})
Lot = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_lot)]
Names = Annotated[tuple[str, ...], Field(max_length=32), AfterValidator(_all_different), _DIFFERENT]


class Body(BaseModel):
    """A request's body: strict, closed, and silent about the values it was given."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        hide_input_in_errors=True,
        defer_build=True,  # a function that starts builds the validators of the bodies that it reads, not of all
    )


class ConsentBody(Body):
    given_at: Moment
    withdrawn_at: Moment | None = None

    @model_validator(mode="after")
    def _in_order(self) -> "ConsentBody":
        if self.withdrawn_at is not None and self.withdrawn_at < self.given_at:
            raise ValueError("withdrawn_at is not before given_at")
        return self


class SubjectBody(Body):
    """`PUT /v1/subjects/{subject}`. `consent` is always said, if only as null: silence is no consent (P5)."""

    programmes: Names
    time_zone: Zone
    language: Literal["en", "ru"]
    consent: ConsentBody | None
    emergency_text: Annotated[str, Field(min_length=1, max_length=300), AfterValidator(names_nobody)] | None = None

    def subject(self, token: str, *, organisation: str, version: int, programmes: Collection[str]) -> Subject:
        """The subject so described; `programmes` are the templates there are. Raises InvalidRequest."""
        refuse(_unknown("/programmes", self.programmes, programmes))
        consent = self.consent
        return Subject(
            id=token,
            organisation=organisation,
            programmes=self.programmes,
            time_zone=self.time_zone,
            language=self.language,
            consent=None if consent is None else Consent(consent.given_at, consent.withdrawn_at),
            emergency_text=self.emergency_text,
            version=version,
        )


class Contact(Body):
    """Where one is told. `topic` is the organisation's own and has no address; `push` is a platform endpoint's."""

    channel: Literal["push", "sms", "email", "topic"]
    address: Annotated[str, Field(min_length=1, max_length=512)] | None = None

    @model_validator(mode="after")
    def _address_fits(self) -> "Contact":
        address = self.address or ""
        match self.channel:
            case "topic" if self.address is not None:
                raise ValueError("topic is the organisation's own and takes no address")
            case "sms" if not _PHONE.fullmatch(address):
                raise ValueError("sms needs an address in international form: + and 7 to 15 digits")
            case "email":
                raise ValueError("no stage sends e-mail yet, so nobody would be told: use push, sms or topic")
            case "push" if not address:
                raise ValueError("push needs an address: the platform endpoint of the patient's app")
        return self


Contacts = Annotated[tuple[Contact, ...], Field(max_length=10)]


class ContactsBody(Body):
    """`PUT /v1/subjects/{subject}/contacts`: both the patient and the doctor are told (P4), so both are needed."""

    patient: Annotated[Contacts, Field(min_length=1)]
    doctor: Annotated[Contacts, Field(min_length=1)]
    duty: Contacts = ()
    head: Contacts = ()

    def contacts(self) -> dict[str, list[dict[str, str]]]:
        """`{role: [{"channel", "address"}]}`, ready to be sealed; a topic has no address. Raises InvalidRequest."""
        contacts = {role: [contact.model_dump(exclude_none=True) for contact in among] for role, among in self}
        if len(json.dumps(contacts)) > _SEALED_BYTES:
            raise InvalidRequest(Fault("", "at most 4,096 bytes in all"))
        return contacts


class DeviceBody(Body):
    """`PUT /v1/devices/{serial}`."""

    profile: str
    device_class: Literal["medical", "auxiliary"] = Field(alias="class")
    lot: Lot | None = None
    gateway: Serial | None = None
    cloud: Serial | None = None
    roster: Annotated[tuple[Token, ...], Field(max_length=200), AfterValidator(_all_different)] = ()

    def device(self, before: Device) -> Device:
        """`before` as it is to be now; its assignments stay."""
        return before._replace(
            profile=self.profile,
            device_class=self.device_class,
            lot=self.lot,
            gateway=self.gateway,
            cloud=self.cloud,
            roster=self.roster,
        )


class AssignmentBody(Body):
    """`POST /v1/devices/{serial}/assignments`: from `from` (inclusive) to `to` (exclusive; null is open).

    `slot` is the user's number on the device itself: some count from 0, most from 1.
    """

    subject: Token
    from_at: Moment = Field(alias="from")
    to_at: Moment | None = Field(alias="to", default=None)
    slot: Annotated[int, Field(ge=0, le=16)] | None = None

    @model_validator(mode="after")
    def _in_order(self) -> "AssignmentBody":
        if self.to_at is not None and self.to_at <= self.from_at:
            raise ValueError("to is after from, or null")
        return self

    def assignment(self, device: Device) -> Assignment:
        """The assignment so described. Its id is made from who, what, when and slot, so asking twice is asking once."""
        return Assignment(
            id=deterministic_id(
                device.organisation, "assignment", device.serial, self.subject, _instant(self.from_at), str(self.slot)
            ),
            subject=self.subject,
            from_at=self.from_at,
            to_at=self.to_at,
            slot=self.slot,
        )


class EndBody(Body):
    """`POST /v1/devices/{serial}/assignments/{id}/end`: the first moment at which the subject no longer holds it."""

    to_at: Moment = Field(alias="to")


class ClaimBody(Body):
    """`POST /v1/gateways/claims`: the serial and profile that the gateway was enrolled with."""

    serial: Serial
    profile: str


class KeepBody(Body):
    """`POST /v1/gateways/{thing}/certificates`: the id of the one certificate that stays."""

    certificate: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class SerialRange(Body):
    """The first and the last, both included; of one length, as makers count them."""

    from_: Serial = Field(alias="from")
    to: Serial

    @model_validator(mode="after")
    def _in_order(self) -> "SerialRange":
        if len(self.from_) != len(self.to) or self.from_ > self.to:
            raise ValueError("from is not after to, and both have as many characters")
        return self


class RecallBody(Body):
    """`POST /v1/recalls`: by model, by lot or by serials. `reason` is for people: never a patient's."""

    profile: str | None = None
    lot: Lot | None = None
    serials: SerialRange | None = None
    mode: Literal["block", "flag"]
    reason: Annotated[str, Field(min_length=1, max_length=500), AfterValidator(names_nobody)]

    @model_validator(mode="after")
    def _one_of(self) -> "RecallBody":
        if [self.profile, self.lot, self.serials].count(None) != 2:
            raise ValueError("exactly one of profile, lot, serials")
        return self


class EndpointBody(Body):
    """`PUT /v1/endpoints/{id}`. `window_seconds` is how long observations are gathered."""

    url: Annotated[str, Field(max_length=2000)]
    kinds: Annotated[Names, Field(min_length=1)] = ("*",)
    programmes: Annotated[Names, Field(min_length=1)] = ("*",)
    mode: Literal["fhir-transaction"] = "fhir-transaction"
    window_seconds: Annotated[int, Field(ge=1, le=300)] = 10
    shards: Annotated[int, Field(ge=1, le=64)] = 1

    def check(self, *, programmes: Collection[str], insecure: bool) -> None:
        """Raises InvalidRequest. `insecure` allows plain http, which only a stage on one machine does."""
        refuse(
            *_wrong_url(self.url, insecure=insecure),
            _unknown("/kinds", self.kinds, {"*", *KINDS}),
            _unknown("/programmes", self.programmes, {"*", *programmes}),
        )

    def new_endpoint(self, token: str, *, organisation: str, secret: str, created_at: datetime) -> Endpoint:
        """An endpoint as it is at first; `secret` is the name under which what signs its deliveries is kept."""
        return Endpoint(
            id=token,
            organisation=organisation,
            url=self.url,
            kinds=self.kinds,
            programmes=self.programmes,
            mode=self.mode,
            window_seconds=self.window_seconds,
            shards=self.shards,
            state="enabled",
            secret=secret,
            version=1,
            created_at=created_at,
        )

    def endpoint(self, before: Endpoint) -> Endpoint:
        """`before` as it is to be now; its secret and its state stay."""
        return replace(
            before,
            url=self.url,
            kinds=self.kinds,
            programmes=self.programmes,
            mode=self.mode,
            window_seconds=self.window_seconds,
            shards=self.shards,
        )


class ReplayBody(Body):
    """`POST /v1/endpoints/{id}/replay`: send lane `shard` once more, from the number after `after` on."""

    shard: Annotated[str, Field(max_length=32)]
    after: Annotated[int, Field(ge=0, le=999_999_999_999)]


B = TypeVar("B", bound=Body)


def read(body: type[B], data: bytes | str) -> B:
    """`data` (JSON) as a `body`. Raises InvalidRequest listing every field at fault as a JSON pointer."""
    try:
        return body.model_validate_json(data)
    except ValidationError as error:
        raise InvalidRequest(*(_fault(one) for one in error.errors(include_url=False, include_input=False))) from None


def parse_once(data: str) -> Any:
    """What the JSON in `data`, which was read as a body before, says. Raises InvalidRequest for a field that is there
    twice: readers differ in which of the two they believe, and one may be a threshold (R84)."""
    return json.loads(data, object_pairs_hook=_once)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in found if names.count(name) > 1)
        raise InvalidRequest(Fault("", f"{twice} is there more than once in the same object"))
    return found


def read_moment(text: str, field: str) -> datetime:
    """`text` as an aware time. Raises InvalidRequest naming `field`."""
    try:
        return _moment(text)
    except ValueError as error:
        raise InvalidRequest(Fault(field, str(error))) from None


def refuse(*faults: Fault | None) -> None:
    """Raises InvalidRequest when there are faults."""
    found = [fault for fault in faults if fault is not None]
    if found:
        raise InvalidRequest(*found)


def _fault(error: Any) -> Fault:
    match error["type"]:
        case "extra_forbidden":
            message = "there is no such field"
        case "missing":
            message = "this field is needed"
        case "json_invalid":
            message = "the body is not JSON"
        case "value_error":
            message = str(error["ctx"]["error"])
        case _:
            message = error["msg"]
    return Fault("".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in error["loc"]), message)


def _unknown(field: str, given: Collection[str], known: Collection[str]) -> Fault | None:
    if set(given) <= set(known):
        return None
    return Fault(field, f"each one of {', '.join(sorted(known))}")


def _wrong_url(url: str, *, insecure: bool) -> Iterator[Fault]:
    try:
        parts = urlsplit(url)
        good = bool(parts.hostname) and parts.port != 0 and not parts.username and not parts.fragment
    except ValueError:
        good = False
    schemes = ("https", "http") if insecure else ("https",)
    if not good or parts.scheme not in schemes or not url.isascii() or not url.isprintable() or " " in url:
        yield Fault("/url", "an absolute https address, without user, fragment or spaces")


def _instant(moment: datetime) -> str:
    """The same text for the same instant, whatever the offset it was written with."""
    return moment.astimezone(UTC).isoformat()
