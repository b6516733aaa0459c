"""After a restore everybody who was ever erased is looked for again (R90)."""

import json

import pytest
from moto import mock_aws

from adapters.aws import client as aws_client
from adapters.dynamodb import batch_put
from adapters.erasures import Tombstones
from ops.__main__ import main
from tests.builders import NOW
from tests.in_process import REGION, environment, make_tables
from tests.ops.test_alert_load import outputs


def test_r90_after_a_restore_the_erased_are_looked_for_again(capsys: pytest.CaptureFixture[str]) -> None:
    with mock_aws(), environment({"AWS_DEFAULT_REGION": REGION}):
        dynamodb = aws_client("dynamodb")
        make_tables(dynamodb, ("erasures",))
        who = [("clinic-a", f"S-{number}") for number in range(3)]
        tombs = [{"pk": "#".join(one), "sk": "tombstone", "erased_at": NOW, "finished_at": NOW} for one in who]
        batch_put(dynamodb, "erasures", tombs)
        with outputs(ErasuresTable="erasures"):
            assert main(["erasure", "again", "--stack", "pma-test"]) == 0
        assert json.loads(capsys.readouterr().out) == {"asked": 3}
        found = [Tombstones(dynamodb, "erasures").get(*one) for one in who]
        assert [one is not None and one.finished_at for one in found] == [None] * 3
