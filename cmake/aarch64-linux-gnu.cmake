# SPDX-License-Identifier: Apache-2.0
# Cross build for 64-bit ARM boards. The libraries come from a folder that cmake/sysroot.sh made:
#   sh cmake/sysroot.sh arm64 bookworm /tmp/arm64
#   cmake -S . -B build/arm64 -G Ninja --toolchain cmake/aarch64-linux-gnu.cmake -DCMAKE_SYSROOT=/tmp/arm64
# Unit tests and `--help` then run under qemu-aarch64-static (Debian: qemu-user-static).
set(WARDGATE_DEB_ARCH arm64)
set(triplet aarch64-linux-gnu)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(emulator qemu-aarch64-static)
include(${CMAKE_CURRENT_LIST_DIR}/cross-linux.cmake)
