"""Find images that the data set holds more than once: as the same file, or as nearly the same picture."""

import itertools
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping

import numpy as np
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components

from plumbline.data.prepared import SPLITS
from stages.prepare.decoding import THUMBNAIL
from stages.prepare.parallel_decoding import UsableImage

HASH_BITS = 64
# Of two thumbnails. The hash is not enough, because different pictures may have close hashes by chance. Measured with
# 6 bits: no pair of the 1,797 digits passes both tests (the closest has 0.991), and none of 398 photographs (0.835).
MIN_CORRELATION = 0.992
PAIRS_AT_ONCE, ROWS_AT_ONCE = 1024, 256  # to compare in one step

Finding = tuple[UsableImage, str]  # an image, and what was found about it


def alike(images: list[UsableImage], key: Callable[[UsableImage], Hashable]) -> list[list[UsableImage]]:
    """Return the groups of two or more images for which `key` gives the same."""
    groups = defaultdict(list)
    for image in images:
        groups[key(image)].append(image)
    return [group for group in groups.values() if len(group) > 1]


def copies_across_classes(images: list[UsableImage]) -> list[Finding]:
    """Return every copy of a file that lies under two classes or more."""
    conflicts = []
    for group in alike(images, lambda image: image.facts.sha256):
        for image in group:
            others = [other for other in group if other.candidate.class_name != image.candidate.class_name]
            if others:
                conflicts.append((image, f"the same file is {others[0].candidate.name}"))
    return conflicts


def copies_across_splits(images: list[UsableImage]) -> list[Finding]:
    """Return the copies of each file that lies in several splits, except those in the last of these splits.

    The order is train, val, test, so that the images on which the model is measured stay the same.
    """
    copies = []
    for group in alike(images, lambda image: image.facts.sha256):
        kept, others = kept_and_others(group)
        copies += [(image, f"the same file is {kept.candidate.name}") for image in others]
    return copies


def copies_within_splits(images: list[UsableImage]) -> list[Finding]:
    """Return the second and later copies of a file in one split, in which each of them counts."""
    groups = alike(images, lambda image: (image.split, image.facts.sha256))
    return [(image, f"copy of {group[0].candidate.name}") for group in groups for image in group[1:]]


def near_copies_across_splits(images: list[UsableImage], clusters: np.ndarray) -> list[Finding]:
    """Return the images that look like one of a later split, unless they are copies of its file."""
    near = []
    for group in clustered(images, clusters):
        kept, others = kept_and_others(group)
        files = {image.facts.sha256 for image in group if image.split == kept.split}
        near += [(image, f"looks like {kept.candidate.name}") for image in others if image.facts.sha256 not in files]
    return near


def near_copies_across_classes(images: list[UsableImage], clusters: np.ndarray) -> list[Finding]:
    """Return the images that look like another file's image of another class: one of the two labels may be wrong."""
    doubts = []
    for group in clustered(images, clusters):
        for image in group:
            others = [
                other
                for other in group
                if other.candidate.class_name != image.candidate.class_name and other.facts.sha256 != image.facts.sha256
            ]
            if others:
                doubts.append((image, f"looks like {others[0].candidate.name}"))
    return doubts


def kept_and_others(group: list[UsableImage]) -> tuple[UsableImage, list[UsableImage]]:
    """Return an image of the group's last split that is given, and all of other splits and of none yet."""
    given = [image for image in group if image.split is not None]
    if not given:
        return group[0], []
    last = max((image.split for image in given), key=SPLITS.index)
    kept = next(image for image in given if image.split == last)
    return kept, [image for image in group if image.split != last]


def near_clusters(images: list[UsableImage], distance: int | None) -> np.ndarray:
    """Return a number for each image (N,), the same for images that are nearly the same picture.

    Two images are nearly the same if at most `distance` bits of their perceptual hashes differ (Zauner 2010, pHash) and
    the correlation of their thumbnails is at least MIN_CORRELATION. Chains of such pairs form one cluster.
    Without a distance, no two images are.
    """
    if distance is None:
        return np.arange(len(images))
    hashes = np.array([image.facts.perceptual_hash for image in images], dtype=np.uint64)
    return clusters_of(len(images), near_pairs(hashes, [image.facts.thumbnail for image in images], distance))


def near_pairs(hashes: np.ndarray, thumbnails: list[str], distance: int) -> Iterator[tuple[int, int]]:
    """Yield pairs that join what all near pairs of images with these hashes (N,) and thumbnails join.

    Correlation is not transitive: an image is compared with every other one of its hash, and of each close hash.
    """
    unique, numbers = np.unique(hashes, return_inverse=True)
    members = np.split(np.argsort(numbers, kind="stable"), np.cumsum(np.bincount(numbers))[:-1])
    alone = ((i, i) for i, indices in enumerate(members) if len(indices) > 1)
    waiting: list[tuple[int, int]] = []
    for i, j in itertools.chain(alone, close_pairs(unique, distance)):
        if len(members[i]) * len(members[j]) > PAIRS_AT_ONCE:
            yield from near_pairs_between(members[i], members[j], thumbnails)
            continue
        waiting += itertools.combinations(members[i], 2) if i == j else itertools.product(members[i], members[j])
        if len(waiting) > PAIRS_AT_ONCE:
            yield from itertools.compress(waiting, correlations(thumbnails, waiting) >= MIN_CORRELATION)
            waiting = []
    if waiting:
        yield from itertools.compress(waiting, correlations(thumbnails, waiting) >= MIN_CORRELATION)


