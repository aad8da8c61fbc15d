# Two images from one lock; mlflow/Dockerfile is the third. Each installs its extras only, in the
# versions that the lock names. `RUN --mount` needs BuildKit: Docker 23, or 20.10 with Compose 2.
#   serving   answers requests, and has the page: no TensorFlow, no Airflow, no MLflow
#   training  Airflow and all that its tasks need; also runs the fine-tuning service. With
#             `--build-arg ENGINE=spark` it has Java and Spark, for the cluster and its drivers.

FROM python:3.11.14-slim-bookworm AS base
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PYTHONUNBUFFERED=1 \
    UV_COMPILE_BYTECODE=1 \
    UV_NO_CACHE=1 \
    UV_SYSTEM_PYTHON=1
RUN useradd --uid 1000 --create-home moovier \
    && install --directory --owner moovier --group moovier /var/lib/moovier
WORKDIR /opt/moovier
COPY pyproject.toml requirements.lock requirements-spark.lock README.md LICENSE ./

# Mounted where packages are installed, and in no image.
FROM base AS tools
RUN pip install --target /tools uv==0.13.9
COPY deploy/slim_packages.sh /tools/
USER moovier

FROM node:20.20.2-bookworm-slim AS page
RUN install --directory --owner node --group node /web
WORKDIR /web
USER node
COPY --chown=node web/package.json web/package-lock.json web/.npmrc ./
RUN npm ci
COPY --chown=node web ./
RUN npm run build

FROM base AS compiled
# Without a compiler, the scorers use NumPy, which takes longer.
RUN (apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev) \
    || echo "no C compiler: the image computes with NumPy"
COPY moovier moovier
COPY bentos bentos
RUN --mount=type=bind,from=tools,source=/tools,target=/tools \
    /tools/bin/uv pip install --no-deps --target /compiled . && mkdir /kernels \
    && find /compiled -name '_kernels*.so' -exec cp {} /kernels \;
USER moovier

FROM base AS serving
# The dependencies first: they change less often than the code.
RUN --mount=type=bind,from=tools,source=/tools,target=/tools \
    /tools/bin/uv pip install --constraint requirements.lock --requirements pyproject.toml --extra serve \
    && /tools/slim_packages.sh
COPY moovier moovier
COPY bentos bentos
COPY --from=compiled /kernels/ moovier/models/
RUN --mount=type=bind,from=tools,source=/tools,target=/tools \
    /tools/bin/uv pip install --no-deps .
COPY --from=page /web/dist web/dist
USER moovier
ENV MOOVIER_HOME=/var/lib/moovier MOOVIER_PROJECT=/opt/moovier
EXPOSE 8000

FROM base AS training
RUN --mount=type=bind,from=tools,source=/tools,target=/tools \
    /tools/bin/uv pip install --constraint requirements.lock --requirements pyproject.toml \
        --extra train --extra serve --extra orchestrate \
    && /tools/slim_packages.sh libclang
ARG ENGINE=local
RUN --mount=type=bind,from=tools,source=/tools,target=/tools \
    if [ "$ENGINE" = spark ]; then \
        apt-get update \
        && apt-get install --yes --no-install-recommends openjdk-17-jre-headless \
        && rm -rf /var/lib/apt/lists/* \
        && /tools/bin/uv pip install --constraint requirements-spark.lock \
            --requirements pyproject.toml --extra spark; \
    fi
COPY moovier moovier
COPY bentos bentos
COPY dags dags
COPY data data
COPY .dvc .dvc
COPY .dvcignore ./
COPY --from=compiled /kernels/ moovier/models/
RUN --mount=type=bind,from=tools,source=/tools,target=/tools \
    /tools/bin/uv pip install --no-deps . && chown -R moovier data .dvc
USER moovier
ENV MOOVIER_HOME=/var/lib/moovier MOOVIER_PROJECT=/opt/moovier AIRFLOW_HOME=/var/lib/moovier/airflow
