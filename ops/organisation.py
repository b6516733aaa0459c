"""Organisations: a hospital's API client, its topic and its rows, made without a deploy."""

import re
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from adapters.aws import client
from adapters.registry import Registry
from domain.enrolment import Organisation
from domain.errors import LostRace
from ops.errors import OperatorError
from ops.stack import outputs

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
    """The outputs of the deployed stack named `stack`. Raises StackError, OrganisationError."""
    return StackOutputs.of(outputs(stack))


def add_organisation(
    name: str,
    *,
    stack: StackOutputs,
    title: str | None = None,
    operate: bool = False,
    requests_per_second: int | None = None,
) -> Credentials:
    """Make the organisation `name`, or finish, change and show one that was made before: client, topic and rows.

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
    new = Organisation(id=name, name=title or name, topic=topic, created_at=datetime.now(UTC))
    with suppress(LostRace):  # made before: what is missing is added
        registry.put_organisation(new)
    if requests_per_second is not None:
        known = registry.organisations([name])[name]
        registry.change_organisation(replace(known, requests_per_second=requests_per_second))
    client_id, client_secret = _client(name, stack.user_pool_id, [*SCOPES, *([OPERATE] if operate else [])])
    try:
        registry.put_client(client_id, name)
    except LostRace:
        raise OrganisationError(f"The API client {client_id} belongs to another organisation.") from None
    return Credentials(organisation=name, client_id=client_id, client_secret=client_secret, topic=topic)


def rotate_client(name: str, *, stack: StackOutputs, at_once: bool = False) -> Credentials:
    """A new client for `name`, with the scopes of its newest; that one works on until the next rotation.

    `at_once` takes every other client away now, as after a leak: tokens that it was given are refused within seconds.
    Raises OrganisationError.
    """
    registry = Registry(client("dynamodb"), stack.registry_table)
    topic = _known(name, registry).topic
    cognito = client("cognito-idp")
    before = _clients(cognito, stack.user_pool_id, name)
    scopes = _described(cognito, stack.user_pool_id, before[-1])["AllowedOAuthScopes"] if before else _scopes(SCOPES)
    made = cognito.create_user_pool_client(
        GenerateSecret=True, **_wanted(stack.user_pool_id, f"{name}@{datetime.now(UTC):%Y%m%dT%H%M%S.%f}", scopes)
    )["UserPoolClient"]
    registry.put_client(made["ClientId"], name)
    for one in before if at_once else before[:-1]:
        registry.delete_client(one)
        cognito.delete_user_pool_client(UserPoolId=stack.user_pool_id, ClientId=one)
    return Credentials(name, made["ClientId"], made["ClientSecret"], topic)


def suspend_organisation(name: str, *, stack: StackOutputs, suspended: bool = True) -> Organisation:
    """Give the systems of `name` no answer any more, or again. Its devices' readings are taken in and judged all the
    same: no patient may suffer for a contract. Raises OrganisationError."""
    registry = Registry(client("dynamodb"), stack.registry_table)
    known = _known(name, registry)
    if suspended == (known.suspended_at is not None):
        return known
    after = replace(known, suspended_at=datetime.now(UTC) if suspended else None)
    registry.change_organisation(after)
    return after


def _known(name: str, registry: Registry) -> Organisation:
    try:
        return registry.organisations([name])[name]
    except KeyError:
        raise OrganisationError(f"There is no organisation {name!r}: make it with `organisation add`.") from None


def _wanted(pool: str, name: str, scopes: Sequence[str]) -> dict[str, Any]:
    return {
        "UserPoolId": pool,
        "ClientName": name,
        "AllowedOAuthFlowsUserPoolClient": True,
        "AllowedOAuthFlows": ["client_credentials"],
        "AllowedOAuthScopes": list(scopes),
        "AccessTokenValidity": 60,
        "TokenValidityUnits": {"AccessToken": "minutes"},
    }


def _client(name: str, pool: str, scopes: Sequence[str]) -> tuple[str, str]:
    """The newest client of an organisation, with these scopes, made if there is none."""
    cognito = client("cognito-idp")
    known = _clients(cognito, pool, name)
    if known:
        named = _described(cognito, pool, known[-1])["ClientName"]
        cognito.update_user_pool_client(ClientId=known[-1], **_wanted(pool, named, _scopes(scopes)))
        made = _described(cognito, pool, known[-1])
    else:
        made = cognito.create_user_pool_client(GenerateSecret=True, **_wanted(pool, name, _scopes(scopes)))[
            "UserPoolClient"
        ]
    return made["ClientId"], made["ClientSecret"]


def _scopes(names: Sequence[str]) -> list[str]:
    return [f"pma/{one}" for one in names]


def _described(cognito: Any, pool: str, client_id: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = cognito.describe_user_pool_client(UserPoolId=pool, ClientId=client_id)["UserPoolClient"]
    return found


def _clients(cognito: Any, pool: str, name: str) -> list[str]:
    """The ids of an organisation's clients, the newest last: later ones bear their time beside its name."""
    pages = cognito.get_paginator("list_user_pool_clients").paginate(UserPoolId=pool, MaxResults=60)
    named = {one["ClientName"]: str(one["ClientId"]) for page in pages for one in page["UserPoolClients"]}
    return [named[one] for one in sorted(named) if one.partition("@")[0] == name]


