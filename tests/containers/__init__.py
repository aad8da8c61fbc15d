"""Services of docker-compose.yaml in containers, on a real engine: `make test-containers`.

engine.sh starts an engine on a Debian machine that has none; there, standins/ replaces the images
of other projects. Everywhere else the same tests run the images that the compose file names.
"""
