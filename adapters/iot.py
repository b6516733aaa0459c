"""IoT Core's own registry: the certificates of things, as the API and the provisioning hook need them."""

from dataclasses import dataclass
from typing import Any

from domain.provisioning import NewClaim


@dataclass(frozen=True)
class CertificateStatus:
    """What the hook may see of certificates."""

    client: Any

    def is_pending(self, certificate: str) -> bool:
        """Whether the certificate of that id never became active; one that is gone is the same."""
        return _status(self.client, certificate) in (None, "PENDING_ACTIVATION")


@dataclass(frozen=True)
class ThingCertificates:
    """What the API does with claims of a provisioning template, and with certificates, by their ids."""

    client: Any
    template: str

    def new_claim(self) -> NewClaim:
        """A temporary claim of IoT Core, good for five minutes."""
        made = self.client.create_provisioning_claim(templateName=self.template)
        return NewClaim(
            id=made["certificateId"],
            certificate=made["certificatePem"],
            private_key=made["keyPair"]["PrivateKey"],
            expires_at=made["expiration"],
        )

    def of(self, thing: str) -> list[str]:
        """All certificates of a thing, whatever their status; of a thing that never was, none."""
        found: list[str] = []
        request = {"thingName": thing}
        while True:
            try:
                answer = self.client.list_thing_principals(**request)
            except self.client.exceptions.ResourceNotFoundException:
                return found
            found += [arn.rpartition("/")[2] for arn in answer["principals"] if ":cert/" in arn]
            if not answer.get("nextToken"):
                return found
            request["nextToken"] = answer["nextToken"]

    def is_active(self, certificate: str) -> bool:
        return _status(self.client, certificate) == "ACTIVE"

    def retire(self, certificate: str) -> None:
        """Nobody connects by it any more; IoT Core ends what stands by it within minutes. Again, nothing changes."""
        self.client.update_certificate(certificateId=certificate, newStatus="INACTIVE")


def _status(client: Any, certificate: str) -> str | None:
    try:
        found = client.describe_certificate(certificateId=certificate)
    except client.exceptions.ResourceNotFoundException:
        return None
    return str(found["certificateDescription"]["status"])
