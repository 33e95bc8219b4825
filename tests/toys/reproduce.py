"""The files of every published row, tiny, in their own layouts and in their own places."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import crossrank as cr
from crossrank_knowledge import KnowledgeBank
from crossrank_reproduce import Row
from toys import tiny_blip2, tiny_clip, tiny_openai_clip, tiny_vista

PICTURES = 6
WORDS = ("a dog runs", "two cats in the street", "the red man", "a ball on grass", "an old tree")
SIZES = {"vision_heads": tiny_openai_clip.HEADS, "text_heads": tiny_openai_clip.HEADS}


def build(data: Path) -> Path:
    """Write everything that any row needs, below one folder."""
    weights = data / "weights"
    for name in ("flickr30k", "coco", "mack", "weights"):
        (data / name).mkdir(parents=True)
    _captions(data)
    _remote_sensing(data)
    _composed(data)
    _mixed(data)
    for name in ("cir_query.png", "cir_candi_1.png", "cir_candi_2.png"):
        _picture(data / "visual_bge" / "imgs" / name)
    for number in (1, 2):
        _picture(data / "visual_bge" / "imgs" / f"wiki_candi_{number}.jpg")
    _regions(data)
    _weights(weights)
    return data


def captions(data: Path, name: str) -> cr.Captions:
    """Return the captions of a split, read without the package under test."""
    return cr.read_captions(data / name / f"dataset_{name}.json", "test")


def stand_in(row: Row) -> Row:
    """Return a row whose encoder is a tiny one: the real names stand for real sizes."""
    settings = dict(row.settings)
    encoder = settings.get("encoder")
    if encoder is not None and encoder["name"] == "openclip":
        settings["encoder"] = {"name": "clip", "params": {"model": "{weights}/filip"}}
    elif encoder is not None and encoder["name"] == "vista":
        settings["encoder"] = {"name": "vista", "params": {"model": "{weights}/vista_parts"}}
    if "convert" in settings:
        settings["convert"] = {**settings["convert"], **SIZES}
    return replace(row, settings=settings)


def _picture(path: Path, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([seed, len(path.name), *path.name.encode()])
    Image.fromarray(rng.integers(0, 256, (40, 48, 3), dtype=np.uint8)).save(path)


def _texts(number: int, count: int = 5) -> list[str]:
    return [f"{WORDS[(number + k) % 5]} and {WORDS[(2 * number + k) % 5]}" for k in range(count)]


def _captions(data: Path) -> None:
    for name, below, entry in (
        ("flickr30k", "flickr30k-images", {}),
        ("coco", "val2014", {"filepath": "val2014"}),
    ):
        images = []
        for number in range(PICTURES):
            file = f"{name}_{number}.jpg"
            _picture(data / name / below / file)
            # COCO has pictures with more than five captions
            texts = _texts(number, 6 if name == "coco" and number == 0 else 5)
            sentences = [{"raw": text} for text in texts]
            images.append({"filename": file, "split": "test", "sentences": sentences, **entry})
        path = data / name / f"dataset_{name}.json"
        path.write_text(json.dumps({"images": images}), encoding="utf-8")
    folder = data / "flickr30k_entities" / "Annotations"
    folder.mkdir(parents=True)
    for number in range(PICTURES):
        width = 10 if number < 2 else 40
        (folder / f"flickr30k_{number}.xml").write_text(
            "<annotation><size><width>48</width><height>40</height><depth>3</depth></size>"
            f"<object><name>1</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>{width}</xmax>"
            "<ymax>10</ymax></bndbox></object></annotation>",
            encoding="utf-8",
        )


def _remote_sensing(data: Path) -> None:
    for name, folder, encoding in (
        ("rsitmd", "images", "utf-8"),
        ("rsicd", "RSICD_images", "gb18030"),
    ):
        (data / name).mkdir()
        with (data / name / f"{name}_test.csv").open("w", encoding=encoding, newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["filename", "title"])
            for number in range(PICTURES):
                _picture(data / name / folder / f"{number}.tif")
                for text in _texts(number):
                    rows.writerow([f"{number}.tif", f"{text}“"])


def _composed(data: Path) -> None:
    cirr, iq = data / "cirr", data / "fashioniq"
    for folder in (cirr / "captions", cirr / "image_splits", iq / "captions", iq / "image_splits"):
        folder.mkdir(parents=True)
    names = {f"dev-{n}": f"./dev/dev-{n}.png" for n in range(PICTURES)}
    for path in names.values():
        _picture(cirr / path)
    queries = [
        {"pairid": n, "reference": f"dev-{n}", "target_hard": f"dev-{n + 1}", "caption": WORDS[n]}
        for n in range(4)
    ]
    _json(cirr / "captions" / "cap.rc2.val.json", queries)
    _json(cirr / "image_splits" / "split.rc2.val.json", names)
    for place, category in enumerate(("dress", "shirt", "toptee")):
        own = [f"B{category}{n}" for n in range(3)]
        for name in own:
            _picture(iq / "images" / f"{name}{'.png' if place else '.jpg'}")
        asked = [{"candidate": own[0], "target": own[1], "captions": [WORDS[0], WORDS[2]]}]
        _json(iq / "captions" / f"cap.{category}.val.json", asked)
        _json(iq / "image_splits" / f"split.{category}.val.json", own)


def _mixed(data: Path) -> None:
    asked = {"webqa": {}, "remuq": {"image": "img/0.png"}, "oven": {"image": "img/1.png"}}
    for name, also in asked.items():
        folder = data / name
        for number in range(3):
            _picture(folder / "img" / f"{number}.png")
        corpus: list[Mapping[str, str]] = [
            {"id": "t0", "text": WORDS[0]},
            {"id": "t1", "text": WORDS[1]},
            {"id": "b2", "text": WORDS[2], "image": "img/2.png"},
            {"id": "p0", "image": "img/0.png"},
        ]
        queries = [{"id": f"q{n}", "text": WORDS[n], **also} for n in range(2)]
        for what, entries in (("corpus", corpus), ("queries", queries)):
            lines = "".join(json.dumps(each) + "\n" for each in entries)
            (folder / f"{what}.jsonl").write_text(lines, encoding="utf-8")
        (folder / "qrels.txt").write_text("q0 0 t0 1\nq0 0 b2 1\nq1 0 t1 1\n", encoding="utf-8")


def _regions(data: Path) -> None:
    rng = np.random.default_rng(4)
    for name in ("flickr30k", "coco"):
        folder = data / "mack" / f"{name}_regions"
        folder.mkdir()
        for number in range(PICTURES):
            regions = rng.normal(size=(4, 12)).astype(np.float32)
            np.save(folder / f"{name}_{number}.npy", regions)
    for direction in ("t2i", "i2t"):
        matrix = rng.normal(size=(PICTURES, 5 * PICTURES))
        np.save(data / "mack" / f"albef_flickr30k_{direction}.npy", matrix)
    words = ["dog", "ball", "red", "man", "grass", "old", "tree"]
    KnowledgeBank(words, rng.normal(size=(len(words), 12))).save(data / "mack" / "bank")


def _weights(weights: Path) -> None:
    tiny_clip.build("clip", weights / "filip")
    blip2 = weights / "blip2-itm-vit-g-coco"
    tiny_blip2.make_model().save_pretrained(blip2)
    tiny_blip2.make_tokenizer(blip2)
    tokenizer = tiny_openai_clip.save_tokenizer(weights / "clip-vit-base-patch32")
    tiny_openai_clip.written(tokenizer, weights / "RS5M_ViT-B-32.pt")
    tiny_vista.build("bert", weights / "vista_parts")
    for folder in ("mobileclip_s0", "bge-base-en-v1.5"):
        (weights / folder).mkdir()
        (weights / folder / "config.json").write_text("{}", encoding="utf-8")
    names = ("RN50x16.safetensors", "ViT-B-32.safetensors", "Visualized_base_en_v1.5.pth")
    for name in (*names, *(f"mobileclip_{size}.pt" for size in ("s1", "s2", "b"))):
        (weights / name).write_bytes(name.encode())


def _json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")
