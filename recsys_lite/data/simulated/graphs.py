"""Made-up interactions whose graph is known: groups of films, and chains in which a film is five edges away."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch

from ..interactions import Interactions, load_lightgcn_files

GROUPS, MEMBERS, FILMS = 12, 30, 20  # of communities
CHAINS, ROOM = 16, 7  # of chains: how many, and films of a room
KINDS = ["AB"] * 12 + ["BC"] * 12 + ["A"] * 6  # the users of a chain, by the rooms that they know


def communities(seed: int, films: int = 3, grouped: bool = True) -> Interactions:
    """12 groups of 30 users and 20 films. Each user took some films of the own group; three others are to be found.

    Args:
        seed: of the draws.
        films: how many each user took, one or more of them held out for validation. Default 3.
        grouped: the control draws all films from all groups. Default true.
    """
    g = torch.Generator().manual_seed(seed)
    train: list[list[int]] = []
    test: list[list[int]] = []
    for user in range(GROUPS * MEMBERS):
        drawn = torch.randperm(FILMS if grouped else GROUPS * FILMS, generator=g)
        own = (FILMS * (user // MEMBERS) * grouped + drawn).tolist()
        train.append([user, *own[:films]])
        test.append([user, *own[films : films + 3]])
    return _loaded(train, test, seed)


def chains(seed: int, linked: bool = True) -> Interactions:
    """16 chains of three rooms A, B, C of 7 films. Users of room A alone are to find films of room C.

    Twelve users of a chain took films of A and B, twelve of B and C, six of A alone, four of each room. Nobody took A
    and C, so the shortest path to a wanted film is user, A, user, B, user, C: five edges.

    Args:
        seed: of the draws.
        linked: the control draws the wanted films from all rooms of all chains. Default true.
    """
    g = torch.Generator().manual_seed(seed)
    count = CHAINS * 3 * ROOM
    shown = torch.arange(count) if linked else torch.randperm(count, generator=g)
    train: list[list[int]] = []
    test: list[list[int]] = []
    for chain in range(CHAINS):
        for kind in KINDS:
            start = [3 * ROOM * chain + ROOM * room for room in range(3)]
            picked = {
                r: (s + torch.randperm(ROOM, generator=g)[:4]).tolist() for r, s in zip("ABC", start, strict=True)
            }
            own = [film for room in kind for film in picked[room]]
            if kind == "A":
                wanted = shown[picked["C"]].tolist()
                test.append([len(train), *(film for film in wanted if film not in own)])
            train.append([len(train), *own])
    return _loaded(train, test, seed)


def _loaded(train: Sequence[Sequence[int]], test: Sequence[Sequence[int]], seed: int) -> Interactions:
    """Lines ``user item …`` as interactions, one item in ten of each user, at least one, held out for validation."""
    with tempfile.TemporaryDirectory() as folder:
        for name, lines in (("train", train), ("test", test)):
            (Path(folder) / f"{name}.txt").write_text("\n".join(" ".join(map(str, line)) for line in lines))
        return load_lightgcn_files(folder, "planted", seed)
