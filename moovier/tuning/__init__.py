"""The search for hyper-parameters: one Optuna study, shared by several workers."""
