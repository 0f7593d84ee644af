"""What holds for every test: how long properties are searched."""

import os

from hypothesis import HealthCheck, settings

SOAK = os.environ.get("SMART_LLMROUTER_SOAK") == "1"

settings.register_profile(
    "test",
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.register_profile("soak", settings.get_profile("test"), max_examples=20_000)
settings.load_profile("soak" if SOAK else "test")
