"""rejax's PPO on gymnax's CartPole-v1: one compiled program, compiled apart, run with a key it has not seen.

What is not equal, and stays as rejax has it: its `max_grad_norm` clips each element of the gradient and not its norm,
actor and critic have an optimiser each, values are always clipped, by `clip_eps`, and a truncation counts as an end.
Its evaluation is replaced by one that does nothing (its own extension point), so none of it is in the time.
"""

import jax
from protocol import answer, arguments, timed, Timing
from rejax import PPO
from settings import Setting

TASKS = ("cartpole64", "cartpole4", "seeds8")


def algorithm(setting: Setting, steps: int) -> PPO:
    """rejax's PPO with `setting`, training for `steps` without any evaluation."""
    ppo = PPO.create(
        env=setting.env,
        agent_kwargs={"hidden_layer_sizes": setting.hidden, "activation": "tanh"},
        num_envs=setting.num_envs,
        num_steps=setting.rollout_length,
        num_minibatches=setting.num_minibatches,
        num_epochs=setting.num_epochs,
        learning_rate=setting.learning_rate,
        gamma=setting.gamma,
        gae_lambda=setting.gae_lambda,
        clip_eps=setting.clip,
        ent_coef=setting.entropy_coef,
        vf_coef=setting.value_coef,
        max_grad_norm=setting.max_grad_norm,
        total_timesteps=steps,
        eval_freq=steps,
        skip_initial_evaluation=True,
    )
    return ppo.replace(eval_callback=lambda algorithm, state, key: ())


def main() -> None:
    """Compiles for the shapes of the run, then times runs of the compiled program, each with a key of its own."""
    args = arguments(TASKS)
    setting: Setting = args.setting
    train = algorithm(setting, args.steps).train
    if setting.seeds > 1:
        train = jax.vmap(train)

    def keys(run: int) -> jax.Array:
        key = jax.random.PRNGKey(1000 * args.seed + run)
        return jax.random.split(key, setting.seeds) if setting.seeds > 1 else key

    compile_seconds, compiled = timed(lambda: jax.jit(train).lower(keys(0)).compile())
    runs = []
    for run in range(1, args.repetitions + 1):
        key = jax.block_until_ready(keys(run))
        run_seconds, (state, _) = timed(lambda key=key: jax.block_until_ready(compiled(key)))
        if int(state.global_step.min()) != args.steps:
            raise RuntimeError(f"rejax trained for {state.global_step} steps where {args.steps} were asked of it.")
        runs.append(Timing(args.steps * setting.seeds, run_seconds))
    answer("rejax", args.task, compile_seconds, runs, ["rejax", "gymnax", "jax", "flax"])


if __name__ == "__main__":
    main()
