"""Beam search on hand-worked tables, against brute force, and on a real network."""

import itertools
import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nmt.batch import Batch, pad
from nmt.decoding import scoring
from nmt.decoding.search import NEVER, Hypothesis, Step, _top, beam_search
from nmt.state import State
from nmt.vocab import BOS, EOS, PAD, UNK
from tests.decoding import tiny

A, B, C = 4, 5, 6
Table = dict[tuple[int, ...], dict[int, float]]
"""Probabilities of the next token after each history."""


def search(
    step: Step,
    limits: list[int],
    beam_size: int = 2,
    length_penalty: float = 0.0,
    n_best: int | None = None,
) -> list[list[Hypothesis]]:
    """Searches with a state of all tokens so far, (R, L), which `from_history` steps keep."""
    rows = torch.arange(len(limits))
    return beam_search(
        step,
        rows,
        torch.empty(len(limits), 0, dtype=torch.long),
        torch.tensor(limits),
        beam_size=beam_size,
        length_penalty=length_penalty,
        n_best=n_best or beam_size,
    )


def from_history(logits: Callable[[int, tuple[int, ...]], Tensor]) -> Step:
    """A step function from a rule (sentence, its tokens so far) -> logits (V,)."""

    def step(tokens: Tensor, source: State, state: State) -> tuple[Tensor, State]:
        assert isinstance(source, Tensor)
        assert isinstance(state, Tensor)
        history = torch.cat([state, tokens[:, None]], dim=1)
        width = len(tokens) // len(source)
        sentences = source.repeat_interleave(width).tolist()
        rows = [
            logits(sentence, tuple(row[1:]))
            for sentence, row in zip(sentences, history.tolist(), strict=True)
        ]
        return torch.stack(rows), history

    return step


def table(rules: Table) -> Step:
    """A step function from probabilities after each history; what is left out is never."""

    def logits(sentence: int, history: tuple[int, ...]) -> Tensor:
        probabilities = torch.zeros(7)
        for token, probability in rules.get(history, {EOS: 1.0}).items():
            probabilities[token] = probability
        return probabilities.log()

    return from_history(logits)


# Greedy takes A (0.5) and then at best 0.5 * 0.4 = 0.2; B is better in the end: 0.4 * 0.9 = 0.36.
GARDEN_PATH = {
    (): {A: 0.5, B: 0.4, EOS: 0.1},
    (A,): {A: 0.3, B: 0.3, EOS: 0.4},
    (B,): {EOS: 0.9, A: 0.1},
}


def test_a_beam_finds_what_greedy_search_misses() -> None:
    (greedy,) = search(table(GARDEN_PATH), [5], beam_size=1)
    (beam,) = search(table(GARDEN_PATH), [5], beam_size=2)
    assert greedy[0].tokens == [A]
    assert math.exp(greedy[0].log_probability) == pytest.approx(0.2)
    assert [one.tokens for one in beam] == [[B], [A]]
    assert [math.exp(one.log_probability) for one in beam] == pytest.approx([0.36, 0.2])
    assert all(one.finished for one in beam)


# "A" has 0.4 over two tokens, "B C C" 0.6 * 0.8 * 0.8 over four: 0.384, but more for each token.
SHORT_OR_LONG = {(): {A: 0.4, B: 0.6}, (B,): {C: 0.8, A: 0.2}, (B, C): {C: 0.8, A: 0.2}}


@pytest.mark.parametrize(
    ("penalty", "best", "score"),
    [
        (0.0, [A], math.log(0.4)),
        (1.0, [B, C, C], math.log(0.384) / 4),
        (0.5, [B, C, C], math.log(0.384) / 2),
    ],
)
def test_the_length_penalty_divides_by_a_power_of_the_length(
    penalty: float, best: list[int], score: float
) -> None:
    (found,) = search(table(SHORT_OR_LONG), [9], beam_size=3, length_penalty=penalty)
    assert found[0].tokens == best
    assert found[0].score == pytest.approx(score)
    assert [one.score for one in found] == sorted([one.score for one in found], reverse=True)


def test_two_poor_ends_do_not_stop_a_search_that_has_better_to_come() -> None:
    # After two steps the beam is full of ends, 0.1 and 0.01; "A A" is on its way with 0.88.
    rules: Table = {(): {A: 0.89, EOS: 0.1, B: 0.01}, (A,): {A: 0.99, EOS: 0.01}, (A, A): {A: 1.0}}
    (found,) = search(table(rules), [9], beam_size=2)
    assert [one.tokens for one in found] == [[A, A, A], []]
    assert math.exp(found[0].log_probability) == pytest.approx(0.89 * 0.99)


