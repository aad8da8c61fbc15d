"""Two models on the same traffic: who gets which, what people made of it, and what that proves."""
