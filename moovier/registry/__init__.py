"""The only room that speaks MLflow: runs, versions, aliases, the promotion gate."""
