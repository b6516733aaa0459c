"""Clients of AWS, made once a process.

By botocore, on which boto3 stands: what boto3 adds (resources, transfers) no function uses, and each start would load.
"""

import socket
from functools import cache
from typing import Any

import botocore
from botocore.config import Config
from botocore.httpsession import URLLib3Session
from botocore.loaders import Loader
from botocore.session import Session
from botocore.utils import get_environ_proxies

from adapters.direct import Direct

LEAST_BOTOCORE = (1, 40)
"""It comes with the Lambda runtime; the oldest version that these adapters were tried with."""

_CONNECT_TIMEOUT = 2
_READ_TIMEOUT = 10

_CONFIG = Config(
    parameter_validation=False,  # the adapters' tests check the shapes; validating each call costs more than the call
    retries={"mode": "standard", "max_attempts": 5},
    connect_timeout=_CONNECT_TIMEOUT,
    read_timeout=_READ_TIMEOUT,
    tcp_keepalive=True,
)

_DIRECT = ("dynamodb", "firehose")


_AS_IT_IS = {"type": "structure", "members": {}, "document": True}
"""How a service's model says that a value is any JSON: botocore then hands it on as it is."""

_VALUES = (
    "AttributeValue",
    "AttributeMap",
    "Key",
    "BatchGetRequestMap",
    "BatchGetResponseMap",
    "BatchWriteItemRequestMap",
)
"""The shapes of DynamoDB that hold nothing but attribute values. Ours are in DynamoDB's own JSON already, and to go
through each again, member by member, was half of what a reading cost."""


class OutdatedRuntime(RuntimeError):
    """The runtime's botocore is older than the oldest that the adapters were tried with."""


class _Models(Loader):
    """botocore's descriptions of the services, with attribute values as they are."""

    def load_service_model(self, service_name: str, type_name: str, api_version: str | None = None) -> Any:
        model = super().load_service_model(service_name, type_name, api_version)
        if (service_name, type_name) == ("dynamodb", "service-2"):
            return model | {"shapes": model["shapes"] | dict.fromkeys(_VALUES, _AS_IT_IS)}
        return model


def check_runtime(version: str = botocore.__version__) -> None:
    """Fail at start, in one sentence, rather than at the first call that an old botocore does not know.

    Raises OutdatedRuntime.
    """
    if tuple(int(part) for part in version.split(".")[:2]) < LEAST_BOTOCORE:
        least = ".".join(map(str, LEAST_BOTOCORE))
        raise OutdatedRuntime(f"botocore {version} is older than {least}: choose a newer Lambda runtime")


@cache
def _session() -> Session:
    session = Session()
    models = _Models()
    models.search_paths.extend(session.get_component("data_loader").search_paths)
    session.register_component("data_loader", models)
    return session


@cache
def client(service: str) -> Any:
    """The process's one low-level client of `service`; endpoint and region come from the environment."""
    check_runtime()
    session = _session()
    made: Any = session.create_client(service, config=_CONFIG)
    credentials = session.get_credentials()
    if service not in _DIRECT or credentials is None:
        return made
    its_session: Any = URLLib3Session  # types-botocore knows neither pairs of timeouts nor socket options
    http = its_session(
        verify=session.get_config_variable("ca_bundle") or True,
        proxies=get_environ_proxies(made.meta.endpoint_url),
        timeout=(_CONNECT_TIMEOUT, _READ_TIMEOUT),
        socket_options=[(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)],
    )
    return Direct(made, credentials, http)
