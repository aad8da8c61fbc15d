"""Compare the current data and feedback with what the champion was trained on."""
