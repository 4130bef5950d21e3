"""Running a network once, and keeping what its layers put out, in a form to which gradients can be asked for."""

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor, nn

from lessons_lib.core.engine.calling import answer
from lessons_lib.core.engine.captured import Captured, Emission, maps_of, untracked
from lessons_lib.core.engine.hooks import hooked, left_as_found
from lessons_lib.core.engine.names import near
from lessons_lib.core.engine.outputs import Emitted, kind_of, like, said, tensors
from lessons_lib.core.engine.places.layouts import Layout
from lessons_lib.core.engine.places.trace import followed

Layer = str | nn.Module


def run(network: nn.Module, inputs: Tensor, layer: Layer, layout: Layout | None = None) -> Captured:
    """Run `network` once on `inputs` and keep what `layer` puts out, so that gradients can be asked for there.

    What the layer puts out becomes a leaf of autograd's graph, and no parameter asks for a gradient. So nothing below
    the layer is recorded or differentiated: the cost is one forward pass, and the way back from the score to the layer.
    The network runs in eval mode, on a copy of its inputs; hooks, modes, `requires_grad` flags and `.grad` fields are
    afterwards as they were.

    Args:
        network: any network; parameters are not changed.
        inputs: a batch, N×…
        layer: a module of the network or its dotted name.
        layout: how what the layer puts out becomes maps, N×C×H×W; None follows the run, `places.trace`.

    Raises:
        ValueError: the layer is not in the network, did not run, or ran more than once; or it emits no picture.
        TypeError: the layer emits no tensor, dict, list or tuple of tensors, or is itself neither a module nor a name.
        RuntimeError: the weights were created under inference_mode.

    Example:
        >>> seen = capture.run(my_model, batch, "layer4")
        >>> seen.activations.shape
        torch.Size([1, 512, 7, 7])
    """
    (seen,) = run_through(network, inputs, [layer], layout)
    return seen


def run_through(
    network: nn.Module, inputs: Tensor, layers: Sequence[Layer], layout: Layout | None = None
) -> list[Captured]:
    """Run `network` once, as `run` does, and keep what each of several layers emits.

    The graph begins at the first of them that runs. Those behind it stay a part of it, so that one way back gives the
    gradients at all of them.
    """
    if not isinstance(network, nn.Module):
        inside = ": give its network, `model.network`" if hasattr(network, "network") else ""
        raise TypeError(f"A network is an `nn.Module`, not {said(network)}{inside}.")
    found = [find(network, layer) for layer in layers]
    names = dict(found)
    if scripted := [name for module, name in found if isinstance(module, torch.jit.ScriptModule)]:
        raise ValueError(
            f"Layer {scripted[0]!r} is scripted and takes no hook: choose a layer outside it, or give the network it "
            "was made from."
        )
    kept: dict[nn.Module, list[Emission]] = {module: [] for module in names}
    linears: list[tuple[nn.Linear, Tensor]] = []

    def branch_off(module: nn.Module, _inputs: Any, emitted: Any) -> Emitted:
        own = [
            one if one.requires_grad else one.detach().requires_grad_(one.is_floating_point())
            for one in tensors(emitted)
        ]
        kept[module].append(Emission(module, names[module], like(emitted, own) if own else emitted, untracked()))
        # A copy goes on, so that an in-place ReLU behind the layer neither fails on the leaf nor changes it.
        return like(emitted, [leaf.clone() for leaf in own]) if own else emitted

    def remember(linear: nn.Linear, _inputs: Any, output: Tensor) -> None:
        linears[:] = [(linear, output)]

    with (
        left_as_found(network) as modules,
        hooked([module for module in modules if isinstance(module, nn.Linear)], after=remember),
        hooked(names, after=branch_off),
        torch.inference_mode(False),
        torch.enable_grad(),
    ):
        output = answer(network, inputs.detach().clone())
    if again := [module for module, _ in found if len(kept[module]) > 1]:
        raise ValueError(_again(network, inputs, names[again[0]], len(kept[again[0]])))
    emissions = [_once(names[module], kept[module]) for module, _ in found]
    read = followed(network, inputs, {one.module: one.emitted for one in emissions})
    head = next((one for one in linears if any(one[1] is tensor for tensor in tensors(output))), None)
    seen = []
    for one in emissions:
        way = layout or read[one.module]
        maps = maps_of(one.emitted, way)
        if len(maps) != len(inputs):
            raise ValueError(
                f"The layout gives {kind_of(maps)} for a batch of {len(inputs)}: keep the pictures' axis, the first."
            )
        seen.append(Captured(network, way, inputs, output, one, maps, read[one.module], head))
    return seen


