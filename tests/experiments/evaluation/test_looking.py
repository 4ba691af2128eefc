"""What models look at in a sentence: of every architecture something, between words, and as its own pass has it."""

from typing import Any

import numpy as np
import pytest
import torch

from analysis.statistics.attention.antecedents import Antecedent
from data.batch import BOS, EOS, FIRST_TOKEN, Batch
from data.tasks import TASKS
from experiments.errors import UsageError
from experiments.evaluation.looking import Looker, cosines, known_antecedents
from experiments.trial.checkpoints import Checkpoint
from lit_models import architectures
from lit_models.contract import Output, SelfAttention
from lit_models.probes.gradient_flow import embedding_gradients
from tests.helpers.models import make

KINDS = {
    "Transformer": ["encoder", "decoder", "cross"],
    "DecoderOnly": ["self", "cross"],
    "EncoderOnly": ["self", "cross"],
}
KINDS |= {name: ["cross", "gradient"] for name in ("Bahdanau", "LuongGlobal", "LuongLocal")}
SENTENCE = "3 1 4 1"


def looker(model: Any) -> Looker:
    return Looker(Checkpoint(model, "copy", None, 0, 0, {}))


@pytest.mark.parametrize("name", architectures())
def test_every_architecture_looks_at_something(name: str) -> None:
    looked = looker(make(name)).look(SENTENCE)
    assert looked.source == SENTENCE.split() and len(looked.vectors) == 4
    assert [look.kind for look in looked.looks] == KINDS.get(name, ["gradient"])
    read = ["<s>", *looked.output[:-1]]  # what stands before each output
    rows = {"encoder": looked.source, "decoder": read, "cross": looked.output, "gradient": looked.output}
    rows["self"] = [*looked.source, *(read if name == "DecoderOnly" else ["</s>"])]
    for look in looked.looks:
        columns = rows[look.kind] if look.kind in ("decoder", "self") else looked.source
        assert (look.rows, look.columns) == (rows[look.kind], columns)
        assert set(look.heads) == {(1, 1)} or set(look.heads) == {
            (layer, head) for layer in (1, 2) for head in (1, 2, 3, 4)
        }
        for weights in look.heads.values():
            assert weights.shape == (len(look.rows), len(look.columns))
            total = weights.sum(axis=1)
            assert (total <= 1 + 1e-5).all()
            if name != "LuongLocal":  # whose weights fall off from the middle of its window
                np.testing.assert_allclose(total, 1.0, atol=1e-5)


def test_gradients_are_shares_of_an_output_in_the_order_of_the_source() -> None:
    model = make("GRU", {"reverse_source": True})
    looked = looker(model).look(SENTENCE)
    written = [EOS if word == "</s>" else int(word) + FIRST_TOKEN for word in looked.output]
    source = torch.tensor([[7, 5, 8, 5]])
    batch = Batch(source, torch.tensor([4]), torch.tensor([[BOS, *written[:-1]]]), torch.tensor([written]))
    for place in (0, len(written) - 1):
        norms = embedding_gradients(model, batch, place)[0]
        np.testing.assert_allclose(looked.looks[0].heads[1, 1][place], norms / norms.sum(), atol=1e-9)


def test_a_symbol_that_the_model_does_not_have_is_named() -> None:
    for sentence, symbol in (("1 8", "8"), ("1 a", "a"), ("-1", "-1")):
        with pytest.raises(ValueError, match=f"'{symbol}' is no symbol of this model; they are 0 to 7"):
            looker(make("GRU")).look(sentence)


