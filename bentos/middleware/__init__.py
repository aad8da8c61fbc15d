"""ASGI middleware, one module each. A request passes them in this order.

1. ``time_out``: BentoML's application starts with it.
2. ``request_id``: gives the request an id, for the response and the log.
3. ``span``: names the trace's span, only with a collector.
4. ``metrics``: counts, times and logs the request by its route's template.
5. ``rate_limit``: a token bucket for each client.
6. ``concurrency_limit``: bounds the requests in flight, and counts them.
7. ``compression``: compresses large answers with gzip.
8. ``fast_path``: answers cached and quick requests, only without a collector.
9. ``trailing_slash``: answers ``/models/`` like ``/models``.
10. ``head``: answers HEAD like GET, without the body.
11. ``probes``: sends ``/livez``, ``/readyz`` and the schemas past BentoML's own routes.
12. BentoML's routes, then the application's: ``body_size``, ``decompression``, then
    :mod:`bentos.routes`.

API keys are checked by the routes that need one (:mod:`bentos.auth`), since most need none.
:func:`bentos.middleware.stack.front` builds 2 to 11.
"""
