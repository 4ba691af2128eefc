"""How a trained model produces text: the options of a decoder, and the decoder they name."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from data.batch import PAD
from lit_models import LitSeq2Seq
from lit_models.decoding.minimum_bayes_risk import minimum_bayes_risk
from lit_models.decoding.search import Hypotheses, beam_search, sample

LEAST_TEMPERATURE = 1e-6  # far below, a logit divided by it is no finite number
MOST_HYPOTHESES = 10_000  # of one sentence at a time; more fill any memory


@dataclass(frozen=True)
class Decoding:
    """The options of a decoder.

    Attributes:
        method: beam search; greedy; one random sample; or mbr, the sample with the highest expected utility against
            the others (Kumar & Byrne 2004; Eikema & Aziz 2020).
        beam_size: open hypotheses of a beam search.
        length_penalty: alpha of Wu et al. 2016: scores are divided by ((5 + length) / 6)^alpha.
        temperature: of sampling; below 1 sharper than the model, above 1 flatter.
        top_k: sample from that many most probable tokens; 0 from all.
        top_p: sample from the fewest tokens that hold so much probability (nucleus, Holtzman et al. 2020).
        samples: samples of mbr.
        utility: what mbr maximises: chrf or bleu.
        seed: of sampling, of a run as a whole: what is drawn for a sentence depends on its batch and those before.
    """

    method: Literal["beam", "greedy", "sample", "mbr"] = "beam"
    beam_size: int = 5
    length_penalty: float = 1.0
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    samples: int = 20
    utility: Literal["chrf", "bleu"] = "chrf"
    seed: int = 0

    def __post_init__(self) -> None:
        """Raises ValueError for an option out of range; the message names it."""
        for option in ("length_penalty", "temperature", "top_p"):
            if not math.isfinite(getattr(self, option)):
                raise ValueError(f"decoding.{option}: {getattr(self, option)} is not a finite number")
        least = {"beam_size": 1, "length_penalty": 0, "top_k": 0, "samples": 1, "seed": 0}
        for option, bound in least.items():
            if getattr(self, option) < bound:
                raise ValueError(f"decoding.{option}: {getattr(self, option)} must be at least {bound}")
        for option, bound in {"beam_size": MOST_HYPOTHESES, "samples": MOST_HYPOTHESES, "seed": 2**63 - 1}.items():
            if getattr(self, option) > bound:
                raise ValueError(f"decoding.{option}: {getattr(self, option)} must be at most {bound}")
        if self.temperature <= 0:
            raise ValueError(f"decoding.temperature: {self.temperature} must be above 0")
        if self.temperature < LEAST_TEMPERATURE:
            raise ValueError(
                f"decoding.temperature: {self.temperature} must be at least {LEAST_TEMPERATURE}; the limit is greedy"
            )
        if not 0 < self.top_p <= 1:
            raise ValueError(f"decoding.top_p: {self.top_p} must lie in (0, 1]")

    def generator(self, device: torch.device) -> torch.Generator:
        """The randomness of a run; each device has its own order of draws."""
        return torch.Generator(device=device).manual_seed(self.seed)

    def __str__(self) -> str:
        if self.method == "greedy":
            return "greedy"
        if self.method == "beam":
            return f"beam {self.beam_size}, length penalty {self.length_penalty:g}"
        drawn = f"temperature {self.temperature:g}"
        drawn += f", top-k {self.top_k}" if self.top_k else ""
        drawn += f", top-p {self.top_p:g}" if self.top_p < 1 else ""
        if self.method == "sample":
            return f"sample, {drawn}, seed {self.seed}"
        return f"mbr over {self.samples} samples, {self.utility}, {drawn}, seed {self.seed}"


@torch.no_grad()
def decode(
    model: LitSeq2Seq,
    source: Tensor,
    source_lengths: Tensor,
    limits: Tensor,
    decoding: Decoding,
    generator: torch.Generator,
    n_best: int,
    text_of: Callable[[list[int]], str],
    length_forced: bool = False,
) -> Hypotheses:
    """Hypotheses for a batch, best first.

    Samples depend on batching: all batches of a run draw from one generator, one after the other, and the sentences
    of a batch side by side.

    Args:
        model: in evaluation mode.
        source: (B, S) token ids.
        source_lengths: (B,)
        limits: (B,) most tokens of each, EOS included.
        decoding: which decoder.
        generator: `decoding.generator`, which sampling draws from.
        n_best: hypotheses wanted a sentence, N; greedy has one.
        text_of: the text of token ids, for the utility of mbr.
        length_forced: EOS is barred, so that each output has as many tokens as its limit; of beam and greedy only.

    Returns:
        (B, N, T) tokens; their scores are length-normalised log-probabilities (beam), log-probabilities (greedy,
        sample) or expected utilities (mbr). Where a sentence has fewer than N, the rest is PAD with a score of -inf.

    Raises:
        ValueError: a length is to be forced on samples.
    """
    if decoding.method in ("beam", "greedy"):  # greedy is a beam of one, which gives it a score
        beam = decoding.method == "beam"
        return beam_search(
            model,
            source,
            source_lengths,
            limits,
            beam_size=max(decoding.beam_size, n_best) if beam else 1,
            length_penalty=decoding.length_penalty if beam else 0.0,
            n_best=n_best,
            length_forced=length_forced,
        )
    if length_forced:
        raise ValueError(f"decoding.method: {decoding.method} cannot force a length; beam and greedy can")
    samples = decoding.samples if decoding.method == "mbr" else n_best
    drawn = sample(
        model,
        source,
        source_lengths,
        limits,
        samples=samples,
        temperature=decoding.temperature,
        top_k=decoding.top_k,
        top_p=decoding.top_p,
        generator=generator,
    )
    if decoding.method == "mbr":
        return _by_expected_utility(drawn, decoding, n_best, text_of)
    return _chosen(drawn, drawn.scores.argsort(dim=1, descending=True, stable=True))


def _by_expected_utility(
    drawn: Hypotheses, decoding: Decoding, n_best: int, text_of: Callable[[list[int]], str]
) -> Hypotheses:
    """The samples of each sentence with the highest expected utility, each text once."""
    winners = torch.zeros(len(drawn.tokens), n_best, dtype=torch.long)
    utilities = torch.full(winners.shape, -torch.inf)
    for row, sentence in enumerate(drawn.tokens.tolist()):
        texts = [text_of(tokens) for tokens in sentence]
        _, expected = minimum_bayes_risk(texts, decoding.utility)
        first = list({text: place for place, text in reversed(list(enumerate(texts)))}.values())
        order = sorted(first, key=lambda place: -expected[place])[:n_best]
        winners[row, : len(order)] = torch.tensor(order)
        utilities[row, : len(order)] = torch.tensor([expected[place] for place in order])
    best = _chosen(drawn, winners.to(drawn.tokens.device))._replace(scores=utilities.to(drawn.scores.device))
    missing = best.scores.isneginf()
    return best._replace(
        tokens=best.tokens.masked_fill(missing[:, :, None], PAD),
        log_probabilities=best.log_probabilities.masked_fill(missing, -torch.inf),
    )


def _chosen(drawn: Hypotheses, places: Tensor) -> Hypotheses:
    """The hypotheses at (B, N) places."""
    tokens = drawn.tokens.gather(1, places[..., None].expand(-1, -1, drawn.tokens.shape[2]))
    return Hypotheses(tokens, drawn.scores.gather(1, places), drawn.log_probabilities.gather(1, places))
