# A host with the Docker that Debian's unstable distribution has, which is newer than that of any release.
ARG HOST_IMAGE
FROM ${HOST_IMAGE}
RUN sed -n 's/^deb \(.*\) trixie main$/deb \1 sid main/p' /etc/apt/sources.list \
        >/etc/apt/sources.list.d/sid.list \
 && if [ ! -s /etc/apt/sources.list.d/sid.list ]; then \
        sed 's/^Suites:.*/Suites: sid/' /etc/apt/sources.list.d/debian.sources \
            >/etc/apt/sources.list.d/sid.sources; \
    fi \
 && apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        containerd/sid docker-buildx/sid docker-cli/sid docker.io/sid runc/sid \
 && rm -rf /var/lib/apt/lists/*
