"""Devices and who holds them from when."""

from typing import Any

from aws_lambda_powertools.event_handler import Response

from domain.enrolment import Assignment, Device
from domain.request import AssignmentBody, DeviceBody, EndBody
from functions.registry import service
from functions.registry.access import Routes, allow
from functions.registry.answers import answer
from functions.registry.wiring import wired

routes = Routes()


def _assignment(assignment: Assignment) -> dict[str, Any]:
    return {
        "id": assignment.id,
        "subject": assignment.subject,
        "from": assignment.from_at.isoformat(),
        "to": None if assignment.to_at is None else assignment.to_at.isoformat(),
        "slot": assignment.slot,
    }


def _shown(device: Device) -> dict[str, Any]:
    return {
        "serial": device.serial,
        "profile": device.profile,
        "class": device.device_class,
        "lot": device.lot,
        "gateway": device.gateway,
        "roster": device.roster,
        "revoked_at": None if device.revoked_at is None else device.revoked_at.isoformat(),
        "assignments": [_assignment(one) for one in device.assignments],
        "version": device.version,
    }


@routes.put("/v1/devices/<serial>", middlewares=allow("enrol"))
def put_device(serial: str) -> Response[str]:
    after = service.put_device(
        routes.organisation,
        serial,
        routes.body(DeviceBody),
        if_match=routes.if_match(),
        registry=wired().registry,
        profiles=wired().profiles,
    )
    return answer(_shown(after), status=201 if after.version == 1 else 200, version=after.version)


@routes.get("/v1/devices/<serial>", middlewares=allow("enrol"))
def get_device(serial: str) -> Response[str]:
    found = service.enrolled_device(routes.organisation, serial, registry=wired().registry)
    return answer(_shown(found), version=found.version)


@routes.post("/v1/devices/<serial>/assignments", middlewares=allow("enrol"))
def post_assignment(serial: str) -> Response[str]:
    assignment = service.assign(
        routes.organisation,
        serial,
        routes.body(AssignmentBody),
        registry=wired().registry,
        profiles=wired().profiles,
    )
    return answer(_assignment(assignment), status=201)


@routes.post("/v1/devices/<serial>/assignments/<assignment>/end", middlewares=allow("enrol"))
def post_end(serial: str, assignment: str) -> Response[str]:
    ended = service.end_assignment(
        routes.organisation, serial, assignment, routes.body(EndBody), registry=wired().registry
    )
    return answer(_assignment(ended))
