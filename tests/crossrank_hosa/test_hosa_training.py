"""Heads: what they learn by, training that survives a kill, and the file a stage takes."""

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import crossrank as cr
from crossrank.errors import FeatureMismatchError, InputError, StoreError
from crossrank.testing import make_collection
from crossrank_hosa.heads import HeadSizes, HosaHeads, load_heads, save_heads
from crossrank_hosa.loss import HosaLoss, alignments, hardest_hinge, reconstructions
from toys.hosa_oracle import cosines

SIZES = {"tokens": 48, "embedding": 48}
IMAGES = make_collection("image", 12, dimensions=SIZES)
TEXTS = make_collection("text", 12, dimensions=SIZES)
SCRIPT = Path(__file__).parents[2] / "research" / "train_hosa.py"


def batch(size: int = 16) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    images, texts = (
        torch.nn.functional.normalize(
            torch.randn(3, count, size, generator=generator, dtype=torch.float64), dim=-1
        )
        for count in (5, 4)
    )
    return images, texts, torch.arange(4) < torch.tensor([4, 2, 1])[:, None]


def test_the_loss_is_that_of_loops() -> None:
    images, texts, mask = batch()
    word, region = np.zeros((3, 3)), np.zeros((3, 3))
    for i in range(3):
        for j in range(3):
            products = (images[i] @ texts[j][mask[j]].T).numpy()
            word[i, j], region[i, j] = products.max(axis=0).mean(), products.max(axis=1).mean()
    found = alignments(images, texts, mask)
    np.testing.assert_allclose(found[0], word)
    np.testing.assert_allclose(found[1], region)
    hinges = sum(
        max(0, 0.2 - scores[n, n] + max(scores[n, m] for m in range(3) if m != n)) / 3
        for scores in (word.T, region)
        for n in range(3)
    )
    rebuilt = 0.0
    for n in range(3):
        own = images[n].numpy(), texts[n][mask[n]].numpy()
        rebuilt += float(np.mean(cosines(own[1], own[0], 2, 0.1))) / 6
        rebuilt += float(np.mean(cosines(own[0], own[1], 2, 0.1))) / 6
    assert float(reconstructions(images, texts, mask, 2, 0.1)) == pytest.approx(rebuilt)
    loss = HosaLoss(0.2, 0.3, 2, 0.1)
    assert float(loss(images, texts, mask)) == pytest.approx(hinges + 0.3 * (1 - rebuilt))
    assert float(HosaLoss(0.2, 0.0)(images, texts, mask)) == pytest.approx(hinges)


def test_padding_counts_nowhere_and_gradients_are_right() -> None:
    images, texts, mask = batch(size=6)
    loss = HosaLoss(0.2, 0.3)
    noisy = texts.masked_fill(~mask[:, :, None], 7.0)
    assert float(loss(images, noisy, mask)) == pytest.approx(float(loss(images, texts, mask)))
    assert torch.autograd.gradcheck(
        lambda a, b: loss(a, b, mask), (images.requires_grad_(), texts.requires_grad_())
    )


def test_a_hinge_that_is_satisfied_is_zero() -> None:
    assert float(hardest_hinge(torch.eye(3), 0.2)) == 0
    assert float(hardest_hinge(torch.zeros(3, 3), 0.2)) == pytest.approx(0.2)


def test_what_the_loss_refuses() -> None:
    images, texts, mask = batch()
    with pytest.raises(InputError, match="at least two"):
        HosaLoss()(images[:1], texts[:1], mask[:1])
    with pytest.raises(InputError, match="no token"):
        HosaLoss()(images, texts, mask & (torch.arange(3) > 0)[:, None])


def heads_file(path: Path, seed: int = 0) -> HosaHeads:
    torch.manual_seed(seed)
    heads = HosaHeads(HeadSizes("regions", "tokens", 24, 48, 30, 8)).eval()
    with torch.no_grad():
        for each in heads.parameters():
            each.add_(0.1 * torch.randn_like(each))
    save_heads(heads, path)
    return heads


