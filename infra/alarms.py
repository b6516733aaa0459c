"""Alarms about our own machinery: each has an action, says what silence means, and names its page of the runbook."""

from aws_cdk import Aws, Duration
from aws_cdk import aws_budgets as budgets
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

RUNBOOK = "docs/runbook.md"


class Alarms(Construct):
    """The operators' topic and what goes to it: whoever makes a function or a queue asks for its alarms here."""

    def __init__(self, scope: Construct, construct_id: str, *, key: kms.IKey) -> None:
        super().__init__(scope, construct_id)
        self.operators = sns.Topic(self, "Operators", master_key=key, enforce_ssl=True)
        # A topic with a policy of its own has lost the default one, which let the account's alarms publish (R106).
        self._let_publish("cloudwatch.amazonaws.com")
        self._action = actions.SnsAction(self.operators)

    def on(
        self,
        metric: cloudwatch.Metric,
        name: str,
        *,
        scope: Construct,
        above: float,
        what: str,
        page: str,
        minutes: int = 1,
        silence: cloudwatch.TreatMissingData = cloudwatch.TreatMissingData.NOT_BREACHING,
    ) -> None:
        """Tell the operators when `metric` stays above `above` for `minutes`; `page` is a heading of the runbook."""
        alarm = cloudwatch.Alarm(
            scope,
            name,
            metric=metric,
            threshold=above,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            evaluation_periods=minutes,
            treat_missing_data=silence,
            alarm_description=f"{what} See {RUNBOOK}#{page}",
        )
        alarm.add_alarm_action(self._action)
        alarm.add_ok_action(self._action)

    def on_function(self, function: lambda_.Function, *, timeout: Duration) -> None:
        minute = Duration.minutes(1)
        self.on(
            function.metric_errors(period=minute),
            "Errors",
            scope=function,
            above=0,
            minutes=3,
            what="A function fails again and again.",
            page="function-errors",
        )
        self.on(
            function.metric_throttles(period=minute),
            "Throttles",
            scope=function,
            above=0,
            minutes=3,
            what="A function needs more concurrency than it has reserved.",
            page="throttles",
        )
        self.on(
            function.metric_duration(period=minute, statistic="Maximum"),
            "Duration",
            scope=function,
            above=timeout.to_milliseconds() * 0.8,
            minutes=3,
            what="A function comes close to its timeout.",
            page="duration",
        )

    def on_stream_reader(self, function: lambda_.Function) -> None:
        age = function.metric("IteratorAge", period=Duration.minutes(1), statistic="Maximum")
        for name, seconds in (("Lag", 60), ("LongLag", 300)):
            self.on(
                age,
                name,
                scope=function,
                above=seconds * 1000,
                what=f"A stream is read more than {seconds} s late; what is 24 h late is gone.",
                page="stream-lag",
            )

    def on_waiting(self, queue: sqs.Queue, *, seconds: int) -> None:
        self.on(
            queue.metric_approximate_age_of_oldest_message(period=Duration.minutes(1)),
            "Age",
            scope=queue,
            above=seconds,
            what=f"A message has waited more than {seconds} s: its reader is disabled, throttled or failing.",
            page="queue-age",
        )

    def on_any_message(self, queue: sqs.Queue) -> None:
        self.on(
            queue.metric_approximate_number_of_messages_visible(period=Duration.minutes(1), statistic="Maximum"),
            "NotEmpty",
            scope=queue,
            above=0,
            what="Something was set aside that nobody has handled.",
            page="dead-letters",
        )

    def on_archive(self, stream_name: str, *, scope: Construct, seconds: int) -> None:
        self.on(
            cloudwatch.Metric(
                namespace="AWS/Firehose",
                metric_name="DeliveryToS3.DataFreshness",
                dimensions_map={"DeliveryStreamName": stream_name},
                period=Duration.minutes(5),
                statistic="Maximum",
            ),
            "Late",
            scope=scope,
            above=seconds,
            what="Raw readings do not reach the archive.",
            page="archive",
        )

    def on_rule(self, rule_name: str, *, scope: Construct) -> None:
        """What a topic rule can lose, one alarm each (R2)."""
        for name, action, what in (
            ("ParseError", None, "Messages that the topic rule cannot read are lost."),
            ("RuleMessageThrottled", None, "Messages are lost: IoT Core throttles the topic rule."),
            ("Failure", "SQS", "The topic rule cannot send to the inbox; messages go to the error queue."),
            ("ErrorActionFailure", "SQS", "Messages are lost: neither the inbox nor the error queue takes them."),
        ):
            self.on(
                cloudwatch.Metric(
                    namespace="AWS/IoT",
                    metric_name=name,
                    dimensions_map={"RuleName": rule_name, **({"ActionType": action} if action else {})},
                    period=Duration.minutes(1),
                    statistic="Sum",
                ),
                name,
                scope=scope,
                above=0,
                what=what,
                page="topic-rule",
            )

    def on_cost(self, monthly_usd: int, *, name: str) -> None:
        """A loop that nobody meant shows in the bill first (R109)."""
        self._let_publish("budgets.amazonaws.com")
        budgets.CfnBudget(
            self,
            "Budget",
            budget=budgets.CfnBudget.BudgetDataProperty(
                budget_name=name,
                budget_type="COST",
                time_unit="MONTHLY",
                budget_limit=budgets.CfnBudget.SpendProperty(amount=monthly_usd, unit="USD"),
            ),
            notifications_with_subscribers=[
                budgets.CfnBudget.NotificationWithSubscribersProperty(
                    notification=budgets.CfnBudget.NotificationProperty(
                        comparison_operator="GREATER_THAN",
                        notification_type=kind,
                        threshold=percent,
                        threshold_type="PERCENTAGE",
                    ),
                    subscribers=[
                        budgets.CfnBudget.SubscriberProperty(subscription_type="SNS", address=self.operators.topic_arn)
                    ],
                )
                for kind, percent in (("ACTUAL", 80), ("FORECASTED", 100))
            ],
        )

    def _let_publish(self, service: str) -> None:
        self.operators.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.ServicePrincipal(service)],
                actions=["sns:Publish"],
                resources=[self.operators.topic_arn],
                conditions={"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}},
            )
        )
