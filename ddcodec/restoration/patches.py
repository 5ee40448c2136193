"""Fill wide holes from the picture's own patches, coarse to fine.

Every patch that touches a hole gets the patch of known pixels that is most like it, and every missing pixel the mean of
what these say of it; that is repeated until they agree (Wexler, Shechtman & Irani 2007, "Space-time completion of
video"). Like patches are found by random search and from those of neighbours (PatchMatch, Barnes et al. 2009).
"""

import numpy as np

from ..filling import filled
from .masks import dilated

RADIUS = 3
"""Pixels from the middle of a patch to its edge."""
SIDE = 2 * RADIUS + 1
MOST_SEARCHED = 40_000
"""Patches up to which a level is searched; finer levels copy what the level above has found."""
ROUNDS = (12, 4)
"""Rounds of search and of means at the coarsest level and at the others."""
SEARCHES = 2
"""Searches in each round."""
SHARPNESS = 8.0
"""Of the last means of a level: the power of the weights of all means before, so that what differs is not blurred."""
TRUST, DEEPEST = 1.3, 12
"""Factor by which a patch counts more for each pixel that its middle is nearer to what is known, and how many count."""


def patched(samples: np.ndarray, known: np.ndarray, seed: int = 0) -> np.ndarray:
    """Fill what is missing with patches of what is known.

    samples: uint8 (H, W, planes). known: bool (H, W), with holes of any form.

    Returns uint8 (H, W, planes); where there is no patch of known pixels, as `filling.filled` fills it.
    """
    random = np.random.default_rng(seed)
    levels = _pyramid(samples, known)
    found = None
    for picture, is_known in reversed(levels):
        places = _Places(is_known)
        if not places.sources.any() or not len(places.targets):
            picture[~is_known] = filled(np.rint(picture).astype(np.uint8), is_known)[~is_known]
            found = None
            continue
        is_coarsest = found is None
        nearest = places.drawn(random) if is_coarsest else places.finer(found, random)
        if not is_coarsest:
            picture[~is_known] = places.means(picture, nearest)[~is_known]
        rounds = ROUNDS[not is_coarsest] if len(places.targets) <= MOST_SEARCHED else 0
        for left in reversed(range(rounds)):
            nearest, distances = places.search(picture, nearest, random)
            picture[~is_known] = places.means(picture, nearest, distances, 1.0 if left else SHARPNESS)[~is_known]
        found = places, nearest
    return np.rint(levels[0][0]).clip(0, 255).astype(np.uint8)


def _pyramid(samples, known):
    """Levels of halves, finest first, as [picture float32, known], to where a hole is hardly wider than a patch."""
    picture = filled(samples, known).astype(np.float32)
    levels = [(picture, known)]
    while dilated(~levels[-1][1], RADIUS).any() and min(levels[-1][1].shape) >= 6 * SIDE:
        picture, known = levels[-1]
        height, width = (side // 2 * 2 for side in known.shape)
        weights = known[:height, :width].reshape(height // 2, 2, width // 2, 2).astype(np.float32)
        values = picture[:height, :width].reshape(height // 2, 2, width // 2, 2, -1)
        count = weights.sum((1, 3))
        seen = (values * weights[..., None]).sum((1, 3)) / np.maximum(count, 1)[..., None]
        levels.append((np.where(count[..., None] > 0, seen, values.mean((1, 3))).astype(np.float32), count > 0))
    return levels


class _Places:
    """The middles of patches of one level: those that touch a hole, and those of known pixels alone.

    targets: (count, 2), rows and columns. sources: bool (H, W).
    """

    def __init__(self, known):
        self.known = known
        height, width = known.shape
        inside = np.zeros(known.shape, bool)
        inside[RADIUS : height - RADIUS, RADIUS : width - RADIUS] = True
        self.sources = inside & dilated(known, RADIUS)
        self.targets = np.argwhere(inside & ~self.sources)
        self._index = np.full(known.shape, -1)
        self._index[tuple(self.targets.T)] = np.arange(len(self.targets))
        self._offsets = np.indices((SIDE, SIDE)).reshape(2, -1) - RADIUS
        depths = sum(dilated(~known, pixels).astype(np.float32) for pixels in range(DEEPEST))
        self._trust = TRUST ** -depths[tuple(self.targets.T)]

    def drawn(self, random):
        """Draw a source for each target."""
        return random.permutation(np.argwhere(self.sources))[random.integers(0, self.sources.sum(), len(self.targets))]

    def finer(self, found, random):
        """Take the sources that the targets of a level of half the size have."""
        coarse, nearest = found
        half = np.minimum(self.targets // 2, np.array(coarse.known.shape) - 1)
        index = coarse._index[tuple(half.T)]
        drawn = self.drawn(random)
        wanted = 2 * nearest[np.maximum(index, 0)] + self.targets % 2
        wanted = np.minimum(wanted, np.array(self.known.shape) - 1 - RADIUS)
        fits = (index >= 0) & self.sources[tuple(wanted.T)]
        return np.where(fits[:, None], wanted, drawn)

    def search(self, picture, nearest, random):
        """Look for sources that are more like the targets, from those they have; also return the squared distances."""
        patches = self._patches(picture, self.targets)
        best = self._distances(picture, patches, nearest)
        height, width = self.known.shape
        for _ in range(SEARCHES):
            for step in ((0, 1), (1, 0), (0, -1), (-1, 0)):
                beside = self._index[tuple((self.targets - step).T)]
                candidates = np.where((beside >= 0)[:, None], nearest[beside] + step, nearest)
                nearest, best = self._better(picture, patches, nearest, best, candidates)
            reach = max(height, width)
            while reach >= 1:
                candidates = nearest + random.integers(-reach, reach + 1, nearest.shape)
                nearest, best = self._better(picture, patches, nearest, best, candidates)
                reach //= 3
        return nearest, best

    def _better(self, picture, patches, nearest, best, candidates):
        limits = np.array(self.known.shape) - 1
        candidates = np.clip(candidates, 0, limits)
        worth = np.flatnonzero(self.sources[tuple(candidates.T)] & (candidates != nearest).any(1))
        distances = self._distances(picture, patches[worth], candidates[worth])
        better = distances < best[worth]
        nearest, best = nearest.copy(), best.copy()
        nearest[worth[better]], best[worth[better]] = candidates[worth[better]], distances[better]
        return nearest, best

    def _patches(self, picture, middles):
        rows, columns = (middles[:, axis, None] + self._offsets[axis] for axis in (0, 1))
        return picture[rows, columns].reshape(len(middles), SIDE * SIDE * picture.shape[2])

    def _distances(self, picture, patches, middles):
        return np.square(self._patches(picture, middles) - patches).mean(1)

    def means(self, picture, nearest, distances=None, sharp=1.0):
        """For each pixel the mean of what the sources of its patches say, those that are more like counting more."""
        total, weights = np.zeros_like(picture), np.zeros(self.known.shape, np.float32)
        weight = self._trust
        if distances is not None:
            weight = (weight * np.exp(-distances / (2 * np.quantile(distances, 0.75) + 1e-3))) ** sharp + 1e-9
        for down, across in self._offsets.T:
            at = tuple((self.targets + (down, across)).T)
            total[at] += weight[:, None] * picture[tuple((nearest + (down, across)).T)]
            weights[at] += weight
        return np.where(weights[..., None] > 0, total / np.maximum(weights, 1e-9)[..., None], picture)
