from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def no_search_for_encoders(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare the search for encoders that give a missing feature: it takes half of the time."""
    monkeypatch.setattr("crossrank._engine.checks.providers", lambda feature, modality: [])
