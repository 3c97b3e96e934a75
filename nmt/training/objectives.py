"""The options of each training objective; the objectives are computed elsewhere."""

from dataclasses import dataclass
from typing import Literal

from nmt.schema import Fraction, NonNegative, Positive, PositiveInt


@dataclass(frozen=True, kw_only=True)
class Likelihood:
    """The cross-entropy of the reference words, smoothed by `training.label_smoothing`.

    Args:
        sampling: fraction of input words that are the decoder's own predictions at the end of
            training (scheduled sampling; Bengio et al. 2015); 0 is teacher forcing throughout.
        sampling_schedule: how that fraction grows from 0: linear, exponential or inverse_sigmoid.
        coverage_weight: weight of the coverage loss, which penalises reading a source word again
            (See et al. 2017, eq. 13, lambda); needs an attention with `coverage: true`.
    """

    sampling: Fraction = 0.0
    sampling_schedule: Literal["linear", "exponential", "inverse_sigmoid"] = "linear"
    coverage_weight: NonNegative = 0.0


@dataclass(frozen=True, kw_only=True)
class MinimumRisk:
    """Fine-tuning: makes the model's own translations likelier, the higher their sentence BLEU.

    Starts from a trained run, with `nmt train --init-from`.

    Args:
        samples: translations sampled for each sentence, besides the reference.
        sharpness: the exponent a of the probabilities that weight the translations.
    """

    samples: PositiveInt = 8
    sharpness: Positive = 0.005


OBJECTIVES = {"likelihood": Likelihood, "risk": MinimumRisk}
