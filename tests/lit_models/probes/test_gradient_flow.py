"""The probe of gradient flow: right by finite differences and closed forms, and without any trace in the model."""

import itertools
import random
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from data.batch import PAD, Batch
from lit_models import architectures
from lit_models.contract import Memory, Output
from lit_models.lit_module import LitSeq2Seq
from lit_models.probes.gradient_flow import curve, distances, embedding_gradients, jacobian_norms, spaced_distances
from tests.helpers.models import every_model, known, label, make, one_row, random_batch

LENGTHS = [(5, 4), (7, 7), (2, 2), (3, 6)]
every_architecture = pytest.mark.parametrize(("name", "options"), every_model(), ids=label)
OF_THE_DECODER = {
    "score", "input_feeding", "location_positions", "alignment", "window", "readout", "readout_state", "context",
    "tied_embeddings",
}  # fmt: skip
every_encoder = pytest.mark.parametrize(
    ("name", "options"),
    [(name, options) for name, options in every_model() if "cell" in options or not OF_THE_DECODER & options.keys()],
    ids=label,
)


class LinearRNN(LitSeq2Seq):
    """h_t = W h_{t-1} + x_t, and logits that are a linear map of the last h and of the steps taken since.

    Defined outside lit_models, so that nobody takes it for an architecture of the suite.
    """

    def __init__(self, *, weight: Tensor) -> None:
        super().__init__(source_vocab_size=12, target_vocab_size=12)
        size = len(weight)
        self.source_embedding = nn.Embedding(12, size)
        self.weight = nn.Parameter(weight)  # W
        self.output = nn.Linear(size, 12)

    def _recurrence(self, state: Tensor, inputs: Tensor | float = 0.0) -> Tensor:
        return state @ self.weight.T + inputs

    def encode(self, source: Tensor, source_lengths: Tensor) -> Memory:
        embedded = self.source_embedding(source)
        states = [torch.zeros_like(embedded[:, 0])]
        for position in range(source.shape[1]):
            reads = (position < source_lengths)[:, None]
            states.append(torch.where(reads, self._recurrence(states[-1], embedded[:, position]), states[-1]))
        return Memory(torch.stack(states[1:], dim=1), source_lengths, None, (states[-1],))

    def start(self, memory: Memory) -> Tensor:
        return memory.final[0]

    def step(self, token: Tensor, state: Tensor) -> tuple[Tensor, Tensor, None]:
        state = self._recurrence(state)
        return self.output(state), state, None

    def forward(self, batch: Batch, need_attention: bool = True) -> Output:
        state, steps = self.start(self.encode(batch.source, batch.source_lengths)), []
        for token in batch.target_in.unbind(dim=1):
            logits, state, _ = self.step(token, state)
            steps.append(logits)
        return Output(torch.stack(steps, dim=1), None)

    def transition(self, source: Tensor, source_lengths: Tensor, position: Tensor, state: Any) -> tuple[Tensor, ...]:
        inputs = self.source_embedding(source.gather(1, position[:, None])[:, 0])
        return (self._recurrence(torch.zeros_like(inputs) if state is None else state[0], inputs),)


def linear_rnn(radius: float, size: int = 6) -> LinearRNN:
    """Every singular value of its recurrence is the radius."""
    torch.manual_seed(0)
    return LinearRNN(weight=radius * torch.linalg.qr(torch.randn(size, size))[0])


def jacobian(model: LitSeq2Seq, batch: Batch, first: int) -> Tensor:
    """dh_n / dh_first of the only row of a batch, formed as a product of explicit matrices."""
    position, state, states = torch.zeros(1, dtype=torch.long), None, []
    for place in range(int(batch.source_lengths)):
        state = model.transition(batch.source, batch.source_lengths, position + place, state)
        assert state is not None
        states.append(state)
    states.insert(0, tuple(torch.zeros_like(part) for part in states[0]))
    shapes = [part.shape for part in states[0]]
    sizes = [part.numel() for part in states[0]]

    def flat_step(flat: Tensor, place: int) -> Tensor:
        parts = tuple(part.view(shape) for part, shape in zip(flat.split(sizes), shapes, strict=True))
        following = model.transition(batch.source, batch.source_lengths, position + place, parts)
        assert following is not None
        return torch.cat([part.flatten() for part in following])

    product = torch.eye(sum(sizes), dtype=states[0][0].dtype)
    for place in range(first, int(batch.source_lengths)):
        flat = torch.cat([part.flatten() for part in states[place]])
        step = torch.autograd.functional.jacobian(lambda flat, place=place: flat_step(flat, place), flat)
        assert isinstance(step, Tensor)
        product = step @ product
    return product


