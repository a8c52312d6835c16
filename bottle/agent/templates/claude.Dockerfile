# What every bottle of this agent begins with; `bottle start claude` builds it.

# Any image with Node.js 22 and apt; another one: build_args = { BASE = "…" } in bottle.toml.
ARG BASE=node:22-trixie-slim
FROM ${BASE}

RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates curl git less openssh-client procps ripgrep \
    && rm -rf /var/lib/apt/lists/*
RUN npm install --global @anthropic-ai/claude-code \
    && rm -rf /root/.npm /root/.cache

# A user of its own, with the UID and GID of the owner of the folder that you start in: bottle gives them. So the agent may
# write there, and what it writes is theirs.
ARG BOTTLE_UID=1000
ARG BOTTLE_GID=1000
RUN old="$(getent passwd "$BOTTLE_UID" | cut -d: -f1)"; \
    [ -z "$old" ] || [ "$old" = root ] || userdel --remove "$old"; \
    getent group "$BOTTLE_GID" || groupadd --gid "$BOTTLE_GID" agent; \
    useradd --non-unique --uid "$BOTTLE_UID" --gid "$BOTTLE_GID" --create-home --shell /bin/bash agent
ENV HOME=/home/agent

# A project that somebody else owns is one that git works in, too.
RUN git config --system --add safe.directory '*'

# What the image has is what runs: an update would be a part of each commit. And where the folder is root's, the agent is
# root without any rights, as whom Claude Code asks no questions only if it is told that it is in a sandbox.
ENV DISABLE_AUTOUPDATER=1 IS_SANDBOX=1

USER agent
# The questions of a first start, answered: a bottle is where the agent may do as it likes.
RUN printf '%s\n' '{' \
    '  "hasCompletedOnboarding": true,' \
    '  "bypassPermissionsModeAccepted": true,' \
    '  "projects": { "/workspace": { "hasTrustDialogAccepted": true } }' \
    '}' >~/.claude.json
