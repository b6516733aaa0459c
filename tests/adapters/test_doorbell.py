"""The doorbell carries a lane's name and comes when it is due."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import boto3
import pytest
from moto import mock_aws

from adapters.doorbell import Doorbell, to_lane
from domain.delivery import Lane

LANE = Lane("clinic-a", "mis-1", "alerts-0")


@pytest.fixture
def sqs() -> Iterator[Any]:
    with mock_aws():
        yield boto3.client("sqs", region_name="eu-central-1")


def test_a_lane_arrives_as_it_was_sent(sqs: Any) -> None:
    queue = sqs.create_queue(QueueName="doorbell")["QueueUrl"]
    Doorbell(sqs, queue).ring(LANE)
    (message,) = sqs.receive_message(QueueUrl=queue)["Messages"]
    assert to_lane(message["Body"]) == LANE


class Recorder:
    def __init__(self) -> None:
        self.delays: list[int] = []

    def send_message(self, **message: Any) -> None:
        self.delays.append(message["DelaySeconds"])


@pytest.mark.parametrize(("wait", "delay"), [(0, 0), (0.2, 1), (5, 5), (71.5, 72), (900, 900), (90_000, 900)])
def test_a_wait_is_whole_seconds_and_a_quarter_of_an_hour_at_most(wait: float, delay: int) -> None:
    recorder = Recorder()
    Doorbell(recorder, "queue").ring(LANE, timedelta(seconds=wait))
    assert recorder.delays == [delay]
