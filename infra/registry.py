"""The MIS's HTTP API -> registry function, and the pool that issues its tokens."""

from aws_cdk import Aws, Duration, RemovalPolicy
from aws_cdk import aws_apigatewayv2 as apigateway
from aws_cdk import aws_apigatewayv2_integrations as integrations
from aws_cdk import aws_cognito as cognito
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.accepted import accept
from infra.export import SECRETS_COME, endpoint_secrets, secret_prefix
from infra.function import PythonFunction, Runtime, retention
from infra.keys import MAKES_KEYS
from infra.provisioning import CERTIFICATES, NOT_YET_THERE, THINGS, Provisioning

SCOPES = {
    "enrol": "Enrol subjects, devices and assignments",
    "care-plan": "Set care plans",
    "read": "Read observations, alerts and decisions",
    "acknowledge": "Acknowledge, snooze and resolve alerts",
    "endpoints": "Set where deliveries are received",
    "operate": "Recall devices, revoke gateways, replay",
}


class Registry(Construct):
    """The function verifies the token itself: a gateway's authorizer stops at 50 clients, each hospital is one."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        runtime: Runtime,
        provisioning: Provisioning,
        registry: dynamodb.ITable,
        observations: dynamodb.ITable,
        alerts: dynamodb.ITable,
        decisions: dynamodb.ITable,
        quarantine: dynamodb.ITable,
        backlog: sqs.IQueue,
        contacts: dynamodb.ITable,
        contacts_key: kms.Key,
        archive_key: kms.IKey,
        erasures: dynamodb.ITable,
        audit: dynamodb.ITable,
        deliveries: dynamodb.ITable,
        doorbell: sqs.IQueue,
        idempotency: dynamodb.ITable,
    ) -> None:
        super().__init__(scope, construct_id)
        stage = runtime.stage
        removal = RemovalPolicy.RETAIN if stage.durable else RemovalPolicy.DESTROY
        self.pool = cognito.UserPool(
            self,
            "Clients",
            self_sign_up_enabled=False,
            password_policy=cognito.PasswordPolicy(
                min_length=16, require_digits=True, require_lowercase=True, require_symbols=True, require_uppercase=True
            ),
            deletion_protection=stage.durable,
            removal_policy=removal,
        )
        for rule in ("COG2", "COG8"):
            accept(self.pool, rule, "It has no users: machines take tokens by client credentials.")
        self.pool.add_resource_server(
            "Scopes",
            identifier="pma",
            scopes=[
                cognito.ResourceServerScope(scope_name=name, scope_description=what) for name, what in SCOPES.items()
            ],
        )
        self.domain = self.pool.add_domain(
            "Domain",
            cognito_domain=cognito.CognitoDomainOptions(domain_prefix=f"{stage.stack}-{Aws.ACCOUNT_ID}"),
        )

        function = PythonFunction(
            self,
            "Function",
            runtime=runtime,
            package="registry",
            concurrency="registry",
            timeout=Duration.seconds(25),
            settings={
                "registry_table": registry.table_name,
                "observations_table": observations.table_name,
                "alerts_table": alerts.table_name,
                "decisions_table": decisions.table_name,
                "quarantine_table": quarantine.table_name,
                "backlog_queue": backlog.queue_url,
                "contacts_table": contacts.table_name,
                "contacts_key": contacts_key.key_arn,
                "archive_key": archive_key.key_arn,
                "erasures_table": erasures.table_name,
                "audit_table": audit.table_name,
                "audit_days": str(stage.audit_days),
                "deliveries_table": deliveries.table_name,
                "doorbell_queue": doorbell.queue_url,
                "idempotency_table": idempotency.table_name,
                "secret_prefix": secret_prefix(stage.stack),
                "provisioning_template": provisioning.template,
                "issuer": self.issuer,
                "user_pool": self.pool.user_pool_id,
                "allow_insecure_endpoints": "yes" if stage.allow_insecure_endpoints else "no",
            },
        )
        function.uses(registry, "BatchGetItem", "DeleteItem", "PutItem", "Query", "UpdateItem")
        function.may(["dynamodb:Query"], f"{registry.table_arn}/index/fleet")
        function.uses(observations, "BatchGetItem", "Query")
        function.uses(alerts, "BatchGetItem", "PutItem", "Query")
        function.may(["dynamodb:Query"], f"{alerts.table_arn}/index/by-id")
        function.uses(audit, "PutItem", "Query")
        function.uses(erasures, "BatchGetItem", "ConditionCheckItem", "PutItem")
        function.uses(decisions, "BatchGetItem")
        function.uses(deliveries, "GetItem", "Query", "UpdateItem")
        function.may(["sqs:SendMessage"], doorbell.queue_arn)
        function.uses(idempotency, "DeleteItem", "PutItem", "UpdateItem")
        function.may(["dynamodb:Query"], f"{quarantine.table_arn}/index/by-time")
        function.uses(quarantine, "BatchGetItem")
        function.may(["sqs:SendMessage"], backlog.queue_arn)
        function.uses(contacts, "GetItem", "UpdateItem")
        function.holds(contacts_key, "kms:Encrypt")
        function.may(MAKES_KEYS, archive_key.key_arn)
        function.may(
            [
                "secretsmanager:CreateSecret",
                "secretsmanager:DeleteSecret",
                "secretsmanager:GetSecretValue",
                "secretsmanager:PutSecretValue",
            ],
            endpoint_secrets(stage.stack),
            because=SECRETS_COME,
        )
        function.may(["iot:CreateProvisioningClaim"], provisioning.template_arn)
        function.may(["iot:ListThingPrincipals"], THINGS, because=NOT_YET_THERE)
        function.may(["iot:DescribeCertificate", "iot:UpdateCertificate"], CERTIFICATES, because=NOT_YET_THERE)

        self.api = apigateway.HttpApi(
            self,
            "Api",
            api_name=stage.stack,
            create_default_stage=False,
            default_integration=integrations.HttpLambdaIntegration("Integration", function),
        )
        accept(self.api, "APIG4", "The function verifies the token; an authorizer stops at 50 clients.")
        access = logs.LogGroup(
            self, "Access", retention=retention(stage), encryption_key=runtime.log_key, removal_policy=removal
        )
        apigateway.CfnStage(
            self,
            "Stage",
            api_id=self.api.http_api_id,
            stage_name="$default",
            auto_deploy=True,
            default_route_settings=apigateway.CfnStage.RouteSettingsProperty(
                throttling_rate_limit=500, throttling_burst_limit=1000, detailed_metrics_enabled=True
            ),
            # No path: it holds the subject's token. The function's own log has the route.
            access_log_settings=apigateway.CfnStage.AccessLogSettingsProperty(
                destination_arn=access.log_group_arn,
                format='{"request":"$context.requestId","at":"$context.requestTimeEpoch","ip":"$context.identity.sourceIp",'
                '"method":"$context.httpMethod","status":"$context.status","ms":"$context.responseLatency"}',
            ),
        )

    @property
    def issuer(self) -> str:
        return f"https://cognito-idp.{Aws.REGION}.amazonaws.com/{self.pool.user_pool_id}"

    @property
    def token_url(self) -> str:
        return f"https://{self.domain.domain_name}.auth.{Aws.REGION}.amazoncognito.com/oauth2/token"
