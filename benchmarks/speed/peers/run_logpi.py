"""logpi's PPO on the settings of the peers, asked for as any user would ask, with none of its presets."""

import jax
from pictures import Pictures
from protocol import answer, arguments, timed, Timing
from settings import Setting, SETTINGS

import logpi

# EnvPool steps all environments on threads of its own; the compiled twin of CartPole-v1 is what logpi takes by itself.
ENVIRONMENTS = {"HalfCheetah-v5": "envpool:HalfCheetah-v5", "Pictures": Pictures}


def algorithm(setting: Setting) -> "logpi.PPO":
    """logpi's PPO with `setting`. The one place that knows how logpi names the hyperparameters."""
    return logpi.PPO(
        optimiser=logpi.Adam(learning_rate=setting.learning_rate, max_grad_norm=setting.max_grad_norm),
        credit=logpi.GAE(gamma=setting.gamma, lam=setting.gae_lambda),
        clip=setting.clip,
        value_clip=setting.value_clip or float("inf"),
        value_coef=setting.value_coef,
        entropy_coef=setting.entropy_coef,
        num_epochs=setting.num_epochs,
        num_minibatches=setting.num_minibatches,
    )


def settings_of(setting: Setting, steps: int, overlap: bool = False) -> "logpi.Settings":
    """All that a preset would decide otherwise: neither observations nor rewards are scaled."""
    hidden = {"width": setting.hidden[0], "depth": len(setting.hidden), "activation": "tanh"} if setting.hidden else {}
    return logpi.Settings(
        algorithm(setting),
        steps=steps,
        num_envs=setting.num_envs,
        rollout_length=setting.rollout_length,
        network=logpi.Network(**hidden),
        overlap=overlap,
    )


def main() -> None:
    """Trains once for each repetition, each with a seed of its own.

    Steps are those that logpi counts: rows that only reset an environment are none. `train_seconds` is what logpi says
    of itself; `other_seconds` is the rest of the call beyond it and compilation, so that nothing can hide in between.
    """
    args = arguments(tuple(SETTINGS))
    setting: Setting = args.setting
    env, settings = ENVIRONMENTS.get(setting.env, setting.env), settings_of(setting, args.steps, args.overlap)
    runs, compiling, others = [], [], []
    for repetition in range(args.repetitions):
        first = args.seed + repetition * setting.seeds
        seeds = range(first, first + setting.seeds)
        wall, run = timed(lambda seeds=seeds: logpi.train(env, settings=settings, seeds=seeds))
        summary = run.summary
        runs.append(Timing(summary["steps"], summary["train_seconds"]))
        compiling.append(summary["compile_seconds"])
        others.append(round(wall - compiling[-1] - runs[-1].seconds, 3))
    packages = ["logpi", "jax", "equinox"] + (["envpool"] if str(env).startswith("envpool:") else [])
    answer("logpi", args.task, compiling[0], runs, packages, other_seconds=others)


if __name__ == "__main__":
    jax.config.update("jax_platforms", "cpu")
    main()
