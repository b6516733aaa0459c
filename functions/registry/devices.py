"""Devices and who holds them from when."""

from aws_lambda_powertools.event_handler import Response

from domain.answer import AssignmentShown, DeviceShown
from domain.enrolment import Assignment, Device
from domain.errors import AssignmentOverlap, GatewayRevoked, SerialTaken
from domain.request import AssignmentBody, DeviceBody, EndBody
from functions.registry import service
from functions.registry.access import Routes
from functions.registry.answers import answer
from functions.registry.wiring import wired

routes = Routes()


def _assignment(assignment: Assignment) -> AssignmentShown:
    return {
        "id": assignment.id,
        "subject": assignment.subject,
        "from": assignment.from_at.isoformat(),
        "to": None if assignment.to_at is None else assignment.to_at.isoformat(),
        "slot": assignment.slot,
    }


def _shown(device: Device) -> DeviceShown:
    return {
        "serial": device.serial,
        "profile": device.profile,
        "class": device.device_class,
        "lot": device.lot,
        "gateway": device.gateway,
        "cloud": device.cloud,
        "roster": device.roster,
        "revoked_at": None if device.revoked_at is None else device.revoked_at.isoformat(),
        "assignments": [_assignment(one) for one in device.assignments],
        "version": device.version,
    }


@routes.serve(
    "PUT",
    "/v1/devices/<serial>",
    scope="enrol",
    takes=DeviceBody,
    gives=DeviceShown,
    made=DeviceShown,
    edits=True,
    versioned=True,
    conflicts=(SerialTaken,),
)
def put_device(serial: str) -> Response[str]:
    """Enrol a device or a gateway, or change what is known of it; its assignments stay."""
    after = service.put_device(
        routes.organisation,
        serial,
        routes.body(DeviceBody),
        if_match=routes.if_match(),
        registry=wired().registry,
        profiles=wired().profiles,
    )
    return answer(_shown(after), status=201 if after.version == 1 else 200, version=after.version)


@routes.serve("GET", "/v1/devices/<serial>", scope="enrol", gives=DeviceShown, versioned=True)
def get_device(serial: str) -> Response[str]:
    """A device, and who held it when."""
    found = service.enrolled_device(routes.organisation, serial, registry=wired().registry)
    return answer(_shown(found), version=found.version)


@routes.serve(
    "POST",
    "/v1/devices/<serial>/assignments",
    scope="enrol",
    takes=AssignmentBody,
    gives=AssignmentShown,
    status=201,
    conflicts=(AssignmentOverlap, GatewayRevoked),
)
def post_assignment(serial: str) -> Response[str]:
    """Put a device on a subject for a period; asked again, it is the same assignment."""
    assignment = service.assign(
        routes.organisation,
        serial,
        routes.body(AssignmentBody),
        registry=wired().registry,
        profiles=wired().profiles,
    )
    return answer(_assignment(assignment), status=201)


@routes.serve(
    "POST",
    "/v1/devices/<serial>/assignments/<assignment>/end",
    scope="enrol",
    takes=EndBody,
    gives=AssignmentShown,
    conflicts=(AssignmentOverlap,),
)
def post_end(serial: str, assignment: str) -> Response[str]:
    """End an assignment, or correct when it ended."""
    ended = service.end_assignment(
        routes.organisation, serial, assignment, routes.body(EndBody), registry=wired().registry
    )
    return answer(_assignment(ended))
