"""One encoder per process: made once, whoever asks and in however many threads."""

import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import crossrank as cr
from crossrank.errors import ParameterError, UnknownPluginError
from crossrank.plugin.encoders import MOST_SHARED, as_encoder, shared_encoder
from toys.basic import ToyEncoder


@dataclass(frozen=True, slots=True)
class Parameters:
    weights: Any = "none"


class Slow(ToyEncoder):
    """Takes its time to be made, and counts how often it is."""

    info = cr.EncoderInfo(name="slow", summary="", features=ToyEncoder.info.features)
    Parameters = Parameters
    made = 0

    def __init__(self, **params: Any) -> None:
        super().__init__(**params)
        time.sleep(0.02)
        type(self).made += 1

    def fingerprint(self) -> str:
        path = Path(str(self.params.weights))
        return path.read_text() if path.is_file() else "0" * 16


@pytest.fixture(autouse=True)
def counted(monkeypatch: pytest.MonkeyPatch) -> None:
    cr.register(Slow)
    monkeypatch.setattr(Slow, "made", 0)
    monkeypatch.setattr("crossrank.plugin.encoders._shared", {})


def test_six_cold_threads_make_one() -> None:
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(shared_encoder("slow"))) for _ in range(6)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert Slow.made == 1
    assert len(set(map(id, found))) == 1


def test_rerank_and_encode_use_the_same() -> None:
    cr.encode("slow", ["a"])
    cr.rerank("a", ["b"], "filip", encoder="slow")
    assert as_encoder("slow", {}) is shared_encoder("slow")
    assert Slow.made == 1


def test_parameters_tell_them_apart_and_the_oldest_goes() -> None:
    first = shared_encoder("slow", {"weights": "a"})
    assert shared_encoder("slow", {"weights": "a"}) is first
    others = [shared_encoder("slow", {"weights": n}) for n in range(MOST_SHARED)]
    assert shared_encoder("slow", {"weights": MOST_SHARED - 1}) is others[-1]
    assert shared_encoder("slow", {"weights": "a"}) is not first
    odd = {"weights": object()}
    assert shared_encoder("slow", odd) is not shared_encoder("slow", odd)


def test_other_weights_under_the_same_name_make_another(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    path.write_text("1" * 16)
    first = shared_encoder("slow", {"weights": path})
    assert shared_encoder("slow", {"weights": path}) is first
    assert shared_encoder("slow", {"weights": path}) is first
    path.write_text("2" * 16)
    assert shared_encoder("slow", {"weights": path}) is not first


def test_a_class_or_object_is_the_callers_own() -> None:
    assert as_encoder(Slow, {}) is not as_encoder(Slow, {})
    mine = Slow()
    assert as_encoder(mine, {}) is mine


def test_what_cannot_be_made_is_not_kept() -> None:
    with pytest.raises(ParameterError, match="no parameter 'wights'"):
        shared_encoder("slow", {"wights": 1})
    with pytest.raises(UnknownPluginError, match="did you mean 'slow'"):
        shared_encoder("slwo")
    assert shared_encoder("slow").params.weights == "none"
