"""Where readings wait: the inbox, and a second one for what has waited too long already."""

from aws_cdk import Duration
from constructs import Construct

from infra.alarms import Alarms
from infra.keys import Keys
from infra.queue import WorkQueue
from infra.stage import Stage

INGEST_TIMEOUT = Duration.seconds(30)


class Inbox(Construct):
    """`fresh` is read at once; `backlog` takes a gateway's flush or what an outage left, and delays nobody (R99)."""

    def __init__(self, scope: Construct, construct_id: str, *, stage: Stage, keys: Keys, alarms: Alarms) -> None:
        super().__init__(scope, construct_id)
        self.fresh = WorkQueue(
            self,
            "Fresh",
            stage=stage,
            key=keys.data,
            alarms=alarms,
            reader_timeout=INGEST_TIMEOUT,
            late_after_seconds=60,
        )
        self.backlog = WorkQueue(
            self,
            "Backlog",
            stage=stage,
            key=keys.data,
            alarms=alarms,
            reader_timeout=INGEST_TIMEOUT,
            late_after_seconds=3600,
        )
