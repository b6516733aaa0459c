"""One page: does what comes in go out, and where does it wait?"""

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from infra.function import PythonFunction
from infra.queue import WorkQueue

_MINUTE = Duration.minutes(1)


class Dashboard(Construct):
    """All functions and queues below `chain`, from what came to what failed."""

    def __init__(self, scope: Construct, construct_id: str, *, name: str, rule: str, chain: Construct) -> None:
        super().__init__(scope, construct_id)
        functions = [one for one in chain.node.find_all() if isinstance(one, PythonFunction)]
        queues = [one for one in chain.node.find_all() if isinstance(one, WorkQueue)]
        matched = cloudwatch.Metric(
            namespace="AWS/IoT",
            metric_name="TopicMatch",
            dimensions_map={"RuleName": rule},
            period=_MINUTE,
            statistic="Sum",
        )
        page = cloudwatch.Dashboard(self, "Page", dashboard_name=name)
        page.add_widgets(
            _graph("Messages from devices", [matched.with_(label="messages")]),
            _graph(
                "Oldest message that waits, seconds",
                [one.metric_approximate_age_of_oldest_message(period=_MINUTE, label=one.node.id) for one in queues],
            ),
            _graph(
                "Streams are read late by, milliseconds",
                [
                    one.metric("IteratorAge", period=_MINUTE, statistic="Maximum", label=one.label)
                    for one in functions
                    if one.reads_streams
                ],
            ),
        )
        page.add_widgets(
            _graph("Invocations", [one.metric_invocations(period=_MINUTE, label=one.label) for one in functions]),
            _graph("Errors", [one.metric_errors(period=_MINUTE, label=one.label) for one in functions]),
            _graph(
                "Duration p99, milliseconds",
                [one.metric_duration(period=_MINUTE, statistic="p99", label=one.label) for one in functions],
            ),
        )


def _graph(title: str, metrics: list[cloudwatch.Metric]) -> cloudwatch.GraphWidget:
    return cloudwatch.GraphWidget(title=title, left=metrics, width=8, height=6)
