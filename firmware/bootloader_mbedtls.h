/* SPDX-License-Identifier: Apache-2.0
 *
 * mbedTLS's configuration for the bootloader and for the node's hash: what verifies an
 * ECDSA signature on P-256, and SHA-256. Works with 2.28 and 3.6. Small rather than fast:
 * no comb table, the smallest windows. What is verified is public, so the point
 * multiplication needs no blinding and no random numbers.
 */
#ifndef FIRMWARE_BOOTLOADER_MBEDTLS_H
#define FIRMWARE_BOOTLOADER_MBEDTLS_H

#include <stddef.h>

#define MBEDTLS_HAVE_ASM
#define MBEDTLS_BIGNUM_C
#define MBEDTLS_ECP_C
#define MBEDTLS_ECDSA_C
#define MBEDTLS_ASN1_PARSE_C /* ECDSA_C will not do without; the linker drops them */
#define MBEDTLS_ASN1_WRITE_C
#define MBEDTLS_SHA256_C
#define MBEDTLS_SHA256_SMALLER
#define MBEDTLS_ECP_DP_SECP256R1_ENABLED
#define MBEDTLS_ECP_NIST_OPTIM
#define MBEDTLS_ECP_NO_INTERNAL_RNG
#define MBEDTLS_ECP_WINDOW_SIZE       2
#define MBEDTLS_ECP_FIXED_POINT_OPTIM 0
#define MBEDTLS_MPI_WINDOW_SIZE       1
#define MBEDTLS_PLATFORM_C
#define MBEDTLS_PLATFORM_MEMORY
#define MBEDTLS_PLATFORM_CALLOC_MACRO boot_calloc
#define MBEDTLS_PLATFORM_FREE_MACRO   boot_free

/* firmware/bootloader_heap.c */
void *boot_calloc(size_t count, size_t size);
void boot_free(void *block);

#endif
