"""SNS: words to people by SMS, push and the organisation's topic."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from domain.notification import Contact, Undeliverable, Words

FORMAT = "pma.notification/1"

_GONE = {"OptedOut", "OptedOutException", "EndpointDisabled", "InvalidParameter", "InvalidParameterValue", "NotFound"}
"""What SNS says of an address that no retry will make reachable."""


@dataclass(frozen=True)
class Notifier:
    """One publication a call; it is not known who has read it."""

    client: Any

    def publish(self, words: Words, contact: Contact) -> None:
        """Tell one contact. Raises Undeliverable when trying again would be in vain (R54)."""
        try:
            self.client.publish(**_publication(words, contact))
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in _GONE:
                raise Undeliverable(code) from None
            raise


def _publication(words: Words, contact: Contact) -> Mapping[str, Any]:
    match contact.channel:
        case "sms":
            return {
                "PhoneNumber": contact.address,
                "Message": words.text,
                "MessageAttributes": _attributes({"AWS.SNS.SMS.SMSType": "Transactional"}),
            }
        case "push":
            return {"TargetArn": contact.address, "Message": words.text}
        case "topic":
            return {
                "TopicArn": words.topic,
                "Message": json.dumps({"format": FORMAT, **words.facts, "text": words.text}, ensure_ascii=False),
                "MessageAttributes": _attributes(words.facts),
            }
        case "email":
            raise Undeliverable("no stage sends e-mail")


def _attributes(facts: Mapping[str, str]) -> dict[str, dict[str, str]]:
    return {name: {"DataType": "String", "StringValue": value} for name, value in facts.items()}
