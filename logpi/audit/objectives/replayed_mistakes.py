"""Common mistakes of algorithms with critics of actions, each found by a mark of its own."""

import dataclasses
import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PyTree

from ...jaxprs.compilation import bounded_jit
from ...models import AbstractActionValues, Network
from ...parameters import trainable
from ...spaces.kinds import Box
from ..alignment import align
from ..reports import Check
from .bias_sources import settings_of
from .monte_carlo_update import RecordedGradients, RecordingOptimiser
from .replayed_update import padded, ReplayedUpdate, SHARE, Updates

LOW = math.exp(-2)  # another temperature
SAME = 1e-6  # of an update's norm: no difference
CLOSE = 0.05  # of a share, where a step is short but not straight
SATURATED = 1e3  # times an actor's parameters: its actions then lie at their bounds


class _WithinBounds(AbstractActionValues):
    """Critics that know no action beyond -1 and 1."""

    number: int = eqx.field(static=True)

    def __call__(self, obs: Any, action: Array, key: Any = None) -> Float[Array, " critics"]:
        return jnp.broadcast_to(jnp.where(jnp.all(jnp.abs(action) <= 1), jnp.sum(0 * action), jnp.nan), (self.number,))


def next_episode(cases: list[ReplayedUpdate]) -> Check:
    """Whether anything changes where the rows of other episodes show something else, or pay more."""
    worst, where = 0.0, ""
    for case in cases:
        t = case.streams.trajectory
        valid = np.asarray(t.valid)
        # The row that only resets shows what the last action led to.
        foreign = jnp.asarray(~(valid | np.pad(valid, ((0, 0), (1, 0)))[:, :-1]))

        def others(x, mask):
            return jnp.where(mask.reshape(*mask.shape, *(1,) * (x.ndim - mask.ndim)), jnp.ones_like(x), x)

        last = jnp.asarray(~valid[:, -1])
        other = dataclasses.replace(
            t, reward=jnp.where(t.valid, t.reward, t.reward + 1.0), obs=others(t.obs, foreign),
            last_obs=others(t.last_obs, last),
        )  # fmt: skip
        change = _change(case.updates("exact", trajectory=other), case.updates("exact"))
        if change > worst:
            worst, where = change, f" ({case.problem.name})"
    return Check(
        "next_episode", worst, 0.0, SAME, f"change of the updates, when other episodes are others{where}",
        "what follows a row is what its own action led to, also at a time limit; rows that only reset count nowhere",
    )  # fmt: skip


def least_of_critics(cases: list[ReplayedUpdate]) -> list[Check]:
    """Whether a critic that says more than the first changes anything; nothing where there is one alone."""
    if cases[0].number < 2:
        return []
    found = [(_change(c.updates("exact", "above"), c.updates("exact")), c.problem.name) for c in cases]
    worst, where = max(found)
    return [
        Check(
            "least_of_critics", worst, 0.0, SAME, f"change of the updates by a second critic that says more ({where})",
            "take the least of the critics in the target, not their mean; for the actor the least too, or the first",
        )
    ]  # fmt: skip


def _change(found: Updates, whole: Updates) -> float:
    """The largest relative change of an update; infinite where it is not finite."""
    each = [np.linalg.norm(found[n] - whole[n]) / max(np.linalg.norm(whole[n]), 1e-12) for n in whole]
    return float(np.nan_to_num(max(each), nan=np.inf))


