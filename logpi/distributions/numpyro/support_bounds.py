"""Support bounds of transformed distributions: where they are, and which numbers place them there.

NumPyro says that a shift and a scale lead to all reals, whatever they are applied to; and what comes after them hears
no more of the bounds.
"""

from typing import Any, Literal

import jax

from .adapter import entries_of, of_entries

Ends = Literal["none", "at 0", "anywhere"]


def ends_of(distribution: Any) -> tuple[list[Any], Ends]:
    """The parameters of transforms that place the ends of a NumPyro distribution's support, and where these are."""
    from numpyro.distributions import TransformedDistribution

    distribution = entries_of(distribution)
    if not isinstance(distribution, TransformedDistribution):
        return [], _ends(distribution.support)
    found, ends = ends_of(distribution.base_dist)
    for transform in distribution.transforms:
        placed, ends = _after(transform, ends)
        found += placed
    return found, ends


def _ends(support: Any) -> Ends:
    """Where a set of NumPyro's ends. One without ends that is not all reals (a simplex) counts as one with some."""
    from numpyro.distributions import constraints

    support = of_entries(support)
    if isinstance(support, type(constraints.real)):
        return "none"
    limits = [getattr(support, name, None) for name in ("lower_bound", "upper_bound")]
    limits = [limit for limit in limits if limit is not None]
    return "at 0" if limits and all(_is_zero(limit) for limit in limits) else "anywhere"


def _after(transform: Any, ends: Ends) -> tuple[list[Any], Ends]:
    """The parameters of a transform that place the ends of what it is applied to, and where they are then."""
    from numpyro.distributions import transforms as t

    inside = transform.parts if isinstance(transform, t.ComposeTransform) else None
    inside = [transform.base_transform] if isinstance(transform, t.IndependentTransform) else inside
    if inside is not None:
        found = []
        for part in inside:
            placed, ends = _after(part, ends)
            found += placed
        return found, ends
    if ends == "none":
        keeps = isinstance(transform, t.AffineTransform)
        return [], "none" if keeps else _ends(transform.codomain)
    if ends == "anywhere":
        return jax.tree.leaves(transform), "anywhere"
    if isinstance(transform, t.AffineTransform):
        return [transform.loc], "at 0" if _is_zero(transform.loc) else "anywhere"
    # These lead from the positive numbers to the positive numbers.
    stays = isinstance(transform, (t.AbsTransform, t.IdentityTransform, t.PowerTransform, t.ReshapeTransform))
    return ([], "at 0") if stays else (jax.tree.leaves(transform), "anywhere")


def _is_zero(number: Any) -> bool:
    return isinstance(number, (int, float)) and number == 0
