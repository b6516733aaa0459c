"""Every format that a device may speak: the topic says which one a message is of."""

from collections.abc import Mapping

from domain.errors import UnknownFormat
from domain.gatt import decode_gatt
from domain.mapping import decode_vendor
from domain.omh import decode_omh
from domain.profile import DeviceProfile
from domain.reading import Arrival, Message, decode_readings
from domain.status import decode_status


def decode(arrival: Arrival, profiles: Mapping[str, DeviceProfile]) -> Message:
    """The message in `arrival`. Raises only kinds of RejectedReading, whatever its bytes."""
    match arrival.format:
        case "readings":
            return decode_readings(arrival)
        case "gatt":
            return decode_gatt(arrival)
        case "omh":
            return decode_omh(arrival)
        case "vendor":
            profile = profiles.get(arrival.profile)
            if profile is None or profile.mapping is None:
                raise UnknownFormat("the topic names a profile that reads no vendor's message")
            return decode_vendor(arrival, profile.mapping)
        case "status":
            return decode_status(arrival)
        case _:
            raise UnknownFormat("the topic names a format that is not read")