@pytest.mark.parametrize("direction", ["t2i", "i2t"])
def test_a_stage_scores_what_the_heads_give(tmp_path: Path, direction: str) -> None:
    path = tmp_path / "heads.safetensors"
    heads = heads_file(path)
    with torch.inference_mode():
        seen = heads.image(torch.from_numpy(IMAGES["regions"].flat)).numpy()
        read = heads.text(torch.from_numpy(TEXTS["tokens"].flat)).numpy()
    by_hand = (
        TEXTS.with_features(tokens=cr.Ragged(read, TEXTS["tokens"].lengths)),
        IMAGES.with_features(tokens=cr.Ragged(seen, IMAGES["regions"].lengths)),
    )
    found = []
    for sides, params in (((TEXTS, IMAGES), {"heads": str(path)}), (by_hand, {})):
        queries, gallery = sides if direction == "t2i" else sides[::-1]
        lists = cr.Candidates.from_lists({id: list(gallery.ids) for id in queries.ids})
        stage = cr.Stage("hosa", fusion=cr.Replace(), params=params)
        rankings = cr.Pipeline(stage).rerank(lists, queries, gallery, cache_folder=tmp_path / "c")
        found.append([[rankings[q][c].score for c in range(len(gallery))] for q in queries.ids])
        (evidence,) = cr.Pipeline(stage).explain(
            queries, gallery, queries.ids[0], [gallery.ids[0]]
        )["hosa"]
        assert evidence.links
    np.testing.assert_allclose(found[0], found[1], atol=1e-5)


def test_heads_over_tokens_start_as_the_tokens() -> None:
    heads = HosaHeads(HeadSizes("tokens", "tokens", 48, 48, 48, 8))
    rows = torch.from_numpy(IMAGES["tokens"].flat)
    torch.testing.assert_close(heads.image(rows), rows)


def test_files_that_are_no_heads_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "heads.safetensors"
    kept = heads_file(path)
    for name, each in load_heads(path).state_dict().items():
        torch.testing.assert_close(each, kept.state_dict()[name])
    rerun = cr.Stage("hosa", params={"heads": path}).scorer.fingerprint()
    heads_file(path, seed=1)
    assert cr.Stage("hosa", params={"heads": path}).scorer.fingerprint() != rerun
    lists = cr.Candidates.from_lists({TEXTS.ids[0]: [IMAGES.ids[0]]})

    def rerank(path: Path, queries: cr.Collection) -> None:
        stage = cr.Stage("hosa", fusion=cr.Replace(), params={"heads": path})
        cr.Pipeline(stage).rerank(lists, queries, IMAGES)

    with pytest.raises(FeatureMismatchError, match=r"read 'tokens' of 48 numbers.*have 32"):
        rerank(path, make_collection("text", 3, dimensions={"tokens": 32, "embedding": 48}))
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(StoreError, match="cannot be read"):
        rerank(path, TEXTS)
    with pytest.raises(StoreError, match=r"train some with research/train_hosa\.py"):
        rerank(tmp_path / "none.safetensors", TEXTS)
    save_file({"x": torch.zeros(1)}, path)
    with pytest.raises(StoreError, match="holds no heads of hosa"):
        rerank(path, TEXTS)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Features of twelve pictures with two captions each."""
    folder = tmp_path_factory.mktemp("features")
    IMAGES.save(folder / "images")
    texts = make_collection("text", 24, dimensions=SIZES)
    ids = [f"{id}#{number}" for id in IMAGES.ids for number in range(2)]
    features = {name: texts[name] for name in ("tokens", "words")}
    cr.Collection(ids, "text", **features).save(folder / "texts")
    return folder


@pytest.fixture(scope="module")
def script() -> Iterator[ModuleType]:
    """The training script, imported from where it lies."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SCRIPT.parent))
        spec = importlib.util.spec_from_file_location("train_hosa", SCRIPT)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        patch.setitem(sys.modules, "train_hosa", module)
        spec.loader.exec_module(module)
        yield module


