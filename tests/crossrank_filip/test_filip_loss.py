"""The training loss against a naive loop, and its gradient."""

import math

import numpy as np
import pytest
import torch

from crossrank_filip.heads import ProjectionHead
from crossrank_filip.loss import FilipLoss, keep_tokens, late_interaction


def batch(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(3, 4, 5, generator=generator, dtype=torch.float64)
    texts = torch.randn(4, 3, 5, generator=generator, dtype=torch.float64)
    mask = torch.tensor([[1, 1, 1], [1, 1, 0], [1, 0, 0], [1, 1, 1]], dtype=torch.bool)
    return images, texts, mask


def naive_scores(image: np.ndarray, text: np.ndarray) -> tuple[float, float]:
    from_image = np.mean([max(float(v @ t) for t in text) for v in image])
    from_text = np.mean([max(float(v @ t) for v in image) for t in text])
    return float(from_image), float(from_text)


def naive_loss(ids: list[int], text_ids: list[int], temperature: float) -> float:
    images, texts, mask = batch()
    scores = np.array(
        [
            [
                naive_scores(image.numpy(), text[keep].numpy())
                for text, keep in zip(texts, mask, strict=True)
            ]
            for image in images
        ]
    )
    total = 0.0
    for i, id in enumerate(ids):
        logits = scores[i, :, 0] / temperature
        own = [j for j, other in enumerate(text_ids) if other == id]
        norm = math.log(sum(math.exp(x) for x in logits))
        total += sum(norm - logits[j] for j in own) / len(own) / len(ids) / 2
    for j, id in enumerate(text_ids):
        logits = scores[:, j, 1] / temperature
        own = [i for i, other in enumerate(ids) if other == id]
        norm = math.log(sum(math.exp(x) for x in logits))
        total += sum(norm - logits[i] for i in own) / len(own) / len(text_ids) / 2
    return total


def test_captions_of_one_image_share_the_target() -> None:
    images, texts, mask = batch()
    ids, text_ids = [7, 8, 9], [7, 9, 8, 7]
    loss = FilipLoss().double()(
        images, texts, mask, image_ids=torch.tensor(ids), text_image_ids=torch.tensor(text_ids)
    )
    assert float(loss.detach()) == pytest.approx(naive_loss(ids, text_ids, 0.07), rel=1e-6)


def test_the_gradient_is_right() -> None:
    images, texts, mask = batch()
    criterion = FilipLoss().double()
    text_ids = torch.tensor([0, 1, 2, 0])

    def call(image_tokens: torch.Tensor, text_tokens: torch.Tensor) -> torch.Tensor:
        loss: torch.Tensor = criterion(
            image_tokens,
            text_tokens,
            mask,
            image_ids=torch.arange(3),
            text_image_ids=text_ids,
        )
        return loss

    images, texts = images.requires_grad_(), texts.requires_grad_()
    assert torch.autograd.gradcheck(call, (images, texts))
    torch.autograd.backward(call(images, texts))
    assert criterion.log_temperature.grad is not None
    assert texts.grad is not None and (texts.grad[~mask] == 0).all()


def test_padding_never_counts() -> None:
    images, texts, mask = batch()
    spoilt = texts.masked_fill(~mask[..., None], 1e6)
    for found, expected in zip(
        late_interaction(-images.abs(), spoilt.abs(), mask),
        late_interaction(-images.abs(), texts.abs(), mask),
        strict=True,
    ):
        assert torch.equal(found, expected)
        assert (found < 0).all()


def test_the_tokens_with_the_best_matches_are_kept() -> None:
    tokens = torch.tensor([[[1.0, 0.0], [0.0, 0.2], [0.9, 0.0], [5.0, 5.0]]])
    mask = torch.tensor([[True, True, True, False]])
    others = torch.tensor([[[1.0, 0.0]]])
    kept, kept_mask = keep_tokens(tokens, mask, others, None, 0.5)
    assert kept[0].tolist() == [pytest.approx([1.0, 0.0]), pytest.approx([0.9, 0.0])]
    assert kept_mask.tolist() == [[True, True]]


def test_bad_input_is_refused() -> None:
    images, texts, mask = batch()
    with pytest.raises(ValueError, match="text 1 has no token"):
        late_interaction(images, texts, mask & torch.tensor([[1], [0], [1], [1]], dtype=torch.bool))
    with pytest.raises(ValueError, match="no counterpart"):
        FilipLoss().double()(
            images,
            texts,
            mask,
            image_ids=torch.arange(3),
            text_image_ids=torch.tensor([0, 1, 1, 0]),
        )
    with pytest.raises(ValueError, match="temperature"):
        FilipLoss(temperature=0.001)
    with pytest.raises(ValueError, match="keep"):
        FilipLoss(keep=0.0)


def test_heads_give_unit_rows() -> None:
    rows = ProjectionHead(6, 4).eval()(torch.randn(2, 3, 6))
    assert rows.shape == (2, 3, 4)
    torch.testing.assert_close(rows.norm(dim=-1), torch.ones(2, 3))
