"""ale-py: Atari games in C++ threads, prepared as they are usually learned from.

ale-py is under the GPL. Nothing else imports it, and this does once a game is asked for.
"""

import inspect
from typing import Any

from ...errors import InputError, said
from ..vector import GymnasiumVector

PREFIX = "ALE/"  # of Gymnasium's ids
# No options of a game. The last would end episodes that go on.
_OWN = ("self", "game", "num_envs", "batch_size", "autoreset_mode", "life_loss_info")


def ale_ids() -> list[str]:
    """The games that ale-py has registered with Gymnasium for its threads: `Pong-v5`, and so on."""
    import ale_py  # noqa: F401 # pyright: ignore[reportMissingImports, reportUnusedImport] - it registers them
    import gymnasium

    return [
        id.removeprefix(PREFIX)
        for id, spec in gymnasium.registry.items()
        if id.startswith(PREFIX) and spec.vector_entry_point
    ]


def option_names() -> set[str]:
    """The options that ale-py takes for a game."""
    from ale_py.vector_env import AtariVectorEnv  # pyright: ignore[reportMissingImports]

    return set(inspect.signature(AtariVectorEnv.__init__).parameters) - {*_OWN}


def ale_vector(id: str, num_envs: int, seed: int | None, options: dict[str, Any]) -> GymnasiumVector:
    """`num_envs` games, `id` without its prefix. Rewards are the game's own where `options` do not clip them.

    Environment i runs on `seed + i`. Raises `InputError` for options that ale-py refuses.
    """
    import gymnasium

    given: dict[str, Any] = {"reward_clipping": False} | options
    try:
        env = gymnasium.make_vec(PREFIX + id, num_envs, vectorization_mode="vector_entry_point", **given)
    except Exception as error:
        raise InputError(f"ale-py cannot make {id} with {options} ({said(error)}): choose other options.") from None
    # Its own `close` gives nothing back: the threads live as long as the games do.
    env.close_extras = lambda **_: vars(env.unwrapped).pop("ale", None)
    return GymnasiumVector(env, seed, PREFIX + id)
