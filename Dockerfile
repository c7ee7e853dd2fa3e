# All that `nox -s gpu` takes, at the tested versions, for a machine that has nothing but a driver and Docker.
# The base has no CUDA libraries: torch brings its own, and Triton its compiler for the GPU.
FROM nvidia/cuda:13.0.1-base-ubuntu24.04

# Triton and `native` build with a C++ compiler and Python's headers; a run names its commit by git.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends g++ git python3-dev python3-venv \
 && rm -rf /var/lib/apt/lists/* \
 && python3 -m venv /opt/nox \
 && /opt/nox/bin/pip install --no-cache-dir nox
WORKDIR /local-relation
ENV PATH=/local-relation/.nox/gpu/bin:/opt/nox/bin:$PATH

# First what the environment is made of, which is kept while only sources change.
COPY pyproject.toml constraints.txt noxfile.py ./
RUN nox --install-only -s gpu
COPY . .

CMD ["nox", "-R", "-s", "gpu", "--", "--out", "/results/gpu"]
