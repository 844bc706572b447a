"""PyTorch modules as candidates."""

from __future__ import annotations

import contextlib
import io
import math
from typing import Any

# Attributes that every module has and that distinguish no architecture.
_EVERYWHERE = frozenset(("training", "inplace", "device", "dtype"))


def graph(module: Any, example: Any, *, space: str = "torch", id: Any = None) -> dict[str, Any]:
    """Traces a module with torch.fx and returns it as a candidate.

    example is an input or a tuple of inputs. Nodes are the operations. Their
    attributes are the hyperparameters of the module (such as kernel_size and
    out_channels), arguments that are numbers, booleans or strings, the number of
    parameters and the number of output elements.
    """
    import torch
    from torch import fx
    from torch.fx.passes.shape_prop import ShapeProp

    if not isinstance(module, torch.nn.Module):
        raise TypeError(f"graph() takes a torch.nn.Module and an example of its input, not a {type(module).__name__}")
    name = type(module).__name__
    try:
        traced = fx.symbolic_trace(module)
    except (fx.proxy.TraceError, TypeError, RuntimeError) as e:
        raise ValueError(f"torch.fx cannot trace {name}: {e}; its forward must not branch on values of tensors: wrap such a part with torch.fx.wrap, or give its result another way") from e
    inputs = example if isinstance(example, (tuple, list)) else (example,)
    training = traced.training
    shapes = ShapeProp(traced.eval())
    try:
        # Without the report that the interpreter prints beside what it raises.
        with torch.no_grad(), contextlib.redirect_stderr(io.StringIO()):
            shapes.propagate(*inputs)
    except Exception as e:
        given = ", ".join(str(tuple(x.shape)) if isinstance(x, torch.Tensor) else type(x).__name__ for x in inputs)
        cause = e.__cause__ or e
        raise ValueError(f"{name} does not take an example of shape {given}: {cause}; give a tensor as its forward takes it, or a tuple of its arguments") from e
    traced.train(training)
    modules = dict(traced.named_modules())
    nodes = [n for n in traced.graph.nodes if n.op != "get_attr" or n.users]
    place = {n: i for i, n in enumerate(nodes)}
    ops = [_operation(n, modules) for n in nodes]
    edges = [[place[source], place[n]] for n in nodes for source in n.all_input_nodes]
    candidate: dict[str, Any] = {"space": space, "ops": ops, "edges": edges}
    if id is not None:
        candidate["id"] = id
    return candidate


def _operation(node: Any, modules: dict[str, Any]) -> Any:
    if node.op == "placeholder":
        return "input"
    if node.op == "output":
        return "output"
    attributes: dict[str, Any] = {}
    if node.op == "call_module":
        module = modules[node.target]
        name = type(module).__name__.lower()
        for key, value in vars(module).items():
            _put(attributes, key, value)
        parameters = sum(p.numel() for p in module.parameters())
        if parameters:
            attributes["parameters"] = parameters
    else:
        name = node.target if isinstance(node.target, str) else node.target.__name__
        for i, value in enumerate(node.args):
            _put(attributes, f"arg{i}", value)
        for key, value in node.kwargs.items():
            _put(attributes, key, value)
    shape = getattr(node.meta.get("tensor_meta"), "shape", None)
    if shape is not None:
        attributes["elements"] = math.prod(shape)
    return {"op": name, **attributes} if attributes else name


def _put(attributes: dict[str, Any], key: str, value: Any) -> None:
    """Stores a value that an attribute can have; a tuple of equal numbers becomes that number."""
    if key.startswith("_") or key in _EVERYWHERE:
        return
    if isinstance(value, (tuple, list)) and value and all(isinstance(v, (int, float)) for v in value):
        value = value[0] if len(set(value)) == 1 else "x".join(map(str, value))
    if isinstance(value, (bool, int, str)) or isinstance(value, float) and math.isfinite(value):
        attributes[key] = value
