"""HTML reports of retrainings and of monitoring, with their plots."""
