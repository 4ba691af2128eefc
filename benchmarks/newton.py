"""What it costs to solve a GRU or an LSTM for all steps at once, by Newton's method, beside its own loop.

    python -m benchmarks.newton --lengths 32 128 512
    python -m benchmarks.newton --checkpoint runs/bottleneck/GRU-copy-L20-s0-4cdff8c5/checkpoints/best.ckpt

The states of a sequence are the root of h_t - f(h_{t-1}, x_t) = 0 for all t. A step of Newton's method puts the line
J_t h_{t-1} + (f(h_{t-1}, x_t) - J_t h_{t-1}) in the place of f, with J_t its Jacobian at the last guess, and solves for
all states by a scan of matrices (Lim et al. 2024, "Parallelizing non-linear sequential models over the sequence
length", arXiv:2309.12252: DEER). With the diagonal of J_t alone the scan is element by element, and the steps are no
longer Newton's (Gonzalez et al. 2024, arXiv:2407.19115: quasi-DEER).

Times are of the processor, of the forward pass alone.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_models.layers.scan import plain_scan, scan_matrices

Linearised = Callable[[Tensor], tuple[Tensor, Tensor]]
# (B, T, K) states before -> (B, T, K) states after, and (B, T, K, K) Jacobians or (B, T, K) their diagonals.
TOLERANCE = 1e-4  # greatest change of a state between two steps of the method, at which it ends
MOST = 100  # steps of the method


def linearised_gru(layer: nn.GRU | nn.LSTM, inputs: Tensor, diagonal: bool) -> Linearised:
    """One step of a GRU from every state, and its Jacobian. K is the hidden size.

    Args:
        layer: one layer, one direction.
        inputs: (B, T, D).
        diagonal: whether to take the diagonals of the Jacobians alone.
    """
    w = dict(layer.named_parameters())
    given = F.linear(inputs, w["weight_ih_l0"], w["bias_ih_l0"]).chunk(3, dim=-1)
    by_reset, by_update, by_new = (_scaled(part, diagonal) for part in w["weight_hh_l0"].chunk(3))

    def step(before: Tensor) -> tuple[Tensor, Tensor]:
        recurrent = F.linear(before, w["weight_hh_l0"], w["bias_hh_l0"]).chunk(3, dim=-1)
        r, z = (torch.sigmoid(x + h) for x, h in zip(given[:2], recurrent[:2], strict=True))
        n = torch.tanh(given[2] + r * recurrent[2])
        through_new = (1 - z) * (1 - n * n)
        jacobians = (
            (z if diagonal else torch.diag_embed(z))
            + by_update((before - n) * z * (1 - z))
            + by_new(through_new * r)
            + by_reset(through_new * recurrent[2] * r * (1 - r))
        )
        return (1 - z) * n + z * before, jacobians

    return step


def linearised_lstm(layer: nn.GRU | nn.LSTM, inputs: Tensor, diagonal: bool) -> Linearised:
    """As `linearised_gru` for an LSTM. K is twice the hidden size: the hidden state, then the cell."""
    w = dict(layer.named_parameters())
    given = F.linear(inputs, w["weight_ih_l0"], w["bias_ih_l0"])
    by_input, by_forget, by_new, by_output = (_scaled(part, diagonal) for part in w["weight_hh_l0"].chunk(4))

    def step(before: Tensor) -> tuple[Tensor, Tensor]:
        hidden, cell = before.chunk(2, dim=-1)
        gates = (given + F.linear(hidden, w["weight_hh_l0"], w["bias_hh_l0"])).chunk(4, dim=-1)
        i, f, o = (torch.sigmoid(gates[place]) for place in (0, 1, 3))
        g = torch.tanh(gates[2])
        after = f * cell + i * g
        seen = torch.tanh(after)
        through = o * (1 - seen * seen)
        cell_by_hidden = by_forget(cell * f * (1 - f)) + by_input(g * i * (1 - i)) + by_new(i * (1 - g * g))
        hidden_by_output = by_output(seen * o * (1 - o))
        if diagonal:
            return torch.cat([o * seen, after], dim=-1), torch.cat([hidden_by_output + through * cell_by_hidden, f], -1)
        hidden_by_hidden = hidden_by_output + through[..., None] * cell_by_hidden
        upper = torch.cat([hidden_by_hidden, torch.diag_embed(through * f)], dim=-1)
        lower = torch.cat([cell_by_hidden, torch.diag_embed(f)], dim=-1)
        return torch.cat([o * seen, after], dim=-1), torch.cat([upper, lower], dim=-2)

    return step


def _scaled(weight: Tensor, diagonal: bool) -> Callable[[Tensor], Tensor]:
    """(…, K) -> diag(it) W, or the diagonal of that."""
    return (lambda rows: rows * weight.diagonal()) if diagonal else (lambda rows: rows[..., None] * weight)


def solve(step: Linearised, initial: Tensor, length: int) -> tuple[Tensor, int]:
    """All states, from zeros as the first guess.

    Args:
        step: the recurrence with its Jacobians or their diagonals.
        initial: (B, K) the state before the first step.
        length: T.

    Returns:
        (B, T, K) states, and how many steps the method took, at most `MOST`.
    """
    states = initial.new_zeros(len(initial), length, initial.shape[-1])
    taken, change = 0, float("inf")
    while change > TOLERANCE and taken < MOST:
        before = torch.cat([initial[:, None], states[:, :-1]], dim=1)
        after, jacobians = step(before)
        if jacobians.dim() == states.dim():
            following = plain_scan(jacobians, after - jacobians * before, initial)
        else:
            summands = after[..., None] - jacobians @ before[..., None]
            following = scan_matrices(jacobians, summands, initial[..., None]).squeeze(-1)
        change = (following - states).abs().max().item()
        states, taken = following, taken + 1
    return states, taken


def _seconds(run: Callable[[], object], repeats: int) -> float:
    """The median processor time of a run, after one that warms up."""
    run()
    spent = []
    for _ in range(repeats):
        begun = time.process_time()
        run()
        spent.append(time.process_time() - begun)
    return statistics.median(spent)


@torch.no_grad()
def main() -> None:
    """Print a line for each cell, length and method."""
    parser = argparse.ArgumentParser(description="Solve recurrences by Newton's method and by their loop.")
    parser.add_argument("--lengths", type=int, nargs="+", default=[32, 128, 512], help="(default: 32 128 512)")
    parser.add_argument("--hidden_size", type=int, default=86, help="(default: 86, a GRU of 100,000 parameters)")
    parser.add_argument("--batch_size", type=int, default=16, help="(default: 16)")
    parser.add_argument("--repeats", type=int, default=5, help="of each time (default: 5)")
    parser.add_argument("--checkpoint", type=Path, help="of a GRU or LSTM of one layer, whose encoder is solved")
    options = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    kinds: dict[str, tuple[type[nn.GRU] | type[nn.LSTM], Callable[..., Linearised], int]] = {
        "GRU": (nn.GRU, linearised_gru, 1), "LSTM": (nn.LSTM, linearised_lstm, 2),
    }  # fmt: skip
    size = options.hidden_size
    encoder, table = {}, torch.randn(32, size)
    if options.checkpoint is not None:
        weights = torch.load(options.checkpoint, map_location="cpu", weights_only=True)["state_dict"]
        table, prefix = weights["source_embedding.weight"], "encoder.layers."
        encoder = {name.removeprefix(prefix): value for name, value in weights.items() if prefix in name}
        gates, size = encoder["weight_hh_l0"].shape
        kinds = {name: kind for name, kind in kinds.items() if gates == {"GRU": 3, "LSTM": 4}[name] * size}
    print("cell  length  method    steps  greatest error  seconds  times the loop")
    for name, (layer_class, linearised, parts) in kinds.items():
        layer = layer_class(size, size, batch_first=True)
        layer.load_state_dict(encoder or layer.state_dict())
        for length in options.lengths:
            inputs = table[torch.randint(len(table), (options.batch_size, length))]
            initial = torch.zeros(options.batch_size, parts * size)
            expected = layer(inputs)[0]
            loop = _seconds(lambda: layer(inputs), options.repeats)  # noqa: B023
            print(f"{name:4}  {length:6}  loop                                 {loop:7.4f}  {1:14.1f}")
            for method in ("newton", "diagonal"):

                def run() -> tuple[Tensor, int]:
                    return solve(linearised(layer, inputs, method == "diagonal"), initial, length)  # noqa: B023

                states, steps = run()
                error = (states[..., :size] - expected).abs().max().item()
                spent = _seconds(run, max(1, options.repeats // 2))
                print(f"{name:4}  {length:6}  {method:8}  {steps:5}  {error:14.1e}  {spent:7.4f}  {spent / loop:14.1f}")


if __name__ == "__main__":
    main()