def entropy(cases: list[ReplayedUpdate]) -> list[Check]:
    """What the temperature adds to the updates of actor and critics, against the entropies themselves."""
    worst = {"actor": (0.0, ""), "critics": (0.0, "")}
    # What is wrong with a time limit is not blamed on the entropy.
    for case in [case for case in cases if case.problem.check != "truncation"] or cases:
        wanted, apart = case.entropy_parts(), case.temperature - LOW
        whole, less = case.updates("exact"), case.updates("exact", temperature=LOW)
        for name in worst:
            if not np.any(wanted[name]):  # nothing follows anything
                continue
            row = align("", (whole[name] - less[name]) / apart, wanted[name])
            across = abs(row.scale) * row.direction_error if row.scale else 0.0
            size = max(row.scale - 1, across, key=abs)
            worst[name] = max((float(np.nan_to_num(size, nan=np.inf)), case.problem.name), worst[name], key=_size)
    cures = {
        "actor": ("entropy", "add the temperature times -log pi of the action, whose gradient is not stopped"),
        "critics": (
            "entropy_of_targets",
            "add the temperature times -log pi of the next action, in the units in which actions are drawn",
        ),
    }
    return [
        Check(cures[name][0], size, 0.0, SAME, f"relative error of the entropy's part of the {name} ({where})",
              cures[name][1])
        for name, (size, where) in worst.items()
        if where
    ]  # fmt: skip


def _size(pair: tuple[float, str]) -> float:
    return abs(pair[0])


def targets_follow(cases: list[ReplayedUpdate]) -> list[Check]:
    """Of a step of the critics, which share the targets take up in the same step; nothing where nothing follows."""
    share = _share_taken_up(cases[0], "critic_optimiser", "wrong")
    if share is None:
        return []
    meaning = f"of a step of the critics in the targets, beside tau = {SHARE}"
    cure = "after each step move the target critics by tau of what they are behind"
    return [Check("targets_follow", share - SHARE, 0.0, SAME, meaning, cure)]


def target_policy(cases: list[ReplayedUpdate]) -> list[Check]:
    """Of a step of the actor, which share the targets take up: all, where its entropy counts, else by tau."""
    case, share = cases[0], _share_taken_up(cases[0], "actor_optimiser", "exact")
    if share is None:
        return []
    right, room = (1.0, SAME) if case.soft else (SHARE, CLOSE)
    whose = "the present policy" if case.soft else f"the policy that follows by tau = {SHARE}"
    return [
        Check(
            "target_policy", share - right, 0.0, room, f"of a step of the actor in the targets, beside {right:g}",
            f"take the actions that follow from {whose}",
        )
    ]  # fmt: skip


def delay(cases: list[ReplayedUpdate]) -> list[Check]:
    """How often the actor moves in as many updates of one step as it waits for; nothing where it waits for none."""
    case = cases[0]
    if "delay" not in settings_of(case.subject) or case.subject.delay < 2:
        return []
    ready, key, view = _moving(case, "actor_optimiser"), jax.random.key(0), case.view()
    state, moves = ready.init(case.networks("exact"), case.spec, 1, key), 0
    for _ in range(case.subject.delay):
        after = _updated(ready, state, view, key)
        moves += not eqx.tree_equal(ready.networks(state).actor, ready.networks(after).actor)
        state = after
    meaning = f"steps of the actor in {case.subject.delay} updates of one step each, beside 1"
    return [Check("delay", moves - 1.0, 0.0, 0.0, meaning, "count the steps over all updates, not anew in each")]


def steps(cases: list[ReplayedUpdate]) -> list[Check]:
    """Whether each optimiser is given, in a step, the gradient of the objective that the algorithm says it climbs."""
    case, key = cases[0], jax.random.key(0)
    ready, view = _moving(case, ""), case.view()
    state = ready.init(case.networks("wrong"), case.spec, 1, key)
    valid = np.asarray(case.streams.trajectory.valid, np.float64)
    said = case.of_state(ready, state, view, valid)
    nodes = jax.tree_util.tree_leaves_with_path(_updated(ready, state, view, key), is_leaf=_is_record)
    given = {jax.tree_util.keystr(path): ravel_pytree(x.total)[0] for path, x in nodes if _is_record(x)}
    worst = (0.0, "")
    for name, mean in ((name, gradient / valid.sum()) for name, gradient in said.items()):
        mine = [np.asarray(x) for place, x in given.items() if f".{name}." in place]
        if len(mine) == 1:
            off = np.linalg.norm(mine[0] - mean) / max(np.linalg.norm(mean), 1e-12)
            worst = max(worst, (float(np.nan_to_num(off, nan=np.inf)), f" ({name})"))
    meaning = f"difference of the gradient that an optimiser is given and that of its objective{worst[1]}"
    cure = "let `step` climb what `objectives` gives: the audit looks at that"
    return [Check("steps", worst[0], 0.0, SAME, meaning, cure)]


