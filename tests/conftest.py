"""How hard properties are tried: a hundred examples in CI, as many as EXAMPLES says in `make proof` and `make fuzz`."""

import os

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
