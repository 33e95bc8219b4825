"""AdaPatch, the heads, weights on disk, and the losses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from crossrank.errors import StoreError
from crossrank_adamatch import AdaMatch, AdaPatch, Sizes, load_network, save_network
from crossrank_adamatch.losses import adamatch_loss, adamatch_loss_over_texts
from crossrank_adamatch.network import MatchHead
from crossrank_filip.loss import late_interaction
from toys.adamatch import naive_boxes, naive_sample
from toys.rounding import assert_same_formula

SMALL = Sizes(cell=6, word=5, map=4, patch=7, hidden=8, dim=3, offsets=4)


def test_at_first_every_box_is_half_its_cell_whatever_the_map() -> None:
    patches = AdaPatch(4, 3)
    _, boxes = patches(torch.randn(2, 3, 2, 4))
    sides = boxes[..., 2:] - boxes[..., :2]
    torch.testing.assert_close(sides, torch.tensor([0.25, 1 / 6]).expand_as(sides))


def test_a_token_is_made_of_the_samples_of_its_own_box() -> None:
    torch.manual_seed(0)
    patches = AdaPatch(2, 3, hidden=4).double()
    torch.nn.init.normal_(patches.choose.weight)
    features = torch.randn(1, 3, 4, 2, dtype=torch.float64)
    tokens, boxes = patches(features)
    offsets = patches.offsets(features)[0].detach().numpy()
    expected = naive_boxes(offsets, 3, 4)
    assert_same_formula(boxes[0], expected)
    assert len(np.unique(expected.round(6), axis=0)) == 12  # they moved
    samples = naive_sample(features[0].numpy(), expected).reshape(12, -1)
    joined = samples @ patches.join.weight.detach().numpy().T + patches.join.bias.detach().numpy()
    centred = joined - joined.mean(axis=1, keepdims=True)
    normed = centred / np.sqrt(joined.var(axis=1, keepdims=True) + patches.join_norm.eps)
    assert_same_formula(tokens[0], normed)


def test_gradients_reach_what_chooses_the_boxes() -> None:
    patches = AdaPatch(4, 3)
    patches(torch.randn(2, 3, 3, 4))[0].square().sum().backward()
    assert patches.choose.weight.grad is not None and patches.choose.weight.grad.abs().sum() > 0


def test_fixed_boxes_stay_and_are_the_only_difference() -> None:
    torch.manual_seed(0)
    free = AdaPatch(4, 3)
    fixed = AdaPatch(4, 3, fixed=True)
    fixed.load_state_dict(free.state_dict())
    features = torch.randn(2, 3, 3, 4)
    for one, other in zip(free(features), fixed(features), strict=True):
        torch.testing.assert_close(one, other)
    assert not any(part.requires_grad for part in fixed.choose.parameters())


def test_some_cells_are_those_of_all() -> None:
    patches, features = AdaPatch(4, 3), torch.randn(2, 3, 3, 4)
    chosen = torch.tensor([7, 0])
    for some, every in zip(patches(features, chosen), patches(features), strict=True):
        torch.testing.assert_close(some, every[:, chosen])


def test_one_cell_is_a_grid() -> None:
    tokens, boxes = AdaPatch(4, 3)(torch.randn(1, 1, 1, 4))
    assert tokens.shape == (1, 1, 3) and boxes[0, 0].tolist() == pytest.approx(
        [0.25] * 2 + [0.75] * 2
    )


def test_a_head_is_two_layers_two_norms_and_unit_length() -> None:
    torch.manual_seed(0)
    head = MatchHead(3, 5, 4).double()
    rows = torch.randn(20, 3, dtype=torch.float64)
    hidden = rows @ head.layers[0].weight.T  # type: ignore[operator]
    hidden = torch.relu(normed(hidden))
    expected = normed(hidden @ head.layers[4].weight.T)  # type: ignore[operator]
    expected = expected / expected.norm(dim=1, keepdim=True)
    assert_same_formula(head(rows.view(4, 5, 3)).view(20, 4), expected.detach())


def normed(rows: Tensor) -> Tensor:
    return (rows - rows.mean(dim=0)) / (rows.var(dim=0, unbiased=False) + 1e-5).sqrt()


def test_a_residual_network_adds_to_what_is_there() -> None:
    torch.manual_seed(0)
    sizes = Sizes(cell=4, word=4, dim=4, patch=5, hidden=6, offsets=3, residual=True)
    network = AdaMatch(sizes).double().eval()
    cells, words = (torch.randn(*shape, 4, dtype=torch.float64) for shape in ((2, 3, 3), (5,)))
    with torch.no_grad():
        network.gates.copy_(torch.tensor([0.5, 0.25]))
        tokens, boxes = network.look(cells)
        samples = naive_sample(cells[1].numpy(), boxes[1].numpy())
        head = network.patch_head(network.patches(cells)[0])[1].numpy()
        expected = samples.mean(axis=1) + 0.5 * head
        expected /= np.linalg.norm(expected, axis=1, keepdims=True)
        assert_same_formula(tokens[1], expected)
        said = words + 0.25 * network.word_head(network.of_words(words))
        assert_same_formula(network.read(words), said / said.norm(dim=1, keepdim=True))
    with pytest.raises(ValueError, match="must be dim"):
        AdaMatch(replace(sizes, word=5))


def test_weights_come_back_and_other_files_are_refused(tmp_path: Path) -> None:
    network = AdaMatch(SMALL).eval()
    path = tmp_path / "a.safetensors"
    save_network(network.half().float(), path)
    again = load_network(path)
    cells = torch.randn(1, 3, 2, 6)
    torch.testing.assert_close(again.look(cells)[0], network.look(cells)[0])
    assert again.sizes == SMALL and not again.training
    path.write_bytes(b"no weights")
    with pytest.raises(StoreError, match="adamatch"):
        load_network(path)
    with pytest.raises(StoreError, match="train_adamatch"):
        load_network(tmp_path / "missing.safetensors")


def scores_of_a_batch() -> tuple[Tensor, Tensor, Tensor]:
    rng = torch.Generator().manual_seed(0)
    scores = torch.randn(2, 3, 4, dtype=torch.float64, generator=rng)
    match = torch.tensor([[1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], dtype=torch.bool)
    return scores[0], scores[1], match


def test_the_loss_contrasts_texts_for_images_and_images_for_texts() -> None:
    of_images, of_texts, match = scores_of_a_batch()
    texts = images = theirs = 0.0
    for image in range(3):
        own = [text for text in range(4) if match[image, text]]
        total = sum(np.exp(float(of_images[image, text]) / 0.5) for text in range(4))
        texts -= sum(float(of_images[image, t]) / 0.5 - np.log(total) for t in own) / len(own) / 3
        total = sum(np.exp(float(of_texts[image, text]) / 0.5) for text in range(4))
        theirs -= sum(float(of_texts[image, t]) / 0.5 - np.log(total) for t in own) / len(own) / 3
    for text in range(4):
        (own_image,) = [image for image in range(3) if match[image, text]]
        total = sum(np.exp(float(of_texts[image, text]) / 0.5) for image in range(3))
        images -= (float(of_texts[own_image, text]) / 0.5 - np.log(total)) / 4
    assert float(adamatch_loss(of_images, of_texts, match, 0.5)) == pytest.approx(
        0.7 * (texts + images), rel=1e-12
    )
    assert float(adamatch_loss_over_texts(of_images, of_texts, match, 0.5)) == pytest.approx(
        0.7 * (texts + theirs), rel=1e-12
    )


def test_padding_words_never_win_not_even_when_all_similarities_are_negative() -> None:
    patches = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    words = torch.tensor([[[-1.0, 0.0], [0.0, 0.0]]])
    mask = torch.tensor([[True, False]])
    of_images, of_texts = late_interaction(patches, words, mask)
    assert of_images.item() == -0.5 and of_texts.item() == 0.0
    of_images, of_texts = late_interaction(patches[:, :1], words, mask)
    assert of_images.item() == -1.0 and of_texts.item() == -1.0