def _is_record(node: Any) -> bool:
    return isinstance(node, RecordedGradients)


def _moving(case: ReplayedUpdate, moving: str) -> Any:
    """The algorithm with one optimiser that moves, while the others stand still."""
    names = [name for name in settings_of(case.subject) if name.endswith("optimiser")]
    inner = {name: getattr(case.subject, name) for name in names}  # of the algorithm's own fields
    return case.ready(**{n: RecordingOptimiser(x, jnp.asarray(n == moving, float)) for n, x in inner.items()})


def _share_taken_up(case: ReplayedUpdate, moving: str, critics: str) -> float | None:
    """A step in which one optimiser alone moves, and what targets change by: over what they would with no delay.

    `None` where they would not change.
    """
    ready, key = _moving(case, moving), jax.random.key(0)
    state, view = ready.init(case.networks(critics), case.spec, 1, key), case.view()
    after = _updated(ready, state, view, key)
    anew = ready.init(ready.networks(after), case.spec, 1, key)
    first, then, whole = (case.of_state(ready, s, view, case.streams.exact)["critics"] for s in (state, after, anew))
    behind = whole - first
    if np.linalg.norm(behind) <= 1e-9 * np.linalg.norm(first):
        return None
    return float((then - first) @ behind / (behind @ behind))


@bounded_jit
def _updated(algorithm: Any, state: PyTree, view: Any, key: Array) -> PyTree:
    return algorithm.update(state, view, key)[0]


def bounds(cases: list[ReplayedUpdate]) -> list[Check]:
    """Whether critics are asked of actions beyond the bounds, by an actor that acts at them; of numbers alone."""
    continuous = [(case, space) for case in cases if isinstance(space := case.problem.action_space, Box)]
    if not continuous:
        return []
    case, space = continuous[0]
    ready = case.as_given()
    spec = dataclasses.replace(case.spec, action_space=Box(space.shape, -1.0, 1.0))
    built = ready.build(spec, Network(width=2, depth=1), jax.random.key(0))
    loud = jax.tree.map(lambda x, learned: SATURATED * x if learned else x, built.actor, trainable(built.actor))
    networks = eqx.tree_at(lambda n: (n.actor, n.critics), built, (loud, _WithinBounds(case.number)))
    state = ready.init(networks, case.spec, 1, jax.random.key(0))
    t = case.streams.trajectory
    view = case.view(dataclasses.replace(t, action=jnp.clip(t.action, -1, 1)))  # only what it asks by itself counts
    share = float(_beyond(ready, state, view, jnp.asarray(case.streams.plain), jax.random.key(1)))
    return [
        Check(
            "bounds", share, 0.0, 0.0, "share of rows whose critics are asked of an action beyond -1 and 1",
            "clip the noise, add it, and put the sum onto the bounds: in this order",
        )
    ]  # fmt: skip


@bounded_jit
def _beyond(
    algorithm: Any, state: PyTree, view: Any, weight: Float[Array, "streams time"], key: Array
) -> Float[Array, ""]:
    shares = []
    for climbed in algorithm.objectives(state, view, key).values():
        values = climbed.function(climbed.model, climbed.rows)[0]
        there = padded(weight, values.size) * climbed.rows.weight > 0
        shares.append(jnp.sum(there & ~jnp.isfinite(values)) / jnp.sum(there))
    return jnp.max(jnp.stack(shares))