@pytest.mark.parametrize("causal", [True, False])
def test_a_head_that_follows_the_antecedent_is_found(causal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    model = make("DecoderOnly" if causal else "EncoderOnly")
    antecedents = [Antecedent("1 2 3 4", 2, 0, 1), Antecedent("5 4 3", 2, 0, 1)]

    def planted(batch: Batch) -> list[SelfAttention]:
        size = batch.source.shape[1] + 1
        weights = torch.full((1, 2, size, size), 0.1)
        weights[0, 0, 2, 0] = weights[0, 1, 2, 1] = 0.5  # the first head follows, the second is led astray
        return [SelfAttention("self", ("source", "target" if causal else "end"), causal, [weights])]

    monkeypatch.setattr(model, "self_attention", planted)
    scores = looker(model).follow(antecedents)
    assert {place: score.share.mean for place, score in scores.items()} == {("self", 1, 1): 1.0, ("self", 1, 2): 0.0}
    preferred = [score.preferred.mean for score in scores.values() if score.preferred]
    assert preferred == [1.0, 0.0]
    # Looking back, the third word sees three; to both sides also those behind it, and the end.
    assert {score.chance for score in scores.values()} == {1 / 3 if causal else (1 / 5 + 1 / 4) / 2}


def test_only_self_attention_over_the_source_can_follow() -> None:
    antecedents = [Antecedent(SENTENCE, 2, 0)]
    assert {kind for kind, _, _ in looker(make("Transformer")).follow(antecedents)} == {"encoder"}
    with pytest.raises(UsageError, match="Bahdanau attention has no self-attention"):
        looker(make("Bahdanau")).follow(antecedents)


def test_a_task_in_words_is_looked_at_in_words_and_knows_its_antecedents() -> None:
    size = FIRST_TOKEN + len(TASKS["coreference"].words)
    model = make("Transformer", {"source_vocab_size": size, "target_vocab_size": size})
    checkpoint = Checkpoint(model, "coreference", None, 0, 0, {"data": {"length": 6}})
    looked = Looker(checkpoint).look("The animal did not cross the street because it was too wide.")
    assert " ".join(looked.source) == "The animal did not cross the street because it was too wide."
    antecedents = known_antecedents(checkpoint, 20)
    for one in antecedents:
        words = one.sentence.split()
        assert words[one.looking] == "it" and {one.right, one.wrong} == {1, 6}
        written = one.translation.split()
        assert written[one.written] in {"er", "sie", "es"} and written[one.written - 1] == "weil"
    assert {one.looking - 6 for one in antecedents} == {2, 3, 4, 5, 6}  # every distance up to that of training
    scores = Looker(checkpoint).follow(antecedents)
    assert {kind for kind, _, _ in scores} == {"encoder", "cross"}
    assert {score.share.count for score in scores.values()} == {20}
    with pytest.raises(UsageError, match="test stands for test sentences of coreference, but"):
        known_antecedents(checkpoint._replace(task="copy"))


def test_attention_to_the_antecedent_is_found_where_the_pronoun_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    size = FIRST_TOKEN + len(TASKS["coreference"].words)
    options = {"source_vocab_size": size, "target_vocab_size": size}
    model, without = (
        Checkpoint(make(name, options), "coreference", None, 0, 0, {"data": {"length": 6}})
        for name in ("Bahdanau", "GRU")
    )
    one, *others = known_antecedents(model, 20)

    def planted(batch: Batch, need_attention: bool = True) -> Output:
        weights = torch.full((1, batch.target_out.shape[1], batch.source.shape[1]), 0.1)
        weights[0, one.written, one.right] = 0.5
        return Output(torch.empty(0), weights)

    monkeypatch.setattr(model.model, "forward", planted)
    scores = Looker(model).follow([one])
    assert {place: score.share.mean for place, score in scores.items()} == {("cross", 1, 1): 1.0}
    assert scores["cross", 1, 1].chance == 1 / (len(one.sentence.split()) - 1)  # the full stop belongs to a word
    with pytest.raises(UsageError, match="GRU has no attention at all"):
        Looker(without).follow(others)


def test_cosines_are_of_directions() -> None:
    vectors = torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 3.0], [-1.0, 0.0]])
    np.testing.assert_allclose(cosines(vectors)[0], [1, 1, 0, -1])
