/* SPDX-License-Identifier: Apache-2.0
 *
 * `wardgate keygen`: the key pair that signs a site's firmware.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/crypto.h"
#include "base/file.h"
#include "base/sign.h"
#include "tool/tool.h"
#include "tool/verbs.h"

#define PATH_SIZE 1024

static const char help[] =
    "usage: wardgate keygen FOLDER [--json]\n"
    "\n"
    "Makes the key that signs the firmware of a site's nodes (ECDSA on P-256):\n"
    "\n"
    "  FOLDER/firmware.key    the private key, for 'wardgate sign'. Whoever has it can "
    "put any program on\n"
    "                         any node: keep it off the network, and keep a copy: "
    "without it no node can be updated\n"
    "  FOLDER/firmware.pub    the public key, for 'wardgate update' and the bootloader:\n"
    "                         sh firmware/bootloader_build.sh BOARD FOLDER/firmware.pub "
    "OUT\n"
    "\n"
    "An existing key is never written over. Exit codes: 0 made, 64 called wrongly, 74 "
    "files.\n";

/* Never replaces: a key that is gone locks a site out of its own nodes. */
static int write_new(const char *path, const char *text, mode_t mode)
{
    struct stat there;
    int error;

    if (lstat(path, &there) == 0)
        return tool_fail(TOOL_IO, "%s is there already: nothing was written", path);
    if ((error = file_replace(path, text, strlen(text), mode)) != 0)
        return tool_fail(TOOL_IO, "%s: %s", path, strerror(-error));
    return TOOL_OK;
}

int verb_keygen(int argc, char **argv)
{
    static const struct tool_option options[] = {{NULL, NULL, NULL}};
    char key[PKI_PEM_SIZE], public_key[PKI_PEM_SIZE];
    char key_path[PATH_SIZE], public_path[PATH_SIZE];
    bool json = false;
    int code = TOOL_OK, operands = options_read(argc, argv, options, help, &json, &code);

    if (operands < 0)
        return code;
    if (operands != 1)
        return tool_usage("keygen", "expected one folder");
    if (strlen(argv[1]) > PATH_SIZE - 32)
        return tool_usage("keygen", "the folder's name is too long");
    (void)snprintf(key_path, sizeof(key_path), "%s/firmware.key", argv[1]);
    (void)snprintf(public_path, sizeof(public_path), "%s/firmware.pub", argv[1]);
    if (mkdir(argv[1], 0700) != 0 && errno != EEXIST)
        return tool_fail(TOOL_IO, "%s: %s", argv[1], strerror(errno));
    if (pki_key(key) != PKI_OK || sign_public(key, public_key) != PKI_OK)
        code = tool_fail(TOOL_CONFIG, "the key can't be made");
    if (code == TOOL_OK)
        code = write_new(key_path, key, 0600);
    crypto_wipe(key, sizeof(key));
    if (code == TOOL_OK)
        code = write_new(public_path, public_key, 0644);
    if (code != TOOL_OK)
        return code;
    if (json)
        tool_print(json_pack("{s:b, s:s, s:s}", "ok", 1, "key", key_path, "public_key",
                             public_path));
    else
        (void)printf("%s: keep it secret, and keep a copy\n%s: for the bootloader and "
                     "'wardgate update'\n",
                     key_path, public_path);
    return TOOL_OK;
}
