"""A cuff's Bluetooth characteristic 2A35 as a phone relays it (`pma.gatt/1`), written by the standard.

Source: Bluetooth SIG, GATT Specification Supplement, Blood Pressure Measurement; IEEE 11073-20601, SFLOAT.
"""

import json
from datetime import datetime

NAN = 0x07FF
"""The SFLOAT that is no number. Firmware that forgets it shows 2047."""

_TIMESTAMP, _PULSE, _USER, _STATUS = 0x02, 0x04, 0x08, 0x10

MOVEMENT, CUFF_LOOSE, IRREGULAR_PULSE, IMPROPER_POSITION = 0x01, 0x02, 0x04, 0x20


def relayed_pressure(
    device: str,
    received_at: datetime,
    at: datetime,
    systolic: int,
    diastolic: int,
    mean: int = NAN,
    *,
    pulse: int | None = None,
    user: int | None = None,
    status: int | None = None,
) -> bytes:
    """The message in which a gateway relays a pressure in mmHg, whole numbers below 2,046 or NAN.

    `at` is what the cuff's clock showed, which has no zone.
    """
    flags, octets = _TIMESTAMP, b"".join(one.to_bytes(2, "little") for one in (systolic, diastolic, mean))
    octets += at.year.to_bytes(2, "little") + bytes([at.month, at.day, at.hour, at.minute, at.second])
    for flag, value, size in ((_PULSE, pulse, 2), (_USER, user, 1), (_STATUS, status, 2)):
        if value is not None:
            flags |= flag
            octets += value.to_bytes(size, "little")
    said = {
        "format": "pma.gatt/1",
        "device": device,
        "received_at": received_at.isoformat(timespec="seconds"),
        "service": "1810",
        "characteristic": "2A35",
        "value": (bytes([flags]) + octets).hex().upper(),
    }
    return json.dumps(said, separators=(",", ":")).encode()
