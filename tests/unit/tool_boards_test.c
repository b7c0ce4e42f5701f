/* SPDX-License-Identifier: Apache-2.0
 *
 * `wardgate boards` and `wardgate flash` on the checkout's own boards, and on a folder
 * with a board whose steps may be run here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "tool_run.h"

#define BOARDS    CHECKOUT "/boards"
#define SLOT_SIZE 4096

#define EXPECT(code, ...)                                                                \
    do {                                                                                 \
        int got_ = run(__VA_ARGS__, NULL);                                               \
        if (got_ != (code))                                                              \
            fail_msg("%s:%d: exit %d, expected %d: %s", __FILE__, __LINE__, got_, code,  \
                     run_output);                                                        \
    } while (0)
#define SAYS(text)                                                                       \
    do {                                                                                 \
        if (strstr(run_output, text) == NULL)                                            \
            fail_msg("%s:%d: no '%s' in: %s", __FILE__, __LINE__, text, run_output);     \
    } while (0)

static void file_write(const char *name, const void *bytes, size_t n)
{
    char path[400];
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/%s", run_folder, name);
    file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, n, file), n);
    assert_int_equal(fclose(file), 0);
}

static bool exists(const char *name)
{
    char path[400];

    (void)snprintf(path, sizeof(path), "%s/%s", run_folder, name);
    return access(path, F_OK) == 0;
}

/* A board of the test's own: slots as in its name, steps that a test may run. */
static void make_board(const char *name, const char *rest)
{
    char path[400], text[2048];
    int n;

    (void)snprintf(path, sizeof(path), "%s/own", run_folder);
    (void)mkdir(path, 0700);
    (void)snprintf(path, sizeof(path), "%s/own/%s", run_folder, name);
    (void)mkdir(path, 0700);
    n = snprintf(text, sizeof(text),
                 "name: %s\ntitle: for tests\nstatus: compiled only\n%s", name, rest);
    (void)snprintf(path, sizeof(path), "own/%s/board.yaml", name);
    file_write(path, text, (size_t)n);
}

#define SLOTS "slot_a: 0x08020000\nslot_b: 0x08021000\nslot_size: 0x1000\n"

static int setup(void **state)
{
    uint8_t program[600] = {0};

    (void)state;
    if (temporary_folder(run_folder) != 0)
        return -1;
    /* Stack and start of an STM32F405. */
    memcpy(program, (const uint8_t[]){0, 0, 1, 0x20, 1, 0x02, 0x02, 0x08}, 8);
    file_write("node.raw", program, sizeof(program));
    make_board("slotted", SLOTS "flash_steps:\n  - Switch it on.\n  - cp node.factory "
                                "\"flash ed\"\n");
    make_board("other", SLOTS "flash_steps:\n  - cp node.factory flashed\n");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    temporary_remove(run_folder);
    return 0;
}

/* Each folder with a board.yaml is a row; its name is the folder's. */
static void every_board_is_listed(void **state)
{
    size_t rows = 0;
    char *save = NULL;

    (void)state;
    EXPECT(0, "wardgate", "boards", "--boards", BOARDS, "--json");
    for (char *line = strtok_r(run_output, "\n", &save); line != NULL;
         line = strtok_r(NULL, "\n", &save), rows++) {
        json_t *board = json_loads(line, 0, NULL);
        char path[600];
        assert_non_null(board);
        (void)snprintf(path, sizeof(path), BOARDS "/%s/README.md",
                       json_string_value(json_object_get(board, "name")));
        if (access(path, R_OK) != 0)
            fail_msg("%s: no README.md for a newcomer", path);
        assert_true(json_is_array(json_object_get(board, "flash_steps")));
        json_decref(board);
    }
    assert_true(rows >= 8);
    EXPECT(0, "wardgate", "boards", "--boards", BOARDS);
    SAYS("stm32f405");
    SAYS("run under emulation");
    SAYS("limits: ");
    EXPECT(0, "wardgate", "boards", "stm32f405", "--boards", BOARDS);
    SAYS("PA9 TX");
}