@given(st.integers(65, 5000), st.integers(1, 20), st.integers(0, 9))
@settings(max_examples=100, deadline=None)
def test_the_best_words_of_a_wide_vocabulary_are_those_of_topk(
    width: int, count: int, seed: int
) -> None:
    table = torch.randn(3, width, generator=torch.Generator().manual_seed(seed))
    table[:, : width // 2] = NEVER
    values, places = _top(table, count)
    assert torch.equal(values, table.topk(count).values)
    assert torch.equal(table.gather(1, places), values)
    assert all(len(set(row)) == count for row in places.tolist())


def test_an_empty_translation_is_possible() -> None:
    ((one,),) = search(table({(): {EOS: 0.7, A: 0.3}}), [4], beam_size=1)
    assert (one.tokens, one.finished) == ([], True)
    assert one.score == one.log_probability == pytest.approx(math.log(0.7))


def test_an_end_outside_the_best_k_does_not_count() -> None:
    rules = {(): {A: 0.5, B: 0.3, EOS: 0.2}, (A,): {A: 1.0}, (B,): {B: 1.0}}
    (found,) = search(table(rules), [2], beam_size=2)
    assert [one.tokens for one in found] == [[A, A], [B, B]]


def test_at_the_length_limit_a_hypothesis_is_cut_and_comes_after_the_finished() -> None:
    rules: Table = {(): {A: 0.9, EOS: 0.1}, (A,): {A: 0.99, EOS: 0.01}, (A, A): {A: 1.0}}
    (found,) = search(table(rules), [3], beam_size=2, n_best=2)
    assert [(one.tokens, one.finished) for one in found] == [([], True), ([A], True)]
    (found,) = search(table(rules), [1], beam_size=2, n_best=2)
    assert [(one.tokens, one.finished) for one in found] == [([], True), ([A], False)]
    assert found[1].score == pytest.approx(math.log(0.9))


def test_reserved_ids_are_never_emitted_but_keep_their_probability() -> None:
    rules: Table = {(): {PAD: 0.3, BOS: 0.2, UNK: 0.2, A: 0.2, EOS: 0.1}}
    (found,) = search(table(rules), [3], beam_size=2)
    assert found[0].tokens == [A]
    assert math.exp(found[0].log_probability) == pytest.approx(0.2)


def random_rule(size: int, seed: int, sharpness: float = 2.0) -> Callable[..., Tensor]:
    """Logits that depend on the sentence and on every token before."""

    def logits(sentence: int, history: tuple[int, ...]) -> Tensor:
        # Hashes of tuples of integers are the same in every process.
        generator = torch.Generator().manual_seed(hash((seed, sentence, history)) % 2**31)
        return sharpness * torch.randn(size, generator=generator)

    return logits


def probability(rule: Callable[..., Tensor], sentence: int, tokens: tuple[int, ...]) -> float:
    labels = [*tokens, EOS]
    return sum(
        float(rule(sentence, tokens[:i]).double().log_softmax(0)[label])
        for i, label in enumerate(labels)
    )


@pytest.mark.parametrize("size", [5, 6, 7])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_wide_beam_is_exhaustive_search(size: int, seed: int) -> None:
    limit, rule = 4, random_rule(size, seed)
    words = range(4, size)
    everything = [t for n in range(limit) for t in itertools.product(words, repeat=n)]
    found = search(from_history(rule), [limit] * 3, beam_size=len(everything) + 90)
    for sentence in range(3):
        expected = {tokens: probability(rule, sentence, tokens) for tokens in everything}
        ranked = sorted(expected, key=lambda tokens: -expected[tokens])
        finished = [one for one in found[sentence] if one.finished]
        assert [tuple(one.tokens) for one in finished] == ranked
        assert [one.score for one in finished] == pytest.approx([expected[t] for t in ranked])


@pytest.mark.parametrize("penalty", [0.0, 0.6, 1.0])
def test_a_beam_of_one_is_greedy_search(penalty: float) -> None:
    rule, limits = random_rule(9, 3), [12] * 20
    found = search(from_history(rule), limits, beam_size=1, length_penalty=penalty)
    for sentence, (one,) in enumerate(found):
        tokens: list[int] = []
        while len(tokens) < 12:
            logits = rule(sentence, tuple(tokens))
            best = max([EOS, *range(4, 9)], key=lambda token: float(logits[token]))
            if best == EOS:
                break
            tokens.append(best)
        assert one.tokens == tokens
        assert one.finished == (len(tokens) < 12)


@pytest.mark.parametrize("penalty", [0.0, 1.0])
@pytest.mark.parametrize("beam_size", [1, 2, 5])
def test_a_batch_gives_what_each_sentence_gives_alone(beam_size: int, penalty: float) -> None:
    rule, limits = random_rule(12, 4), [3, 8, 1, 10, 6, 8]
    together = search(from_history(rule), limits, beam_size, penalty)
    for sentence, limit in enumerate(limits):

        def only(_: int, history: tuple[int, ...], sentence: int = sentence) -> Tensor:
            return rule(sentence, history)

        assert together[sentence] == search(from_history(only), [limit], beam_size, penalty)[0]


def test_n_best_is_sorted_and_without_duplicates() -> None:
    for found in search(from_history(random_rule(20, 5)), [9] * 10, 6, 1.0):
        assert len(found) == 6
        assert len({tuple(one.tokens) for one in found}) == 6
        for kind in (True, False):
            scores = [one.score for one in found if one.finished is kind]
            assert scores == sorted(scores, reverse=True)
        assert [one.finished for one in found] == sorted((o.finished for o in found), reverse=True)


def test_fewer_are_found_where_fewer_exist() -> None:
    (found,) = search(table({(): {A: 0.6, EOS: 0.4}}), [5], beam_size=4)
    assert [one.tokens for one in found] == [[A], []]


def test_finished_sentences_leave_the_batch() -> None:
    seen: list[tuple[int, int]] = []
    rules = {(): {A: 1.0}, (A,): {A: 1.0}, (A, A): {A: 1.0}}
    inner = table(rules)

    def step(tokens: Tensor, source: State, state: State) -> tuple[Tensor, State]:
        assert isinstance(source, Tensor)
        seen.append((len(tokens), len(source)))
        return inner(tokens, source, state)

    found = search(step, [1, 3, 2, 3], beam_size=1)
    assert seen == [(4, 4), (3, 3), (2, 2)]
    assert [one.tokens for (one,) in found] == [[A], [A, A, A], [A, A], [A, A, A]]


def test_a_large_batch_shrinks_through_few_sizes_and_reads_no_sentence_twice() -> None:
    sizes: list[int] = []
    inner = from_history(lambda sentence, history: torch.zeros(7).index_fill(0, TO_A, 9.0))

    def step(tokens: Tensor, source: State, state: State) -> tuple[Tensor, State]:
        assert isinstance(source, Tensor)
        sizes.append(len(source))
        return inner(tokens, source, state)

    limits = list(range(1, 101))
    found = search(step, limits, beam_size=1)
    assert [len(one.tokens) for (one,) in found] == limits
    assert sizes == [min(100, fill(left)) for left in range(100, 0, -1)]
    assert len(set(sizes)) == 37


TO_A = torch.tensor([A])


def fill(left: int) -> int:
    """The next number with no more than four leading bits."""
    while len(bin(left).removeprefix("0b").rstrip("0")) > 4:
        left += 1
    return left


def test_the_first_step_has_one_row_for_each_sentence_and_no_batch_needs_no_step() -> None:
    rows: list[int] = []
    inner = from_history(random_rule(12, 6))

    def step(tokens: Tensor, source: State, state: State) -> tuple[Tensor, State]:
        rows.append(len(tokens))
        return inner(tokens, source, state)

    search(step, [5, 5], beam_size=3)
    assert rows[:2] == [2, 6]
    assert search(step, [], beam_size=3) == []


def test_state_that_does_not_move_is_not_copied() -> None:
    states: list[State] = []

    def step(tokens: Tensor, source: State, state: State) -> tuple[Tensor, State]:
        states.append(state)
        return torch.zeros(len(tokens), 7).index_fill(1, torch.tensor([A]), 9.0), state

    search(step, [4, 4], beam_size=1)
    assert all(state is states[0] for state in states)


@pytest.mark.parametrize("penalty", [0.0, 1.0])
def test_a_beams_score_is_its_forced_score(penalty: float) -> None:
    model, ids = tiny.model(), tiny.vocabulary().encode(tiny.SENTENCES)
    source, lengths = pad([[*row, EOS] for row in ids])
    with torch.inference_mode():
        encoded = model.encode(source, lengths)
        start = model.start(encoded)

    def step(tokens: Tensor, source: State, state: State) -> tuple[Tensor, State]:
        features, state, _ = model.step(tokens, source, state)
        return model.output(features), state

    found = beam_search(
        step, encoded, start, lengths + 9, beam_size=4, length_penalty=penalty, n_best=4
    )
    pairs = [(row, one) for row, some in zip(ids, found, strict=True) for one in some]
    pairs = [(row, one) for row, one in pairs if one.finished]
    assert len(pairs) > 2 * len(ids)
    batch = Batch.of([row for row, _ in pairs], [one.tokens for _, one in pairs])
    for (_, one), forced in zip(pairs, scoring.score(model, batch), strict=True):
        assert one.log_probability == pytest.approx(forced.log_probability, abs=1e-4)
        assert one.score == pytest.approx(one.log_probability / forced.tokens**penalty)
