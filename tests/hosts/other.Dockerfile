# A host with engines that are not the system's dockerd: Podman 4.3 with its Docker API, as Debian 12 has it, and what
# a rootless dockerd needs. No registry is asked: all of it is Debian's.
ARG HOST_IMAGE
FROM ${HOST_IMAGE}
RUN sed -n 's/^deb \(.*\) trixie main$/deb \1 bookworm main/p' /etc/apt/sources.list \
        >/etc/apt/sources.list.d/bookworm.list \
 && if [ ! -s /etc/apt/sources.list.d/bookworm.list ]; then \
        sed 's/^Suites:.*/Suites: bookworm/' /etc/apt/sources.list.d/debian.sources \
            >/etc/apt/sources.list.d/bookworm.sources; \
    fi \
 && apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        catatonit conmon/bookworm containernetworking-plugins fuse-overlayfs golang-github-containers-common/bookworm \
        podman/bookworm rootlesskit slirp4netns uidmap \
 && rm -rf /var/lib/apt/lists/*
COPY containers.conf /etc/containers/containers.conf
COPY otherctl /usr/local/sbin/hostctl
