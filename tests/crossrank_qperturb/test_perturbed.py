"""The context manager: nothing of it is left, one perturbation at a time, one thread at a time."""

from __future__ import annotations

import copy
import threading
from typing import Any

import pytest
import torch
from torch import Tensor

import crossrank_qperturb as qperturb
from crossrank.errors import InputError
from toys.qperturb import (
    lavis_model,
    pooler,
    run_lavis,
    run_transformers,
    transformers_model,
    vision_output,
)

BOXES = [[[0.1, 0.2, 0.6, 0.9]], [], [[0.0, 0.0, 0.5, 1.0], [0.2, 0.2, 0.4, 0.4]]]


def run_pooler(model: Any, image_embeds: Tensor) -> Tensor:
    with torch.no_grad():
        output: Tensor = model(image_embeds)
    return output


SHAPES: dict[str, tuple[Any, Any]] = {
    "transformers": (transformers_model, run_transformers),
    "lavis": (lambda: lavis_model(transformers_model()), run_lavis),
    "coca": (pooler, run_pooler),
}


@pytest.fixture(params=list(SHAPES))
def shape(request: pytest.FixtureRequest) -> tuple[Any, Any, Any]:
    """Return a model of each shape, how to run it, and a perturbation of three images."""
    make, run = SHAPES[request.param]
    model = make()
    return model, run, qperturb.perturbation(model, vision_output(), BOXES)


def hooks_of(model: Any) -> list[Any]:
    return [hook for module in model.modules() for hook in module._forward_hooks.values()]


def test_the_model_is_restored_to_the_bit(shape: tuple[Any, Any, Any]) -> None:
    model, run, perturbation = shape
    before, state = run(model, vision_output()), copy.deepcopy(model.state_dict())
    attributes = [set(vars(module)) for module in model.modules()]
    with qperturb.perturbed(model, perturbation):
        assert hooks_of(model)
        during = run(model, vision_output())
    assert not torch.allclose(during[[0, 2]], before[[0, 2]], atol=1e-3)
    assert torch.equal(during[1], before[1])
    assert torch.equal(run(model, vision_output()), before)
    assert not hooks_of(model)
    assert [set(vars(module)) for module in model.modules()] == attributes
    assert all(torch.equal(model.state_dict()[name], each) for name, each in state.items())


def test_the_model_is_restored_after_an_exception(shape: tuple[Any, Any, Any]) -> None:
    model, run, perturbation = shape
    before = run(model, vision_output())
    with pytest.raises(KeyError), qperturb.perturbed(model, perturbation):
        run(model, vision_output())
        raise KeyError("stop")
    refused = pytest.raises(InputError, match=r"of 3 images.*batch of 2.*take")
    with refused, qperturb.perturbed(model, perturbation):
        run(model, vision_output(2))
    assert not hooks_of(model)
    assert torch.equal(run(model, vision_output()), before)
    with qperturb.perturbed(model, perturbation):
        pass


def test_nested_use_is_refused_and_harms_nothing(shape: tuple[Any, Any, Any]) -> None:
    model, run, perturbation = shape
    with qperturb.perturbed(model, perturbation):
        during = run(model, vision_output())
        refused = pytest.raises(InputError, match="perturbed already")
        with refused, qperturb.perturbed(model, perturbation):
            raise AssertionError("entered twice")
        assert torch.equal(run(model, vision_output()), during)
    assert not hooks_of(model)


def test_two_models_may_be_perturbed_at_once() -> None:
    models = [transformers_model(seed) for seed in (0, 1)]
    first, second = (qperturb.perturbation(model, vision_output(), BOXES) for model in models)
    with qperturb.perturbed(models[0], first):
        alone = run_transformers(models[0], vision_output())
        with qperturb.perturbed(models[1], second):
            assert torch.equal(run_transformers(models[0], vision_output()), alone)


def test_another_thread_waits_for_its_turn_and_is_not_perturbed(
    shape: tuple[Any, Any, Any],
) -> None:
    model, run, perturbation = shape
    baseline = run(model, vision_output())
    mine = threading.Event()
    found: dict[str, Tensor] = {}

    def other() -> None:
        found["plain"] = run(model, vision_output())
        mine.set()
        with qperturb.perturbed(model, perturbation):
            found["perturbed"] = run(model, vision_output())

    thread = threading.Thread(target=other)
    with qperturb.perturbed(model, perturbation):
        during = run(model, vision_output())
        thread.start()
        assert mine.wait(60)
        assert torch.equal(found["plain"], baseline)
        thread.join(0.2)
        assert thread.is_alive() and "perturbed" not in found
        assert torch.equal(run(model, vision_output()), during)
    thread.join(60)
    assert torch.equal(found["perturbed"], during)
    assert not hooks_of(model)


def test_many_threads_get_what_one_gets() -> None:
    model = transformers_model()
    expected, found = [], {}
    settings = [qperturb.perturbation(model, vision_output(), BOXES, alpha=a) for a in range(6)]
    for each in settings:
        with qperturb.perturbed(model, each):
            expected.append(run_transformers(model, vision_output()))

    def work(number: int) -> None:
        for _ in range(5):
            with qperturb.perturbed(model, settings[number]):
                found[number] = run_transformers(model, vision_output())

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert all(torch.equal(found[number], expected[number]) for number in range(6))
    assert not hooks_of(model)


def test_a_perturbation_of_another_model_is_refused() -> None:
    model, other = transformers_model(), pooler()
    perturbation = qperturb.perturbation(other, vision_output(), BOXES)
    refused = pytest.raises(InputError, match="compute it with this model")
    with refused, qperturb.perturbed(model, perturbation):
        raise AssertionError("entered")
    assert not hooks_of(model)


def test_a_layer_that_cannot_be_hooked_leaves_no_hook_and_no_lock() -> None:
    model = transformers_model()
    perturbation = qperturb.perturbation(model, vision_output(), BOXES)
    layers = qperturb.cross_attentions(model)
    last = layers[2]

    def broken(change: Any) -> Any:
        raise RuntimeError("no")

    last.intervene = broken  # type: ignore[method-assign]
    for _ in range(2):
        refused = pytest.raises(RuntimeError, match="no")
        with refused, qperturb.perturbed(layers, perturbation):
            raise AssertionError("entered")
        assert not hooks_of(model)
