"""Optimizer: how the weights move, with options for all parameters and others for groups of them.

The options of an optimizer are declared once, in a class of their own: with torch's defaults they are the optimizer's,
and those that a group writes take their place for the parameters that it matches.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, cast

from zoo.patterns import Patterns, matches
from zoo.strict import Field, NonNegative, Strict, model_validator

if TYPE_CHECKING:
    from pydantic import GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema
    from torch import nn, optim

Decay = Annotated[float, Field(ge=0, lt=1)]


class Options(Strict):
    """What the optimizer and each of its groups can say."""

    lr: NonNegative = 1e-3
    """Learning rate."""


class Group(Strict):
    """Parameters with options of their own; an option that is not written is the optimizer's."""

    match: Patterns
    """Names of parameters, such as "fc.*"; "!" in front excludes. The first group that matches takes a parameter."""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.overrides():
            raise ValueError(
                "a group without options of its own says nothing; write one, such as lr, or remove the group"
            )
        return self

    # Any: the values of torch's options.
    def overrides(self) -> dict[str, Any]:
        """Return the options that the group writes."""
        return {
            name: getattr(self, name) for name in type(self).model_fields if name in self.model_fields_set - {"match"}
        }

    def document(self) -> dict[str, Any]:
        """Return the group as JSON values: only what it writes, because an absent option is the optimizer's."""
        written = self.model_fields_set
        return {name: value for name, value in super().document().items() if name in written}

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = super().__get_pydantic_json_schema__(core, handler)
        for option in schema["properties"].values():
            if "default" in option:
                del option["default"]
                option["description"] += " Unless written, the optimizer's."
        return schema


class Optimizer(Strict):
    """What every optimizer has."""

    @property
    def parameter_groups(self) -> tuple[Group, ...]:
        """Return the groups: each optimizer declares them with its own options."""
        return cast(tuple[Group, ...], getattr(self, "groups", ()))

    @property
    def spares_vectors(self) -> bool:
        """Return whether biases and norms have parameter groups of their own, whose weights do not decay."""
        return False

    @model_validator(mode="after")
    def _options_agree(self) -> Self:
        self._judge(self.options())
        for index, group in enumerate(self.parameter_groups):
            try:
                self._judge(self.options() | group.overrides())
            except ValueError as error:
                raise ValueError(f"in groups.{index}, {error}") from error
        return self

    # Any: the values of torch's options.
    def _judge(self, options: dict[str, Any]) -> None:
        if options["lr"] == 0:
            raise ValueError("lr is 0; write one above 0, or name the tensors that are to stay as they are in freeze")
        self.judge(options)

    # Any: as above.
    def judge(self, options: dict[str, Any]) -> None:
        """Refuse options that contradict each other: those for all parameters, or those of a group.

        Raises:
            ValueError: with what is wrong and what to write.
        """

    # Any: as above.
    def options(self) -> dict[str, Any]:
        """Return torch's options and their values, those for all parameters."""
        own = ("type", "groups", "decay")
        return {name: getattr(self, name) for name in type(self).model_fields if name not in own}

    def owners(self, names: Iterable[str]) -> dict[str, int | None]:
        """Return which group takes each parameter, counted from 0; None for those that no group takes."""
        groups = self.parameter_groups
        return {
            name: next((index for index, group in enumerate(groups) if matches(group.match, name)), None)
            for name in names
        }

    def build(self, named_parameters: Iterable[tuple[str, nn.Parameter]]) -> optim.Optimizer:
        """Return the torch optimizer of these parameters; frozen ones are left out.

        Its first parameter group holds what no group takes; then come the groups, in order. Where vectors are spared,
        these hold the matrices alone, and as many groups follow in the same order with the rest.
        """
        from torch import optim

        learned = {name: parameter for name, parameter in named_parameters if parameter.requires_grad}
        owners = self.owners(learned)
        groups = [
            {"params": [parameter for name, parameter in learned.items() if owners[name] == index], **overrides}
            for index, overrides in [
                (None, {}),
                *((index, group.overrides()) for index, group in enumerate(self.parameter_groups)),
            ]
        ]
        if self.spares_vectors:
            vectors = [group | {"params": [p for p in group["params"] if p.dim() < 2]} for group in groups]
            matrices = [group | {"params": [p for p in group["params"] if p.dim() >= 2]} for group in groups]
            groups = [*matrices, *(group | {"weight_decay": 0.0} for group in vectors)]
        built: optim.Optimizer = getattr(optim, type(self).__name__)(groups, **self.options())
        return built


class Decaying(Optimizer):
    """What the optimizers share that have a weight_decay."""

    decay: Literal["all", "matrices"] = "all"
    """What weight_decay takes: all parameters, or those of two axes or more, which leaves biases and norms out. This
    option is zoo's own."""

    @property
    def spares_vectors(self) -> bool:
        """Return whether weight_decay takes matrices alone."""
        return self.decay == "matrices"

    def weight_decays(self) -> tuple[float, ...]:
        """Return the weight_decay of what no group takes, then that of each group."""
        default: float = self.options()["weight_decay"]
        return default, *(group.overrides().get("weight_decay", default) for group in self.parameter_groups)

    @model_validator(mode="after")
    def _matrices_decay(self) -> Self:
        if self.spares_vectors and not any(self.weight_decays()):
            raise ValueError('decay says nothing without a weight_decay; write one above 0, or "decay": "all"')
        return self
