"""How hard properties are tried: a hundred examples in CI, as many as EXAMPLES says in `make proof` and `make fuzz`."""

import os
import sys

from hypothesis import HealthCheck, settings

# No deadline: the machine is noisy, and how long an example takes is the bench's matter.
settings.register_profile("ci", deadline=None)
settings.register_profile(
    "proof",
    deadline=None,
    max_examples=int(os.environ.get("EXAMPLES", "2000")),
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
)
# A mutant lives or dies the same way each time; a few examples of a property, since each mutant runs them all.
settings.register_profile("mutate", deadline=None, max_examples=10, derandomize=True, database=None)
settings.load_profile("ci")


def pytest_collection_finish() -> None:
    """Clouds in memory follow one another in one session of boto3: a new one each reads the services' models anew, a
    tenth of a second a client. By now whoever needs moto has imported it."""
    if "moto" in sys.modules:
        from moto.core.config import default_user_config

        default_user_config["core"]["reset_boto3_session"] = False
