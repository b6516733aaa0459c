"""Our signature of a request is, to the letter, what botocore's signer makes of it."""

from datetime import UTC, datetime
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from adapters.signature import signed

PLAIN = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40)
"""What a header may hold; every key and token is of it."""


@given(
    body=st.binary(max_size=200),
    who=st.builds(Credentials, PLAIN, PLAIN, st.none() | PLAIN),
    region=st.sampled_from(["eu-central-1", "us-gov-west-1"]),
    service=st.sampled_from(["dynamodb", "firehose"]),
    host=st.sampled_from(["dynamodb.eu-central-1.amazonaws.com", "127.0.0.1:4566"]),
    target=st.sampled_from(["DynamoDB_20120810.BatchGetItem", "Firehose_20150804.PutRecord"]),
)
def test_it_is_what_botocores_signer_makes(
    body: bytes, who: Credentials, region: str, service: str, host: str, target: str
) -> None:
    headers = {"content-type": "application/x-amz-json-1.0", "x-amz-target": target}
    theirs: Any = AWSRequest("POST", f"http://{host}/", headers, body)
    credentials: Any = who.get_frozen_credentials()
    SigV4Auth(credentials, service, region).add_auth(theirs)
    at = datetime.strptime(theirs.headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    ours = signed({**headers, "host": host}, body, credentials, region=region, service=service, at=at)
    assert ours == {"host": host, **{name.lower(): value for name, value in theirs.headers.items()}}
