"""One training on scikit-learn's digits: the data and its split, the recipe, and what it comes to."""

import time
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor
from torch.nn.functional import cross_entropy

from kernels import BottleneckNet

from .variants import Variant

HELD_OUT = 599
SPLIT_SEED = 0
SPLIT = (
    f"scikit-learn's digits, 1797 images of 8×8 pixels: {1797 - HELD_OUT} to train on, {HELD_OUT} held out, drawn once "
    f"by train_test_split(test_size={HELD_OUT}, stratify=labels, random_state={SPLIT_SEED}), the same for every seed"
)


@dataclass(frozen=True)
class Recipe:
    """How every network is trained: AdamW, its rate rising to `peak_rate` and falling to 0 over all steps."""

    epochs: int = 10
    batch: int = 32
    peak_rate: float = 0.02
    rising_share: float = 0.15
    weight_decay: float = 0.05

    def __str__(self) -> str:
        """The recipe in words."""
        return (
            f"{self.epochs} epochs in batches of {self.batch}, AdamW with a weight decay of {self.weight_decay:g}, its "
            f"rate rising to {self.peak_rate:g} in the first {self.rising_share:.0%} of the steps and falling to 0 "
            "along a cosine, no augmentation; the same for every variant"
        )


@dataclass(frozen=True)
class Digits:
    """Images (N, 1, 8, 8) in −1 to 1 and labels (N,), to train on and held out."""

    images: Tensor
    labels: Tensor
    held_out_images: Tensor
    held_out_labels: Tensor


@cache
def digits() -> Digits:
    """The data set that scikit-learn ships, split as `SPLIT` says."""
    data = load_digits()
    parts = train_test_split(
        data.images, data.target, test_size=HELD_OUT, stratify=data.target, random_state=SPLIT_SEED
    )
    images, held_out_images = (torch.as_tensor(part, dtype=torch.float32).unsqueeze(1) / 8 - 1 for part in parts[:2])
    labels, held_out_labels = (torch.as_tensor(part) for part in parts[2:])
    return Digits(images, labels, held_out_images, held_out_labels)


def fit(network: BottleneckNet, data: Digits, recipe: Recipe, seed: int, steps: int | None = None) -> list[float]:
    """Train the network in batches whose order is the seed's, and return the loss of each step.

    `steps` ends the training early, with the rates of a whole one.
    """
    batches = len(data.labels) // recipe.batch
    optimizer = torch.optim.AdamW(network.parameters(), lr=recipe.peak_rate, weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.peak_rate, total_steps=batches * recipe.epochs, pct_start=recipe.rising_share
    )
    order = torch.Generator().manual_seed(seed)
    losses: list[float] = []
    network.train()
    for _ in range(recipe.epochs):
        # The images left over differ from epoch to epoch: a batch of another size would be another problem to compile.
        for batch in torch.randperm(len(data.labels), generator=order).split(recipe.batch)[:batches]:
            if len(losses) == steps:
                return losses
            loss = cross_entropy(network(data.images[batch]), data.labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
    return losses


def train(variant: Variant, seed: int, recipe: Recipe, implementation: str) -> dict[str, Any]:
    """Train one network from one seed and return its row: right answers, losses, size and seconds.

    The seed draws the parameters and the batches' order; nothing else is random.
    """
    start, data = time.monotonic(), digits()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = variant.network(implementation)
    fit(network, data, recipe, seed)
    network.eval()
    with torch.no_grad():
        answers = _answers(network, data.held_out_images, recipe.batch)
        training_answers = _answers(network, data.images, recipe.batch)
    return {
        "correct": _correct(answers, data.held_out_labels),
        "held_out": len(data.held_out_labels),
        "accuracy": _correct(answers, data.held_out_labels) / len(data.held_out_labels),
        "loss": cross_entropy(answers, data.held_out_labels).item(),
        "train_accuracy": _correct(training_answers, data.labels) / len(data.labels),
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "seconds": time.monotonic() - start,
    }


def _answers(network: BottleneckNet, images: Tensor, batch: int) -> Tensor:
    """The network's (N, 10), in batches as in training, as another size would be another problem to compile."""
    filled = torch.cat([images, images[: -len(images) % batch]])
    return torch.cat([network(part) for part in filled.split(batch)])[: len(images)]


def _correct(answers: Tensor, labels: Tensor) -> int:
    return int((answers.argmax(1) == labels).sum())
