# What every bottle of this agent begins with; `bottle start gemini` builds it.

# Any image with Node.js 22 and apt; another one: build_args = { BASE = "…" } in bottle.toml.
ARG BASE=node:22-trixie-slim
FROM ${BASE}

RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates curl git less openssh-client procps ripgrep \
    && rm -rf /var/lib/apt/lists/*
RUN npm install --global @google/gemini-cli \
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

# The bottle is the sandbox: none of its own, whatever a project's settings ask for.
ENV GEMINI_SANDBOX=false

USER agent
# What the image has is what runs: an update would be a part of each commit. The questions of a first start, answered: a
# bottle is where the agent may do as it likes, and it logs in with the key from the environment. Who has none presses Esc.
RUN mkdir ~/.gemini && printf '%s\n' '{' \
    '  "general": { "enableAutoUpdate": false },' \
    '  "security": {' \
    '    "auth": { "selectedType": "gemini-api-key" },' \
    '    "folderTrust": { "enabled": false }' \
    '  }' \
    '}' >~/.gemini/settings.json
