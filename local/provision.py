"""Things with certificates, over the API: what a factory does for a device before it is shipped."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Thing:
    """A thing that may connect: its name and the PEM files that prove it."""

    name: str
    certificate: Path
    private_key: Path


def provision(iot: Any, names: Iterable[str], *, policy: str, thing_type: str, folder: Path) -> list[Thing]:
    """Make things of these names, each with its own certificate and `policy`, and keep their files in `folder`.

    The private key is made here and never travels. Making a thing again gives it a further certificate.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return [_provision(iot, name, policy, thing_type, folder) for name in names]


def make_claim(iot: Any, *, policy: str, folder: Path) -> tuple[Path, Path]:
    """A claim as a maker puts it into all of its devices: the PEM files of its certificate and private key."""
    made = iot.create_keys_and_certificate(setAsActive=True)
    iot.attach_policy(policyName=policy, target=made["certificateArn"])
    certificate, private_key = folder / "claim.pem", folder / "claim.key"
    certificate.write_text(made["certificatePem"])
    private_key.touch(mode=0o600)
    private_key.write_text(made["keyPair"]["PrivateKey"])
    return certificate, private_key


def _provision(iot: Any, name: str, policy: str, thing_type: str, folder: Path) -> Thing:
    key = ec.generate_private_key(ec.SECP256R1())
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .sign(key, hashes.SHA256())
    )
    iot.create_thing(thingName=name, thingTypeName=thing_type)
    signed = iot.create_certificate_from_csr(
        certificateSigningRequest=request.public_bytes(serialization.Encoding.PEM).decode(), setAsActive=True
    )
    iot.attach_policy(policyName=policy, target=signed["certificateArn"])
    iot.attach_thing_principal(thingName=name, principal=signed["certificateArn"])
    thing = Thing(name, folder / f"{name}.pem", folder / f"{name}.key")
    thing.certificate.write_text(signed["certificatePem"])
    thing.private_key.touch(mode=0o600)
    thing.private_key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return thing
