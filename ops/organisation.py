"""Organisations: a hospital's API client, its topic and its rows, made without a deploy."""

import re
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from adapters.aws import client
from adapters.registry import Registry
from domain.enrolment import Organisation
from domain.errors import LostRace
from ops.errors import OperatorError

NAME = re.compile(r"[a-z][a-z0-9-]{1,31}")
SCOPES = ("enrol", "care-plan", "read", "acknowledge", "endpoints")
OPERATE = "operate"


class OrganisationError(OperatorError):
    """What the operator asked for cannot be; the text is one sentence that says what to do."""


@dataclass(frozen=True)
class StackOutputs:
    """What a deployed stack says about itself, as far as an organisation needs it."""

    user_pool_id: str
    registry_table: str
    organisation_topic_prefix: str
    api_url: str
    token_url: str

    @classmethod
    def of(cls, outputs: Mapping[str, str]) -> "StackOutputs":
        """From a stack's outputs by name (`UserPoolId`, …). Raises OrganisationError naming one that is absent."""
        try:
            return cls(
                user_pool_id=outputs["UserPoolId"],
                registry_table=outputs["RegistryTable"],
                organisation_topic_prefix=outputs["OrganisationTopicPrefix"],
                api_url=outputs["ApiUrl"],
                token_url=outputs["TokenUrl"],
            )
        except KeyError as error:
            raise OrganisationError(f"The stack has no output {error}: deploy this version of it first.") from None


@dataclass(frozen=True)
class Credentials:
    """What the organisation's system needs to call the API. The secret goes to the organisation and nowhere else."""

    organisation: str
    client_id: str
    client_secret: str
    topic: str


def stack_outputs(stack: str) -> StackOutputs:
    """The outputs of the deployed stack named `stack`. Raises OrganisationError when there is none."""
    cloudformation = client("cloudformation")
    try:
        (found,) = cloudformation.describe_stacks(StackName=stack)["Stacks"]
    except cloudformation.exceptions.ClientError:
        raise OrganisationError(f"There is no stack {stack} here: name a deployed one with --stack.") from None
    return StackOutputs.of({one["OutputKey"]: one["OutputValue"] for one in found.get("Outputs", [])})


def add_organisation(name: str, *, stack: StackOutputs, title: str | None = None, operate: bool = False) -> Credentials:
    """Make the organisation `name`, or finish and show one that was made before: client, topic and rows.

    `title` is what people call it; `operate` adds the scope for recalls, revocations and replays. The client's row is
    written last, so a client that works belongs to an organisation that is complete. Raises OrganisationError.
    """
    if not NAME.fullmatch(name):
        raise OrganisationError(
            f"{name!r} cannot name an organisation: use 2 to 32 lower-case letters, digits or hyphens, letter first."
        )
    registry = Registry(client("dynamodb"), stack.registry_table)
    topic = client("sns").create_topic(
        Name=f"{stack.organisation_topic_prefix}{name}", Attributes={"KmsMasterKeyId": "alias/aws/sns"}
    )["TopicArn"]
    with suppress(LostRace):  # made before: what is missing is added
        registry.put_organisation(Organisation(id=name, name=title or name, topic=topic, created_at=datetime.now(UTC)))
    client_id, client_secret = _client(name, stack.user_pool_id, [*SCOPES, *([OPERATE] if operate else [])])
    try:
        registry.put_client(client_id, name)
    except LostRace:
        raise OrganisationError(f"The API client {client_id} belongs to another organisation.") from None
    return Credentials(organisation=name, client_id=client_id, client_secret=client_secret, topic=topic)


def _client(name: str, pool: str, scopes: list[str]) -> tuple[str, str]:
    cognito = client("cognito-idp")
    wanted = {
        "UserPoolId": pool,
        "ClientName": name,
        "AllowedOAuthFlowsUserPoolClient": True,
        "AllowedOAuthFlows": ["client_credentials"],
        "AllowedOAuthScopes": [f"pma/{scope}" for scope in scopes],
        "AccessTokenValidity": 60,
        "TokenValidityUnits": {"AccessToken": "minutes"},
    }
    known = _find(cognito, pool, name)
    if known is None:
        made = cognito.create_user_pool_client(GenerateSecret=True, **wanted)
    else:
        cognito.update_user_pool_client(ClientId=known, **wanted)
        made = cognito.describe_user_pool_client(UserPoolId=pool, ClientId=known)
    return made["UserPoolClient"]["ClientId"], made["UserPoolClient"]["ClientSecret"]


def _find(cognito: Any, pool: str, name: str) -> str | None:
    for page in cognito.get_paginator("list_user_pool_clients").paginate(UserPoolId=pool, MaxResults=60):
        for one in page["UserPoolClients"]:
            if one["ClientName"] == name:
                return str(one["ClientId"])
    return None


def add_parser(commands: Any) -> None:
    """`python -m ops organisation …`"""
    organisation: ArgumentParser = commands.add_parser("organisation", help="the hospitals that use a stack")
    add = organisation.add_subparsers(required=True, metavar="command").add_parser(
        "add", help="make one, or show one that was made before; prints its credentials"
    )
    add.add_argument("name", help="its id in every key, as in clinic-a")
    add.add_argument("--stack", required=True, help="the deployed stack, as in pma-dev")
    add.add_argument("--title", help="what people call it")
    add.add_argument("--operate", action="store_true", help="also allow recalls, revocations and replays")
    add.set_defaults(run=_add)


def _add(arguments: Namespace) -> dict[str, Any]:
    stack = stack_outputs(arguments.stack)
    credentials = add_organisation(arguments.name, stack=stack, title=arguments.title, operate=arguments.operate)
    return asdict(credentials) | {"api_url": stack.api_url, "token_url": stack.token_url}
