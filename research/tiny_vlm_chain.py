"""A whole chain with a toy: search → mine → train a vision–language model → rerank → evaluate.

    python research/tiny_vlm_chain.py WORK [--pictures 1500] [--steps 600] [--minutes 40]

Drawn scenes (tiny_blip2_scenes.py) with a caption each.  The base search knows colours alone: the
cosine of a picture's histogram over the ten colours with those that a caption names.  ``crossrank
mine`` takes hard negatives from its train lists, a LLaVA of some 300 thousand parameters learns to
answer yes or no to them, and ``vlm`` reranks the test lists with it.  Shows that the chain works;
its gain is that of a toy.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers

import crossrank as cr
from crossrank.evaluation import write_qrels
from tiny_blip2_scenes import COLOURS, SIZE, caption, gallery

transformers: Any = import_module("transformers")  # its types are incomplete

TEMPLATE = "{{ document }} {{ query }} ?"
DEPTH, NEGATIVES, BATCH, RATE = 20, 3, 48, 1e-3
SPECIAL = ("<image>", "<pad>", "<unk>", "yes", "no", "?")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--pictures", type=int, default=1500)
    parser.add_argument("--held-out", type=int, default=300)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--minutes", type=float, default=40.0, help="Of processor time, at most.")
    given = parser.parse_args()
    transformers.utils.logging.disable_progress_bar()
    for split, size in (("train", given.pictures), ("test", given.held_out)):
        prepare(given.work / split, split, size)
    train, test = given.work / "train", given.work / "test"
    command = [sys.executable, "-m", "crossrank", "mine", str(train / "base.trec")]
    command += ["--queries", str(train / "texts"), "--gallery", str(train / "images")]
    command += ["--qrels", str(train / "qrels"), "--format", "labeled-pair", "--force"]
    command += ["--negatives", str(NEGATIVES), "-o", str(train / "pairs.jsonl")]
    subprocess.run(command, check=True)
    lines = (train / "pairs.jsonl").read_text(encoding="utf-8").splitlines()
    words = sorted({word for line in lines for word in json.loads(line)["anchor"].split()})
    folder = given.work / "model"
    untrained(folder, words)
    spent = fit(folder, [json.loads(line) for line in lines], given.steps, 60 * given.minutes)
    base = cr.Candidates.from_trec(test / "base.trec")
    params = {"model": folder, "template": TEMPLATE, "sigmoid": False}
    systems: dict[str, Any] = {"base": base.to_run()}
    for name, fusion in (("vlm", cr.Replace()), ("base + vlm", cr.WeightedSum(1.0))):
        stage = cr.Stage("vlm", depth=DEPTH, fusion=fusion, params=params)
        texts, images = (cr.Collection.open(test / side) for side in ("texts", "images"))
        systems[name] = cr.Pipeline(stage).rerank(base, texts, images)
    qrels = cr.evaluation.read_qrels(test / "qrels")
    print(cr.evaluate(systems, qrels, ["R@1", "R@5", "R@10", "MRR"]))
    print(json.dumps({"seconds of training": round(spent), "pairs": len(lines)}))


def prepare(folder: Path, split: str, size: int) -> None:
    """Draw a split and search it by colours."""
    folder.mkdir(parents=True, exist_ok=True)
    names = list(COLOURS)
    palette = np.array([COLOURS[name] for name in names], np.float64)
    paths, said, seen, asked = [], [], [], []
    for number, (scene, fact) in enumerate(gallery(split, size, 0)):
        path = folder / f"{number}.png"
        Image.fromarray(scene.picture).save(path)
        text = caption(fact)
        far = np.linalg.norm(scene.picture.reshape(-1, 1, 3) - palette, axis=2)
        near = far.min(axis=1) < 60
        seen.append(np.bincount(far.argmin(axis=1)[near], minlength=len(names)) ** 0.5)
        asked.append([float(name in text.split()) for name in names])
        paths.append(str(path.absolute()))
        said.append(text)
    ids = [str(number) for number in range(size)]
    images = cr.Collection(ids, "image", path=paths, embedding=unit(np.array(seen)))
    texts = cr.Collection(ids, "text", text=said, embedding=unit(np.array(asked)))
    for name, side in (("images", images), ("texts", texts)):
        if not (folder / name).exists():
            side.save(folder / name)
    lists = cr.search(texts, images, depth=DEPTH)
    write_qrels(folder / "qrels", {id: {id: 1} for id in ids})
    write_run(folder / "base.trec", lists)


def write_run(path: Path, lists: cr.Candidates) -> None:
    rows = []
    for query, members in lists.to_run().items():
        for rank, (candidate, score) in enumerate(members.items(), 1):
            rows.append(f"{query} Q0 {candidate} {rank} {score:.9f} base\n")
    path.write_text("".join(rows), encoding="utf-8")


def unit(rows: Any) -> Any:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def untrained(folder: Path, words: Sequence[str]) -> None:
    """Save a LLaVA with random weights and a vocabulary of words."""
    vocabulary = {word: number for number, word in enumerate([*SPECIAL, *words])}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner, unk_token="<unk>", pad_token="<pad>"
    )
    tokenizer.add_special_tokens({"additional_special_tokens": ["<image>"]})
    tokenizer.save_pretrained(folder)
    size = {"hidden_size": 96, "intermediate_size": 192, "num_attention_heads": 4}
    config = transformers.LlavaConfig(
        text_config={
            **size,
            "model_type": "llama",
            "num_hidden_layers": 2,
            "vocab_size": len(tokenizer),
            "max_position_embeddings": 256,
        },
        vision_config={
            **size,
            "model_type": "clip_vision_model",
            "num_hidden_layers": 2,
            "image_size": SIZE,
            "patch_size": 8,
        },
        image_token_index=0,
        image_seq_length=(SIZE // 8) ** 2,
        vision_feature_layer=-1,
    )
    torch.manual_seed(0)
    transformers.LlavaForConditionalGeneration(config).save_pretrained(folder)
    transformers.CLIPImageProcessorPil(
        size={"shortest_edge": SIZE}, crop_size={"height": SIZE, "width": SIZE}
    ).save_pretrained(folder)


def fit(folder: Path, pairs: list[dict[str, Any]], steps: int, most: float) -> float:
    """Train on labelled pairs by cross-entropy of yes and no; return seconds of processor time."""
    model: Any = transformers.LlavaForConditionalGeneration.from_pretrained(folder).train()
    tokenizer: Any = transformers.AutoTokenizer.from_pretrained(folder)
    processor: Any = transformers.AutoImageProcessor
    pictures = processor.from_pretrained(folder, backend="pil")
    shown: dict[str, torch.Tensor] = {}
    for row in pairs:
        if row["positive"] not in shown:
            opened = Image.open(row["positive"]).convert("RGB")
            shown[row["positive"]] = pictures(opened, return_tensors="pt")["pixel_values"][0]
    rng = np.random.default_rng(0)
    yes, no = tokenizer.convert_tokens_to_ids(["yes", "no"])
    labels = np.array([row["label"] for row in pairs])
    positive, negative = np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)
    optimiser = torch.optim.AdamW(model.parameters(), RATE, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps)
    start = time.process_time()
    for step in range(steps):
        half = BATCH // 2
        chosen = [*rng.choice(positive, half), *rng.choice(negative, half)]
        rows = [pairs[int(row)] for row in chosen]
        image = "<image>" * model.config.image_seq_length
        texts = [f"{image} {row['anchor']} ?" for row in rows]
        read = tokenizer(texts, padding=True, padding_side="left", return_tensors="pt")
        logits = model(
            input_ids=read["input_ids"],
            attention_mask=read["attention_mask"],
            pixel_values=torch.stack([shown[row["positive"]] for row in rows]),
            logits_to_keep=1,
        ).logits[:, -1]
        target = torch.tensor([float(row["label"]) for row in rows])
        loss: Any = torch.nn.functional.binary_cross_entropy_with_logits(
            logits[:, yes] - logits[:, no], target
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % 100 == 0 or step == steps - 1:
            print(f"step {step}: loss {loss.item():.3f}", flush=True)
        if time.process_time() - start > most:
            break
    model.eval().save_pretrained(folder)
    return time.process_time() - start


if __name__ == "__main__":
    main()
