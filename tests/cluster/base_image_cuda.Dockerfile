FROM scratch AS debian
ADD base.tar /

FROM debian
COPY wheels.txt /
# nvcc's wheels bring the runtime without the name that a linker looks for. What goes is loaded on
# demand by a program that has a GPU, which no container of this base has, or linked statically.
RUN pip install --quiet --break-system-packages --root-user-action=ignore --no-cache-dir \
      --no-compile --require-hashes --no-deps --only-binary :all: --requirement wheels.txt \
 && site=$(python3 -c 'import sysconfig; print(sysconfig.get_path("purelib"))') \
 && ln -s libcudart.so.13 "$site/nvidia/cu13/lib/libcudart.so" \
 && ln -s "$site/nvidia/cu13" /usr/local/cuda \
 && cd "$site" \
 && rm -rf torch/test torch/bin/ptxas nvidia/cu13/lib/*.a nvidia/cu13/lib/libcusolverMg.so* \
      nvidia/cu13/lib/*.alt.so* nvidia/cu13/lib/libnvperf_* \
      nvidia/cudnn/lib/libcudnn_engines_* nvidia/cudnn/lib/libcudnn_adv* \
      nvidia/cudnn/lib/libcudnn_heuristic* nvidia/nvshmem/lib/*.bc \
 && rm /wheels.txt
ENV PATH=/usr/local/cuda/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    CUDA_HOME=/usr/local/cuda \
    LIBRARY_PATH=/usr/local/cuda/lib \
    LANG=C.UTF-8
