"""Files by the authors' names: every tensor lands where it belongs, and their function stays."""

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import save_file  # noqa: E402

from crossrank.errors import InputError, StoreError  # noqa: E402
from crossrank_cora.network import Cora, Sizes  # noqa: E402
from crossrank_cora.released import GruPhrases, _names, load_released  # noqa: E402

SIZES = Sizes(region=6, phrase=8, dim=8, heads=2, hidden=4, places=True)
READERS = {
    "object": "entity_composer.rnn_ent",
    "attribute": "entity_composer.rnn_attr",
    "relation": "relation_composer.rnn_relation",
}


def written() -> dict[str, Any]:
    """Make what their ``main/train.py`` would have kept, from random numbers."""
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> Any:
        return torch.randn(*shape, generator=generator)

    ours = Cora(SIZES).state_dict()
    theirs = {name: random(*ours[our].shape) for name, our in _names().items()}
    theirs["entity_composer.word_embeddings.weight"] = random(5, SIZES.phrase)
    theirs["relation_composer.word_embeddings.weight"] = random(5, SIZES.phrase)
    phrases = GruPhrases(5, SIZES.phrase)
    for kind, reader in READERS.items():
        for name, each in phrases.readers[kind].state_dict().items():
            theirs[f"{reader}.{name}"] = random(*each.shape)
    first = ours["pictures.mlp.0.weight"]
    theirs["image_encoder.mlp.0.weight"] = random(*first.shape)
    theirs["image_encoder.mlp.0.bias"] = random(len(first))
    for part in ("weight", "bias", "running_mean"):
        theirs[f"image_encoder.mlp.1.{part}"] = random(len(first))
    theirs["image_encoder.mlp.1.running_var"] = random(len(first)).square()
    theirs["image_encoder.mlp.1.num_batches_tracked"] = torch.tensor(7)
    return theirs


@pytest.mark.parametrize("name", ["theirs.pth", "theirs.safetensors"])
def test_every_tensor_lands_where_it_belongs(tmp_path: Path, name: str) -> None:
    theirs, path = written(), tmp_path / name
    if path.suffix == ".pth":
        torch.save({"state_dict": {f"module.{key}": each for key, each in theirs.items()}}, path)
    else:
        save_file(theirs, path)
    made = load_released(path)
    assert made.network.sizes == SIZES and not made.network.training
    state = made.network.state_dict()
    for key, ours in _names().items():
        assert torch.equal(state[ours], theirs[key]), key
    for kind, reader in READERS.items():
        for key, each in made.phrases.readers[kind].state_dict().items():
            assert torch.equal(each, theirs[f"{reader}.{key}"])
    assert torch.equal(
        made.phrases.embedding.weight, theirs["entity_composer.word_embeddings.weight"]
    )
    untouched = {key for key in state if key.startswith("of_")} | {
        f"pictures.mlp.0.{part}" for part in ("weight", "bias")
    }
    assert state.keys() == set(_names().values()) | untouched


def test_the_batch_norm_is_folded_into_the_layer_before(tmp_path: Path) -> None:
    theirs, path = written(), tmp_path / "theirs.pth"
    torch.save(theirs, path)
    layer, norm = torch.nn.Linear(SIZES.region, SIZES.hidden), torch.nn.BatchNorm1d(SIZES.hidden)
    for at, module in enumerate((layer, norm)):
        prefix = f"image_encoder.mlp.{at}."
        module.load_state_dict(
            {k.removeprefix(prefix): v for k, v in theirs.items() if k.startswith(prefix)}
        )
    rows = torch.randn(9, SIZES.region, generator=torch.Generator().manual_seed(1))
    expected = norm.double().eval()(layer.double()(rows.double()))
    found = load_released(path).network.pictures.mlp[0](rows)
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=2e-5)


def test_what_does_not_fit_is_one_error(tmp_path: Path) -> None:
    path = tmp_path / "theirs.pth"

    def refused(says: str, name: str, changed: Any) -> None:
        content = {**written(), name: changed}
        torch.save({name: each for name, each in content.items() if each is not None}, path)
        with pytest.raises(InputError, match=says) as caught:
            load_released(path)
        assert "\n" not in str(caught.value)

    refused("missing: image_encoder.fc.bias$", "image_encoder.fc.bias", None)
    refused("unknown: bert.pooler", "bert.pooler", torch.ones(1))
    for shape in ((), (3,), (7, 5), (0, 6)):
        refused("have other shapes: ", "image_encoder.linear.weight", torch.ones(shape))
    refused("have other shapes: ", "entity_composer.word_embeddings.weight", torch.ones(5))
    path.write_text("no weights")
    with pytest.raises(StoreError, match="no file of CORA's released weights that can be read"):
        load_released(path)
