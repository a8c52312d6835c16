# What every bottle of this agent begins with; `bottle start codex` builds it.

# Any image with Node.js 22 and apt; another one: build_args = { BASE = "…" } in bottle.toml.
ARG BASE=node:22-trixie-slim
FROM ${BASE}

RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates curl git less openssh-client procps ripgrep \
    && rm -rf /var/lib/apt/lists/*
RUN npm install --global @openai/codex \
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

USER agent
# No daemon: it would put a copy of Codex, 424 MB, into each bottle. The question of a first start, answered: a bottle is
# where the agent may do as it likes. And OpenAI with a key from the environment, for who has no login; see bottle.toml.
RUN mkdir ~/.codex && printf '%s\n' \
    '[features]' \
    'daemon_auto_start = false' \
    '' \
    '[projects."/workspace"]' \
    'trust_level = "trusted"' \
    '' \
    '[model_providers.key]' \
    'name = "OpenAI"' \
    'base_url = "https://api.openai.com/v1"' \
    'env_key = "OPENAI_API_KEY"' \
    'wire_api = "responses"' >~/.codex/config.toml
