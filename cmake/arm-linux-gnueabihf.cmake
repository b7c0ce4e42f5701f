# SPDX-License-Identifier: Apache-2.0
# Cross build for 32-bit ARM boards (armv7 with hardware floating point); as cmake/aarch64-linux-gnu.cmake, with `armhf`.
set(WARDGATE_DEB_ARCH armhf)
set(triplet arm-linux-gnueabihf)
set(CMAKE_SYSTEM_PROCESSOR arm)
set(emulator qemu-arm-static)
include(${CMAKE_CURRENT_LIST_DIR}/cross-linux.cmake)
# The product has no narrowing on 32 bits; tests count in uint64_t and index with it, which is harmless at their sizes.
set(CMAKE_C_FLAGS_INIT -Wno-error=conversion)