def distinct_batch() -> Batch:
    """One row with words that stand only once, whichever side."""
    return Batch(
        source=torch.tensor([[4, 5, 6, 7]]),
        source_lengths=torch.tensor([4]),
        target_in=torch.tensor([[1, 8, 9, 10]]),
        target_out=torch.tensor([[8, 9, 10, 2]]),
    )


def losses_with_moved_word(model: Any, batch: Batch, position: int, word: int, by: Tensor) -> Tensor:
    """(M,) cross-entropies at a target position of the only row of a batch, where the embedding of a word, but not the
    table, is moved in each of M ways (M, E).
    """

    def move(_: Any, inputs: tuple[Tensor], output: Tensor) -> Tensor:
        return output + (inputs[0] == word)[..., None] * by[:, None]

    parts = {name: part for name, part in batch._asdict().items() if part is not None}
    rows = batch._replace(**{name: part.expand(len(by), *part.shape[1:]) for name, part in parts.items()})
    hook = model.source_embedding.register_forward_hook(move)
    with torch.no_grad():
        logits = model(rows).logits[:, position]
    hook.remove()
    return F.cross_entropy(logits, rows.target_out[:, position], reduction="none")


@every_architecture
def test_norms_are_those_of_finite_differences(name: str, options: dict) -> None:
    model, batch, position, nudge = make(name, options).double(), distinct_batch(), 1, 1e-5
    norms = embedding_gradients(model, batch, position)
    for place, word in enumerate(batch.source[0].tolist()):
        units = nudge * torch.eye(model.source_embedding.embedding_dim, dtype=torch.double)
        up, down = losses_with_moved_word(model, batch, position, word, torch.cat([units, -units])).chunk(2)
        expected = float((up - down).norm()) / (2 * nudge)
        assert float(norms[0, place]) == pytest.approx(expected, rel=1e-5, abs=1e-9)


@every_architecture
def test_a_row_has_the_same_norms_alone_and_in_a_padded_batch(name: str, options: dict) -> None:
    model, batch = make(name, options).double(), random_batch(LENGTHS)
    together = embedding_gradients(model, batch, 1)
    assert together.shape == batch.source.shape
    assert (together[batch.source == PAD] == 0).all()
    for row, (length, _) in enumerate(LENGTHS):
        alone = embedding_gradients(model, one_row(batch, row), 1)[0]
        torch.testing.assert_close(together[row, :length], alone, rtol=1e-8, atol=0)


@every_encoder
def test_a_row_has_the_same_jacobians_alone_and_in_a_padded_batch(name: str, options: dict) -> None:
    model, batch = make(name, options).double(), random_batch(LENGTHS)
    together = jacobian_norms(model, batch, [1, 4])
    if together is None:
        return
    for row in (0, 2):  # longer than the greatest distance, and shorter
        alone = jacobian_norms(model, one_row(batch, row), [1, 4])
        torch.testing.assert_close(together[row : row + 1], alone, rtol=5e-3, atol=0)


def test_norms_do_not_depend_on_words_behind_the_target_position() -> None:
    model, batch = make("GRU"), random_batch([(5, 4)])
    behind = batch._replace(target_in=batch.target_in.roll(1, dims=1).index_fill(1, torch.tensor([0]), 1))
    torch.testing.assert_close(embedding_gradients(model, batch), embedding_gradients(model, behind))


def test_a_linear_recurrence_decays_by_its_spectral_radius_at_each_step() -> None:
    model, batch = linear_rnn(0.9), random_batch([(30, 4)] * 5)
    for position in (0, 2):
        points = curve(embedding_gradients(model, batch, position), distances(batch, position))
        assert [point.distance for point in points] == list(range(1 + position, 31 + position))
        ratios = [after.mean / before.mean for before, after in itertools.pairwise(points)]
        assert ratios == pytest.approx([0.9] * 29, abs=5e-4)
    steps = list(range(1, 31))
    norms = jacobian_norms(model, batch, steps)
    assert norms is not None
    torch.testing.assert_close(norms, (0.9 ** torch.tensor(steps).double()).expand(5, -1), rtol=1e-4, atol=0)


