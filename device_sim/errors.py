"""What stops the simulator, each in one sentence that says what to do.

SimulatorError
├── NoCertificate    a certificate or key file is absent or unreadable
├── NotConnected     the broker was not reached, or it refused the thing
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


class NoSuchData(SimulatorError):
    """Nothing at the given path can be replayed."""


class NoSuchScenario(SimulatorError):
    """No scenario has this name."""


class BadStack(SimulatorError):
    """The stack file is absent, or not what `make up` writes."""
