"""What training makes small: the options of each objective; what computes it stands elsewhere."""

from dataclasses import dataclass
from typing import Literal

from nmt.schema import Fraction, NonNegative, Positive, PositiveInt


@dataclass(frozen=True, kw_only=True)
class Likelihood:
    """The cross-entropy of the true words, smoothed by `training.label_smoothing`.

    Args:
        sampling: share of its input words that the decoder reads from itself at the end of
            training (scheduled sampling; Bengio et al. 2015); 0 is teacher forcing throughout.
        sampling_schedule: how that share grows from 0: linear, exponential or inverse_sigmoid.
        coverage_weight: what reading a source word again costs beside the cross-entropy (See et al.
            2017, eq. 13, lambda); needs an attention with `coverage: true`.
    """

    sampling: Fraction = 0.0
    sampling_schedule: Literal["linear", "exponential", "inverse_sigmoid"] = "linear"
    coverage_weight: NonNegative = 0.0


@dataclass(frozen=True, kw_only=True)
class MinimumRisk:
    """Fine-tuning: those of its own translations become likelier whose sentence BLEU is higher.

    Begins from a trained run, with `nmt train --init-from`.

    Args:
        samples: translations drawn for each sentence, beside the reference.
        sharpness: the power a of their probabilities that weighs them.
    """

    samples: PositiveInt = 8
    sharpness: Positive = 0.005


OBJECTIVES = {"likelihood": Likelihood, "risk": MinimumRisk}
