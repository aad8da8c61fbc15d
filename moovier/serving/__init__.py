"""From a loaded model to a ranked list. No TensorFlow, no MLflow library, no pandas."""
