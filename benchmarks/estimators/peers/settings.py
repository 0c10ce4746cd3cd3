"""The two problems that all contenders solve, from one table. Standard library only."""

SAMPLES = 100_000
MEAN, LOG_STD, CENTRE = 0.5, 0.1, 0.1  # E[(x - CENTRE)^2] for x from N(MEAN, exp(LOG_STD)^2)
LOGITS = (-1.0, -0.6, -0.2, 0.2, 0.6, 1.0)  # E[(w.b - LEVEL)^2] for coins b of these logits
WEIGHTS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
LEVEL = 0.45
