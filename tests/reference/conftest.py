"""How many examples Hypothesis makes: few, the same in every run; ``--hypothesis-profile=many`` on demand."""

from hypothesis import HealthCheck, settings

slow_is_fine = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
settings.register_profile(
    "few", derandomize=True, deadline=None, max_examples=6, database=None, suppress_health_check=slow_is_fine
)
settings.register_profile("many", settings.get_profile("few"), max_examples=60)
settings.load_profile("few")
