"""Features that weights were not trained on are refused, by size and by encoder."""

import numpy as np
import pytest

import crossrank as cr
from crossrank.errors import FeatureMismatchError
from crossrank.plugin.trained import check_trained_on


def pictures(size: int, encoder: str | None = None) -> cr.Collection:
    regions = cr.Ragged(np.ones((2, size), np.float32), [2])
    return cr.Collection(["p"], "image", regions=regions, encoder=encoder)


def test_another_size_is_named() -> None:
    with pytest.raises(FeatureMismatchError, match=r"mine: regions of the images have size \(3,\)"):
        check_trained_on("mine", pictures(3), {"regions": 4}, "", "train_mine.py")


def test_another_encoder_is_named_with_the_script_that_helps() -> None:
    other = pictures(4, "lite:bb")
    with pytest.raises(FeatureMismatchError, match=r"lite:bb.* on lite:aa.* with train_mine\.py"):
        check_trained_on("mine", other, {"regions": 4}, "lite:aa", "train_mine.py")


@pytest.mark.parametrize("made_by", [None, "lite:aa"])
@pytest.mark.parametrize("trained_on", ["", "lite:aa"])
def test_what_fits_or_does_not_say_passes(made_by: str | None, trained_on: str) -> None:
    check_trained_on("mine", pictures(4, made_by), {"regions": 4}, trained_on, "train_mine.py")
