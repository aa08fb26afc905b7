#!/usr/bin/env bash
# gsplat's kernels, and the trainer's own, compiled against PyTorch 2.6 with nvcc 12.4, and loaded.
# That is as near to the production base (PyTorch 2.6, CUDA 12.6) as one comes without its registry.
# No GPU is needed. Usage: make test-kernels-2.6, which gives the folder to work in.
set -euo pipefail
folder=$(mkdir -p "$1" && cd "$1" && pwd)
cd "$(dirname "$0")/../.."
python=$PWD/.venv/bin/python
toolkit=$folder/toolkit debian=$folder/debian

echo "==> nvcc 12.4, of Debian trixie"
mirror=$("$python" -c 'from tests.cluster.host_settings import debian_mirror as m; print(m())')
mkdir -p "$folder"/apt/{lists,cache}/partial "$debian"
echo "deb $mirror trixie non-free" >"$folder/apt/sources.list"
apt=(apt-get -qq -o "Dir::Etc::SourceList=$folder/apt/sources.list" -o Dir::Etc::SourceParts=-
  -o "Dir::State::Lists=$folder/apt/lists" -o "Dir::Cache=$folder/apt/cache" -o APT::Sandbox::User=)
"${apt[@]}" update
(cd "$folder/apt" && "${apt[@]}" download nvidia-cuda-toolkit libnvvm4)
for package in "$folder"/apt/*.deb; do dpkg-deb -x "$package" "$debian"; done

echo "==> CUDA's headers, of PyPI; those of PyTorch's own libraries are installed with it"
headers=(nvidia-cuda-nvcc-cu12==12.4.131 nvidia-cuda-cccl-cu12==12.5.39)
uv pip install --quiet --no-deps --python "$python" --target "$folder/wheels" "${headers[@]}"
installed=$("$python" -c 'import nvidia; print(nvidia.__path__[0])')
rm -rf "$toolkit"
mkdir -p "$toolkit"/{bin,include,lib64,nvvm/bin}
for include in "$installed"/*/include "$folder"/wheels/nvidia/*/include; do
  cp -a "$include/." "$toolkit/include/"
done
cp -a "$debian"/usr/bin/* "$toolkit/bin/"
cp --remove-destination "$debian"/usr/lib/nvidia-cuda-toolkit/bin/{nvcc,cicc} "$toolkit/bin/"
cp -a "$debian/usr/lib/nvidia-cuda-toolkit/libdevice" "$toolkit/nvvm/"
cp "$installed"/cuda_runtime/lib/libcudart.so.12 "$toolkit/lib64/"
ln -s libcudart.so.12 "$toolkit/lib64/libcudart.so"
cat >"$toolkit/bin/nvcc.profile" <<'PROFILE'
TOP = $(_HERE_)/..
NVVMIR_LIBRARY_DIR = $(TOP)/nvvm/libdevice
PATH += $(_HERE_):
INCLUDES += "-I$(TOP)/include" $(_SPACE_)
LIBRARIES =+ $(_SPACE_) "-L$(TOP)/lib64"
PROFILE

echo "==> kernels for compute capability 9.0"
rm -rf "$folder/kernels" && mkdir "$folder/kernels"
export CUDA_HOME=$toolkit PATH=$toolkit/bin:$PATH CUDA_VISIBLE_DEVICES=
export LD_LIBRARY_PATH=$debian/usr/lib/x86_64-linux-gnu
.venv/bin/splat-trainer kernels build --architectures 9.0 --cache "$folder/kernels"
SPLAT_KERNELS_DIR=$folder/kernels SPLAT_KERNELS_ON_MISS=fail "$python" - <<'LOADED'
import torch
from splat_trainer.kernels.ensure import ensure_kernels
from splat_trainer.kernels.extension import OPERATORS

assert torch.__version__.startswith("2.6."), torch.__version__
use = ensure_kernels()
from gsplat.cuda._backend import _C

assert hasattr(_C, "relocation"), "this is not gsplat 1.5.3's module"
for name in OPERATORS:
    assert hasattr(torch.ops.splat, name), f"the trainer's own kernels are not in it: {name}"
print(f"PyTorch {torch.__version__} loaded {_C.__file__}: {use.model_dump(mode='json')}")
LOADED
