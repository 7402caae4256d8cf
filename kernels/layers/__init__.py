"""What layers compute, forward and backward."""
