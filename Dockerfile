# syntax=docker/dockerfile:1.7
# One file, three images:
#   docker build --target coordinator -t fleet-coordinator .
#   docker build --target dashboard   -t fleet-dashboard   .
#   docker build --target fleet       -t fleet             .
# Dependencies are a layer of their own (cargo-chef), so that a change of this project's code builds
# this project only. Builds are locked, and each binary carries the list of what it was made from
# (cargo-auditable): `cargo audit bin /usr/local/bin/fleet-dashboard` reads it, and so do image
# scanners; `docker buildx build --sbom=true --provenance=true` attaches an SPDX document as well.

ARG RUST=1.95

FROM rust:${RUST}-slim-bookworm AS tools
# musl-tools: the `fleet` command is linked statically, for it is copied into images of any kind.
RUN apt-get update \
    && apt-get install -y --no-install-recommends musl-tools \
    && rm -rf /var/lib/apt/lists/* \
    && rustup target add "$(uname -m)-unknown-linux-musl" \
    && cargo install --locked cargo-chef@0.1.78 cargo-auditable@0.7.7
WORKDIR /build

FROM tools AS plan
COPY . .
RUN cargo chef prepare --recipe-path recipe.json

FROM tools AS services
COPY --from=plan /build/recipe.json .
RUN cargo chef cook --locked --release --package fleet-coordinator --package fleet-dashboard --recipe-path recipe.json
COPY . .
RUN cargo auditable build --locked --release --package fleet-coordinator --package fleet-dashboard \
        --bin fleet-coordinator --bin fleet-dashboard

FROM tools AS command
COPY --from=plan /build/recipe.json .
RUN cargo chef cook --locked --release --target "$(uname -m)-unknown-linux-musl" \
        --package fleet-coordinator --recipe-path recipe.json
COPY . .
RUN target="$(uname -m)-unknown-linux-musl" \
    && cargo auditable build --locked --release --target "$target" --package fleet-coordinator --bin fleet \
    && cp "target/$target/release/fleet" /build/fleet

# What the images have in common: certificates of public authorities, a user without a name or a
# home, nothing to write to but volumes. The process is the first one and gets its signals itself.
FROM debian:bookworm-slim AS base
COPY --from=tools /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
# Before RUN: Podman 4 tells a layer from a cached one by the arguments of a RUN, not of a LABEL.
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG CREATED=unknown
RUN install -d -o 10001 -g 10001 -m 0750 /data
LABEL org.opencontainers.image.vendor="Fleet" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.base.name="docker.io/library/debian:bookworm-slim"
USER 10001:10001
STOPSIGNAL SIGTERM

FROM base AS coordinator
LABEL org.opencontainers.image.title="fleet-coordinator" \
      org.opencontainers.image.description="Keeps what is derived from a fleet up to date"
COPY --from=services /build/target/release/fleet-coordinator /usr/local/bin/
ENV FLEET_OPS_LISTEN=0.0.0.0:9090 FLEET_LOG_FORMAT=json
EXPOSE 9090
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
    CMD ["/usr/local/bin/fleet-coordinator", "--healthcheck"]
ENTRYPOINT ["/usr/local/bin/fleet-coordinator"]

FROM base AS dashboard
LABEL org.opencontainers.image.title="fleet-dashboard" \
      org.opencontainers.image.description="HTTP API, WebSocket, pages and metrics of a fleet"
COPY --from=services /build/target/release/fleet-dashboard /usr/local/bin/
# Listening on every address needs FLEET_TOKENS_FILE, or FLEET_INSECURE_OPEN=true said aloud.
ENV FLEET_LISTEN=0.0.0.0:8080 FLEET_OPS_LISTEN=0.0.0.0:9090 FLEET_LOG_FORMAT=json
EXPOSE 8080 9090
VOLUME ["/data"]
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
    CMD ["/usr/local/bin/fleet-dashboard", "--healthcheck"]
ENTRYPOINT ["/usr/local/bin/fleet-dashboard"]

FROM base AS fleet
LABEL org.opencontainers.image.title="fleet" \
      org.opencontainers.image.description="The fleet command: pushes reports, runs tools as bots, asks a fleet"
COPY --from=command /build/fleet /usr/local/bin/
ENTRYPOINT ["/usr/local/bin/fleet"]