def _once(layer: str, emissions: list[Emission]) -> Emission:
    if not emissions:
        raise ValueError(f"Layer {layer!r} did not run in this forward pass: choose one that does.")
    if not tensors(emitted := emissions[0].emitted):
        raise TypeError(f"Layer {layer!r} emits {kind_of(emitted)}, not a tensor: choose a layer inside it.")
    return emissions[0]


def _again(network: nn.Module, inputs: Tensor, layer: str, times: int) -> str:
    """Return the sentence about a layer that ran several times; it names the part that ran as often, as an encoder."""
    runs: Counter[nn.Module] = Counter()
    with (
        left_as_found(network) as modules,
        hooked(modules, after=lambda module, *_: runs.update([module])),
        torch.no_grad(),
    ):
        network(inputs.detach().clone())
    parts = layer.split(".")
    above = (".".join(parts[:count]) for count in range(1, len(parts)))
    whole = next((name for name in above if runs[network.get_submodule(name)] == times), None)
    told = (
        f"Layer {layer!r} ran {times} times in one forward pass, so there is no one map: choose a layer that runs once"
    )
    return f"{told}, or {by_itself(whole)}" if whole else f"{told}."


def by_itself(part: str) -> str:
    """Return the way out where a part of a network runs on several pictures, as the encoder of two to be compared."""
    return (
        "explain the part that runs on several pictures by itself, by how near it brings them: with "
        f"`part = network.get_submodule({part!r})` and `other = part(other_picture).detach()`, "
        "`ll.explain(part, picture, lambda output: torch.cosine_similarity(output.flatten(), other.flatten(), dim=0))`."
    )


def find(network: nn.Module, layer: Layer) -> tuple[nn.Module, str]:
    """Return a layer of `network` and its dotted name, from either of the two.

    Raises:
        ValueError: the network has no such layer; the sentence offers the nearest names.
        TypeError: this is neither a module nor a name.
    """
    if not isinstance(layer, str | nn.Module):
        layer = getattr(layer, "layer", layer)  # of a candidate, as `layers` lists them, and of a heatmap
    if isinstance(layer, str) and layer:
        with suppress(AttributeError):
            return network.get_submodule(layer), layer
    kind, names = type(network).__name__, {name: module for name, module in network.named_modules() if name}
    if layer is network:
        raise ValueError(f"The model itself is no layer of it: choose one inside this {kind}, from `ll.layers`.")
    if isinstance(layer, nn.Module):
        for name, module in names.items():
            if module is layer:
                return module, name
        raise ValueError(
            f"The layer you gave ({type(layer).__name__}) is not part of this {kind}: "
            "take it from the model that you explain, for example `model.layer4`."
        )
    if not isinstance(layer, str):
        quoted = f": put it in quotes, `layer='{layer}'`" if str(layer) in names else ""
        raise TypeError(f"A layer is a module of the model or its dotted name, not {said(layer)}{quoted}.")
    same = [name for name, module in names.items() if type(module).__name__ == layer][-3:]
    children = "near it: " + ", ".join(name for name, _ in network.named_children())
    offer = f"of that kind: {', '.join(same)}" if same else near(layer, names, otherwise=children)
    raise ValueError(f"{kind} has no layer {layer!r}; {offer}.")
