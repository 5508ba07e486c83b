# NOT RUN YET: written where there are no containers; scripts/wheel, which does the same on one machine, is tested.
#
# A wheel for every Linux with glibc 2.28 or later, on x86-64 with AVX2 or on ARM: AlmaLinux 8's C library, and what is
# too old in it or is not there built from Debian's sources. The commit is the context; the wheel comes out in dist/:
#   git archive HEAD | docker build -f scripts/manylinux.Dockerfile --build-arg MANYLINUX=... --build-arg DEBIAN=... \
#     --output dist -
# MANYLINUX is PyPA's image manylinux_2_28 of the architecture, DEBIAN one of Debian 12, both by digest.
ARG MANYLINUX
ARG DEBIAN

FROM ${DEBIAN} AS sources
WORKDIR /sources
RUN sed -i 's/^Types: deb$/Types: deb deb-src/' /etc/apt/sources.list.d/debian.sources && apt-get update && \
    apt-get install -y --no-install-recommends dpkg-dev nlohmann-json3-dev=3.11.2-2 libcli11-dev=2.1.2+ds-1 && \
    apt-get source fmtlib=9.1.0+ds1-2 curl=7.88.1-10+deb12u15 utf8proc=2.8.0-1 && \
    mv fmtlib-9.1.0* fmt && mv curl-7.88.1 curl && mv utf8proc-2.8.0 utf8proc

FROM ${MANYLINUX} AS build
ENV PATH=/opt/python/cp311-cp311/bin:$PATH GYRO_LLAMA_CUDA=OFF
RUN dnf install -y --enablerepo=powertools gmp-devel openssl-devel zlib-devel ninja-build unzip
COPY --from=sources /usr/include/nlohmann /usr/include/nlohmann
COPY --from=sources /usr/share/cmake/nlohmann_json /usr/share/cmake/nlohmann_json
COPY --from=sources /usr/include/CLI /usr/include/CLI
COPY --from=sources /sources /sources
# libcurl for HTTP alone. It looks for certificates where AlmaLinux has them; elsewhere SSL_CERT_FILE must say where.
RUN for library in fmt curl utf8proc; do \
      cmake -G Ninja -S /sources/$library -B /tmp/$library -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=ON \
        -DBUILD_TESTING=OFF -DFMT_TEST=OFF -DFMT_DOC=OFF \
        -DBUILD_CURL_EXE=OFF -DHTTP_ONLY=ON -DCURL_USE_LIBSSH2=OFF -DUSE_LIBIDN2=OFF && \
      cmake --build /tmp/$library --target install || exit 1; \
    done && printf '/usr/local/lib\n/usr/local/lib64\n' >/etc/ld.so.conf.d/local.conf && ldconfig
COPY . /gyro
WORKDIR /gyro
# Not for the processor of this machine alone.
RUN sed -i 's/set(GGML_NATIVE ON/set(GGML_NATIVE OFF/' cmake/llama/CMakeLists.txt && \
    grep -q 'GGML_NATIVE OFF' cmake/llama/CMakeLists.txt && \
    scripts/fetch-plotly && scripts/fetch-openblas && scripts/fetch-llama
RUN python3 -m venv /venv && \
    /venv/bin/pip install --require-hashes -r tests/requirements.txt -r tests/requirements-python.txt \
      -r python/requirements-wheel.txt && \
    PATH=/venv/bin:$PATH CXX=c++ /venv/bin/pip wheel . --no-build-isolation --no-deps -w /wheel && \
    PATH=/venv/bin:$PATH auditwheel repair --plat manylinux_2_28_$(uname -m) -w /dist /wheel/gyro-*.whl

FROM scratch
COPY --from=build /dist /
