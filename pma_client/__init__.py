"""The typed client of the HTTP API, for a hospital's system.

from pma_client import Client

with Client(api_url, token_url, client_id, client_secret) as pma:
    pma.put_subject("S-7F3A", programmes=["hypertension"], time_zone="Europe/Samara", language="ru",
                    consent=Consent(given_at=datetime.now(UTC)))
    for observation in pma.observations("S-7F3A", kind="blood-pressure"):
        ...
"""

from pma_client.client import Client
from pma_client.errors import (
    Busy,
    Conflict,
    Fault,
    Forbidden,
    Invalid,
    NotFound,
    PmaClientError,
    Problem,
    Stale,
    Unauthorised,
    Unreachable,
)
from pma_client.models import (
    Alert,
    Assignment,
    Attempt,
    Audited,
    CarePlan,
    Claim,
    Consent,
    Contact,
    Decided,
    Decision,
    Delivery,
    Derived,
    Device,
    DryRun,
    Endpoint,
    Erasure,
    Load,
    Observation,
    Quantity,
    QuarantineCount,
    Quarantined,
    Recall,
    Subject,
    Telling,
    Trial,
    TriedEpisode,
)

__all__ = [
    "Alert",
    "Assignment",
    "Attempt",
    "Audited",
    "Busy",
    "CarePlan",
    "Claim",
    "Client",
    "Conflict",
    "Consent",
    "Contact",
    "Decided",
    "Decision",
    "Delivery",
    "Derived",
    "Device",
    "DryRun",
    "Endpoint",
    "Erasure",
    "Fault",
    "Forbidden",
    "Invalid",
    "Load",
    "NotFound",
    "Observation",
    "PmaClientError",
    "Problem",
    "Quantity",
    "QuarantineCount",
    "Quarantined",
    "Recall",
    "Stale",
    "Subject",
    "Telling",
    "Trial",
    "TriedEpisode",
    "Unauthorised",
    "Unreachable",
]
