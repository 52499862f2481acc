# syntax=docker/dockerfile:1
# One image for every process of the platform: `headrace api`, `headrace worker STEP`, `headrace sink NAME`.
# The base is pinned by tag; pin it by digest where you build: --build-arg PYTHON=python:3.13.9-slim-bookworm@sha256:…
ARG PYTHON=python:3.13.9-slim-bookworm

FROM ${PYTHON} AS builder
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
RUN ["python", "-m", "venv", "/opt/headrace"]
COPY deploy/images/runtime.lock deploy/images/build.lock deploy/images/
RUN ["/opt/headrace/bin/pip", "install", "--require-hashes", "--only-binary", ":all:", "--requirement", "deploy/images/runtime.lock"]
RUN ["python", "-m", "venv", "/opt/build"]
RUN ["/opt/build/bin/pip", "install", "--require-hashes", "--only-binary", ":all:", "--requirement", "deploy/images/build.lock"]
COPY pyproject.toml README.md LICENSE ./
COPY api api
COPY cli cli
COPY deploy deploy
COPY processors processors
COPY producers producers
COPY schemas schemas
COPY sinks sinks
RUN ["/opt/build/bin/python", "-m", "hatchling", "build", "-t", "wheel", "-d", "/wheel"]
RUN ["/opt/headrace/bin/pip", "install", "--no-deps", "--no-index", "--find-links", "/wheel", "headrace-server"]

# The weights, and the graph made of them: what makes it is not in the final image.
FROM builder AS models
ENV HEADRACE_MODELS=/models
RUN ["/opt/headrace/bin/pip", "install", "--require-hashes", "--only-binary", ":all:", "--requirement", "deploy/images/build.lock"]
RUN ["/opt/headrace/bin/headrace", "models", "fetch"]

FROM ${PYTHON}
LABEL org.opencontainers.image.title="Headrace" \
      org.opencontainers.image.description="Documents through OCR, chunking and embedding over Kafka, and nothing lost" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN ["useradd", "--uid", "10001", "--user-group", "--no-create-home", "--home-dir", "/tmp", "headrace"]
RUN ["install", "--directory", "--owner=10001", "--group=10001", "--mode=0700", \
     "/var/lib/headrace", "/var/lib/headrace/blobs", "/var/lib/headrace/run"]
COPY --from=builder /opt/headrace /opt/headrace
COPY --from=models /models /opt/models
# Nothing is written below /opt (pip has made the byte code), so that the root file system may be read-only.
ENV PATH=/opt/headrace/bin:$PATH \
    HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    HEADRACE_MODELS=/opt/models \
    HEADRACE_BLOBS=file:///var/lib/headrace/blobs \
    HEADRACE_RUN_DIR=/var/lib/headrace/run \
    HEADRACE_METRICS_HOST=0.0.0.0 \
    HEADRACE_METRICS_PORT=9100
USER 10001:10001
VOLUME ["/var/lib/headrace"]
EXPOSE 8000 9100
# A worker or sink; the API's own check is /readyz on its port (docker-compose.kafka.yml).
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:9100/readyz', timeout=3)"]
ENTRYPOINT ["headrace"]
CMD ["--help"]
