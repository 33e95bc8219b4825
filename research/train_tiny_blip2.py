"""Train a BLIP-2 of toy size on scenes that are drawn here.

    python research/train_tiny_blip2.py -o out/tiny_blip2 --seeds 0 1 2

A vision encoder learns to see, once. Then, on this encoder frozen, a Q-Former per seed learns ITC,
and then ITC with ITM, first with easy negatives, then with hard ones. It goes on where it was when
the same command is given again after a kill, and ends with the same weights. A folder per seed is
what ``Blip2ForImageTextRetrieval.from_pretrained`` reads.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

import lite_checkpoint as checkpoint
from tiny_blip2_model import (
    itm_logits,
    make_model,
    make_tokenizer,
    picture_embeddings,
    save_model,
    text_embeddings,
    vision_features,
)
from tiny_blip2_scenes import SIZE, Fact, Scene, caption, draw, gallery
from tiny_blip2_stages import Captioned, Labelled, MatchingStage, SightStage
from training_epochs import grouped, schedule, seed_of

logger = logging.getLogger("train_tiny_blip2")


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a stage does: rounds of steps, each with a batch.  A checkpoint follows every round."""

    rounds: int
    steps: int
    batch: int
    rate: float
    itc_only: int = 0


def main(words: Sequence[str] | None = None) -> None:
    given = arguments(words)
    logging.basicConfig(format="%(asctime)s %(message)s")
    logger.setLevel(logging.INFO)
    torch.set_num_threads(given.threads)
    given.out.mkdir(parents=True, exist_ok=True)
    sight = see(given)
    for seed in given.seeds:
        train(seed, sight, given)


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--out", type=Path, default=Path("out/tiny_blip2"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--scenes", type=int, default=8_000)
    parser.add_argument("--sight-rounds", type=int, default=12)
    parser.add_argument("--itc-rounds", type=int, default=22)
    parser.add_argument("--itm-rounds", type=int, default=6)
    parser.add_argument("--steps", type=int, default=100, help="steps in a round")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--val", type=int, default=200, help="pictures in the gallery of val")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args(words)


def see(given: argparse.Namespace) -> dict[str, torch.Tensor]:
    """Train the vision encoder, or go on, and return its weights."""
    torch.manual_seed(seed_of("sight"))
    model = make_model()
    stage = SightStage(model)
    scenes = [draw(np.random.default_rng([2, row])) for row in range(given.scenes // 2)]
    grid = SIZE // model.config.vision_config.patch_size
    data = Labelled.of(scenes, grid)
    recipe = Recipe(given.sight_rounds, given.steps, 32, 3e-3)

    def loss(rng: np.random.Generator, round: int) -> torch.Tensor:
        return stage.loss(data, rng.choice(len(scenes), recipe.batch))

    fit("sight", stage, loss, recipe, {"scenes": len(scenes), "seed": 0}, given.out)
    return {name: each.clone() for name, each in model.vision_model.state_dict().items()}


def train(seed: int, sight: dict[str, torch.Tensor], given: argparse.Namespace) -> Path:
    """Train one model and return its folder."""
    out: Path = given.out / f"seed{seed}"
    if (out / "figures.json").exists():
        logger.info("seed %d: done before", seed)
        return out
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed_of(seed, "weights"))
    model = make_model()
    model.vision_model.load_state_dict(sight)
    stage = MatchingStage(model)
    scenes = [draw(np.random.default_rng([3, seed, row])) for row in range(given.scenes)]
    data = Captioned.of(model, scenes)
    val = gallery("val", given.val, seed)
    rounds = given.itc_rounds + given.itm_rounds
    recipe = Recipe(rounds, given.steps, given.batch, given.rate, given.itc_rounds)

    def loss(rng: np.random.Generator, round: int) -> torch.Tensor:
        late = round - recipe.itc_only
        hardness = None if late < 0 else float(late >= given.itm_rounds // 2)
        return stage.loss(data, data.batch(rng, recipe.batch), rng, hardness)

    def figures(round: int) -> dict[str, float]:
        return recalls(model, val, 8 if round >= recipe.itc_only else 0)

    settings = {name: getattr(given, name) for name in ("scenes", "val")} | {"seed": seed}
    history = fit("matching", stage, loss, recipe, settings, out, figures)
    save_model(model.eval(), out)
    text = json.dumps({"settings": settings, "history": history}, indent=1) + "\n"
    (out / "figures.json").write_text(text, encoding="utf-8")
    return out


def fit(
    name: str,
    stage: torch.nn.Module,
    loss_of: Callable[[np.random.Generator, int], torch.Tensor],
    recipe: Recipe,
    settings: dict[str, Any],
    out: Path,
    figures: Callable[[int], dict[str, float]] = lambda _: {},
) -> list[dict[str, Any]]:
    """Train a stage, from its checkpoint if there is one, and return a record per round."""
    learning = [each for each in stage.parameters() if each.requires_grad]
    optimizer = torch.optim.AdamW(grouped(stage, 0.01), lr=recipe.rate)
    done = checkpoint.Progress({**settings, **asdict(recipe)})
    path = out / f"{name}.checkpoint.safetensors"
    checkpoint.restore(path, stage, optimizer, done)
    for round in range(len(done.history), recipe.rounds):
        start, losses = time.process_time(), []
        torch.manual_seed(seed_of(settings["seed"], name, round))
        rng = np.random.default_rng(seed_of(settings["seed"], name, round, "numpy"))
        stage.train()
        for step in range(recipe.steps):
            for group in optimizer.param_groups:
                group["lr"] = recipe.rate * schedule(
                    round * recipe.steps + step, recipe.rounds * recipe.steps, rising=20
                )
            loss = loss_of(rng, round)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            torch.nn.utils.clip_grad_norm_(learning, 1.0)
            optimizer.step()
            losses.append(loss.item())
        stage.eval()
        record = {"round": round, "loss": round_to(np.mean(losses), 4), **figures(round)}
        done.history.append(record)
        checkpoint.save(path, stage, optimizer, done)
        seconds = time.process_time() - start
        shown = " ".join(f"{key} {value}" for key, value in record.items())
        logger.info("seed %d %s: %s (%.0f s of CPU)", settings["seed"], name, shown, seconds)
    stage.eval()
    return done.history


def round_to(value: Any, digits: int) -> float:
    return round(float(value), digits)


def recalls(model: Any, pictures: Sequence[tuple[Scene, Fact]], depth: int) -> dict[str, float]:
    """Return R@1 from text to picture in percent: of ITC, and of ITM over the first `depth`."""
    told = make_tokenizer()([caption(fact) for _, fact in pictures], padding=True)
    ids, mask = (torch.tensor(told[name]) for name in ("input_ids", "attention_mask"))
    vision = vision_features(model, [scene.picture for scene, _ in pictures])
    with torch.inference_mode():
        table = picture_embeddings(model, vision) @ text_embeddings(model, ids, mask).T
        scores = table.amax(dim=1).T
        right = torch.arange(len(pictures))
        found = {"itc": scores.argmax(dim=1)}
        if depth:
            first = scores.topk(depth).indices
            texts = right.repeat_interleave(depth)
            again = itm_logits(model, vision[first.flatten()], ids[texts], mask[texts])
            found["itm"] = first[right, again[:, 1].view(-1, depth).argmax(dim=1)]
    return {
        f"R@1 {name}": round_to(100 * (rows == right).float().mean(), 1)
        for name, rows in found.items()
    }


if __name__ == "__main__":
    main()
