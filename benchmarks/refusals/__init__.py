"""False refusals of right programs, and jumps that are missed."""
