# A static binary beside busybox, whose wget the health check uses. Runs as
# nobody and writes nowhere but under /data, so the file system may be read-only.
FROM golang:1.26.8 AS build
WORKDIR /src
# The build fetches the modules that it needs; those of the tests are many more.
COPY . .
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 go build -trimpath -tags grpcnotrace -ldflags="-s -w" -o /archflow ./cmd/archflow
RUN mkdir /data && cp cmd/archflow/micro/micro.jsonl.gz /micro.jsonl.gz

FROM busybox:1.37.0-musl
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /archflow /usr/bin/archflow
COPY --from=build /micro.jsonl.gz /usr/share/archflow/micro.jsonl.gz
COPY --from=build --chown=65534:65534 /data /data
USER 65534:65534
ENV ARCHFLOW_DATA=/data
VOLUME /data
EXPOSE 8099
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s CMD ["wget", "-q", "-O", "/dev/null", "http://127.0.0.1:8099/livez"]
ENTRYPOINT ["archflow"]
CMD ["run"]
