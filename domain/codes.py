"""Kinds of observation with their values, LOINC codes and canonical UCUM units (shared words of the whole system).

Source: HL7 FHIR R4 vital signs, LOINC; units are UCUM. Plausible ranges are an engineering proposal, not a norm.
"""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class ValueType:
    """One number of a kind: its LOINC code and display, canonical UCUM unit and what is plausible for a person."""

    loinc: str
    display: str
    unit: str
    low: Decimal
    high: Decimal
    required: bool = True


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of observation: what a device measures at one time."""

    name: str
    loinc: str
    display: str
    values: dict[str, ValueType]
    category: str = "vital-signs"


_PULSE = ValueType("8867-4", "Heart rate", "/min", Decimal(25), Decimal(250), required=False)

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "blood-pressure",
            "85354-9",
            "Blood pressure panel with all children optional",
            {
                "systolic": ValueType("8480-6", "Systolic blood pressure", "mm[Hg]", Decimal(50), Decimal(280)),
                "diastolic": ValueType("8462-4", "Diastolic blood pressure", "mm[Hg]", Decimal(30), Decimal(180)),
                "mean": ValueType("8478-0", "Mean blood pressure", "mm[Hg]", Decimal(30), Decimal(230), required=False),
                "pulse": _PULSE,
            },
        ),
        Kind(
            "heart-rate",
            "8867-4",
            "Heart rate",
            {
                "rate": ValueType("8867-4", "Heart rate", "/min", Decimal(25), Decimal(250)),
            },
        ),
        Kind(
            "glucose",
            "14743-9",
            "Glucose [Moles/volume] in Capillary blood by Glucometer",
            {
                "glucose": ValueType(
                    "14743-9",
                    "Glucose [Moles/volume] in Capillary blood by Glucometer",
                    "mmol/L",
                    Decimal("0.6"),
                    Decimal(35),
                ),
            },
            category="laboratory",
        ),
        Kind(
            "cgm",
            "105272-9",
            "Glucose [Moles/volume] in Interstitial fluid",
            {
                "glucose": ValueType(
                    "105272-9",
                    "Glucose [Moles/volume] in Interstitial fluid",
                    "mmol/L",
                    Decimal("2.2"),
                    Decimal("22.2"),
                ),
            },
            category="laboratory",
        ),
        Kind(
            "fetal-heart-rate",
            "55283-6",
            "Fetal Heart rate",
            {
                "rate": ValueType("55283-6", "Fetal Heart rate", "/min", Decimal(50), Decimal(240)),
            },
        ),
        Kind(
            "weight",
            "29463-7",
            "Body weight",
            {
                "weight": ValueType("29463-7", "Body weight", "kg", Decimal(2), Decimal(350)),
            },
        ),
        Kind(
            "oxygen-saturation",
            "59408-5",
            "Oxygen saturation in Arterial blood by Pulse oximetry",
            {
                "saturation": ValueType(
                    "59408-5", "Oxygen saturation in Arterial blood by Pulse oximetry", "%", Decimal(50), Decimal(100)
                ),
                "pulse": _PULSE,
            },
        ),
        Kind(
            "temperature",
            "8310-5",
            "Body temperature",
            {
                "temperature": ValueType("8310-5", "Body temperature", "Cel", Decimal(30), Decimal(43)),
            },
        ),
        Kind(
            "steps",
            "55423-8",
            "Number of steps in unspecified time Pedometer",
            {
                "count": ValueType(
                    "55423-8", "Number of steps in unspecified time Pedometer", "{steps}", Decimal(0), Decimal(100_000)
                ),
            },
        ),
        Kind(
            "heart-rate-variability",
            "80404-7",
            "R-R interval.standard deviation (Heart rate variability)",
            {
                "rmssd": ValueType(
                    "80404-7",
                    "R-R interval.standard deviation (Heart rate variability)",
                    "ms",
                    Decimal(1),
                    Decimal(500),
                ),
            },
        ),
    )
}

EXTRA_LOINC: dict[str, tuple[str, str]] = {
    "oxygen-saturation": ("2708-6", "Oxygen saturation in Arterial blood"),
}
"""A second code that FHIR's vital signs profile demands beside the kind's own."""
