"""What the API reads of its environment."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """`issuer` is the user pool's, as its tokens name it; `user_pool` is the pool's id, which shows the keys.

    `secret_prefix` begins the name of every endpoint's secret. `allow_insecure_endpoints` is "yes" only in the stage
    on one machine, where the receiving system listens on loopback without TLS.
    """

    registry_table: str
    observations_table: str
    alerts_table: str
    decisions_table: str
    quarantine_table: str
    backlog_queue: str
    contacts_table: str
    contacts_key: str
    archive_key: str
    erasures_table: str
    audit_table: str
    audit_days: int
    deliveries_table: str
    doorbell_queue: str
    idempotency_table: str
    secret_prefix: str
    provisioning_template: str
    issuer: str
    user_pool: str
    allow_insecure_endpoints: str
