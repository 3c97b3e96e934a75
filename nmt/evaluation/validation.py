"""Validation BLEU, or a language model's validation perplexity, during training."""

from collections.abc import Sequence
from typing import Any

from nmt.config import Decoding
from nmt.decoding.translator import Translator
from nmt.errors import Say
from nmt.evaluation.metrics import DEFAULT_TOKENIZER, References, bleu
from nmt.model.seq2seq import Seq2Seq
from nmt.perplexity import perplexity
from nmt.vocab import Vocabulary

TRIED = 4
"""Sentences translated before training starts, to check that it works at all."""


class ValidationBleu:
    """Translates the validation set and scores it; the `validate` of `nmt.training.run`.

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
        say: Say,
        tokenize: str = DEFAULT_TOKENIZER,
    ) -> None:
        self.sources = sources
        self.references = references
        self.vocabularies = vocabularies
        self.decoding = decoding
        self.tokenize = tokenize
        self.say = say

    def __call__(self, model: Seq2Seq, step: int, loss: float | None) -> dict[str, Any]:
        """The loss, BLEU and its signature; with a loss of None, only tries a few sentences."""
        translator = Translator(model, *self.vocabularies, self.decoding)
        count = TRIED if loss is None else len(self.sources)
        hypotheses = [one.text for one in translator.translate(self.sources[:count])]
        found = bleu(hypotheses, self.references[:count], self.tokenize)
        if loss is None:
            return {}
        self.say(f"{_told(step, loss)}, {found}")
        for index in sorted({count // 3, 2 * count // 3}):
            reference = next(text for text in self.references[index] if text is not None)
            self.say(f"  source     {self.sources[index]}")
            self.say(f"  reference  {reference}")
            self.say(f"  output     {hypotheses[index]}")
        return {"loss": loss, "bleu": found.value, "signature": found.signature}


def validation_perplexity(
    say: Say, model: Seq2Seq, step: int, loss: float | None
) -> dict[str, Any]:
    """The loss of a language model, told with its perplexity."""
    if loss is not None:
        say(_told(step, loss))
    return {"loss": loss}


def _told(step: int, loss: float) -> str:
    return f"update {step}: validation loss {loss:.3f}, perplexity {perplexity(loss):.2f}"
