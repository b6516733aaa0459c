"""The calls that every reading pays for, sent the short way; all the others, and whatever goes wrong, are botocore's.

For each call botocore resolves the endpoint's rules, walks shapes, names itself at length and asks a dozen handlers:
0.6 ms of CPU that tells nothing new eight times a batch. What is used of it here is public: its credentials, its
signer, its HTTP session and its event `before-send`, by which tests and tools stand in for the network.
"""

from base64 import b64encode
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4
from zlib import crc32

import orjson
from botocore import __version__ as botocore_version
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSPreparedRequest
from botocore.exceptions import ConnectionError, HTTPClientError  # noqa: A004 - botocore's
from botocore.hooks import first_non_none_response


class _Request(AWSPreparedRequest):
    """What is to be sent, which the signer takes too: made of an AWSRequest it would be prepared twice."""

    params = None


class Direct:
    """A client of DynamoDB or Firehose whose calls for a reading take the short way.

    An answer that is not a whole 200 counts as none: the client then makes the call itself, with its own retries and
    typed errors. So such a call may be made once more than the client would, which each of these calls can bear.
    """

    def __init__(self, client: Any, credentials: Any, http: Any) -> None:
        self._client = client
        self._credentials = credentials
        self._http = http
        model = client.meta.service_model
        self._url = client.meta.endpoint_url.rstrip("/") + "/"
        self._event = f"before-send.{model.service_id.hyphenize()}."
        self._target = f"{model.metadata['targetPrefix']}."
        self._signing_name = model.signing_name
        self._headers = {
            "Content-Type": f"application/x-amz-json-{model.metadata['jsonVersion']}",
            "Host": urlsplit(self._url).netloc,  # the signer would work it out, twice a request
            "User-Agent": f"Botocore/{botocore_version}",
        }

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def batch_get_item(self, **parameters: Any) -> Any:
        return self._answer("BatchGetItem", parameters) or self._client.batch_get_item(**parameters)

    def batch_write_item(self, **parameters: Any) -> Any:
        return self._answer("BatchWriteItem", parameters) or self._client.batch_write_item(**parameters)

    def put_item(self, **parameters: Any) -> Any:
        answer = self._answer("PutItem", parameters)
        return self._client.put_item(**parameters) if answer is None else answer

    def transact_write_items(self, **parameters: Any) -> Any:
        once = {"ClientRequestToken": str(uuid4()), **parameters}  # made again, it is the same transaction
        answer = self._answer("TransactWriteItems", once)
        return self._client.transact_write_items(**once) if answer is None else answer

    def put_record(self, **parameters: Any) -> Any:
        data = {"Data": b64encode(parameters["Record"]["Data"]).decode()}
        return self._answer("PutRecord", parameters | {"Record": data}) or self._client.put_record(**parameters)

    def _answer(self, operation: str, parameters: dict[str, Any]) -> Any:
        """What the service answers, None where that is not a whole 200."""
        meta = self._client.meta
        headers: Any = {"X-Amz-Target": self._target + operation, **self._headers}
        request: Any = _Request("POST", self._url, headers, orjson.dumps(parameters), stream_output=False, context={})
        credentials = self._credentials.get_frozen_credentials()
        SigV4Auth(credentials, self._signing_name, meta.region_name).add_auth(request)
        try:
            stood_in = first_non_none_response(meta.events.emit(self._event + operation, request=request))
            response = self._http.send(request) if stood_in is None else stood_in
        except (ConnectionError, HTTPClientError):
            return None
        body = response.content
        told = response.headers.get("x-amz-crc32")
        whole = told is None or int(told) == crc32(body)
        return orjson.loads(body) if response.status_code == 200 and whole else None
