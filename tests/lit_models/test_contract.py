"""What every architecture of the package keeps, found by looking and not from a list."""

import copy
import inspect
import json
from typing import Any, NamedTuple

import pytest
import torch
from torch.utils._pytree import tree_leaves

from data.batch import PAD, Batch
from lit_models import architectures
from lit_models.contract import Output, Seq2Seq
from tests.helpers.models import every_model, label, make, one_row, random_batch

LENGTHS = [(5, 4), (7, 7), (1, 2), (3, 6)]
every_architecture = pytest.mark.parametrize(("name", "options"), every_model(), ids=label)
WITH_HEADS = [
    (name, options)
    for name, options in every_model()
    if architectures()[name].attention_heads is not Seq2Seq.attention_heads
]


class Made(NamedTuple):
    """What tests that change nothing of it share."""

    name: str
    options: dict[str, Any]
    model: Any
    batch: Batch
    output: Output


@pytest.fixture(scope="module", params=every_model(), ids=lambda case: f"{case[0]}-{label(case[1])}")
def made(request: pytest.FixtureRequest) -> Made:
    """A model in evaluation mode, a padded batch, and what the one makes of the other."""
    name, options = request.param
    model, batch = make(name, options), random_batch(LENGTHS)
    return Made(name, options, model, batch, model(batch))


def started(made: Made) -> Any:
    """The state before the first step."""
    return made.model.start(made.model.encode(made.batch.source, made.batch.source_lengths))


def test_the_seven_architectures_are_found() -> None:
    seven = {"VanillaRNN", "LSTM", "GRU", "Bahdanau", "LuongGlobal", "LuongLocal", "Transformer"}
    assert seven <= set(architectures())


def test_what_an_architecture_says_of_itself_is_true(made: Made) -> None:
    described = made.model.describe()
    assert list(described) == [
        "display_name", "attends", "windowed", "recurrence", "work", "sequential_operations", "path_length",
        "context_size",
    ]  # fmt: skip
    assert json.loads(json.dumps(described)) == described
    assert described["attends"] in (None, made.output.attention is not None)
    if described["context_size"] is not None:
        state = started(made)
        context = getattr(state, "context", None)
        parts = [part for part in tree_leaves(state if context is None else context) if part is not None]
        assert described["context_size"] == sum(part[0].numel() for part in parts)


@pytest.mark.parametrize("name", architectures())
def test_a_context_has_a_size_where_nothing_attends(name: str) -> None:
    described = make(name).describe()
    assert (described["context_size"] is not None) == (described["attends"] is False)


def test_an_architecture_without_a_display_name_goes_by_the_name_of_its_class() -> None:
    class Renamed(architectures()["VanillaRNN"]):
        pass

    assert architectures()["VanillaRNN"].display_name == "Vanilla RNN"
    assert Renamed.display_name == "Renamed"


def test_stepwise_equals_teacher_forced(made: Made) -> None:
    output, state = made.output, started(made)
    for position in range(made.batch.target_in.shape[1]):
        logits, state, attention = made.model.step(made.batch.target_in[:, position], state)
        torch.testing.assert_close(logits, output.logits[:, position], atol=1e-5, rtol=0)
        if output.attention is not None:
            torch.testing.assert_close(attention, output.attention[:, position], atol=1e-5, rtol=0)


def test_a_row_gives_the_same_logits_alone_and_in_a_padded_batch(made: Made) -> None:
    for row, (_, target) in enumerate(LENGTHS):
        alone = made.model(one_row(made.batch, row))
        torch.testing.assert_close(made.output.logits[row, : target + 1], alone.logits[0], atol=1e-5, rtol=0)


def test_sixteen_bits_give_roughly_the_logits_of_thirty_two(made: Made) -> None:
    with torch.no_grad():
        halved = copy.deepcopy(made.model).bfloat16()(made.batch)
    assert halved.logits.dtype == torch.bfloat16
    torch.testing.assert_close(halved.logits.float(), made.output.logits.detach(), atol=0.1, rtol=0)


def test_padding_gets_exactly_zero_attention_and_rows_sum_to_one(made: Made) -> None:
    batch, attention = made.batch, made.output.attention
    if attention is None:
        assert made.model.step(batch.target_in[:, 0], started(made))[2] is None
        return
    assert attention.shape == (4, batch.target_in.shape[1], batch.source.shape[1])
    padding = batch.source == PAD
    assert padding.any()
    assert (attention.masked_select(padding[:, None, :]) == 0).all()
    total = attention.sum(dim=-1)
    if made.name == "LuongLocal" and made.options.get("alignment", "predictive") == "predictive":
        # The Gaussian takes weight away and nothing renormalises it; layers/test_attention.py checks by how much.
        assert ((total > 0) & (total < 1)).all()
    else:
        torch.testing.assert_close(total, torch.ones_like(total))