def test_jacobians_of_long_sources_do_not_vanish_in_single_precision() -> None:
    norms = jacobian_norms(linear_rnn(0.1), random_batch([(60, 1)]), [60])
    assert norms is not None
    assert float(norms) == pytest.approx(1e-60, rel=1e-3)


@pytest.mark.parametrize("name", ["VanillaRNN", "GRU", "LSTM"])
@pytest.mark.parametrize(
    "options", [{}, {"num_layers": 2}, {"reverse_source": True}, {"bidirectional": True}], ids=label
)
def test_jacobian_norms_are_singular_values_of_the_product_of_explicit_matrices(name: str, options: dict) -> None:
    model, batch = make(name, options).double(), random_batch([(6, 2)])
    norms = jacobian_norms(model, batch, [1, 3, 6])
    assert norms is not None
    expected = [torch.linalg.matrix_norm(jacobian(model, batch, 6 - distance), ord=2) for distance in (1, 3, 6)]
    torch.testing.assert_close(norms[0], torch.stack(expected), rtol=5e-3, atol=0)


@every_architecture
def test_the_steps_of_a_recurrent_encoder_are_those_of_its_fused_call(name: str, options: dict) -> None:
    model, batch = make(name, options), random_batch(LENGTHS)
    final, state = model.encode(batch.source, batch.source_lengths).final, None
    for step in range(batch.source.shape[1]):
        position = (batch.source_lengths - 1).clamp(max=step)
        following = model.transition(batch.source, batch.source_lengths, position, state)
        if following is None:
            assert jacobian_norms(model, batch, [1]) is None
            return
        reads = step < batch.source_lengths
        if state is not None:
            following = tuple(
                torch.where(reads.view(-1, *[1] * (new.dim() - 1)), new, old)
                for new, old in zip(following, state, strict=True)
            )
        state = following
    assert state is not None
    for part, fused in zip(state, final, strict=True):
        torch.testing.assert_close(part, fused[..., : part.shape[-1]], atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", architectures())
def test_probing_leaves_no_trace(name: str) -> None:
    model, batch = make(name, known(name, {"dropout": 0.3})), random_batch(LENGTHS)
    model.train()
    model.source_embedding.eval()  # a mode of its own, as of a frozen part
    model.loss(model(batch).logits, batch).backward()

    def everything() -> list[Any]:
        weights = [value.clone() for value in model.state_dict().values()]
        gradients = [parameter.grad.clone() for parameter in model.parameters()]
        hooks = len(model.source_embedding._forward_hooks) + len(model.source_embedding._forward_pre_hooks)
        modes = [module.training for module in model.modules()]
        return [*weights, *gradients, torch.get_rng_state(), random.getstate(), hooks, modes]

    before = everything()
    embedding_gradients(model, batch, 1)
    jacobian_norms(model, batch, [1, 3])
    for old, new in zip(before, everything(), strict=True):
        assert torch.equal(old, new) if isinstance(old, Tensor) else old == new


def test_dropout_takes_no_part() -> None:
    with_dropout, without = make("GRU", {"dropout": 0.5}).train(), make("GRU")
    batch = random_batch(LENGTHS)
    assert torch.equal(embedding_gradients(with_dropout, batch), embedding_gradients(without, batch))


def test_a_probe_that_fails_leaves_the_model_as_it_was() -> None:
    model, batch = make("Transformer", {"positions": "learned", "max_positions": 3}).train(), random_batch(LENGTHS)
    with pytest.raises(ValueError, match="3 learned positions are too few"):
        embedding_gradients(model, batch)
    assert all(module.training for module in model.modules())
    assert not model.source_embedding._forward_hooks
    assert not model.source_embedding._forward_pre_hooks


def test_a_position_behind_the_shortest_target_is_refused() -> None:
    with pytest.raises(ValueError, match="target position 3 does not exist: the shortest target of the batch has 3"):
        embedding_gradients(make("GRU"), random_batch(LENGTHS), 3)


def test_distances_count_recurrent_steps_to_the_loss() -> None:
    batch = random_batch([(4, 3), (2, 1)])
    assert distances(batch).tolist() == [[4, 3, 2, 1], [2, 1, 0, 0]]
    assert distances(batch, position=1).tolist() == [[5, 4, 3, 2], [3, 2, 0, 0]]


def test_a_curve_has_geometric_means_and_quartiles_over_sequences() -> None:
    norms = torch.tensor([[1.0, 7.0], [4.0, 0.0], [16.0, 5.0]])
    first, second = curve(norms, torch.tensor([[1, 2], [1, 2], [1, 0]]))
    assert first == pytest.approx((1, 4.0, 2.5, 10.0, 3))
    assert (second.distance, second.sequences) == (2, 2)
    assert second.mean == pytest.approx((7.0 * torch.finfo(torch.float32).tiny) ** 0.5)


def test_spaced_distances_run_from_one_to_the_longest() -> None:
    assert spaced_distances(1, 12) == [1]
    assert spaced_distances(5, 12) == [1, 2, 3, 4, 5]
    long = spaced_distances(200, 12)
    assert (long[0], long[-1]) == (1, 200)
    assert len(long) <= 12


@pytest.mark.parametrize("name", architectures())
def test_options_of_initialisation_change_nothing_at_their_defaults(name: str) -> None:
    if "recurrent_init" not in make(name).options:
        return
    plain, explicit = make(name), make(name, {"recurrent_init": "default", "forget_bias": 0.0})
    for first, second in zip(plain.parameters(), explicit.parameters(), strict=True):
        assert torch.equal(first, second)


def test_weights_at_default_options_are_those_torch_draws() -> None:
    model = make("VanillaRNN")
    torch.manual_seed(0)
    source, target = (nn.Embedding(12, 8) for _ in range(2))
    encoder, decoder = (nn.RNN(8, 8, batch_first=True) for _ in range(2))
    output = nn.Linear(8, 12)
    drawn = [weight for module in (source, target, encoder, decoder, output) for weight in module.parameters()]
    for parameter, expected in zip(model.parameters(), drawn, strict=True):
        assert torch.equal(parameter, expected)


def test_recurrences_begin_orthogonal_or_as_the_identity_gate_by_gate() -> None:
    for name in ("VanillaRNN", "GRU", "LSTM"):
        for module in ("encoder", "decoder"):
            orthogonal = getattr(make(name, {"recurrent_init": "orthogonal"}), module)
            identity = getattr(make(name, {"recurrent_init": "identity"}), module)
            orthogonal, identity = (getattr(model, "layers", model) for model in (orthogonal, identity))
            for gate in orthogonal.weight_hh_l0.split(8):
                torch.testing.assert_close(gate @ gate.T, torch.eye(8), atol=1e-5, rtol=0)
            assert torch.equal(identity.weight_hh_l0, torch.eye(8).repeat(len(identity.weight_hh_l0) // 8, 1))
            assert not identity.bias_ih_l0.any()
            assert not identity.bias_hh_l0.any()


def test_the_biases_of_a_forget_gate_sum_to_the_option_and_the_others_stay() -> None:
    plain, biased = make("LSTM").encoder.layers, make("LSTM", {"forget_bias": 1.5}).encoder.layers
    forget = slice(8, 16)
    assert ((biased.bias_ih_l0 + biased.bias_hh_l0)[forget] == 1.5).all()
    others = torch.ones(32, dtype=torch.bool)
    others[forget] = False
    assert torch.equal(biased.bias_ih_l0[others], plain.bias_ih_l0[others])
    with pytest.raises(ValueError, match=r"model\.forget_bias: 1\.0 needs an LSTM's forget gate"):
        make("GRU", {"forget_bias": 1.0})


def test_rectified_units_step_as_they_are_fused() -> None:
    model, batch = make("VanillaRNN", {"nonlinearity": "relu", "recurrent_init": "identity"}), random_batch([(5, 2)])
    state = None
    for position in range(5):
        state = model.transition(batch.source, batch.source_lengths, torch.tensor([position]), state)
    assert state is not None
    torch.testing.assert_close(state[0], model.encode(batch.source, batch.source_lengths).final[0])
    assert float(state[0].detach().min()) >= 0
