"""What rerankers with trained weights share: features of another encoder are refused."""

from __future__ import annotations

from collections.abc import Mapping

from crossrank._items.collection import Collection
from crossrank.errors import FeatureMismatchError


def check_trained_on(
    who: str, collection: Collection, sizes: Mapping[str, int], encoder: str, script: str
) -> None:
    """Refuse a collection whose features are not those that weights were trained on.

    Parameters
    ----------
    who
        The plugin, for the message.
    collection
        Its features are `Ragged`.
    sizes
        Per feature the size of a row that the weights read.
    encoder
        The encoder of the training features, as `Collection.encoder` names it; empty for any.
    script
        What trains weights for another encoder.

    Raises
    ------
    FeatureMismatchError
        If a feature has another size, or another encoder made the collection.
    """
    modality = collection.modality
    for feature, size in sizes.items():
        given = collection[feature]
        if len(given.flat) and given.trailing != (size,):
            raise FeatureMismatchError(
                f"{who}: {feature} of the {modality}s have size {given.trailing}, the weights are "
                f"for ({size},); encode them with 'lite'"
            )
    if encoder and collection.encoder not in (None, encoder):
        raise FeatureMismatchError(
            f"{who}: the {modality}s were encoded with {collection.encoder}, the weights were "
            f"trained on {encoder}; encode them with 'lite' as it ships, or train weights for this "
            f"encoder with {script}"
        )


__all__ = ["check_trained_on"]
