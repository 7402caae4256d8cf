"""New processes: what they run, what they take, and the code that they find."""