def add_parser(commands: Any) -> None:
    """`python -m ops organisation …`"""
    organisation: ArgumentParser = commands.add_parser("organisation", help="the hospitals that use a stack")
    among = organisation.add_subparsers(required=True, metavar="command")
    add = among.add_parser("add", help="make one, or change and show one that was made before; prints its credentials")
    add.add_argument("--title", help="what people call it")
    add.add_argument("--operate", action="store_true", help="also allow recalls, revocations and replays")
    add.add_argument("--requests-per-second", type=_limit, help="how many its systems may send (50)")
    rotate = among.add_parser("rotate", help="new credentials; the last ones work until the next rotation")
    rotate.add_argument("--at-once", action="store_true", help="after a leak: no other credentials work any more")
    suspend = among.add_parser("suspend", help="no answer to its systems; readings are judged all the same")
    resume = among.add_parser("resume", help="answers again")
    for one, run in ((add, _add), (rotate, _rotate), (suspend, _suspend), (resume, _resume)):
        one.add_argument("name", help="its id in every key, as in clinic-a")
        one.add_argument("--stack", required=True, help="the deployed stack, as in pma-dev")
        one.set_defaults(run=run)


def _limit(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 1000:
        raise ArgumentTypeError("1 to 1000")
    return int(text)


def _add(arguments: Namespace) -> dict[str, Any]:
    stack = stack_outputs(arguments.stack)
    credentials = add_organisation(
        arguments.name,
        stack=stack,
        title=arguments.title,
        operate=arguments.operate,
        requests_per_second=arguments.requests_per_second,
    )
    return asdict(credentials) | {"api_url": stack.api_url, "token_url": stack.token_url}


def _rotate(arguments: Namespace) -> dict[str, Any]:
    stack = stack_outputs(arguments.stack)
    credentials = rotate_client(arguments.name, stack=stack, at_once=arguments.at_once)
    return asdict(credentials) | {"api_url": stack.api_url, "token_url": stack.token_url}


def _suspend(arguments: Namespace) -> dict[str, Any]:
    return _standing(suspend_organisation(arguments.name, stack=stack_outputs(arguments.stack)))


def _resume(arguments: Namespace) -> dict[str, Any]:
    return _standing(suspend_organisation(arguments.name, stack=stack_outputs(arguments.stack), suspended=False))


def _standing(organisation: Organisation) -> dict[str, Any]:
    suspended_at = organisation.suspended_at
    return {
        "organisation": organisation.id,
        "suspended_at": None if suspended_at is None else suspended_at.isoformat(),
    }
