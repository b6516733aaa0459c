"""A device comes to its name: with a claim it asks for a certificate, keeps it, and registers it for its serial."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from awscrt import mqtt5, mqtt_request_response
from awsiot import V2ServiceException, iotidentity, mqtt5_client_builder

from device_sim.errors import NotConnected, NotProvisioned
from device_sim.gateway import Broker, Gateway, Identity

ANSWER_SECONDS = 15
CONNECT_SECONDS = 15
_TOKEN_DIED = "InvalidCertificateOwnershipToken"  # noqa: S105 - IoT Core's word for it


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim's PEM files and the provisioning template that it is for."""

    certificate: Path
    private_key: Path
    template: str


@dataclass(frozen=True, slots=True)
class NewCertificate:
    """A certificate that has no name yet: PEM texts, and the token that shows whose it is, for an hour."""

    id: str
    certificate: str
    private_key: str
    token: str


class Registrar(Protocol):
    """What a device asks for with its claim. Both raise NotProvisioned."""

    def new_certificate(self) -> NewCertificate: ...
    def register(self, token: str, parameters: Mapping[str, str]) -> None: ...


def provision(
    registrar: Registrar, *, serial: str, profile: str, folder: Path, connects: Callable[[Identity], bool]
) -> Identity:
    """The device's identity, with its files in `folder`; asked again, it is the same one.

    A serial is provisioned once, so its certificate is kept *before* it is registered: a device that loses its power in
    between, or the answer on the way, goes on with what it kept, and sees by connecting with it (`connects`) whether it
    was registered. Raises NotProvisioned; asked again it goes on, with a new certificate where the old one had waited
    too long.
    """
    identity = Identity(serial, folder / f"{serial}.pem", folder / f"{serial}.key")
    pending = folder / f"{serial}.pending"
    if pending.exists():
        made = NewCertificate(**json.loads(pending.read_text()))
        _write(made, identity)
        if connects(identity):
            pending.unlink()
            return identity
    elif identity.certificate.exists():
        return identity
    else:
        made = registrar.new_certificate()
        _keep(made, pending)
    try:
        registrar.register(made.token, {"SerialNumber": serial, "Profile": profile})
    except NotProvisioned as problem:
        if problem.code == _TOKEN_DIED:
            forget(identity)
        raise
    _write(made, identity)
    pending.unlink()
    return identity


def forget(identity: Identity) -> None:
    """Remove what was kept of a certificate: the next claim makes another."""
    for path in (identity.certificate, identity.private_key, identity.certificate.with_suffix(".pending")):
        path.unlink(missing_ok=True)


def _keep(made: NewCertificate, pending: Path) -> None:
    """All of it or nothing, and readable by the device alone."""
    pending.parent.mkdir(parents=True, exist_ok=True)
    unfinished = pending.with_suffix(".part")
    unfinished.touch(mode=0o600)
    unfinished.write_text(json.dumps(asdict(made)))
    unfinished.replace(pending)


def _write(made: NewCertificate, identity: Identity) -> None:
    identity.private_key.touch(mode=0o600)
    identity.private_key.write_text(made.private_key)
    identity.certificate.write_text(made.certificate)


def connects_to(broker: Broker) -> Callable[[Identity], bool]:
    """What tells whether the broker lets an identity in."""

    def connects(identity: Identity) -> bool:
        gateway = Gateway(broker, identity, clock=lambda: datetime.now(UTC))
        gateway.start()
        try:
            gateway.wait_connected(CONNECT_SECONDS)
        except NotConnected:
            return False
        finally:
            gateway.stop()
        return True

    return connects


@contextmanager
def over_mqtt(broker: Broker, claim: Claim, *, client_id: str) -> Iterator[Registrar]:
    """IoT Core's fleet provisioning, for as long as the block lasts. Raises NotConnected."""
    connected, stopped = threading.Event(), threading.Event()
    client = mqtt5_client_builder.mtls_from_path(
        str(claim.certificate),
        str(claim.private_key),
        endpoint=broker.host,
        ca_filepath=str(broker.ca),
        client_options=mqtt5.ClientOptions(
            host_name=broker.host,
            port=broker.port,
            on_lifecycle_event_connection_success_fn=lambda _: connected.set(),
            on_lifecycle_event_stopped_fn=lambda _: stopped.set(),
        ),
        client_id=client_id,
        enable_metrics_collection=False,
    )
    client.start()
    try:
        if not connected.wait(CONNECT_SECONDS):
            raise NotConnected(f"The claim could not connect to {broker.host}:{broker.port}: is it still good?")
        yield _OverMqtt(client, claim.template)
    finally:
        client.stop()
        stopped.wait(CONNECT_SECONDS)


class _OverMqtt:
    def __init__(self, client: mqtt5.Client, template: str) -> None:
        options = mqtt_request_response.ClientOptions(
            max_request_response_subscriptions=4,
            max_streaming_subscriptions=0,
            operation_timeout_in_seconds=ANSWER_SECONDS,
        )
        self._client = iotidentity.IotIdentityClientV2(client, options)
        self._template = template

    def new_certificate(self) -> NewCertificate:
        request = iotidentity.CreateKeysAndCertificateRequest()
        made = _answer(self._client.create_keys_and_certificate(request))
        return NewCertificate(
            made.certificate_id, made.certificate_pem, made.private_key, made.certificate_ownership_token
        )

    def register(self, token: str, parameters: Mapping[str, str]) -> None:
        request = iotidentity.RegisterThingRequest(
            template_name=self._template, certificate_ownership_token=token, parameters=dict(parameters)
        )
        _answer(self._client.register_thing(request))


def _answer(future: "Future[Any]") -> Any:
    try:
        return future.result(ANSWER_SECONDS + 1)
    except V2ServiceException as error:
        refused = error.modeled_error
        if refused is None:
            raise NotProvisioned("Nobody answered the claim in time: ask again.") from error
        raise NotProvisioned(f"The claim was refused: {refused.error_message}", refused.error_code) from error
