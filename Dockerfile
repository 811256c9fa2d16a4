# syntax=docker/dockerfile:1

FROM --platform=$BUILDPLATFORM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
ARG TARGETOS TARGETARCH VERSION= COMMIT=
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -ldflags "-s -w -X main.version=$VERSION -X main.commit=$COMMIT" -o /out/idp ./cmd/idp

FROM debian:bookworm-slim
ARG VERSION= COMMIT=
LABEL org.opencontainers.image.title="idp" \
      org.opencontainers.image.description="Preview environments for pull requests, through GitOps" \
      org.opencontainers.image.source="https://github.com/idp-bot/idp" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$COMMIT"

# idp commits with git itself; ssh is for GitOps repositories that are reached by it.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates git openssh-client \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 65532 --user-group --create-home --home-dir /var/lib/idp --shell /usr/sbin/nologin idp
COPY --from=build /out/idp /usr/local/bin/idp

# The database and the clone live in the home folder: mount a volume there.
USER 65532:65532
WORKDIR /var/lib/idp
VOLUME /var/lib/idp
EXPOSE 8080 9090
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s CMD ["idp", "healthcheck"]
ENTRYPOINT ["idp"]
CMD ["serve"]
