/* SPDX-License-Identifier: Apache-2.0
 *
 * The node as a process: serial lines are ptys, what outlives a reset is a memory file
 * that the process hands to itself, flash is a file. A reset (SIGUSR2, or the watchdog)
 * is exec(): the lines stay as they are, as on a bus, and everything else is lost.
 *
 * "Interrupts" come where the firmware would unlock them: hal_lock() and hal_sleep() look
 * at the lines.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "firmware/hal.h"

#define FD_RETAINED   100 /* kept over exec() */
#define FD_LINE       101 /* and the next: one a port */
#define RETAINED      (HAL_RETAINED_SIZE + sizeof(uint32_t)) /* and why the next start is */
#define MEMORY_PRESET (1u << 20)
#define WATCHDOG_S    8u /* a host may be slow without being wrong */
#define STATE_UNIT    4096u
#define STATE_SIZE    (2 * STATE_UNIT)

static const char help[] =
    "Usage: wardgate-node --bus LINK [--device LINK]... [OPTION]...\n"
    "\n"
    "The bed node's firmware as a process. LINK is where the pseudo-terminal is linked;\n"
    "the first --device is port 1.\n"
    "\n"
    "  --driver NAME    of the next --device's port; nonin-df2 if not given\n"
    "  --address N      of port 1 on the bus, 1 if not given; port 2 is N + 1\n"
    "  --serial TEXT    the part's serial number, at most 16 characters\n"
    "  --flash FILE     what outlives power: the start counter\n"
    "  --memory BYTES   for samples; 1048576 if not given\n"
    "  --fast N         SIGUSR1 makes the node's clock N times as fast, and again as\n"
    "                   slow; silences on the bus shrink with it\n"
    "\n"
    "SIGUSR2 resets the node, SIGTERM ends it.\n";

static struct {
    const char *links[HAL_PORTS_MAX];
    const char *drivers[HAL_PORTS_MAX];
    const char *serial, *flash;
    unsigned ports; /* devices */
    uint8_t address;
    uint32_t fast;
    size_t memory_size;
    char **argv;

    int lines[HAL_PORTS_MAX]; /* master sides */
    void *memory, *retained;
    uint8_t state[STATE_SIZE];
    uint32_t speed;
    uint64_t base_us, host_us; /* node's and host's clock when speed last changed */
    bool again;                /* started by a reset */
    enum hal_reset cause;
} board = {.serial = "native", .address = 1, .fast = 1, .memory_size = MEMORY_PRESET};

static volatile sig_atomic_t ends, resets, toggles;

static void on_signal(int number)
{
    if (number == SIGUSR1)
        toggles = 1;
    else if (number == SIGUSR2)
        resets = 1;
    else
        ends = 1;
}

