"""What stops the simulator, each in one sentence that says what to do.

SimulatorError
├── NoCertificate    a certificate or key file is absent or unreadable
├── NotConnected     the broker was not reached, or it refused the thing
├── NotProvisioned   a claim was refused or not answered
├── NoSuchData       a path that holds no file we can replay
├── NoSuchScenario   a name that no scenario has
└── BadStack         the file that tells where the cloud is cannot be used
"""


class SimulatorError(Exception):
    """Root of all errors that the simulator raises on purpose; its text is one sentence for a person."""


class NoCertificate(SimulatorError):
    """A thing without a certificate and its key cannot connect."""


class NotConnected(SimulatorError):
    """The broker was not reached in time, or refused the thing."""


class NotProvisioned(SimulatorError):
    """A claim was refused, or nobody answered it. `code` is IoT Core's, where it gave one."""

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code


class NoSuchData(SimulatorError):
    """Nothing at the given path can be replayed."""


class NoSuchScenario(SimulatorError):
    """No scenario has this name."""


class BadStack(SimulatorError):
    """The stack file is absent, or not what `make up` writes."""
