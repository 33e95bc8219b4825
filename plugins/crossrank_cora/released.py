"""The authors' weights under our names.  Untested on released files: there is none to be had here.

Names and shapes are those of the classes in the repository of Pham et al.; the tests build such a
file from random numbers and check that every tensor lands where its class would have used it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from crossrank.errors import InputError
from crossrank.plugin.torch_weights import read_state_dict
from crossrank_cora.network import Cora, Sizes

_GRU = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
_KINDS = {
    "object": "entity_composer.rnn_ent",
    "attribute": "entity_composer.rnn_attr",
    "relation": "relation_composer.rnn_relation",
}
_LINEAR = {
    "image_encoder.linear": "pictures.linear",
    "image_encoder.mlp.3": "pictures.mlp.2",
    "image_encoder.pos_linear": "pictures.place",
    "image_encoder.lnorm": "pictures.norm",
    "image_encoder.attn_pool.out_proj": "pictures.attention.out",
    "image_encoder.lnorm2": "pictures.feed_norm",
    "image_encoder.fc": "pictures.feed.0",
    "image_encoder.fc2": "pictures.feed.2",
    "entity_composer.word_fc.0": "texts.node",
    "relation_composer.word_fc.0": "texts.relation",
    "relation_composer.pos_linear": "texts.place",
    "relation_composer.pos_lnorm": "texts.place_norm",
    "relation_composer.active_edge.0": "texts.active",
    "relation_composer.passive_edge.0": "texts.passive",
    "relation_composer.lnorm": "texts.norm",
}
_POOLS = {"image_encoder.gpool": "pictures.pool", "relation_composer.gpool": "texts.pool"}
_ATTENTIONS = {
    ("entity_composer.graph_attn", 0): "texts.star",
    ("relation_composer.graph_attention", 0): "texts.layers.0",
    ("relation_composer.graph_attention", 1): "texts.layers.1",
}


def _names() -> dict[str, str]:
    """Return our name of every tensor that only changes its name."""
    names: dict[str, str] = {}
    for theirs, ours in _LINEAR.items():
        names |= {f"{theirs}.{part}": f"{ours}.{part}" for part in ("weight", "bias")}
    for part in ("weight", "bias"):
        names[f"image_encoder.attn_pool.in_proj_{part}"] = f"pictures.attention.inside.{part}"
    for theirs, ours in _POOLS.items():
        for tensor in _GRU:
            for way in ("", "_reverse"):
                names[f"{theirs}.gru.{tensor}{way}"] = f"{ours}.gru.{tensor}{way}"
        names[f"{theirs}.linear.weight"] = f"{ours}.linear.weight"
    for (theirs, layer), ours in _ATTENTIONS.items():
        for their, our in (
            ("fc.{}", "own"), ("fc2.{}", "other"), ("fc_val.{}.0", "value"), ("lnorms.{}", "norm"),
        ):  # fmt: skip
            for part in ("weight", "bias"):
                names[f"{theirs}.{their.format(layer)}.{part}"] = f"{ours}.{our}.{part}"
        names[f"{theirs}.fc_aff.{layer}"] = f"{ours}.affinity"
        names[f"{theirs}.fc_aff_bias.{layer}"] = f"{ours}.bias"
    return names


class GruPhrases(nn.Module):
    """The authors' phrase encoder: the last state of a GRU over word embeddings.

    Parameters
    ----------
    words, size : int
        How many words their vocabulary has, and the size of an embedding.
    """

    def __init__(self, words: int, size: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, size)
        self.readers = nn.ModuleDict({k: nn.GRU(size, size, batch_first=True) for k in _KINDS})

    def forward(self, tokens: Tensor, lengths: Tensor, kind: str) -> Tensor:
        """Return ``[N, size]``, what a `Cora` of theirs reads as phrase vectors.

        Parameters
        ----------
        tokens : Tensor
            ``[N, L]`` int64: numbers of their ``vocab.py``, special tokens included.
        lengths : Tensor
            ``[N]``, 1 to L.
        kind : str
            ``"object"``, ``"attribute"`` or ``"relation"``.
        """
        packed = pack_padded_sequence(
            self.embedding(tokens), lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        _, last = self.readers[kind](packed)
        found: Tensor = last[0]
        return found


@dataclass(frozen=True, slots=True)
class Released:
    """What `load_released` made of a file: both in evaluation mode.

    Parameters
    ----------
    network
        For regions of their detector (2,048 numbers) and the vectors of `phrases`.
    phrases
        Their phrase encoder.
    """

    network: Cora
    phrases: GruPhrases


def load_released(path: str | Path) -> Released:
    """Read a file of weights that the authors' ``main/train.py`` wrote, GRU variant.

    Parameters
    ----------
    path
        A state dict, as ``.safetensors`` or what ``torch.save`` wrote; nothing in it is executed.

    Raises
    ------
    StoreError
        If it cannot be read.
    InputError
        If tensors are missing, have other shapes, or belong to a variant without a counterpart
        here (BERT, grid features, hidden sizes that differ): all of them are named.
    """
    return convert(read_state_dict("cora", path, "file of CORA's released weights"))


def convert(state: Mapping[str, Tensor]) -> Released:
    """Give the tensors of a state dict our names; see `load_released`."""
    theirs = {name: each.float() for name, each in state.items()}
    names = _names()
    folded = {
        f"image_encoder.mlp.{layer}.{part}" for layer, parts in _FOLDED.items() for part in parts
    }
    recurrent = {f"{reader}.{tensor}" for reader in _KINDS.values() for tensor in _GRU}
    embedding = "entity_composer.word_embeddings.weight"
    wanted = {*names, *folded, *recurrent, embedding}
    _refuse_strangers(set(theirs), wanted)
    read = {"embedding.weight": theirs[embedding]}
    for kind, reader in _KINDS.items():
        read |= {f"readers.{kind}.{tensor}": theirs[f"{reader}.{tensor}"] for tensor in _GRU}
    try:
        network = Cora(_sizes(theirs, embedding))
        ours = {ours: theirs[name] for name, ours in names.items()} | _without_batch_norm(theirs)
        # their features are not standardised
        ours |= {n: each for n, each in network.state_dict().items() if n.startswith("of_")}
        network.load_state_dict(ours)
        phrases = GruPhrases(*theirs[embedding].shape)
        phrases.load_state_dict(read)
    except (ArithmeticError, IndexError, RuntimeError, TypeError, ValueError) as error:
        said = " ".join(str(error).split())
        raise InputError(f"cora: the released weights have other shapes: {said:.300}") from error
    return Released(network.eval().requires_grad_(False), phrases.eval().requires_grad_(False))


def _sizes(theirs: Mapping[str, Tensor], embedding: str) -> Sizes:
    """Return the sizes that the shapes of tensors tell."""
    return Sizes(
        region=theirs["image_encoder.linear.weight"].shape[1],
        phrase=theirs[embedding].shape[1],
        dim=theirs["image_encoder.linear.weight"].shape[0],
        heads=theirs["entity_composer.graph_attn.fc_aff.0"].shape[0],
        hidden=theirs["image_encoder.mlp.0.weight"].shape[0],
        places=True,
    )


_FOLDED = {0: ("weight", "bias"), 1: ("weight", "bias", "running_mean", "running_var")}


def _without_batch_norm(theirs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Fold the batch norm between the perceptron's layers into the first: the same function."""
    weight, bias = (theirs[f"image_encoder.mlp.0.{part}"] for part in _FOLDED[0])
    gain, shift, mean, variance = (theirs[f"image_encoder.mlp.1.{part}"] for part in _FOLDED[1])
    factor = gain / (variance + 1e-5).sqrt()
    return {
        "pictures.mlp.0.weight": weight * factor[:, None],
        "pictures.mlp.0.bias": (bias - mean) * factor + shift,
    }


def _refuse_strangers(given: set[str], wanted: set[str]) -> None:
    # the relations' embeddings are the entities', and batch norm counts its batches
    ignored = {
        "relation_composer.word_embeddings.weight",
        "image_encoder.mlp.1.num_batches_tracked",
    }
    missing, extra = sorted(wanted - given), sorted(given - wanted - ignored)
    if missing or extra:
        said = [
            f"{what}: {', '.join(names[:6])}" + (f" and {len(names) - 6} more" * (len(names) > 6))
            for what, names in (("missing", missing), ("unknown", extra))
            if names
        ]
        raise InputError(
            f"cora: these are no weights of CORA's GRU variant over regions; {'; '.join(said)}"
        )
