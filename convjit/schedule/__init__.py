"""The schedule: which loops, in which order, run by whom, and what is kept where. It is text that a user can paste back."""