/* The words of the script that drives the light, and of this tool, are the same. */
static void a_light_means_what_the_board_shows(void **state)
{
    const char *const shows[] = {"on ", "fast blink", "heartbeat", "off "};
    char script[4096];
    FILE *file = fopen(BOARDS "/linux_common/bedside-led", "r");
    size_t n;

    (void)state;
    assert_non_null(file);
    n = fread(script, 1, sizeof(script) - 1, file);
    script[n] = '\0';
    (void)fclose(file);
    EXPECT(0, "wardgate", "boards", "raspberrypi3", "--leds", "--boards", BOARDS);
    SAYS("raspberrypi3: ACT");
    for (size_t i = 0; i < 4; i++) {
        char line[40];
        (void)snprintf(line, sizeof(line), "\n#   %s", shows[i]);
        assert_non_null(strstr(script, line));
        SAYS(shows[i]);
    }
    EXPECT(0, "wardgate", "boards", "stm32f405", "--leds", "--boards", BOARDS);
    SAYS("no light that wardgate drives");
}

static void a_bad_board_is_named_with_its_line(void **state)
{
    static const struct {
        const char *text, *says;
    } bad[] = {
        {"name: bad\ntitle: t\nstatus: fine\n", "status: expected run on hardware"},
        {"name: bad\ntitle: t\n", "status: is missing"},
        {"name: other\ntitle: t\nstatus: compiled only\n",
         "name: 'other' is not the folder's name"},
        {"name: bad\ntitle: t\ntitle: u\nstatus: compiled only\n",
         "bad/board.yaml:3: title: is there twice"},
        {"name: bad\ntitle: [\nstatus: x\n", "bad/board.yaml:"},
        {"- name\n", "bad/board.yaml:1: bad: expected keys and values"},
        {"", "expected keys and values"},
        {"name: bad\na: [[[[x]]]]\n", "bad/board.yaml:2: a: nested too deep"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        make_board("bad", "");
        file_write("own/bad/board.yaml", bad[i].text, strlen(bad[i].text));
        EXPECT(78, "wardgate", "boards", "bad", "--boards", "own");
        SAYS(bad[i].says);
        EXPECT(78, "wardgate", "boards", "--boards", "own");
    }
    EXPECT(0, "rm", "-r", "own/bad");
    EXPECT(64, "wardgate", "boards", "../own", "--boards", "own");
    EXPECT(64, "wardgate", "boards", "none", "--boards", "own");
    SAYS("there is no board 'none' in own");
    EXPECT(74, "wardgate", "boards", "--boards", "nowhere");
    EXPECT(64, "wardgate", "boards", "a", "b");
}

/* As a board's file has them, and with the caller's files. */
static void steps_are_printed(void **state)
{
    (void)state;
    EXPECT(0, "wardgate", "flash", "stm32f405", "--boards", BOARDS);
    SAYS("-c \"program bootloader.bin 0x08000000 verify\" -c \"program node.factory "
         "0x08020000 verify reset exit\"\n");
    EXPECT(0, "wardgate", "flash", "raspberrypi3", "--boards", BOARDS);
    SAYS("sh boards/linux_common/image.sh raspberrypi3 PACKAGES-FOLDER pi3.img\n");
    EXPECT(0, "wardgate", "flash", "qemu_mps2_an385", "--image", "node.raw", "--boards",
           BOARDS);
    SAYS("-kernel node.raw -chardev socket,id=bus,path=qemu_mps2_an385-bus.sock");
    EXPECT(0, "wardgate", "flash", "slotted", "--boards", "own", "--json");
    assert_string_equal(run_output, "{\"note\":\"Switch it on.\"}\n"
                                    "{\"run\":\"cp node.factory \\\"flash ed\\\"\"}\n");
    EXPECT(64, "wardgate", "flash", "raspberrypi3", "--boards", BOARDS, "--run");
    SAYS("--packages is needed");
    EXPECT(64, "wardgate", "flash", "raspberrypi3", "--boards", BOARDS, "--card",
           "/dev/null");
    SAYS("is no disk or card");
    EXPECT(74, "wardgate", "flash", "raspberrypi3", "--boards", BOARDS, "--packages",
           "own");
    EXPECT(64, "wardgate", "flash", "slotted", "--boards", "own", "--image", "a b");
    EXPECT(64, "wardgate", "flash", "slotted", "--boards", "own", "--image", "$(reboot)");
    EXPECT(64, "wardgate", "flash", "--boards", "own");
}

static void sign(const char *board, const char *key, const char *out)
{
    char factory[64];

    (void)snprintf(factory, sizeof(factory), "%s.factory", out);
    EXPECT(0, "wardgate", "sign", "--key", key, "--board", board, "--version", "1.0.0",
           "--a", "0x08020000:node.raw", "--b", "0x08021000:node.raw", out, "--factory",
           factory, "--slot-size", "4096");
}

static void only_a_signed_image_is_flashed(void **state)
{
    (void)state;
    EXPECT(0, "wardgate", "keygen", "keys");
    EXPECT(0, "wardgate", "keygen", "others");
    sign("slotted", "keys/firmware.key", "good");
    sign("other", "keys/firmware.key", "foreign");
    EXPECT(64, "wardgate", "flash", "slotted", "--boards", "own", "--image",
           "good.factory", "--run");
    SAYS("--key firmware.pub is needed");
    EXPECT(78, "wardgate", "flash", "slotted", "--boards", "own", "--key",
           "keys/firmware.pub", "--image", "node.raw", "--run");
    SAYS("node.raw is not signed");
    EXPECT(78, "wardgate", "flash", "slotted", "--boards", "own", "--key",
           "others/firmware.pub", "--image", "good.factory", "--run");
    EXPECT(78, "wardgate", "flash", "slotted", "--boards", "own", "--key",
           "keys/firmware.pub", "--image", "foreign.factory", "--run");
    EXPECT(78, "wardgate", "flash", "slotted", "--boards", "own", "--key",
           "keys/firmware.pub", "--image", "good", "--run");
    SAYS("is an update and no factory image of 4096 bytes");
    EXPECT(74, "wardgate", "flash", "slotted", "--boards", "own", "--key",
           "keys/firmware.pub", "--image", "none.factory", "--run");
    assert_false(exists("flash ed"));
    EXPECT(0, "wardgate", "flash", "slotted", "--boards", "own", "--key",
           "keys/firmware.pub", "--image", "good.factory", "--run");
    SAYS("# Switch it on.\ncp good.factory \"flash ed\"\n");
    EXPECT(0, "cmp", "good.factory", "flash ed");
}

/* Of a board without a bootloader: at least its stack and start are this part's. */
static void a_plain_program_is_of_this_part(void **state)
{
    (void)state;
    make_board("plain", "flash_base: 0x08000000\nflash_size: 0x100000\nram_base: "
                        "0x20000000\nram_size: 0x20000\nflash_steps:\n  - cp node.bin "
                        "burnt\n");
    make_board("elsewhere", "flash_base: 0x0\nflash_size: 0x40000\nram_base: "
                            "0x20000000\nram_size: 0x10000\nflash_steps:\n  - cp "
                            "node.bin burnt\n");
    EXPECT(78, "wardgate", "flash", "elsewhere", "--boards", "own", "--image", "node.raw",
           "--run");
    SAYS("is no program for this board");
    assert_false(exists("burnt"));
    EXPECT(0, "wardgate", "flash", "plain", "--boards", "own", "--image", "node.raw",
           "--run");
    assert_true(exists("burnt"));
}

static void a_step_that_fails_ends_it(void **state)
{
    (void)state;
    make_board("fails", "flash_steps:\n  - test -e nothing\n  - touch after\n");
    EXPECT(1, "wardgate", "flash", "fails", "--boards", "own", "--run");
    SAYS("this step failed: test -e nothing");
    assert_false(exists("after"));
    make_board("absent", "flash_steps:\n  - no-such-program x\n");
    EXPECT(69, "wardgate", "flash", "absent", "--boards", "own", "--run");
    make_board("shell", "flash_steps:\n  - touch a; touch b\n");
    EXPECT(78, "wardgate", "flash", "shell", "--boards", "own", "--run");
    SAYS("run it yourself");
    make_board("nothing", "led: none\n");
    EXPECT(78, "wardgate", "flash", "nothing", "--boards", "own", "--run");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_board_is_listed),
        cmocka_unit_test(a_light_means_what_the_board_shows),
        cmocka_unit_test(a_bad_board_is_named_with_its_line),
        cmocka_unit_test(steps_are_printed),
        cmocka_unit_test(only_a_signed_image_is_flashed),
        cmocka_unit_test(a_plain_program_is_of_this_part),
        cmocka_unit_test(a_step_that_fails_ends_it),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