def train(script: ModuleType, folders: Path, out: Path, *more: str) -> None:
    arguments = ["--images", str(folders / "images"), "--texts", str(folders / "texts")]
    arguments += ["-o", str(out), "--epochs", "3", "--batch", "4", "--hidden", "8"]
    arguments += ["--regions", "4", "--rate", "0.01", *more]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [str(SCRIPT), *arguments])
        script.main()


@pytest.mark.parametrize("batches", [2, 5, 8])
def test_a_killed_training_ends_with_the_same_weights(
    script: ModuleType,
    folders: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    batches: int,
) -> None:
    train(script, folders, tmp_path / "whole")
    out = tmp_path / "killed"
    batch, drawn = script.Pairs.batch, 0

    def killed(*args: Any) -> Any:
        nonlocal drawn
        drawn += 1
        if drawn > batches:  # of nine: in the first, the second or the last epoch
            raise KeyboardInterrupt
        return batch(*args)

    with monkeypatch.context() as patch:
        patch.setattr(script.Pairs, "batch", killed)
        with pytest.raises(KeyboardInterrupt):
            train(script, folders, out)
    assert not (out / "heads.safetensors").exists()
    train(script, folders, out)
    whole, resumed = (
        load_file(tmp_path / name / "heads.safetensors") for name in ("whole", "killed")
    )
    start = HosaHeads(HeadSizes("tokens", "tokens", 48, 48, 48, 8)).state_dict()
    assert not torch.equal(whole["image.linear.weight"], start["image.linear.weight"])
    for name, each in whole.items():
        assert torch.equal(each, resumed[name]), name
    with pytest.raises(SystemExit, match="other settings"):
        train(script, folders, out, "--seed", "1")


def test_heads_over_raw_features_are_trained_and_rank(
    script: ModuleType, folders: Path, tmp_path: Path
) -> None:
    more = ("--image-feature", "regions", "--text-feature", "words", "--token", "16")
    train(script, folders, tmp_path, *more)
    heads = load_heads(tmp_path / "heads.safetensors")
    assert heads.sizes == HeadSizes("regions", "words", 24, 20, 16, 8)
    assert float(heads.image.mean.abs().max()) > 0
    images, texts = (cr.Collection.open(folders / name) for name in ("images", "texts"))
    lists = cr.Candidates.from_lists({id: list(images.ids) for id in texts.ids})
    params = {"heads": tmp_path / "heads.safetensors", "gamma": 0}
    stage = cr.Stage("hosa", fusion=cr.Replace(), params=params)
    assert len(cr.Pipeline(stage).rerank(lists, texts, images)) == len(texts)


def test_what_the_training_refuses(script: ModuleType, folders: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="12 pictures do not fill a batch of 13"):
        train(script, folders, tmp_path, "--batch", "13")
    alien = cr.Collection(["x#0"], "text", tokens=cr.Ragged(np.eye(1, 48), [1]))
    with pytest.raises(SystemExit, match="'x#0' belongs to no picture"):
        script.Pairs.of(IMAGES, alien, "tokens", "tokens")
    none = TEXTS.take([], ["tokens"])
    with pytest.raises(SystemExit, match="has no caption"):
        script.Pairs.of(IMAGES, none, "tokens", "tokens")


def test_the_hinge_is_computed_where_the_scores_are() -> None:
    """On a device that holds no numbers: what makes a tensor of its own elsewhere fails."""
    scores = torch.empty(3, 3, device="meta", requires_grad=True)
    loss = hardest_hinge(scores, 0.2)
    assert loss.device.type == "meta" and loss.shape == ()
    torch.autograd.backward(loss)
    assert scores.grad is not None and scores.grad.device.type == "meta"
