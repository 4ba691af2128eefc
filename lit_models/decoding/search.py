"""Free-running decoding, written once against the contract `Seq2Seq`.

Shapes: B sequences, N hypotheses a sequence that are returned, K hypotheses a sequence that are open, S source
positions, T longest length allowed (EOS included), V target vocabulary, C continuations considered.

What has ended leaves the computation. Whether anything has is looked at after every step on a CPU. Another device would
have to be waited for: there it is looked at every so many steps, and until then what has ended produces PAD.

PAD and BOS are never produced; they keep their share of the probability all the same, so that every probability is the
model's own, which a teacher-forced pass confirms.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from data.batch import BOS, EOS, PAD
from lit_models.contract import Seq2Seq
from lit_models.kernels.packed import packed_linear_layers

LOOK_EVERY = {"cpu": 1}  # steps between two looks at what has ended
LOOK_EVERY_ELSEWHERE = 16


class Hypotheses(NamedTuple):
    """Several outputs for each source.

    Attributes:
        tokens: (B, N, T) token ids with EOS, PAD behind it; no EOS where the limit came first.
        scores: (B, N) what they are ranked by.
        log_probabilities: (B, N) log p(tokens | source) in nats.
    """

    tokens: Tensor
    scores: Tensor
    log_probabilities: Tensor


def greedy(
    model: Seq2Seq, source: Tensor, source_lengths: Tensor, max_lengths: int | Tensor, length_forced: bool = False
) -> Tensor:
    """The most probable token at every step, given the tokens chosen before.

    Args:
        model: in evaluation mode, unless dropout is wanted.
        source: (B, S) token ids.
        source_lengths: (B,)
        max_lengths: most target tokens, EOS included: one number, or (B,) one for each row.
        length_forced: EOS is barred, so that each row has exactly as many tokens as its limit says (the oracle length
            of Newman et al. 2020, arXiv:2010.07174).

    Returns:
        (B, T) token ids with EOS, PAD behind it; no EOS where the limit came first.

    Raises:
        ValueError: a limit below 1.
    """
    limits, values = _limits(max_lengths, source)
    tokens = source.new_full((len(source), max(values)), PAD)
    with torch.inference_mode(), packed_linear_layers(model, len(source)):
        rows = torch.arange(len(source), device=source.device)
        token = source.new_full((len(source),), BOS)
        ended = torch.zeros_like(token, dtype=torch.bool)
        state = model.start(model.encode(source, source_lengths))
        for position in range(tokens.shape[1]):
            logits, state, _ = model.step(token, state)
            token = _highest(_producible(logits, length_forced), 1)[1].squeeze(1) + EOS
            token = token.masked_fill(ended, PAD)
            tokens[rows, position] = token
            ended = ended | (token == EOS) | (limits[rows] == position + 1)
            if not _is_time_to_look(position, tokens):
                continue
            open_rows, _ = _open_first(ended)
            if len(open_rows) == 0:
                break
            if len(open_rows) < len(token):
                rows, token, ended = rows[open_rows], token[open_rows], ended[open_rows]
                state = model.select_rows(state, open_rows)
    return tokens


def sample(
    model: Seq2Seq,
    source: Tensor,
    source_lengths: Tensor,
    max_lengths: int | Tensor,
    samples: int = 1,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    generator: torch.Generator | None = None,
) -> Hypotheses:
    """Sequences drawn token by token from the model (ancestral sampling), or from its distribution cut short.

    The temperature comes first, then top_k (Fan et al. 2018), then top_p (Holtzman et al. 2020) of what is left.

    Args:
        model: in evaluation mode, unless dropout is wanted.
        source: (B, S) token ids.
        source_lengths: (B,)
        max_lengths: most target tokens, EOS included: one number, or (B,) one for each row.
        samples: N, sequences drawn for each source.
        temperature: what logits are divided by; below 1 sharpens.
        top_k: draw from the k most probable tokens; 0 from all.
        top_p: draw from the fewest tokens that hold this much probability; 1 from all.
        generator: where the randomness comes from, on the device of the source; None takes torch's own.

    Returns:
        N = `samples` hypotheses in the order drawn. Their scores are their log-probabilities under the model itself,
        whatever temperature, top_k and top_p they were drawn with.

    Raises:
        ValueError: an option out of range; the message names it.
    """
    _require(samples >= 1, "samples", samples, "must be at least 1")
    _require(temperature > 0, "temperature", temperature, "must be above 0")
    _require(top_k >= 0, "top_k", top_k, "must be at least 0")
    _require(0 < top_p <= 1, "top_p", top_p, "must lie in (0, 1]")
    limits, values = _limits(max_lengths, source)
    limits = limits[:, None].expand(-1, samples).flatten()
    tokens = source.new_full((len(source) * samples, max(values)), PAD)
    log_probabilities = torch.zeros(len(tokens), device=source.device)
    with torch.inference_mode(), packed_linear_layers(model, len(source)):
        rows = torch.arange(len(tokens), device=source.device).view(-1, samples)  # (B, K) where each row's output goes
        state = model.start(model.encode(source, source_lengths))
        state = model.select_hypotheses(state, rows.flatten() // samples)
        token = source.new_full((len(tokens),), BOS)
        ended = torch.zeros_like(rows, dtype=torch.bool)
        for position in range(tokens.shape[1]):
            logits, state, _ = model.step(token, state)
            token = _draw(logits.float() / temperature, top_k, top_p, generator)
            places, gone = rows.flatten(), ended.flatten()
            chosen = logits.gather(1, token[:, None]).squeeze(1).float() - logits.float().logsumexp(dim=-1)
            log_probabilities[places] += chosen.masked_fill(gone, 0.0)
            tokens[places, position] = token.masked_fill(gone, PAD)
            ended = (gone | (token == EOS) | (limits[places] == position + 1)).view_as(rows)
            if not _is_time_to_look(position, tokens):
                continue
            sentences, selected = _unfinished(ended)
            if selected.numel() == 0:
                break
            if selected.numel() < ended.numel():
                state = model.select_hypotheses(state, selected.flatten(), sentences)
                token, rows, ended = token[selected.flatten()], places[selected], ended.flatten()[selected]
    tokens, log_probabilities = tokens.unflatten(0, (-1, samples)), log_probabilities.unflatten(0, (-1, samples))
    return Hypotheses(tokens, log_probabilities, log_probabilities)


def beam_search(
    model: Seq2Seq,
    source: Tensor,
    source_lengths: Tensor,
    max_lengths: int | Tensor,
    beam_size: int = 5,
    length_penalty: float = 1.0,
    n_best: int = 1,
    length_forced: bool = False,
) -> Hypotheses:
    """The best sequences a beam finds, ranked by log-probability over a power of their length.

        s(y) = log p(y) / ((5 + |y|) / 6)^alpha        (Wu et al. 2016, equation 14, without coverage)

    |y| counts EOS. At every step the K best continuations of all open hypotheses are kept; those that end in EOS are
    ended, the others stay open. A sentence is finished where no open hypothesis can still beat its n_best-th ended
    one. That is exact: log p never grows, so an open hypothesis scores at most its log p over the normaliser of the
    longest length allowed. Hypotheses cut off by the limit are ranked with the ended ones only where fewer than
    n_best have ended.

    Args:
        model: in evaluation mode, unless dropout is wanted.
        source: (B, S) token ids.
        source_lengths: (B,)
        max_lengths: most target tokens, EOS included: one number, or (B,) one for each row.
        beam_size: K, hypotheses kept a step; with 1 the result is that of `greedy`.
        length_penalty: alpha; 0 ranks by log-probability, more favours longer sequences.
        n_best: N, hypotheses returned.
        length_forced: EOS is barred, as in `greedy`.

    Returns:
        N = `n_best` hypotheses, best first. Where fewer than N sequences exist the rest is PAD with a score of -inf.

    Raises:
        ValueError: an option out of range; the message names it.
    """
    _require(beam_size >= 1, "beam_size", beam_size, "must be at least 1")
    _require(length_penalty >= 0, "length_penalty", length_penalty, "must be at least 0")
    _require(n_best >= 1, "n_best", n_best, "must be at least 1")
    _require(n_best <= beam_size, "n_best", n_best, f"must be at most decoding.beam_size, which is {beam_size}")
    limits, values = _limits(max_lengths, source)
    results = _nothing(source, n_best, max(values))
    with torch.inference_mode(), packed_linear_layers(model, len(source)):
        sentences = torch.arange(len(source), device=source.device)
        finished = torch.zeros_like(sentences, dtype=torch.bool)
        ended = _nothing(source, n_best, max(values))
        tokens = ended.tokens[:, :1]  # (B, K, T) of the open hypotheses: one empty one
        log_p = torch.zeros(tokens.shape[:2], device=source.device)  # (B, K)
        token = source.new_full((len(source),), BOS)
        state = model.start(model.encode(source, source_lengths))
        for length in range(1, tokens.shape[2] + 1):
            logits, state, _ = model.step(token, state)
            width = log_p.shape[1]
            log_p, parents, chosen = _continue(log_p, logits, beam_size, length_forced)
            tokens = _select_hypotheses(tokens, parents)
            tokens[:, :, length - 1] = chosen
            scores = log_p / _normaliser(length, length_penalty)
            ends = chosen == EOS
            ended = _best(ended, Hypotheses(tokens, scores.masked_fill(~ends, -torch.inf), log_p))
            log_p = log_p.masked_fill(ends, -torch.inf)

            to_beat, limit = ended.scores[:, -1], limits[sentences]
            finished = finished | (to_beat >= log_p.amax(dim=1) / _normaliser(limit, length_penalty))
            if length in values:
                cut = limit == length
                counts = (cut & to_beat.isneginf())[:, None] & ~ends
                ended = _best(ended, Hypotheses(tokens, scores.masked_fill(~counts, -torch.inf), log_p))
                finished = finished | cut
            log_p = log_p.masked_fill(finished[:, None], -torch.inf)  # no more of it will ever end
            kept, select = torch.arange(len(sentences), device=source.device), None
            if _is_time_to_look(length - 1, tokens):
                kept, gone = _open_first(finished)
                if len(gone) > 0:
                    select = kept
                    for result, of_open in zip(results, ended, strict=True):
                        result[sentences[gone]] = of_open[gone]
                if len(kept) == 0:
                    break
            rows = (kept[:, None] * width + parents[kept]).flatten()
            state = model.select_hypotheses(state, rows, select)
            token, log_p, tokens = chosen[kept].flatten(), log_p[kept], tokens[kept]
            sentences, finished, ended = sentences[kept], finished[kept], Hypotheses(*(part[kept] for part in ended))
    missing = results.scores.isneginf()
    return results._replace(
        tokens=results.tokens.masked_fill(missing[:, :, None], PAD),
        log_probabilities=results.log_probabilities.masked_fill(missing, -torch.inf),
    )


def _require(condition: bool, option: str, value: object, message: str) -> None:
    if not condition:
        raise ValueError(f"decoding.{option}: {value} {message}")


def _is_time_to_look(position: int, tokens: Tensor) -> bool:
    """Whether to look at what has ended behind a step, the first of which is at position 0; always behind the last."""
    every = LOOK_EVERY.get(tokens.device.type, LOOK_EVERY_ELSEWHERE)
    return (position + 1) % every == 0 or position + 1 == tokens.shape[-1]


def _open_first(ended: Tensor) -> tuple[Tensor, Tensor]:
    """(B,) which rows have ended -> those that have not, and those that have, each in order; one wait."""
    order, open_ones = ended.int().argsort(stable=True), int((~ended).sum())
    return order[:open_ones], order[open_ones:]


def _limits(max_lengths: int | Tensor, source: Tensor) -> tuple[Tensor, set[int]]:
    """(B,) most tokens of each row, and the same as numbers."""
    limits = torch.as_tensor(max_lengths)
    _require(
        limits.shape in ((), (len(source),)),
        "max_lengths",
        tuple(limits.shape),
        f"must be one number or one for each of {len(source)} rows",
    )
    values: set[int] = set(limits.flatten().tolist())
    _require(min(values) >= 1, "max_lengths", min(values), "must be at least 1")
    if limits.dim() == 0:
        return source.new_full((len(source),), max(values)), values
    return limits.to(source.device), values


def _producible(logits: Tensor, without_end: bool = False) -> Tensor:
    """(R, V) -> (R, V - 2) without PAD and BOS, the two ids below EOS: the first column is EOS, -inf if barred."""
    producible = logits[:, EOS:]
    if without_end:
        producible = producible.clone()
        producible[:, 0] = -torch.inf
    return producible


def _highest(values: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """(R, V) -> the `count` highest values of each row and where they are, (R, count) each, highest first.

    Looks only into the groups of eight with the highest maxima, which is twice as fast as torch's `topk` on a CPU.
    """
    members, groups = 8, values.shape[1] // 8
    if groups < 8 * count:
        return values.topk(count)
    grouped = values[:, : members * groups].unflatten(1, (members, groups))  # strided, so that the maximum vectorises
    chosen = grouped.amax(dim=1).topk(count).indices  # (R, count)
    places = (chosen[:, None, :] + groups * torch.arange(members, device=values.device)[:, None]).flatten(1)
    rest = torch.arange(members * groups, values.shape[1], device=values.device).expand(len(values), -1)
    places = torch.cat([places, rest], dim=1)  # (R, 8 count + rest)
    highest, index = values.gather(1, places).topk(count)
    return highest, places.gather(1, index)


def _draw(logits: Tensor, top_k: int, top_p: float, generator: torch.Generator | None) -> Tensor:
    """(R, V) logits -> (R,) tokens drawn from their softmax, cut to the top k and then to the top p."""
    logits = _producible(logits).float()
    if top_k == 0 and top_p == 1:
        return _drawn(logits.softmax(dim=-1), generator) + EOS
    best, ids = logits.topk(min(top_k or logits.shape[1], logits.shape[1]))  # (R, C), sorted
    probabilities = best.softmax(dim=-1)
    if top_p < 1:
        before = probabilities.cumsum(dim=-1).roll(1, dims=-1)
        before[:, 0] = 0.0
        probabilities = probabilities.masked_fill(before >= top_p, 0.0)
    return ids.gather(1, _drawn(probabilities, generator)[:, None]).squeeze(1) + EOS


def _drawn(probabilities: Tensor, generator: torch.Generator | None) -> Tensor:
    """(R, C) -> (R,) one of the columns, as torch.multinomial draws it, without its checks, which wait."""
    return (probabilities / torch.empty_like(probabilities).exponential_(generator=generator)).argmax(dim=1)


def _unfinished(ended: Tensor) -> tuple[Tensor, Tensor]:
    """(B, K) which hypotheses have ended -> (B',) the sentences with open ones, and (B', K') flat indices of these.

    K' is the most that any sentence has open; ended ones fill the places of sentences with fewer.
    """
    counts = (~ended).sum(dim=1)
    alive, most = torch.stack([(counts > 0).sum(), counts.max()]).tolist()  # one wait for both
    sentences = (counts == 0).int().argsort(stable=True)[:alive]
    order = ended[sentences].int().argsort(dim=1, stable=True)[:, :most]
    return sentences, sentences[:, None] * ended.shape[1] + order


def _nothing(source: Tensor, n_best: int, longest: int) -> Hypotheses:
    """No hypotheses: PAD with scores of -inf."""
    scores = torch.full((len(source), n_best), -torch.inf, device=source.device)
    return Hypotheses(source.new_full((len(source), n_best, longest), PAD), scores, scores.clone())


def _continue(log_p: Tensor, logits: Tensor, beam_size: int, without_end: bool) -> tuple[Tensor, Tensor, Tensor]:
    """The best continuations of each sentence.

    Args:
        log_p: (B, K) of the open hypotheses; -inf for those that have ended.
        logits: (B x K, V) of their next tokens.
        beam_size: how many to keep.
        without_end: EOS is barred.

    Returns:
        (B, beam_size) log-probabilities, best first; which of the K each continues; the token. Fewer columns where
        there are fewer continuations.
    """
    # Chosen by their logits: rounding can make two log-probabilities equal, and greedy decoding would disagree.
    choices = logits.shape[1] - EOS - without_end
    _, ids = _highest(_producible(logits, without_end), min(beam_size, choices))  # (B x K, C)
    steps = logits.float().log_softmax(dim=-1).gather(1, ids + EOS)
    totals = (log_p.flatten()[:, None] + steps).view(len(log_p), -1)  # (B, K x C)
    totals, index = totals.topk(min(beam_size, totals.shape[1]))
    return totals, index // ids.shape[1], ids.view(len(log_p), -1).gather(1, index) + EOS


def _best(ended: Hypotheses, others: Hypotheses) -> Hypotheses:
    """The best of both, best first, as many as `ended` has."""
    scores, index = torch.cat([ended.scores, others.scores], dim=1).topk(ended.scores.shape[1])
    tokens = _select_hypotheses(torch.cat([ended.tokens, others.tokens], dim=1), index)
    log_p = torch.cat([ended.log_probabilities, others.log_probabilities], dim=1).gather(1, index)
    return Hypotheses(tokens, scores, log_p)


def _select_hypotheses(tokens: Tensor, index: Tensor) -> Tensor:
    """(B, K, T), (B, K') -> (B, K', T)"""
    return tokens.gather(1, index[:, :, None].expand(-1, -1, tokens.shape[2]))


def _normaliser(length: int | Tensor, alpha: float) -> float | Tensor:
    """((5 + length) / 6)^alpha"""
    return ((5 + length) / 6) ** alpha
