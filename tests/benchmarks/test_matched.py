import torch

from benchmarks.systems.ours import Ours
from benchmarks.watching import REPOSITORY
from nmt import config, options
from nmt.model.seq2seq import Seq2Seq


def test_the_matched_model_has_the_size_that_the_peers_can_have() -> None:
    settings = config.load(REPOSITORY / Ours.config)
    size = settings.data.tokenizer.vocabulary_size
    with torch.device("meta"):  # sizes alone
        model: Seq2Seq = options.build(Seq2Seq, settings.model, size, size, where="model")
    assert settings.data.tokenizer.joint
    assert 12_500_000 < model.parameters_count() < 13_300_000
    assert model.paths() == "fused encoder and decoder"