def near_pairs_between(first: np.ndarray, second: np.ndarray, thumbnails: list[str]) -> Iterator[tuple[int, int]]:
    """Yield pairs that join what all pairs of an image of `first` (M,) and one of `second` (K,) join by correlation.

    Of ROWS_AT_ONCE images compared with all of `second`, each is joined with the first image of its cluster alone, so
    that the pairs stay few where all images are near.
    """
    columns = standardised([thumbnails[i] for i in second])
    for start in range(0, len(first), ROWS_AT_ONCE):
        rows = first[start : start + ROWS_AT_ONCE]
        near = standardised([thumbnails[i] for i in rows]) @ columns.T >= MIN_CORRELATION  # (rows, columns)
        ends = np.concatenate([[0], np.cumsum(near.sum(axis=1)), np.full(len(second), near.sum())])
        targets = np.nonzero(near)[1] + len(rows)
        nodes = len(rows) + len(second)
        graph = csr_array((np.ones(len(targets), np.int8), targets, ends), shape=(nodes, nodes))
        labels = connected_components(graph, directed=False)[1]
        images, leaders = np.concatenate([rows, second]), np.unique(labels, return_index=True)[1]
        joined = np.flatnonzero(leaders[labels] != np.arange(nodes))
        yield from zip(images[leaders[labels[joined]]].tolist(), images[joined].tolist(), strict=True)


def correlations(thumbnails: list[str], pairs: list[tuple[int, int]]) -> np.ndarray:
    """Return the correlation (M,) of the two thumbnails of each pair. It is 0 if one of them is blank."""
    first, second = (standardised([thumbnails[pair[side]] for pair in pairs]) for side in (0, 1))
    return np.einsum("mp,mp->m", first, second)


def standardised(thumbnails: list[str]) -> np.ndarray:
    """Return thumbnails as float32 (M, pixels) of mean 0 and length 1, whose products are correlations."""
    values = np.frombuffer(bytes.fromhex("".join(thumbnails)), np.uint8).astype(np.float32).reshape(-1, THUMBNAIL**2)
    values -= values.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    return values / np.where(lengths == 0, 1, lengths)


def tied(images: list[UsableImage], near: Mapping[str, int]) -> np.ndarray:
    """Return a number for each image (N,), the same for those that must stay in one split.

    These are copies of a file, near copies, for which `near` has the same number by the image's name, and images of one
    group, also through other images.
    """
    first: dict[Hashable, int] = {}
    pairs = []
    for i, image in enumerate(images):
        keys = [("near", near[image.candidate.name]), ("file", image.facts.sha256)]
        if image.candidate.group is not None:
            keys.append(("group", image.candidate.group))
        pairs += [(first.setdefault(key, i), i) for key in keys]
    return clusters_of(len(images), pairs)


def clusters_of(count: int, pairs: Iterable[tuple[int, int]]) -> np.ndarray:
    """Return a number for each of `count` things, the same for those that pairs join, also through others."""
    joined = np.array(list(pairs), dtype=np.int64).reshape(-1, 2)
    graph = coo_array((np.ones(len(joined)), (joined[:, 0], joined[:, 1])), shape=(count, count))
    return connected_components(graph, directed=False)[1]


def clustered(images: list[UsableImage], clusters: np.ndarray) -> list[list[UsableImage]]:
    """Return the images of each cluster, given the number (N,) of each image's."""
    members = defaultdict(list)
    for image, number in zip(images, clusters, strict=True):
        members[number].append(image)
    return list(members.values())


def close_pairs(hashes: np.ndarray, distance: int) -> Iterator[tuple[int, int]]:
    """Yield each pair (i, j), i < j, of different 64-bit hashes (N,) that differ in at most `distance` bits, once.

    The hashes are cut into `distance` + 1 bands. Two close hashes agree in at least one band (the pigeonhole
    principle), so only hashes that share a band are compared; a pair is yielded for the first band that it shares.
    """
    edges = np.linspace(0, HASH_BITS, distance + 2).astype(int)
    masks = [np.uint64(((1 << int(high - low)) - 1) << int(low)) for low, high in itertools.pairwise(edges)]
    for k, mask in enumerate(masks):
        band = hashes & mask
        order = np.argsort(band, kind="stable")
        starts = np.flatnonzero(np.diff(band[order], prepend=~band[order[:1]])) if len(order) else []
        for run in np.split(order, starts[1:]):
            yield from pairs_in_run(run, hashes, distance, masks[:k])


def pairs_in_run(
    run: np.ndarray, hashes: np.ndarray, distance: int, earlier: list[np.uint64]
) -> Iterator[tuple[int, int]]:
    """Yield the close pairs among the hashes `run` (M,) that agree in none of the earlier bands."""
    for k, i in enumerate(run[:-1]):
        rest = run[k + 1 :]
        differing = hashes[rest] ^ hashes[i]
        close = np.bitwise_count(differing) <= distance
        for mask in earlier:
            close &= differing & mask != 0
        for j in rest[close]:
            yield int(min(i, j)), int(max(i, j))
