"""Does it learn? Ten seeds of every task, against what is published."""
