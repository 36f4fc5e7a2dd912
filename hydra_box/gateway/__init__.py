"""The data plane: authenticate, route, relay, meter. It knows no HTTP server.

``request.py`` reads a body, ``stream.py`` an answer's bytes, ``pool.py`` says which instance takes
a request, ``upstream.py`` talks to that instance, ``relay.py`` joins them for one exchange.
"""
