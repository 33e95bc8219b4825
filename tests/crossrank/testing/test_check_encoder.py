"""The kit for encoders: good ones pass, and each broken one fails where it is broken."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

import crossrank as cr
import toys.broken_encoders as broken
from crossrank.testing import Check, check_encoder
from toys.basic import ToyEncoder
from toys.failures import failures

EVERYTHING = None
"""For a defect so gross that it does not matter what else fails."""

# what is broken: the check that is for it, what that must say, and which others fail too
BROKEN: dict[type[cr.Encoder], tuple[str, str, str | None]] = {
    broken.ForgetsAFeature: (
        "features_have_their_standard_form",
        "asked for 'tokens' and did not return it",
        EVERYTHING,
    ),
    broken.LosesAnItem: (
        "features_have_their_standard_form",
        "returned 6 entries of 'embedding' for 7 images; return one per item",
        EVERYTHING,
    ),
    broken.GivesLists: (
        "features_have_their_standard_form",
        "'tokens' is a list; return a Ragged",
        "",
    ),
    broken.GivesMatrices: (
        "features_have_their_standard_form",
        r"'embedding' has rows of shape \(8, 1\); they must be of shape \(any\)",
        "unit_rows_have_unit_length",
    ),
    broken.GivesNaN: (
        "numbers_are_finite",
        "'embedding' holds NaN or infinity",
        "odd_items_are_encoded_or_refused features_can_be_stored",
    ),
    broken.IsNotUnit: ("unit_rows_have_unit_length", "lengths from 2 to 2; divide each", ""),
    broken.BoxesInPixels: (
        "boxes_lie_in_the_picture",
        "'token_boxes' reaches from 0 to 640; divide by the width and height",
        "",
    ),
    broken.BoxesWithWidths: ("boxes_lie_in_the_picture", "the order is x0, y0, x1, y1", ""),
    broken.TokensWithoutTexts: (
        "parts_come_with_their_descriptions",
        "item 'text-0' has 1 tokens and 0 token_text",
        "",
    ),
    broken.HeightFirst: (
        "sizes_are_those_of_the_pictures",
        r"is \(32, 48\); the picture is \(48, 32\)",
        "",
    ),
    broken.DependsOnBatchSize: (
        "batch_size_does_not_matter",
        "'embedding' of item 'image-0' differs by .* in batches of 1; which items share a batch",
        "large_batches_give_the_same",
    ),
    broken.Sorts: (
        "order_of_items_does_not_matter",
        "in another order; return features in the order of the items",
        "batch_size_does_not_matter large_batches_give_the_same",
    ),
    broken.MixesFeatures: (
        "other_features_do_not_matter",
        "when only 'embedding' is asked for",
        "",
    ),
    broken.IsNotDeterministic: (
        "same_items_give_the_same_bits",
        "when the same batch is encoded again; switch dropout off",
        EVERYTHING,
    ),
    broken.UsesABufferAgain: (
        "features_are_the_callers_own",
        "after later batches; return new arrays",
        EVERYTHING,
    ),
    broken.KeepsWhatItReturned: (
        "features_are_the_callers_own",
        "after the caller wrote into the features; return new arrays",
        "",
    ),
    broken.Drifts: (
        "many_calls_give_the_same",
        "in call .* of the same; keep no count",
        "",
    ),
    broken.CachesById: (
        "names_do_not_matter",
        "under the id of another item; an id is a name",
        "",
    ),
    broken.HashesIds: ("names_do_not_matter", "under .*id.*; an id is a name", EVERYTHING),
    broken.WrongBeyond64: (
        "large_batches_give_the_same",
        "'embedding' of item '64' differs by .* in a batch of 70; fill every tile",
        "",
    ),
    broken.CountsThreads: (
        "threads_do_not_matter",
        "with threads=[12]; how many threads compute may not enter a feature",
        "",
    ),
    broken.PaintsOver: (
        "items_are_never_mutated",
        r"encode_batch\(\) mutated items\[0\].image",
        "features_can_be_stored",
    ),
    broken.ReversesTheList: ("items_are_never_mutated", "mutated items", EVERYTHING),
    broken.Prints: ("nothing_is_printed", "it printed 'embedding.*use logging", ""),
    broken.OneIsSpecial: (
        "any_number_of_items_gives_the_same_types",
        "'embedding' is a list for one image and a ndarray for several",
        "",
    ),
    broken.FailsOnPunctuation: (
        "odd_items_are_encoded_or_refused",
        r"the text '\?!' breaks it: .*IndexError",
        "",
    ),
    broken.SeesTransparency: (
        "pictures_may_be_files_or_objects",
        "as an open RGBA image instead of a file; open pictures with crossrank.open_image",
        "",
    ),
    broken.CannotBeStored: (
        "features_can_be_stored",
        "",
        "features_have_their_standard_form parts_come_with_their_descriptions",
    ),
    broken.SidesApart: (
        "both_sides_fit_together",
        "'embedding' has rows of 9 for texts and 8 for images",
        "",
    ),
    broken.SwallowsParameters: ("unknown_parameters_are_refused", "accepts no_such_param", ""),
    broken.ChangingFingerprint: ("fingerprints_are_stable", "different fingerprints", ""),
    broken.ForgetsAParameter: (
        "equal_fingerprints_mean_equal_features",
        "with flip=True under the same fingerprint",
        "",
    ),
    broken.LooseParameters: ("parameters_are_a_frozen_dataclass", "make it @dataclass", ""),
    broken.PromisesTooMuch: ("info_is_complete", "names 'regions', which it never gives", ""),
    broken.BadModality: ("info_is_complete", "the modality 'audio'", ""),
    broken.NoBatches: ("info_is_complete", "batch_size is 0", EVERYTHING),
}


@pytest.mark.parametrize("encoder", BROKEN, ids=lambda each: each.__name__)
def test_a_broken_encoder_fails_where_it_is_broken(encoder: type[cr.Encoder]) -> None:
    check, message, others = BROKEN[encoder]
    found = failures(check_encoder(encoder))
    assert check in found
    assert found[check].startswith(encoder.__name__)
    assert re.search(message, found[check], re.DOTALL), found[check]
    if others is not EVERYTHING:
        assert set(found) == {check, *others.split()}


def test_every_check_is_seen_to_fail() -> None:
    names = {check.__name__.partition("-")[0] for check in check_encoder(ToyEncoder)}
    assert names == {check for check, _, _ in BROKEN.values()}


@pytest.mark.parametrize("check", check_encoder(ToyEncoder))
def test_a_good_encoder_passes(check: Check) -> None:
    check()


class Detector(cr.Encoder):
    """Finds a region per colour, and sometimes none."""

    info = cr.EncoderInfo(
        name="detector",
        summary="one region per colour",
        features={"image": ("regions", "boxes", "labels", "box_scores", "mood")},
        default_features=("regions", "boxes"),
    )

    def encode_batch(
        self, items: Sequence[cr.Item], modality: str, features: Sequence[str]
    ) -> Mapping[str, Any]:
        made: dict[str, list[Any]] = {name: [] for name in self.info.features["image"]}
        for item in items:
            assert item.image is not None
            mean = np.asarray(cr.open_image(item.image), np.float32).mean(axis=(0, 1))
            colours = np.flatnonzero(mean > mean.mean())
            made["regions"].append(np.eye(3, dtype=np.float32)[colours] * mean)
            made["boxes"].append(np.tile(np.array([0.0, 0.0, 1.0, 1.0]), (len(colours), 1)))
            made["labels"].append([("red", "green", "blue")[colour] for colour in colours])
            made["box_scores"].append(mean[colours] / 255)
            made["mood"].append({"bright": bool(mean.mean() > 128)})
        ragged = {
            name: cr.Ragged.from_list(made[name]) for name in ("regions", "boxes", "box_scores")
        }
        return {name: ragged.get(name, made[name]) for name in features}


def test_one_modality_and_features_of_its_own_are_enough() -> None:
    checks = check_encoder(Detector)
    assert failures(checks) == {}
    assert {check.__name__.partition("-")[2] for check in checks} == {"", "image"}


@pytest.mark.parametrize(
    "subject", [object, cr.Encoder, "lite", type("Bare", (ToyEncoder,), {"info": None})]
)
def test_what_is_no_encoder_fails_with_a_message(subject: Any) -> None:
    found = failures(check_encoder(subject))
    assert re.search("not a subclass|does not define|info is None", found["info_is_complete"])


def test_an_encoder_is_built_once_and_late() -> None:
    built = []

    class Counted(ToyEncoder):
        def __init__(self, **params: Any) -> None:
            super().__init__(**params)
            built.append(self)

    checks = check_encoder(Counted)
    assert built == []
    used = [check for check in checks if "batch_size" in check.__name__]
    for check in used:
        check()
    assert (len(used), len(built)) == (2, 1)
