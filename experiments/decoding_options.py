"""How a trained model produces text: the options of a decoder, and the decoder they name."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from lit_models import LitSeq2Seq
from lit_models.decoding import Hypotheses, beam_search, sample
from lit_models.minimum_bayes_risk import minimum_bayes_risk

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
        seed: of sampling.
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
        if not 0 < self.top_p <= 1:
            raise ValueError(f"decoding.top_p: {self.top_p} must lie in (0, 1]")

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
    n_best: int,
    text_of: Callable[[list[int]], str],
) -> Hypotheses:
    """Hypotheses for a batch, best first.

    Args:
        model: in evaluation mode.
        source: (B, S) token ids.
        source_lengths: (B,)
        limits: (B,) most tokens of each, EOS included.
        decoding: which decoder.
        n_best: hypotheses wanted a sentence, N; greedy has one.
        text_of: the text of token ids, for the utility of mbr.

    Returns:
        (B, N, T) tokens; their scores are length-normalised log-probabilities (beam), log-probabilities (greedy,
        sample) or expected utilities (mbr).
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
        )
    samples = decoding.samples if decoding.method == "mbr" else n_best
    # Sampling on the CPU generator would tie every device to one order of draws; each has its own.
    generator = torch.Generator(device=source.device).manual_seed(decoding.seed)
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
    return drawn if decoding.method == "sample" else _by_expected_utility(drawn, decoding, n_best, text_of)


def _by_expected_utility(
    drawn: Hypotheses, decoding: Decoding, n_best: int, text_of: Callable[[list[int]], str]
) -> Hypotheses:
    """The samples of each sentence with the highest expected utility, each text once."""
    winners, utilities = [], []
    for sentence in drawn.tokens.tolist():
        texts = [text_of(tokens) for tokens in sentence]
        _, expected = minimum_bayes_risk(texts, decoding.utility)
        first = list({text: place for place, text in reversed(list(enumerate(texts)))}.values())
        order = sorted(first, key=lambda place: -expected[place])
        order = (order + order[:1] * n_best)[:n_best]  # fewer different texts than wanted: the best again
        winners.append(order)
        utilities.append([expected[place] for place in order])
    chosen = torch.tensor(winners, device=drawn.tokens.device)
    tokens = drawn.tokens.gather(1, chosen[..., None].expand(-1, -1, drawn.tokens.shape[2]))
    return Hypotheses(
        tokens, torch.tensor(utilities, device=drawn.scores.device), drawn.log_probabilities.gather(1, chosen)
    )
