#!/bin/sh
# Becomes the agent, with its secrets in the environment. They come from a mounted file, so that neither the
# container's config nor a commit of it holds them.
if [ -r /run/bottle/secrets ]; then
	. /run/bottle/secrets
fi
exec "$@"
