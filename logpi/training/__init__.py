"""From a name to a trained policy: the loop, the run and its folder, presets, evaluation."""
