"""The whole of it: read from top to bottom it is the diagram."""

from pathlib import Path

from aws_cdk import Aws, CfnOutput, CfnRule, CfnRuleAssertion, Fn, Stack, StackSynthesizer
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.account import Account
from infra.alarms import Alarms
from infra.dashboard import Dashboard
from infra.devices import Devices
from infra.erase import Erase
from infra.evaluate import Evaluate
from infra.export import Export
from infra.function import Runtime
from infra.inbox import Inbox
from infra.ingest import Ingest
from infra.keys import Keys
from infra.notify import Notify
from infra.provisioning import Provisioning
from infra.registry import Registry
from infra.relay import Relay
from infra.replay import Replay
from infra.stage import Stage
from infra.storage import Archive, Storage


class Pma(Stack):
    """device -> inbox -> ingest -> observations -> evaluate -> alerts -> relay -> notify; both streams -> export."""

    def __init__(
        self,
        scope: Construct,
        *,
        stage: Stage,
        zips: Path,
        synthesizer: StackSynthesizer | None = None,
    ) -> None:
        super().__init__(
            scope, stage.stack, synthesizer=synthesizer, termination_protection=stage.durable, analytics_reporting=False
        )
        CfnRule(
            self,
            "Region",
            assertions=[
                CfnRuleAssertion(
                    assert_=Fn.condition_contains(list(stage.regions), Aws.REGION),
                    assert_description=f"Stage {stage.name} may run only in {', '.join(stage.regions)}: infra/stage.py",
                )
            ],
        )
        keys = Keys(self, "Keys", stage=stage)
        alarms = Alarms(self, "Alarms", key=keys.operations)
        if stage.monthly_budget_usd:
            alarms.on_cost(stage.monthly_budget_usd, name=stage.stack)
        storage = Storage(self, "Storage", stage=stage, keys=keys)
        archive = Archive(self, "Archive", stage=stage, keys=keys, alarms=alarms)
        runtime = Runtime(
            stage=stage,
            layer=lambda_.LayerVersion(self, "Layer", code=lambda_.Code.from_asset(str(zips / "layer.zip"))),
            zips=zips,
            log_key=keys.operations,
            queue_key=keys.data,
            alarms=alarms,
        )

        inbox = Inbox(self, "Inbox", stage=stage, keys=keys, alarms=alarms)
        devices = Devices(self, "Devices", stage=stage, keys=keys, alarms=alarms, inbox=inbox.fresh)
        if stage.account_wide and not stage.emulated:
            Account(self, "Account", operators=alarms.operators, operators_key=keys.operations)
        Ingest(
            self,
            "Ingest",
            runtime=runtime,
            inbox=inbox,
            registry=storage.registry,
            observations=storage.observations,
            quarantine=storage.quarantine,
            archive=archive,
            archive_key=keys.archive,
        )
        Evaluate(
            self,
            "Evaluate",
            runtime=runtime,
            observations=storage.observations,
            alerts=storage.alerts,
            registry=storage.registry,
            decisions=storage.decisions,
        )
        relay = Relay(self, "Relay", runtime=runtime, alerts=storage.alerts)
        Notify(
            self,
            "Notify",
            runtime=runtime,
            critical=relay.critical,
            ordinary=relay.ordinary,
            alerts=storage.alerts,
            registry=storage.registry,
            contacts=storage.contacts,
            contacts_key=keys.contacts,
        )
        export = Export(
            self,
            "Export",
            runtime=runtime,
            observations=storage.observations,
            alerts=storage.alerts,
            registry=storage.registry,
            deliveries=storage.deliveries,
        )
        Replay(
            self,
            "Replay",
            runtime=runtime,
            registry=storage.registry,
            observations=storage.observations,
            quarantine=storage.quarantine,
            backlog=inbox.backlog,
        )
        Erase(self, "Erase", runtime=runtime, storage=storage)
        provisioning = Provisioning(
            self,
            "Provisioning",
            runtime=runtime,
            registry=storage.registry,
            thing_type=devices.thing_type,
            policy=devices.policy,
        )
        registry = Registry(
            self,
            "Registry",
            runtime=runtime,
            provisioning=provisioning,
            registry=storage.registry,
            observations=storage.observations,
            alerts=storage.alerts,
            decisions=storage.decisions,
            quarantine=storage.quarantine,
            backlog=inbox.backlog,
            contacts=storage.contacts,
            contacts_key=keys.contacts,
            archive_key=keys.archive,
            erasures=storage.erasures,
            audit=storage.audit,
            deliveries=storage.deliveries,
            doorbell=export.doorbell,
            idempotency=storage.idempotency,
        )
        Dashboard(self, "Dashboard", name=stage.stack, rule=stage.rule, chain=self)

        for name, value in {
            "ApiUrl": registry.api.api_endpoint,
            "TokenUrl": registry.token_url,
            "UserPoolId": registry.pool.user_pool_id,
            "UserPoolDomain": registry.domain.domain_name,
            "RegistryTable": storage.registry.table_name,
            "ObservationsTable": storage.observations.table_name,
            "AlertsTable": storage.alerts.table_name,
            "DecisionsTable": storage.decisions.table_name,
            "DeliveriesTable": storage.deliveries.table_name,
            "ContactsTable": storage.contacts.table_name,
            "ErasuresTable": storage.erasures.table_name,
            "AuditTable": storage.audit.table_name,
            "QuarantineTable": storage.quarantine.table_name,
            "InboxQueueUrl": inbox.fresh.queue_url,
            "BacklogQueueUrl": inbox.backlog.queue_url,
            "DoorbellQueueUrl": export.doorbell.queue_url,
            "ErrorQueueUrl": devices.errors.queue_url,
            "IotPolicyName": devices.policy.ref,
            "ThingTypeName": devices.thing_type.ref,
            "ProvisioningTemplateName": provisioning.template,
            "ClaimPolicyName": provisioning.claim_policy.ref,
            "TopicRuleName": devices.rule.ref,
            "TopicPrefix": stage.topic_prefix,
            "OrganisationTopicPrefix": f"{stage.stack}-org-",
            "OperatorsTopic": alarms.operators.topic_arn,
            "ArchiveBucket": archive.bucket.bucket_name,
            "ArchiveKey": keys.archive.key_arn,
        }.items():
            CfnOutput(self, name, value=value)
