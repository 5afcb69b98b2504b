import json
import subprocess
import sys
from pathlib import Path

import pytest

SPEED = Path(__file__).resolve().parents[2] / "benchmarks" / "speed.py"


@pytest.mark.slow
def test_two_variants_agree_and_give_a_row_each(tmp_path):
    words = "--models own --variants stock ours --rounds 1 --starts 1 --seconds 0.1 --output"
    subprocess.run(
        [sys.executable, SPEED, *words.split(), tmp_path / "speed.json"],
        check=True,
        capture_output=True,
        env={
            "PATH": "/usr/bin:/bin",
            "HOME": str(tmp_path),
            "COMPANION_YNNPACK": "system",
            "XLA_FLAGS": "--xla_cpu_experimental_ynn_fusion_type=",
        },
    )
    found = json.loads((tmp_path / "speed.json").read_text())
    assert [(row["model"], row["variant"]) for row in found["rows"]] == [
        ("own", "stock"),
        ("own", "ours"),
    ]
    for row in found["rows"]:
        assert row["step_ms"] > 0
        assert row["inference_per_s"] > 0
        assert row["peak_mb"] > 100
        assert row["first_step_ms"] > 10 * row["step_ms"]
        assert row["losses"] == sorted(row["losses"], reverse=True)
    stock, ours = found["rows"]
    # The parent's settings reach neither.
    assert "=system" in stock["settings"]["ynnpack"]
    assert "=system" not in ours["settings"]["ynnpack"]
    assert stock["losses"] == pytest.approx(ours["losses"], rel=1e-4)
    assert stock["first_step_cached_ms"] is None
    # A compiled program that was found does not compile again.
    assert ours["first_step_cached_ms"] < ours["first_step_ms"]
