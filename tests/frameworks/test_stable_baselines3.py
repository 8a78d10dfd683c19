from __future__ import annotations

from frameworks.checks import Record, run_example

FRAMEWORK = {
    "title": "stable-baselines3",
    "package": "stable-baselines3",
    "adapter": "spiral_env.adapters.stable_baselines3",
}


def test_the_example_trains(record: Record) -> None:
    ran = run_example("stable-baselines3", weights=lambda names: names["model"].policy)
    record.trained(ran.before, ran.after)
