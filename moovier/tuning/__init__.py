"""Tuning of hyper-parameters: an Optuna study that several workers share."""