@every_architecture
def test_gradients_reach_every_parameter(name: str, options: dict) -> None:
    model, batch = make(name, options).train(), random_batch(LENGTHS)
    model.loss(model(batch).logits, batch).backward()
    without = [key for key, parameter in model.named_parameters() if parameter.grad is None or not parameter.grad.any()]
    assert without == []


def test_rows_of_a_state_can_be_selected_and_repeated(made: Made) -> None:
    model, batch = made.model, made.batch
    _, state, _ = model.step(batch.target_in[:, 0], started(made))
    logits, _, _ = model.step(batch.target_in[:, 1], state)
    rows = torch.tensor([2, 0, 0])
    selected, _, _ = model.step(batch.target_in[rows, 1], model.select_rows(state, rows))
    torch.testing.assert_close(selected, logits[rows], atol=1e-6, rtol=0)


def test_options_rebuild_the_model(made: Made) -> None:
    model = made.model
    again = type(model)(**model.options).eval()
    again.load_state_dict(model.state_dict())
    assert torch.equal(again(made.batch).logits, made.output.logits)
    assert made.options.items() <= model.options.items()


@pytest.mark.parametrize("name", architectures())
def test_padded_target_positions_change_neither_loss_nor_gradient(name: str) -> None:
    model, batch = make(name), random_batch(LENGTHS)
    short = random_batch(LENGTHS[:1])
    padded = short._replace(
        target_in=torch.nn.functional.pad(short.target_in, (0, 3), value=PAD),
        target_out=torch.nn.functional.pad(short.target_out, (0, 3), value=PAD),
    )
    gradients = []
    for same_targets in (short, padded):
        model.zero_grad()
        model.loss(model(same_targets).logits, same_targets).backward()
        gradients.append([parameter.grad.clone() for parameter in model.parameters()])  # type: ignore[union-attr]
    for first, second in zip(*gradients, strict=True):
        torch.testing.assert_close(first, second, atol=1e-6, rtol=1e-5)
    assert batch.loss_tokens is None


@pytest.mark.parametrize("name", architectures())
def test_the_source_is_read_through_source_embedding(name: str) -> None:
    model, batch = make(name).train(), random_batch(LENGTHS)
    seen = []
    model.source_embedding.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    model(batch)
    assert any(tokens.shape == batch.source.shape for tokens in seen)


@pytest.mark.parametrize("name", architectures())
def test_every_option_is_documented_by_the_class_that_has_it(name: str) -> None:
    for base in architectures()[name].__mro__:
        if "__init__" in vars(base) and base.__module__.startswith("lit_models."):
            for option, parameter in inspect.signature(vars(base)["__init__"]).parameters.items():
                if parameter.kind is parameter.KEYWORD_ONLY:
                    assert f"    {option}: " in (inspect.getdoc(base) or ""), option


def test_the_transformer_reports_its_heads() -> None:
    assert "Transformer" in {name for name, _ in WITH_HEADS}


@pytest.mark.parametrize(("name", "options"), WITH_HEADS, ids=label)
def test_the_heads_of_the_top_layer_make_up_the_attention(name: str, options: dict) -> None:
    model, batch = make(name, options), random_batch(LENGTHS)
    heads = model.attention_heads(batch)
    layers, count = model.options["num_layers"], model.options["num_heads"]
    assert list(heads) == [f"layer {layer + 1} head {head + 1}" for layer in range(layers) for head in range(count)]
    top = torch.stack(list(heads.values())[-count:])
    torch.testing.assert_close(top.mean(dim=0), model(batch).attention, atol=1e-6, rtol=0)
    assert not torch.equal(top[0], top[1])


@pytest.mark.parametrize(("name", "options"), WITH_HEADS, ids=label)
def test_every_head_shares_its_weight_among_the_words_of_the_source(name: str, options: dict) -> None:
    model, batch = make(name, options), random_batch(LENGTHS)
    padding = (batch.source == PAD)[:, None, :].expand(-1, batch.target_in.shape[1], -1)
    for weights in model.attention_heads(batch).values():
        assert (weights[padding] == 0).all()
        torch.testing.assert_close(weights.sum(dim=-1), torch.ones_like(weights[..., 0]))


@pytest.mark.parametrize("name", architectures())
def test_embeddings_start_with_the_standard_deviation_asked_for(name: str) -> None:
    sizes = {"source_vocab_size": 200, "target_vocab_size": 200}
    if "embedding_std" not in make(name).options:
        pytest.skip("an architecture need not have the option")
    model = make(name, {**sizes, "embedding_std": 0.25})
    for table in (module for module in model.modules() if isinstance(module, torch.nn.Embedding)):
        assert 0.22 < float(table.weight.detach().std()) < 0.28
