"""What the tasks in words have in common: words as symbols, distances, splits, and one word that is scored."""

import hashlib

import numpy as np
import pytest
import torch

from data.batch import EOS, FIRST_TOKEN, PAD, UNK
from data.datamodule import Seq2SeqDataModule
from data.language.word_tokenizer import WordTokenizer
from data.tasks import IN_WORDS, SPLITS, TASKS, generate, lengths_to_test
from lit_models.vanilla_rnn import VanillaRNN
from tests.helpers.languages import drawn

DIGESTS = {
    "coreference": "ba07b7a8d3aa9e8e",
    "word-sense": "6e135cb2f580fb51",
    "negation": "3095e6d2931973e8",
    "tagging": "6584f1972d701933",
}


@pytest.mark.parametrize("task", IN_WORDS)
def test_splits_share_no_sentence_whatever_the_seed(task: str) -> None:
    least = TASKS[task].least_length
    train, validation, test = (
        {tuple(source) for seed in (0, 1) for source, _ in drawn(task, least, least + 6, 100, seed, split)}
        for split in SPLITS
    )
    assert not train & validation and not train & test and not validation & test


@pytest.mark.parametrize("task", IN_WORDS)
def test_the_sentences_are_the_same_on_every_machine(task: str) -> None:
    """A change here makes every published result incomparable with new ones."""
    least = TASKS[task].least_length
    pairs = [pair for split in SPLITS for pair in drawn(task, least, least + 20, 100, 7, split)]
    assert hashlib.sha256(repr(pairs).encode()).hexdigest()[:16] == DIGESTS[task]


@pytest.mark.parametrize("task", IN_WORDS)
def test_most_sentences_are_seen_once(task: str) -> None:
    least = TASKS[task].least_length
    pairs = drawn(task, least + 4, least + 20, 1000)
    assert len({tuple(source) for source, _ in pairs}) > 950
    words = {word for pair in pairs for side in pair for word in side}
    assert words == set(TASKS[task].words)


@pytest.mark.parametrize("task", IN_WORDS)
@pytest.mark.parametrize("length", [6, 40])
def test_no_source_or_target_is_longer_than_the_task_says(task: str, length: int) -> None:
    examples, known = generate(task, 0, length, length, 100, 0, "train"), TASKS[task]
    longest = max(examples.source_lengths.max(), examples.target_lengths.max())
    assert longest == known.longest_source(length) == known.longest_target(length)
    assert known.outputs == "one" or examples.target_lengths.min() > 1
    each = bool((examples.source_lengths == examples.target_lengths).all())
    assert each == (known.outputs == "each" or task == "word-sense")


@pytest.mark.parametrize(("task", "chance"), [("coreference", 1 / 3), ("negation", 1 / 2), ("tagging", 1 / 2)])
def test_chance_is_the_share_of_the_commonest_answer(task: str, chance: float) -> None:
    known = TASKS[task]
    target = generate(task, 0, 9, 9, 3000, 0, "train").target
    answers = [FIRST_TOKEN + symbol for symbol in known.answers] or np.unique(target[target != PAD])
    asked = [[token for token in row if token in answers][-1] for row in target.tolist()]
    assert np.bincount(asked).max() / len(asked) == pytest.approx(chance, abs=0.03)
    assert known.chance(0, 9) == chance


def test_the_word_that_is_scored_travels_with_every_batch() -> None:
    data = Seq2SeqDataModule("tagging", length=5, train_examples=8, validation_examples=4, test_examples=4)
    words = TASKS["tagging"].words
    for loader in (data.val_dataloader(), *data.test_dataloader()):
        for batch in loader:
            assert batch.answers is not None
            assert [words[token - FIRST_TOKEN] for token in batch.answers.tolist()] == ["NN", "NNS"]
    assert next(iter(Seq2SeqDataModule("copy", length=5, train_examples=8).train_dataloader())).answers is None


def test_a_model_writes_until_it_ends_where_the_last_answer_counts() -> None:
    """However short the targets are: an output that is too long has its answer behind them."""
    data = Seq2SeqDataModule("coreference", length=5, train_examples=8, validation_examples=4, test_examples=4)
    batch, size = next(iter(data.val_dataloader())), data.target_vocab_size
    model = VanillaRNN(source_vocab_size=size, target_vocab_size=size, hidden_size=4, dropout=0.0).eval()
    (bias,) = (one for name, one in model.named_parameters() if name.endswith("bias") and len(one) == size)
    torch.nn.init.constant_(bias, -1e3)
    torch.nn.init.zeros_(bias[-1:])  # it repeats one word
    written = model.predict_step(batch, 0)
    assert (written != PAD).sum(dim=1).tolist() == (2 * batch.source_lengths + 20).tolist()


def test_distances_to_test_begin_where_the_task_does() -> None:
    assert lengths_to_test("negation", 0, 6, 20) == [10, 15, 20, 25, 30, 40]
    assert lengths_to_test("coreference", 0, 2, 20) == [5, 10, 15, 20, 25, 30, 40]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"task": "coreferences"}, r"data\.task: 'coreferences' is unknown; did you mean 'coreference'"),
        ({"task": "negation", "length": 5}, r"data\.length: 5 is too short; negation needs at least 6"),
        ({"task": "word-sense", "length": 9, "min_length": 10}, r"data\.min_length: 10 must lie between 3 and"),
        ({"task": "coreference", "batch_tokens": 30}, r"data\.batch_tokens: 30 cannot hold a sequence of 33 tokens"),
        ({"task": "negation", "length": 9, "eval_lengths": [2]}, r"data\.eval_lengths: 2 is too short; negation needs"),
    ],
)
def test_bad_options_are_refused_in_one_line(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        Seq2SeqDataModule(**options)
    assert "\n" not in str(caught.value)


def test_a_sentence_is_text_to_people() -> None:
    tokenizer = WordTokenizer(TASKS["coreference"].words)
    german = "Das Tier überquerte die Straße nicht, weil sie zu breit war."
    [tokens, unknown] = tokenizer.encode([german, "Das Ei"])
    assert tokenizer.decode([*tokens, EOS, PAD]) == german
    assert tokenizer.pieces(tokens)[4:8] == ["▁Straße", "▁nicht", ",", "▁weil"]
    assert tokenizer.pieces([EOS]) == ["</s>"]
    assert unknown[1] == UNK and tokenizer.decode(unknown) == "Das ⁇"
    assert max(tokens) < len(tokenizer) == FIRST_TOKEN + len(TASKS["coreference"].words)


def test_words_of_a_sentence_are_counted_as_spaces_divide_it() -> None:
    tokenizer = WordTokenizer(TASKS["coreference"].words)
    assert tokenizer.words("nicht , weil  breit war.") == [0, 2, 3, 4]  # the comma stands at the word before it
    assert tokenizer.words("so-und-so war") == [0, 0, 0, 0, 0, 1]
