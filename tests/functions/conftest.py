"""What the stack gives every function beside its own settings (infra/function.py)."""

import os

os.environ |= {"POWERTOOLS_METRICS_NAMESPACE": "pma-test", "POWERTOOLS_SERVICE_NAME": "test"}
