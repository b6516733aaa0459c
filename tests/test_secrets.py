"""Secrets are in the secret store and nowhere else: not in what is tracked, not in a function's environment (R93)."""

import math
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

PATTERNS = {
    "an access key of AWS": re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
    "a private key": re.compile(r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----\s*\n?[A-Za-z0-9+/]{40}"),
    "a signing secret": re.compile(r"\bwhsec_[A-Za-z0-9+/]{24,}={0,2}"),
    "a token": re.compile(r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\."),
    "a token of a forge": re.compile(
        r"\b(?:gh[pousr]_[A-Za-z0-9]{30,}|glpat-[A-Za-z0-9_-]{20,}|xox[abp]-[A-Za-z0-9-]{20,})"
    ),
    "a password in an address": re.compile(r"\b[a-z][a-z0-9+.-]*://[^/\s:@\"'{}<>]+:[^/\s:@\"'{}<>]{4,}@"),
}
NAMED = re.compile(
    r"(?:secret|password|passwd|token|api_?key|private_?key)\w*[\"']?\s*[:=]\s*[\"']([A-Za-z0-9+/=_-]{20,})[\"']",
    re.IGNORECASE,
)

KNOWN = {
    "tests/functions/test_registry.py": "addresses that an endpoint may not have",
    "tests/adapters/test_webhook.py": "the example of Standard Webhooks 1.0.0",
    "docs/mis.md": "the example of Standard Webhooks 1.0.0",
}
"""Files that show a secret on purpose, which opens nothing."""


def entropy(text: str) -> float:
    """Bits a character: words have about three, random Base64 nearly five and more."""
    return -sum(count / len(text) * math.log2(count / len(text)) for count in Counter(text).values())


def found_in(text: str) -> Iterator[str]:
    yield from (what for what, pattern in PATTERNS.items() if pattern.search(text))
    for match in NAMED.finditer(text):
        if entropy(match[1]) > 4 and re.search(r"\d", match[1]):
            yield "something random that is named a secret"


def tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"],  # noqa: S607 - whichever git there is
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout
    return [ROOT / name for name in listed.decode().split("\0") if name]


def test_r93_nothing_that_is_tracked_holds_a_secret() -> None:
    found: list[tuple[str, str]] = []
    for path in tracked():
        name = path.relative_to(ROOT).as_posix()
        if path.is_file() and name not in KNOWN and not name.startswith("requirements/"):
            text = path.read_bytes().decode(errors="replace")
            found += [(name, what) for what in found_in(text)]
    assert found == []


@pytest.mark.parametrize(
    "planted",
    [
        "AKIA" + "IOSFODNN7EXAMPL3",
        "-----BEGIN RSA PRIVATE " + "KEY-----\n" + "MIIEpAIBAAKCAQEA" * 4,
        "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "eyJhbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiIxMjM0NTY3ODkwIn0" + ".c2ln",
        "ghp_" + "a1B2" * 9,
        "https://clinic:" + "hunter22@mis.example/pma",
        'client_secret = "' + '9vK2xQ7LmZ4rT8wB1nY6cP3s"',
    ],
    ids=["AWS", "PEM", "whsec", "JWT", "forge", "URL", "named"],
)
def test_r93_a_planted_secret_is_found(planted: str) -> None:
    assert list(found_in(planted))


def test_r93_no_function_is_given_a_secret_in_its_environment() -> None:
    """Names of secrets and of keys, which open nothing by themselves."""
    names = {"secret_prefix", "contacts_key", "archive_key"}
    for path in ROOT.glob("functions/*/settings.py"):
        fields = re.findall(r"^    (\w+): ", path.read_text(encoding="utf-8"), re.MULTILINE)
        assert {one for one in fields if re.search("secret|password|token|key|credential", one)} <= names
