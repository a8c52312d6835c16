from bottle.docker_engine.engine import DockerEngine as DockerEngine
