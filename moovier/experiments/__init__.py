"""Compare a challenger with the champion on a share of the traffic."""
