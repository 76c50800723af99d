"""Damage to files: bytes of any, and of a model file the tensors that it holds beside the weights."""

import json
import math
import random
from collections.abc import Iterator
from typing import TYPE_CHECKING

from benchmarks.hostile_files.whole_files import SEED, TENSORS

if TYPE_CHECKING:
    import torch  # at run time where it is needed: it takes seconds, which the images do without

WRONG_FLOATS, WRONG_INTEGERS = (math.nan, math.inf, -math.inf, 3e38, 1e-38, -1.0, 2.0, 0.0), (-1, 2, 2**62, -(2**63))
LARGE = 4_000_000  # numbers of a tensor
NUMBERS = (b"\0" * 4, b"\xff" * 4, b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x80\0\0\0", b"\0\0\0\x80", b"\0\0\1\0")


def changed(contents: bytes, other: bytes, chance: random.Random) -> bytes:
    """Return the bytes with one to four changes: of bits, bytes, numbers; parts cut, doubled or from another file."""
    data = bytearray(contents)
    for _ in range(chance.randint(1, 4)):
        # Half of the changes are near the beginning, where headers stand.
        at = chance.randrange(min(len(data), 400) if chance.random() < 0.5 else len(data)) if data else 0
        size = chance.randint(1, 64)
        match chance.randrange(8):
            case 0 if data:
                data[at] ^= 1 << chance.randrange(8)
            case 1 if data:
                data[at] = chance.randrange(256)
            case 2:
                data[at : at + 4] = chance.choice(NUMBERS)
            case 3:
                del data[at:]
            case 4:
                del data[at : at + size]
            case 5:
                data[at:at] = data[at : at + size] * chance.randint(1, 20)
            case 6:
                data[at : at + size] = other[at : at + size]
            case 7:
                data[at : at + size] = chance.randbytes(size)
    return bytes(data)


def with_changed_tensors(contents: bytes, chance: random.Random) -> bytes:
    """Return a model file of which one or two tensors, mostly beside the weights, have other values or another form.

    Or are missing, or have another one beside them. Its header is that of a whole file.
    """
    from safetensors.torch import load, save

    tensors, beside = load(contents), ("unknown.", "val.")
    metadata = json.loads(contents[8 : 8 + int.from_bytes(contents[:8], "little")])["__metadata__"]
    for _ in range(chance.randint(1, 2)):
        some = [key for key in tensors if chance.random() < 0.001 or key.startswith(beside)]
        name = chance.choice(some or [*tensors])
        match chance.randrange(8):
            case 0:
                del tensors[name]
            case 1:
                tensors[name + chance.choice(("", "x", "." * 1000, "\u202e"))] = changed_tensor(tensors[name], chance)
            case _:
                tensors[name] = changed_tensor(tensors[name], chance)
    return save({key: value.clone() for key, value in tensors.items()}, metadata)


def changed_tensor(value: "torch.Tensor", chance: random.Random) -> "torch.Tensor":
    """Return a tensor with one other number or all alike, of another shape or type, or very large."""
    import torch

    numbers = WRONG_FLOATS if value.is_floating_point() else WRONG_INTEGERS
    match chance.randrange(9):
        case 0 if value.numel():
            other = value.clone()
            other.view(-1)[chance.randrange(value.numel())] = chance.choice(numbers)
            return other
        case 1:
            return torch.full_like(value, chance.choice(numbers))
        case 2:
            return value[None]
        case 3:
            return value.flatten()[: chance.choice((0, 1, -1))].contiguous()
        case 4:
            return torch.cat([value.flatten(), value.flatten()])
        case 5 if value.dim() > 1:
            return value.transpose(0, 1).contiguous()
        case 6:
            return value.to(chance.choice((torch.float64, torch.float16, torch.int64, torch.bool)))
        case 7:
            return torch.full((LARGE,), chance.choice(numbers), dtype=value.dtype)
    return value.sum()


def cases(wholes: dict[str, bytes], count: int) -> Iterator[tuple[str, bytes]]:
    """Yield so many cases, of each form in turn, with the form's name."""
    chance, names = random.Random(SEED), list(wholes)
    for i in range(count):
        name = names[i % len(names)]
        if name == TENSORS:
            yield name, with_changed_tensors(wholes[name], chance)
        else:
            yield name, changed(wholes[name], wholes[chance.choice(names)], chance)
