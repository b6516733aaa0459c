"""The way most pipelines begin: one Lambda event, one GetItem and one PutItem a message, by boto3's resource layer."""

import base64
import json
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any


def handler(tables: Callable[[], tuple[Any, Any]]) -> Callable[[dict[str, Any]], None]:
    """A handler over two boto3 Table resources, of the registry and of observations, for which it asks in each event:
    many make them there, some once outside. It takes an SQS-shaped event of one message of one reading."""

    def handle(event: dict[str, Any]) -> None:
        registry, observations = tables()
        for record in event["Records"]:
            body = json.loads(record["body"])
            message = json.loads(base64.b64decode(body["payload"]), parse_float=Decimal)
            serial = message.get("device") or body["topic"].split("/")[2]
            device = registry.get_item(Key={"pk": f"clinic-a#device#{serial}", "sk": "device"}).get("Item", {})
            for reading in message["readings"]:
                values = {name: Decimal(part["value"]) for name, part in reading["values"].items()}
                observations.put_item(
                    Item={
                        "pk": f"clinic-a#{device.get('subject', 'unknown')}",
                        "sk": f"{reading['kind']}#{datetime.fromisoformat(reading['measured_at']).isoformat()}",
                        "device": serial,
                        "kind": reading["kind"],
                        "values": values,
                        "measured_at": reading["measured_at"],
                        "received_at": str(body["received_at"]),
                    }
                )

    return handle
