"""What the API is made of: adapters over the settings, made once a process, the rarely needed ones when asked for."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property

from adapters.alerts import Alerts, DutyQueue, Episodes
from adapters.audit import Audit
from adapters.aws import client
from adapters.care_plans import CarePlans
from adapters.catalogue import profiles
from adapters.claims import ClaimLog
from adapters.contacts import ContactVault
from adapters.decisions import Decisions
from adapters.deliveries import Deliveries
from adapters.doorbell import Doorbell
from adapters.environment import read
from adapters.erasures import Erasures
from adapters.inbox import Backlog
from adapters.iot import ThingCertificates
from adapters.observations import Observations
from adapters.programmes import programmes
from adapters.quarantine import Quarantine
from adapters.registry import Registry
from adapters.requests import Requests
from adapters.sealing import KeyRing
from adapters.secrets import EndpointSecrets, Secrets
from adapters.tokens import Tokens, keys_url
from adapters.webhook import Webhook
from domain.care_plan import Programme
from domain.profile import DeviceProfile
from functions.registry.settings import Settings
from functions.registry.tenancy import Tenants


def clock() -> datetime:
    return datetime.now(UTC)


@dataclass
class Wired:
    settings: Settings

    @cached_property
    def registry(self) -> Registry:
        settings = self.settings
        return Registry(client("dynamodb"), settings.registry_table, settings.alerts_table, settings.erasures_table)

    @cached_property
    def keys(self) -> KeyRing:
        return KeyRing(client("dynamodb"), client("kms"), self.settings.registry_table, self.settings.archive_key)

    @cached_property
    def tenants(self) -> Tenants:
        return Tenants(self.registry.organisation_of)

    @cached_property
    def requests(self) -> Requests:
        return Requests(client("dynamodb"), self.settings.idempotency_table)

    @cached_property
    def audit(self) -> Audit:
        return Audit(client("dynamodb"), self.settings.audit_table, timedelta(days=self.settings.audit_days))

    @cached_property
    def erasures(self) -> Erasures:
        settings = self.settings
        return Erasures(
            client("dynamodb"), settings.erasures_table, registry=settings.registry_table, alerts=settings.alerts_table
        )

    @cached_property
    def tokens(self) -> Tokens:
        return Tokens(self.settings.issuer, keys_url(self.settings.user_pool))

    @cached_property
    def secrets(self) -> EndpointSecrets:
        return EndpointSecrets(Secrets(client("secretsmanager")), self.settings.secret_prefix)

    @cached_property
    def doorbell(self) -> Doorbell:
        return Doorbell(client("sqs"), self.settings.doorbell_queue)

    @cached_property
    def courier(self) -> Webhook:
        return Webhook(allow_insecure=self.insecure)

    @cached_property
    def certificates(self) -> ThingCertificates:
        return ThingCertificates(client("iot"), self.settings.provisioning_template)

    @cached_property
    def claims(self) -> ClaimLog:
        return ClaimLog(client("dynamodb"), self.settings.registry_table)

    @cached_property
    def plans(self) -> CarePlans:
        return CarePlans(client("dynamodb"), self.settings.registry_table)

    @cached_property
    def vault(self) -> ContactVault:
        return ContactVault(client("dynamodb"), client("kms"), self.settings.contacts_table, self.settings.contacts_key)

    @cached_property
    def observations(self) -> Observations:
        return Observations(client("dynamodb"), self.settings.observations_table)

    @cached_property
    def alerts(self) -> Alerts:
        return Alerts(client("dynamodb"), self.settings.alerts_table)

    @cached_property
    def decisions(self) -> Decisions:
        return Decisions(client("dynamodb"), self.settings.decisions_table)

    @cached_property
    def duty_queue(self) -> DutyQueue:
        return DutyQueue(client("dynamodb"), self.settings.alerts_table)

    @cached_property
    def episodes(self) -> Episodes:
        settings = self.settings
        return Episodes(client("dynamodb"), settings.alerts_table, settings.registry_table, self.decisions)

    @cached_property
    def quarantine(self) -> Quarantine:
        return Quarantine(client("dynamodb"), self.settings.quarantine_table)

    @cached_property
    def backlog(self) -> Backlog:
        return Backlog(client("sqs"), self.settings.backlog_queue)

    @cached_property
    def deliveries(self) -> Deliveries:
        return Deliveries(client("dynamodb"), self.settings.deliveries_table, days=0)  # read only: nothing to expire

    @property
    def profiles(self) -> Mapping[str, DeviceProfile]:
        return profiles()

    @property
    def programmes(self) -> Mapping[str, Programme]:
        return programmes()

    @property
    def insecure(self) -> bool:
        return self.settings.allow_insecure_endpoints == "yes"


@cache
def wired() -> Wired:
    return Wired(read(Settings))
