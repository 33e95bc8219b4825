"""From the last hidden state to a score: answer tokens, a linear layer or a small network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from crossrank.errors import ParameterError, StoreError

if TYPE_CHECKING:
    from torch import Tensor

Head: TypeAlias = "Callable[[Tensor], Tensor]"
"""From ``[B, H]`` float32 to ``[B]``."""

NAMES = ("score", "classifier", "linear")
"""What the layer may be called in a checkpoint."""


def token_head(model: Any, true: list[int], false: list[int]) -> Head:
    """Return the difference of logits of two answers, in float32.

    Only the rows of these tokens meet the hidden state.  The logit of several tokens is that of
    their joint probability, ``log Σ exp``.
    """
    import torch

    layer = model.get_output_embeddings()
    rows = layer.weight[true + false].float()
    offset = None if layer.bias is None else layer.bias[true + false].float()
    cap = getattr(model.config.get_text_config(), "final_logit_softcapping", None)
    single = len(true) == len(false) == 1 and cap is None
    weight = rows[0] - rows[1] if single else None

    def score(states: Tensor) -> Tensor:
        if weight is not None:
            found: Tensor = states @ weight
            return found if offset is None else found + (offset[0] - offset[1])
        logits = states @ rows.T
        logits = logits if offset is None else logits + offset
        logits = logits if cap is None else cap * torch.tanh(logits / cap)
        yes, no = logits[:, : len(true)], logits[:, len(true) :]
        odds: Tensor = yes.logsumexp(dim=1) - no.logsumexp(dim=1)
        return odds

    return score


def layer_head(kind: str, tensors: Mapping[str, Tensor], device: Any) -> Head:
    """Return ``w·h + b``, or two layers with a ReLU between them, of a checkpoint's tensors."""
    import torch

    held = {name: tensor.float().to(device) for name, tensor in tensors.items()}
    if kind == "linear":
        weight, bias = held["weight"].reshape(-1), held.get("bias")

        def linear(states: Tensor) -> Tensor:
            found = states @ weight
            return found if bias is None else found + bias.reshape(())

        return linear

    def mlp(states: Tensor) -> Tensor:
        inner = torch.relu(states @ held["0.weight"].T + held["0.bias"])
        return inner @ held["2.weight"].reshape(-1) + held["2.bias"].reshape(())

    return mlp


NEEDED = {"linear": ("weight",), "mlp": ("0.weight", "0.bias", "2.weight", "2.bias")}


def head_tensors(kind: str, tensors: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return a head's tensors by their names within it.

    Parameters
    ----------
    kind
        ``"linear"`` or ``"mlp"``.
    tensors
        All that the checkpoint holds and the model does not, by name.
    where
        The checkpoint, for the message.

    Raises
    ------
    StoreError
        Naming the tensors that are missing, and those that were there.
    """
    for name in NAMES:
        inside = {
            key.partition(f"{name}.")[2]: tensor
            for key, tensor in tensors.items()
            if key.startswith(f"{name}.") or f".{name}." in key
        }
        if all(each in inside for each in NEEDED[kind]):
            return inside
    wanted = ", ".join(f"{NAMES[0]}.{each}" for each in NEEDED[kind])
    found = ", ".join(sorted(tensors)[:6]) or "nothing"
    raise StoreError(
        f"vlm: the checkpoint {where} has no {kind} head: it lacks {wanted}; beside the model it "
        f"holds {found}; give head='tokens', or the checkpoint that was trained with one"
    )


def answer_ids(tokenizer: Any, answers: tuple[Any, ...], which: str) -> list[int]:
    """Return the numbers of answer tokens.

    Raises
    ------
    ParameterError
        If an answer is not one token of the vocabulary.
    """
    found = []
    for answer in answers:
        if isinstance(answer, int):
            if not 0 <= answer < len(tokenizer):
                raise ParameterError(
                    f"vlm: {which}={answer} is no token: the vocabulary has {len(tokenizer)}"
                )
            found.append(answer)
            continue
        pieces = tokenizer(answer, add_special_tokens=False)["input_ids"]
        known = tokenizer.convert_tokens_to_ids(answer)
        if known is not None and known != tokenizer.unk_token_id:
            pieces = [known]
        if len(pieces) != 1 or pieces[0] == tokenizer.unk_token_id:
            count = f"is {len(pieces)} pieces" if len(pieces) > 1 else "is not there"
            raise ParameterError(
                f"vlm: the answer {which}={answer!r} is no token of this model's vocabulary, where "
                f"it {count}; give another token, or its number"
            )
        found.append(int(pieces[0]))
    return found


def weight_files(folder: Path) -> list[Path]:
    """Return the safetensors files of a checkpoint's folder."""
    return sorted(folder.glob("*.safetensors"))
