"""Training on a toy split: it learns its teacher's order, stops, and survives a kill anywhere."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from crossrank.errors import InputError, ParameterError, StoreError
from crossrank.plugin.torch_weights import write_tensors
from crossrank_cprd import checkpoint
from crossrank_cprd.mining import TaughtLists
from crossrank_cprd.objective import above, distillation
from crossrank_cprd.recipe import OBJECTIVES, Recipe
from crossrank_cprd.student import Student
from crossrank_cprd.trainer import Lesson, batches, train
from toys.cprd import lesson, student

RECIPE = Recipe(epochs=4, batch=6, rate=3e-3, hardest=5, weight=0.3)


def agreement(student: Student, lesson: Lesson) -> float:
    """The share of pairs of negatives that student and teacher order alike, t2i."""
    assert lesson.texts is not None
    images = lesson.pairs.images.all_through(student.image)
    texts = lesson.pairs.texts.all_through(student.text)
    found = torch.einsum("bd,bkd->bk", texts, images[lesson.texts.index])
    wanted, usable = lesson.texts.scores, lesson.texts.usable
    pairs = usable[:, :, None] & usable[:, None, :] & (wanted[:, :, None] > wanted[:, None, :])
    return float((found[:, :, None] > found[:, None, :])[pairs].float().mean())


def falling(student: Student) -> dict[str, float]:
    """A figure that falls as training goes on."""
    return {"figure": -student.image.out.weight.norm().item()}


def rising(student: Student) -> dict[str, float]:
    return {"figure": student.image.out.weight.norm().item()}


def weights(student: Student) -> dict[str, Tensor]:
    return {name: each.clone() for name, each in student.state_dict().items()}


def same(left: dict[str, Tensor], right: dict[str, Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[n], right[n]) for n in left)


def test_a_fresh_student_is_the_base_matcher() -> None:
    taught, pupil = lesson(), student().eval()
    for side, tower in ((taught.pairs.images, pupil.image), (taught.pairs.texts, pupil.text)):
        torch.testing.assert_close(side.all_through(tower), side.embedding)


@pytest.mark.parametrize("objective", ["cprd", "kl", "listmle"])
def test_distillation_learns_the_teachers_order(objective: str) -> None:
    taught, pupil, left_alone = lesson(), student(), student()
    recipe = replace(RECIPE, objective=objective, epochs=40, weight=2.0)
    train(pupil, taught, recipe, rising)
    train(left_alone, taught, replace(recipe, objective="none"), rising)
    assert agreement(pupil, taught) > agreement(left_alone, taught) + 0.05


def test_the_record_starts_before_training_and_names_every_epoch() -> None:
    history = train(student(), lesson(), RECIPE, rising)
    assert [record["epoch"] for record in history] == [0, 1, 2, 3, 4]
    assert history[0] == {"epoch": 0, "figure": 0.0}


def test_it_ends_with_its_best_epoch() -> None:
    pupil, before = student(), weights(student())
    train(pupil, lesson(), RECIPE, falling)
    assert same(weights(pupil), before)
    assert not pupil.training


def test_it_stops_when_the_dev_split_gains_nothing() -> None:
    history = train(student(), lesson(), replace(RECIPE, epochs=50, patience=2), falling)
    assert len(history) == 3


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_same_seed_gives_the_same_bits_and_another_other_ones(objective: str) -> None:
    found = []
    for seed in (0, 0, 1):
        pupil = student()
        train(pupil, lesson(), replace(RECIPE, objective=objective, seed=seed), rising)
        found.append(weights(pupil))
    assert same(found[0], found[1])
    assert not same(found[0], found[2])


class KilledError(Exception):
    pass


@pytest.mark.parametrize("where", range(1, 12, 2))
def test_a_run_killed_anywhere_goes_on_to_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: int
) -> None:
    """Killed between two steps of any epoch, and while a checkpoint is being written."""
    whole, victim, resumed = student(), student(), student()
    history = train(whole, lesson(), RECIPE, rising)
    path = tmp_path / "run.safetensors"
    steps = 0

    def dying(*arguments: object) -> None:
        nonlocal steps
        steps += 1
        if steps == where:
            raise KilledError

    with monkeypatch.context() as patched:
        original = torch.optim.AdamW.step

        def step(self: torch.optim.AdamW) -> None:
            dying()
            original(self)

        patched.setattr(torch.optim.AdamW, "step", step)
        with pytest.raises(KilledError):
            train(victim, lesson(), RECIPE, rising, path)
    assert train(resumed, lesson(), RECIPE, rising, path) == history
    assert same(weights(resumed), weights(whole))


def test_a_kill_while_a_checkpoint_is_written_costs_an_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, resumed = student(), student()
    history = train(whole, lesson(), RECIPE, rising)
    path = tmp_path / "run.safetensors"
    train(student(), lesson(), RECIPE, rising, path)
    finished = path.read_bytes()
    path.unlink()

    def torn(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
        written.append(1)
        if len(written) == 3:
            path.with_name(f".{path.name}.0123456789ab").write_bytes(finished[:1000])
            raise KilledError
        write_tensors(path, tensors, metadata)

    written: list[int] = []
    with monkeypatch.context() as patched:
        patched.setattr(checkpoint, "write_tensors", torn)
        with pytest.raises(KilledError):
            train(student(), lesson(), RECIPE, rising, path)
    assert train(resumed, lesson(), RECIPE, rising, path) == history
    assert same(weights(resumed), weights(whole))


def test_a_checkpoint_is_not_written_through_a_link(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.write_bytes(b"mine")
    (tmp_path / "run.partial").symlink_to(mine)
    train(student(), lesson(), RECIPE, rising, tmp_path / "run.safetensors")
    assert mine.read_bytes() == b"mine"


def test_a_finished_run_is_not_trained_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.safetensors"
    first, second = student(), student(5)
    history = train(first, lesson(), RECIPE, rising, path)
    monkeypatch.setattr(torch.optim.AdamW, "step", None)
    assert train(second, lesson(), RECIPE, rising, path) == history
    assert same(weights(first), weights(second))


@pytest.mark.parametrize(
    ("recipe", "seed", "name"),
    [(replace(RECIPE, rate=1.0), 0, "rate"), (RECIPE, 1, "lesson")],
)
def test_a_checkpoint_of_another_training_is_refused(
    tmp_path: Path, recipe: Recipe, seed: int, name: str
) -> None:
    path = tmp_path / "run.safetensors"
    train(student(), lesson(), RECIPE, rising, path)
    with pytest.raises(StoreError, match=f"with another {name}; choose another folder"):
        train(student(), lesson(seed), recipe, rising, path)
    path.write_bytes(b"something else")
    with pytest.raises(StoreError, match="is no checkpoint"):
        train(student(), lesson(), RECIPE, rising, path)


def test_distillation_needs_a_teacher() -> None:
    with pytest.raises(InputError, match="the objective 'cprd' needs a teacher's scores"):
        train(student(), Lesson(lesson().pairs), RECIPE, rising)


def test_lists_without_a_usable_negative_teach_nothing() -> None:
    taught = lesson()
    assert taught.texts is not None and taught.images is not None
    empty = [
        replace(each, usable=torch.zeros_like(each.usable))
        for each in (taught.texts, taught.images)
    ]
    pupil, alone = student(), student()
    train(pupil, replace(taught, texts=empty[0], images=empty[1]), RECIPE, rising)
    train(alone, taught, replace(RECIPE, objective="none"), rising)
    assert same(weights(pupil), weights(alone))


def test_the_threshold_is_in_deviations_above_the_mean_of_the_row() -> None:
    teacher = torch.tensor([[0.0, 1.0, 2.0, 3.0, torch.nan], [5.0, 5.0, 5.0, 5.0, 9.0]])
    mask = torch.tensor([[True] * 4 + [False]] * 2)
    assert above(teacher, mask, 0.0).tolist() == [[0, 0, 1, 1, 0], [1, 1, 1, 1, 0]]
    assert above(teacher, mask, 1.0).tolist()[0] == [0, 0, 0, 1, 0]
    assert not above(teacher, mask, 2.0)[0].any()
    assert torch.equal(above(10 * teacher - 3, mask, 0.0), above(teacher, mask, 0.0))


def test_the_distillation_moves_the_queries_alone() -> None:
    queries = torch.randn(2, 3, requires_grad=True)
    bank = torch.randn(4, 3, requires_grad=True)
    lists = TaughtLists(
        torch.tensor([[0, 1, 2], [3, 1, 0]]), torch.randn(2, 3), torch.ones(2, 3, dtype=torch.bool)
    )
    loss = distillation(queries, torch.arange(2), bank.detach(), lists, RECIPE)
    torch.autograd.backward(loss)
    assert queries.grad is not None and queries.grad.any() and bank.grad is None


def test_every_text_is_shown_once_and_no_picture_twice_in_a_batch() -> None:
    owners = torch.tensor([0, 0, 0, 1, 1, 2, 2, 2, 2])
    torch.manual_seed(0)
    shown = batches(owners, 2)
    assert sorted(torch.cat(shown).tolist()) == list(range(9))
    for batch in shown:
        assert len(batch) <= 2
        assert len(set(owners[batch].tolist())) == len(batch)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"objective": "cprt"}, "no objective 'cprt'; did you mean 'cprd'"),
        ({"batch": 0}, "batch is 0; give an integer of at least 1"),
        ({"tau": 0.0}, "tau is 0.0; give a positive number"),
        ({"weight": -1.0}, "weight is -1.0; give a finite number of at least 0"),
        ({"soft": 1.5}, "soft is 1.5"),
    ],
)
def test_recipes_are_checked(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        Recipe(**arguments)  # type: ignore[arg-type]
