# The quickstart in a container: docker build -t lengthwise . && docker run -v "$PWD/runs:/lengthwise/runs" lengthwise
FROM python:3.11-slim
# Debian keeps one version of make for the life of a release, so none is named.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install --yes --no-install-recommends make && rm -rf /var/lib/apt/lists/*
WORKDIR /lengthwise
COPY . .
RUN make .venv/.ready
CMD ["make", "quickstart"]
