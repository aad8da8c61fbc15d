"""What the service does, without HTTP: from a loaded model to rendered JSON.

No module here imports TensorFlow, the MLflow library, pandas, a web framework or Prometheus.
"""
