#!/bin/sh
# Becomes the agent: with its secrets in the environment, and with the command that it was told last, if it was told one.
# Both come from mounted files: so neither the container's config nor a commit of it holds secrets, and a container that
# is started again need not run what it was made to run.
if [ -r /run/bottle/secrets ]; then
	. /run/bottle/secrets
fi
if [ -r /run/bottle/command ]; then
	. /run/bottle/command
fi
exec "$@"
