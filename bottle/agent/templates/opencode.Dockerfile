# What every bottle of this agent begins with; `bottle start opencode` builds it.

# Any image with Node.js 22 and apt; another one: build_args = { BASE = "…" } in bottle.toml.
ARG BASE=node:22-trixie-slim
FROM ${BASE}

RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates curl git less openssh-client procps ripgrep \
    && rm -rf /var/lib/apt/lists/*
RUN npm install --global opencode-ai \
    && rm -rf /root/.npm /root/.cache /tmp/opencode

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

USER agent
# What it would install in each bottle at the first start, 64 MB for plugins, is in the image once. And what the image has
# is what runs: an update would be a part of each commit.
RUN mkdir -p ~/.config/opencode && cd ~/.config/opencode \
    && npm install --no-audit --no-fund "@opencode-ai/plugin@$(opencode --version)" \
    && rm -rf ~/.npm \
    && echo '{ "autoupdate": false }' >opencode.json
