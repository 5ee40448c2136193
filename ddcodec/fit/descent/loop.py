"""The course of a fit: steps by count or by clock, snapshots of the best state, a guard against collapse."""

from time import monotonic

from ..loss.terms import Loss
from .progress import Told
from .schedule import HARD_SHARE, point_at, point_of_mean

CHECKS, STEPS_A_CHECK = 8, 20
"""How often a fit looks at what rounding gives, in the second half of its noisy part, and again while the code is
fixed: at most, and for how many of all steps once.
"""
MEAN_FROM = 0.3
"""Share of a fit whose pictures are averaged that is no part of the mean."""
COLLAPSE = 0.7
LEAST_STEPS_TO_JUDGE = 100


def run(engine, iterations, *, seconds=None, progress=None, may_collapse=False, steerings=()):
    """Fit until `iterations` steps are done or `seconds` are over, whichever is first, but one step at least.

    Every fit ends in the best state that was seen. Returns the number of steps, and the indices of the fits that have
    lost their picture: half-way they were hardly better than one constant colour. If all have, the loop ends there.
    may_collapse: go on with such fits, and name none. steerings: what moves the fits' lambdas (`target.Steering`).
    """
    start, step, hard = monotonic(), 0, False
    watches = [_Watch(fit) for fit in engine.fits]
    count = min(CHECKS, 1 + iterations // STEPS_A_CHECK)
    checks = [(0.5 + 0.5 * k / count) * (1 - HARD_SHARE) for k in range(1, count + 1)]
    checks += [1 - HARD_SHARE * (1 - k / count) for k in range(1, count)]
    warm = bool(engine.fits[0].arch.base)
    told = Told(engine, progress, seconds is not None)
    for watch in watches:
        # Of a plain picture the first guess may be the best of all.
        watch.look(code=True)
    while True:
        elapsed = monotonic() - start
        share = _share(step, iterations, elapsed, seconds)
        if share >= 1 and step:
            break
        if checks and share >= checks[0]:
            while checks and share >= checks[0]:
                checks.pop(0)
            for watch in watches:
                watch.look(code=not hard)
                watch.judge(step, may_collapse)
            if all(watch.collapsed for watch in watches):
                return step, list(range(len(watches)))
        for steering in steerings:
            steering.look(share)
        # Where the clock drives, it will be as many as its pace so far allows.
        point = point_at(share, warm, step / share if step else iterations)
        if point.hard and not hard:
            hard = True
            _fix_code(engine, watches, steerings)
        engine.step(point)
        step += 1
        told.step(step, iterations, elapsed * (1 - share) / share if share else float("inf"))
    if not hard:
        for watch in watches:
            watch.look(code=True)
        _fix_code(engine, watches, steerings)
    for watch in watches:
        watch.look(code=False)
        watch.restore()
    return step, [index for index, watch in enumerate(watches) if watch.collapsed]


def run_for_mean(engine, iterations, *, seconds=None, progress=None):
    """Step until `iterations` are done or `seconds` are over, but once at least, and take the mean of what the picture
    is in all steps but the first: float32 (H, W, planes) in 0..1.

    Each step sees the code with other noise and other weights, as drawn from all that explain the picture about as
    well; the mean of those is nearer to what is behind it than any of them (stochastic gradient Langevin dynamics:
    Cheng et al., "A Bayesian Perspective on the Deep Image Prior", CVPR 2019).
    """
    start, step, (fit,), is_settled = monotonic(), 0, engine.fits, False
    told = Told(engine, progress, False)
    fit.average()
    while True:
        elapsed = monotonic() - start
        share = _share(step, iterations, elapsed, seconds)
        if share >= 1 and step:
            return fit.mean()
        if share >= MEAN_FROM and not is_settled:
            is_settled = True
            fit.average()
        engine.step(point_of_mean(share, step / share if step else iterations))
        step += 1
        told.step(step, iterations, elapsed * (1 - share) / share if share else float("inf"))


def _share(step, iterations, elapsed, seconds):
    """How much of a fit is done, by its steps or, if that is more, by its seconds."""
    by_clock = 0.0 if seconds is None else elapsed / seconds if seconds > 0 else 1.0
    return max(step / iterations, by_clock)


def _fix_code(engine, watches, steerings):
    """The code will not move any more: go on from the best that was seen, without normalisation."""
    for steering in steerings:
        steering.keep_code()
    for watch in watches:
        watch.restore()
    engine.fold()
    for watch in watches:
        watch.forget()


class _Watch:
    """The best state of one fit so far, judged by D + lambda R of the rounded code."""

    def __init__(self, fit):
        self._fit, self._best, self._state = fit, Loss(float("inf"), 0.0), None
        self._last = Loss(0.0, 0.0)
        self.collapsed = False

    def look(self, code):
        self._last = loss = self._fit.evaluate()
        # Both at the present lambda, which may have moved in between.
        if self._value(loss) < self._value(self._best):
            self._best, self._state = loss, self._fit.state(code)

    def _value(self, loss):
        return loss.distortion + self._fit.lambda_ * loss.bits / self._fit.pixels

    def judge(self, step, may_collapse):
        # Written so that a loss that is no number counts as collapsed.
        if (
            not may_collapse
            and step >= LEAST_STEPS_TO_JUDGE
            and not self._last.distortion <= COLLAPSE * self._fit.variance + 1e-4
        ):
            self.collapsed = True

    def restore(self):
        if self._state is not None:
            self._fit.restore(self._state)

    def forget(self):
        """What was seen before does not fit the engine any more, but its code is the engine's: only weights are kept
        from now on.
        """
        self._best, self._state = Loss(float("inf"), 0.0), None
        self.look(code=False)
