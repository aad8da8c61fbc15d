"""What a retraining leaves behind for people to look at: one page with its pictures."""