static uint64_t host_us(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void fail(const char *what)
{
    (void)fprintf(stderr, "wardgate-node: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void usage(int code)
{
    (void)fputs(help, code == 0 ? stdout : stderr);
    exit(code);
}

static uint32_t number(const char *text, uint32_t most)
{
    char *end;
    unsigned long value;

    errno = 0;
    value = strtoul(text, &end, 10);
    if (errno != 0 || *end != '\0' || end == text || value == 0 || value > most) {
        (void)fprintf(stderr, "wardgate-node: '%s' must be 1 to %u\n", text, most);
        exit(2);
    }
    return (uint32_t)value;
}

/* glibc hands main's arguments to constructors: main() itself is the firmware's. */
__attribute__((constructor)) static void arguments(int argc, char **argv)
{
    static const struct option options[] = {{"bus", required_argument, NULL, 'b'},
                                            {"device", required_argument, NULL, 'd'},
                                            {"driver", required_argument, NULL, 'D'},
                                            {"address", required_argument, NULL, 'a'},
                                            {"serial", required_argument, NULL, 's'},
                                            {"flash", required_argument, NULL, 'f'},
                                            {"memory", required_argument, NULL, 'm'},
                                            {"fast", required_argument, NULL, 'F'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    const char *driver = "nonin-df2";
    int c;

    board.argv = argv;
    while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        switch (c) {
        case 'b':
            board.links[HAL_BUS] = optarg;
            break;
        case 'd':
            if (board.ports == HAL_DEVICES_MAX)
                usage(2);
            board.links[++board.ports] = optarg;
            board.drivers[board.ports] = driver;
            break;
        case 'D':
            driver = optarg;
            break;
        case 'a':
            board.address = (uint8_t)number(optarg, 245);
            break;
        case 's':
            board.serial = optarg;
            break;
        case 'f':
            board.flash = optarg;
            break;
        case 'm':
            board.memory_size = number(optarg, 1u << 30);
            break;
        case 'F':
            board.fast = number(optarg, 100000);
            break;
        default:
            usage(c == 'h' ? 0 : 2);
        }
    }
    if (board.links[HAL_BUS] == NULL || optind != argc)
        usage(2);
}

/* A raw pty, linked where it is wanted. Its other side stays open here, so that nobody's
 * closing hangs the line up. */
static int make_line(const char *link, int fd)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK), slave = -1;
    struct termios raw;
    const char *name;

    if (master < 0 || grantpt(master) != 0 || unlockpt(master) != 0 ||
        (name = ptsname(master)) == NULL || (slave = open(name, O_RDWR | O_NOCTTY)) < 0)
        fail(link);
    if (tcgetattr(slave, &raw) != 0)
        fail(link);
    cfmakeraw(&raw);
    (void)tcsetattr(slave, TCSANOW, &raw);
    (void)unlink(link);
    if (symlink(name, link) != 0)
        fail(link);
    if (dup2(master, fd) != fd)
        fail(link);
    (void)close(master);
    return fd;
}

static void load_flash(void)
{
    FILE *file;

    memset(board.state, 0xFF, sizeof board.state);
    if (board.flash == NULL || (file = fopen(board.flash, "rb")) == NULL)
        return;
    (void)!fread(board.state, 1, sizeof board.state, file);
    (void)fclose(file);
}

/* The next start learns why it is. Async-signal-safe. */
static void start_again(enum hal_reset why)
{
    *(uint32_t *)((uint8_t *)board.retained + HAL_RETAINED_SIZE) = why;
    (void)execv("/proc/self/exe", board.argv);
    _exit(1);
}

static void on_watchdog(int number)
{
    (void)number;
    start_again(HAL_RESET_WATCHDOG);
}

void hal_start(void)
{
    struct sigaction action = {.sa_handler = on_signal},
                     bite = {.sa_handler = on_watchdog, .sa_flags = SA_NODEFER};
    uint32_t *why;

    board.again = fcntl(FD_RETAINED, F_GETFD) >= 0;
    if (!board.again) {
        int fd = memfd_create("retained", 0);

        if (fd < 0 || ftruncate(fd, RETAINED) != 0 || dup2(fd, FD_RETAINED) < 0)
            fail("retained memory");
        (void)close(fd);
    }
    board.retained =
        mmap(NULL, HAL_RETAINED_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, FD_RETAINED, 0);
    board.memory = calloc(1, board.memory_size);
    if (board.retained == MAP_FAILED || board.memory == NULL)
        fail("memory");
    why = (uint32_t *)((uint8_t *)board.retained + HAL_RETAINED_SIZE);
    board.cause = board.again ? (enum hal_reset) * why : HAL_RESET_POWER;
    *why = HAL_RESET_PIN;
    for (unsigned i = 0; i <= board.ports; i++)
        board.lines[i] =
            board.again ? FD_LINE + (int)i : make_line(board.links[i], FD_LINE + (int)i);
    load_flash();
    board.speed = 1;
    board.host_us = host_us();
    (void)sigaction(SIGUSR1, &action, NULL);
    (void)sigaction(SIGUSR2, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGALRM, &bite, NULL);
}

void hal_reset(void)
{
    start_again(HAL_RESET_SOFTWARE);
}

/* What a signal asks for, where no line is being served. */
static void obey(void)
{
    if (ends) {
        for (unsigned i = 0; i <= board.ports; i++)
            (void)unlink(board.links[i]);
        exit(0);
    }
    if (resets)
        start_again(HAL_RESET_PIN);
    if (toggles) {
        toggles = 0;
        board.base_us = hal_now_us();
        board.host_us = host_us();
        board.speed = board.speed == 1 ? board.fast : 1;
    }
}

/* What "interrupts" there are. A pty that was not looked at for long has more at once
 * than any wire would: what the ring has no room for stays in the pty. */
static void look(void)
{
    uint8_t bytes[128];

    for (unsigned i = 0; i <= board.ports; i++) {
        ssize_t n = serial_waiting(i) ? 0 : read(board.lines[i], bytes, sizeof bytes);

        for (ssize_t k = 0; k < n; k++)
            serial_received(i, bytes[k], false);
    }
    obey();
}

const char *hal_board(void)
{
    return "native";
}

void hal_serial_number(char text[HAL_TEXT_MAX])
{
    (void)snprintf(text, HAL_TEXT_MAX, "%s", board.serial);
}

uint8_t hal_bus_address(void)
{
    return board.address;
}

unsigned hal_device_ports(void)
{
    return board.ports;
}

const char *hal_driver(unsigned port)
{
    return board.drivers[port];
}

/* A pty has no baud rate: bytes come when the scheduler lets them. */
void hal_bus_line(struct hal_line *line, uint32_t *late_us)
{
    *line = (struct hal_line){.baud = 19200,
                              .data_bits = 8,
                              .parity = HAL_PARITY_EVEN,
                              .stop_bits = 1};
    *late_us = 3000;
}

bool hal_serial_open(unsigned port, const struct hal_line *line)
{
    (void)line;
    return board.lines[port] >= 0;
}

/* What a pty that nobody reads does not take is lost, as on a wire. */
void hal_serial_send(unsigned port)
{
    uint8_t bytes[256];
    size_t n = 0;
    int byte;

    while (n < sizeof bytes && (byte = serial_next(port)) >= 0)
        bytes[n++] = (uint8_t)byte;
    (void)!write(board.lines[port], bytes, n);
}

uint64_t hal_now_us(void)
{
    return board.base_us + (host_us() - board.host_us) * board.speed;
}

void hal_lock(void)
{
    look();
}

void hal_unlock(void)
{
}

void hal_sleep(uint64_t until_us)
{
    struct pollfd waits[HAL_PORTS_MAX];
    uint64_t now_us = hal_now_us();
    struct timespec left = {.tv_sec = 1};

    for (unsigned i = 0; i <= board.ports; i++)
        waits[i] = (struct pollfd){.fd = board.lines[i], .events = POLLIN};
    if (until_us != UINT64_MAX) {
        uint64_t us = until_us > now_us ? (until_us - now_us) / board.speed : 0;

        if (us < 1000000)
            left = (struct timespec){.tv_nsec = (long)us * 1000};
    }
    (void)ppoll(waits, board.ports + 1, &left, NULL);
    look();
}

/* SIGALRM is the watchdog's bite. */
void hal_watchdog_start(uint32_t period_ms)
{
    (void)period_ms;
    (void)alarm(WATCHDOG_S);
}

void hal_watchdog_kick(void)
{
    (void)alarm(WATCHDOG_S);
}

enum hal_reset hal_reset_cause(void)
{
    return board.cause;
}

void *hal_retained(void)
{
    return board.retained;
}

void hal_fault_take(struct hal_fault *fault)
{
    memset(fault, 0, sizeof *fault);
}

void *hal_spare_memory(size_t *size)
{
    *size = board.memory_size;
    return board.memory;
}

void hal_stack(uint32_t *used, uint32_t *size)
{
    *used = *size = 0;
}

static int flash_read(const struct flash_area *area, uint32_t offset, void *bytes,
                      size_t size)
{
    if (offset > area->size || size > area->size - offset)
        return FLASH_RANGE;
    memcpy(bytes, board.state + offset, size);
    return FLASH_OK;
}

/* The file is written whole: it is two small units. */
static int flash_keep(void)
{
    FILE *file = fopen(board.flash, "wb");
    bool good;

    if (file == NULL)
        return FLASH_FAILED;
    good = fwrite(board.state, 1, sizeof board.state, file) == sizeof board.state;
    return fclose(file) == 0 && good ? FLASH_OK : FLASH_FAILED;
}

static int flash_write(const struct flash_area *area, uint32_t offset, const void *bytes,
                       size_t size)
{
    if (offset > area->size || size > area->size - offset)
        return FLASH_RANGE;
    for (size_t i = 0; i < size; i++)
        board.state[offset + i] &= ((const uint8_t *)bytes)[i];
    return flash_keep();
}

static int flash_erase(const struct flash_area *area, uint32_t offset)
{
    if (offset >= area->size || offset % area->erase_size != 0)
        return FLASH_RANGE;
    memset(board.state + offset, 0xFF, area->erase_size);
    return flash_keep();
}

/* Only the state: a process has no program slots. */
const struct flash_area *hal_flash(enum hal_flash which)
{
    static const struct flash_ops ops = {flash_read, flash_write, flash_erase};
    static const struct flash_area state = {&ops, NULL, 0, STATE_SIZE, STATE_UNIT, 4};

    return which == HAL_FLASH_STATE && board.flash != NULL ? &state : NULL;
}
