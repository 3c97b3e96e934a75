"""Validation BLEU, or a language model's validation perplexity, during training."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import pytorch_lightning as pl

from nmt.config import Decoding
from nmt.decoding.translator import Translator
from nmt.evaluation.metrics import DEFAULT_TOKENIZER, References, Score, bleu
from nmt.model.seq2seq import Seq2Seq
from nmt.perplexity import perplexity
from nmt.vocab import Vocabulary

CHECKED = 4
"""Sentences translated before training starts, to check that it works at all."""


class ValidationBleu(pl.Callback):
    """Translates the validation set at each validation, logs BLEU as `val_score` and reports it.

    The module's `model` is used as it is at the end of the validation epoch: with averaged weights
    if they are swapped in.

    Args:
        sources: raw source sentences.
        references: raw references of each sentence.
        vocabularies: the source and the target vocabulary.
        decoding: the search settings.
        say: receives lines for the log: one with the numbers, and two sample translations.
        tokenize: BLEU's tokenizer, by its name in sacreBLEU.
    """

    def __init__(
        self,
        sources: Sequence[str],
        references: References,
        vocabularies: tuple[Vocabulary, Vocabulary],
        decoding: Decoding,
        say: Callable[[str], None],
        tokenize: str = DEFAULT_TOKENIZER,
    ) -> None:
        self.sources = sources
        self.references = references
        self.vocabularies = vocabularies
        self.decoding = decoding
        self.tokenize = tokenize
        self.say = say
        self.samples = sorted({len(sources) // 3, 2 * len(sources) // 3})
        self.hypotheses: list[str] = []
        self.last: Score | None = None
        self.loss = math.nan

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Translates and scores the validation set; in the sanity check, only a few sentences."""
        model = pl_module.model
        assert isinstance(model, Seq2Seq)
        assert not model.training
        translator = Translator(model, *self.vocabularies, self.decoding)
        count = CHECKED if trainer.sanity_checking else len(self.sources)
        hypotheses = [one.text for one in translator.translate(self.sources[:count])]
        score = bleu(hypotheses, self.references[:count], self.tokenize)
        if not trainer.sanity_checking:
            self.hypotheses, self.last = hypotheses, score
            self.loss = float(trainer.callback_metrics["val_loss"])
            pl_module.log("val_score", score.value)

    def metrics(self) -> dict[str, Any]:
        """The metrics of the validation that has just ended."""
        assert self.last is not None
        return {"loss": self.loss, "bleu": self.last.value, "signature": self.last.signature}

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Says the numbers and the two samples; by now all metrics are known."""
        if trainer.sanity_checking or self.last is None:
            return
        self.say(
            f"update {trainer.global_step}: validation loss {self.loss:.3f}, "
            f"perplexity {perplexity(self.loss):.2f}, {self.last}"
        )
        for index in self.samples:
            reference = next(text for text in self.references[index] if text is not None)
            self.say(f"  source     {self.sources[index]}")
            self.say(f"  reference  {reference}")
            self.say(f"  output     {self.hypotheses[index]}")


class ValidationPerplexity(pl.Callback):
    """Reports a language model's loss at each validation, and logs its negative as `val_score`.

    Args:
        say: receives a line for each validation.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say
        self.loss = math.nan

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stores and logs the loss that the module has computed."""
        if not trainer.sanity_checking:
            self.loss = float(trainer.callback_metrics["val_loss"])
            pl_module.log("val_score", -self.loss)

    def metrics(self) -> dict[str, Any]:
        """The metrics of the validation that has just ended."""
        return {"loss": self.loss}

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Says the loss and the perplexity."""
        if not trainer.sanity_checking:
            self.say(
                f"update {trainer.global_step}: validation loss {self.loss:.3f}, "
                f"perplexity {perplexity(self.loss):.2f}"
            )
