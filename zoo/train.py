"""Train: how long and in what steps a model is trained."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from zoo.plan import Plan
from zoo.strict import LARGEST_SIZE, Count, Field, NonNegative, Positive, Seed, Strict, model_validator

Waiting = Annotated[int, Field(ge=0, le=LARGEST_SIZE)]


class EarlyStopping(Strict):
    """Ends a training when a measurement of the validation split no longer becomes better."""

    metric: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$", max_length=64)] = "loss"
    """What is looked at: "loss", or the name of one of the metrics."""
    mode: Literal["min", "max"] | None = None
    """Whether less or more of it is better; by default what the metric says."""
    patience: Waiting = 5
    """Measurements without improvement that are let pass."""
    min_delta: NonNegative = 0.0
    """By how much a measurement must be better to count."""
    restore_best: bool = True
    """Keep the weights of the best measurement, and not those of the last."""

    @model_validator(mode="after")
    def _a_loss_is_to_fall(self) -> Self:
        if self.metric == "loss" and self.mode == "max":
            raise ValueError('a loss is better when it is less; write "mode": "min", or another metric')
        return self

    def better(self, value: float, best: float | None) -> bool:
        """Return whether a measurement improves on the best so far."""
        if best is None:
            return True
        gain = value - best if self.mode == "max" else best - value
        return gain > self.min_delta


class Train(Strict):
    """How long and in what steps the model is trained."""

    epochs: Count | None = None
    """Passes over the training split; this, or steps."""
    steps: Count | None = None
    """Steps of the whole training, which may end within an epoch; this, or epochs."""
    batch_size: Count
    """Rows in a step; the last step of an epoch takes what is left."""
    drop_last: bool = False
    """Leave out the last step of an epoch where fewer rows are left than batch_size."""
    shuffle: bool = True
    """Draw a new order of the rows for each epoch."""
    sampler: Literal["balanced"] | None = None
    """"balanced": draw each class as often as the others, with replacement, as torch's WeightedRandomSampler does."""
    seed: Seed = 0
    """Seed of the fresh weights, of the order and of dropout."""
    accumulation: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    """Steps whose gradients are averaged before the weights move; so are those that an epoch leaves over."""
    clip_grad_norm: Positive | None = None
    """The largest norm of all gradients together; longer ones are shortened before the weights move."""
    clip_grad_value: Positive | None = None
    """The largest size of a single number of the gradients."""
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    """What the forward pass computes with: "bf16" and "fp16" through torch.autocast, "fp16" with a scaled loss."""
    ema: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Decay of a running mean of the weights; the mean is measured, kept and exported in place of the weights."""
    evaluate_every: Count | None = None
    """Steps from one measurement to the next; one more comes at the end. Without it, the end of each epoch."""
    log: tuple[Literal["csv", "tensorboard"], ...] = ()
    """Where else the measurements are written: "csv": metrics.csv in the run; "tensorboard": event files in its
    tensorboard/, for `tensorboard --logdir runs`."""
    early_stopping: EarlyStopping | None = None
    """When to end before all is done."""
    deterministic: bool = False
    """Refuse torch's kernels whose results vary from run to run (torch.use_deterministic_algorithms)."""
    compile: bool = False
    """Compile the model with torch.compile, anew for each size of a batch; the numbers may differ from the plain loop's
    in the last bits."""
    exact: bool = True
    """Give the plain loop's bits; with false, steps may round otherwise where that is faster: the same again in each
    run on one machine, and proven to be as near as rounding explains. For one process on the CPU."""
    strategy: Literal["ddp", "fsdp"] = "ddp"
    """What several processes have of the model: "ddp": each all of it; "fsdp": each a part of every tensor (FSDP2)."""

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        if self.epochs is None and self.steps is None:
            raise ValueError("how long the training is does not stand here; write epochs, or steps")
        if self.epochs is not None and self.steps is not None:
            raise ValueError("epochs and steps both say how long the training is; remove one, or write null for it")
        return self

    @model_validator(mode="after")
    def _logs_once(self) -> Self:
        if len(set(self.log)) < len(self.log):
            raise ValueError("log names one of its words twice; write each once")
        return self

    @model_validator(mode="after")
    def _one_sampler(self) -> Self:
        if self.sampler is not None and not self.shuffle:
            raise ValueError("the balanced sampler draws its own order; remove shuffle, or the sampler")
        if self.clip_grad_norm is not None and self.clip_grad_value is not None:
            raise ValueError("clip_grad_norm and clip_grad_value both shorten gradients; write one of them")
        if self.strategy == "fsdp" and (self.ema is not None or self.precision == "fp16" or self.compile):
            raise ValueError("fsdp goes without ema, fp16 and compile; remove them, or write bf16 for fp16")
        if not self.exact and (self.precision != "fp32" or self.accumulation > 1 or self.compile):
            raise ValueError("exact false goes without precision, accumulation and compile; remove them, or exact")
        return self

    def plan(self, rows: int) -> Plan:
        """Return the course of a training whose training split has so many rows."""
        steps = rows // self.batch_size if self.drop_last else -(-rows // self.batch_size)
        total = self.steps if self.epochs is None else self.epochs * steps
        trained = steps * self.batch_size if self.drop_last else rows
        every = self.evaluate_every or max(1, steps)
        counts_steps = self.steps is not None or self.evaluate_every is not None
        return Plan(trained, self.batch_size, steps, total or 0, every, self.accumulation, counts_steps)
