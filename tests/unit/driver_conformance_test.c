/* SPDX-License-Identifier: Apache-2.0
 *
 * Every serial driver of driver_conformance_frames.c through the same trials: the
 * document's frames and sentinels, every split, garbage before, between and inside, every
 * flipped bit, and the list of what may be sent.
 */
#include "driver_conformance.h"

#define STREAM_MAX (CONFORMANCE_FRAME_MAX * 8)
#define TEXT_MAX   512
#define SETS_MAX   4 /* of one frame */
#define LONG_FRAME 640

static const struct conformance *now;

/* The frame as it is on the line. */
static size_t build(const struct conformance_frame *f, uint8_t *out)
{
    assert_true(f->size + f->pad <= CONFORMANCE_FRAME_MAX);
    memcpy(out, f->bytes, f->pad_at);
    memset(out + f->pad_at, 0x50, f->pad);
    memcpy(out + f->pad_at + f->pad, f->bytes + f->pad_at, f->size - f->pad_at);
    return f->size + f->pad;
}

/* A set as the tables write it. */
static void render(const struct observation_set *set, char *out, size_t size)
{
    size_t n = 0;

    out[0] = '\0';
    if (set->subject == OBSERVATION_OF_FETUS)
        n += (size_t)snprintf(out, size, "F%u ", set->number);
    if (set->subject == OBSERVATION_OF_PATIENT)
        n += (size_t)snprintf(out, size, "M ");
    for (size_t i = 0; i < set->count; i++) {
        const struct observation *o = &set->items[i];
        n += (size_t)snprintf(out + n, size - n, "%u=", o->code);
        if (o->kind == OBSERVATION_ABSENT)
            n += (size_t)snprintf(out + n, size - n, "-");
        else
            n += (size_t)snprintf(out + n, size - n, "%lld", (long long)o->mantissa);
        if (o->exponent)
            n += (size_t)snprintf(out + n, size - n, "e%d", o->exponent);
        if (o->quality)
            n += (size_t)snprintf(out + n, size - n, " q%u", o->quality);
        n += (size_t)snprintf(out + n, size - n, " ");
        assert_true(n < size);
    }
}

static void feed_times(struct rig *rig, const uint8_t *frame, size_t size, size_t times)
{
    for (size_t i = 0; i < times; i++)
        rig_feed(rig, frame, size);
}

/* How many sets a frame makes. */
static size_t sets_of(const struct conformance_frame *f)
{
    size_t n = 1;

    for (const char *c = f->expected; *c != '\0'; c++)
        n += *c == '|';
    return n;
}

/* The last sets that were kept are those of the table. */
static void assert_last(const struct rig *rig, const struct conformance_frame *f)
{
    char text[TEXT_MAX] = "";
    size_t sets = sets_of(f);

    if (rig->kept.sets < sets)
        print_error("%s, %s: no set\n", now->driver, f->name);
    assert_in_range(rig->kept.sets, sets, KEPT_MAX);
    for (size_t i = 0; i < sets; i++) {
        size_t n = strlen(text);
        if (i > 0)
            text[n++] = '|';
        render(&rig->kept.set[rig->kept.sets - sets + i], text + n, sizeof(text) - n);
    }
    if (strcmp(text, f->expected) != 0)
        print_error("%s, %s\n", now->driver, f->name);
    assert_string_equal(text, f->expected);
}

/* The sets of a frame: the last that were kept. */
struct good {
    size_t count;
    struct observation_set sets[SETS_MAX];
};

static void keep_good(const struct rig *rig, const struct conformance_frame *f,
                      struct good *good)
{
    good->count = sets_of(f);
    assert_in_range(good->count, 1, SETS_MAX);
    memcpy(good->sets, &rig->kept.set[rig->kept.sets - good->count],
           good->count * sizeof(good->sets[0]));
}

/* Whether somebody's set has this number of theirs. */
static bool is_good(const struct good *good, const struct observation_set *set,
                    const struct observation *o)
{
    bool same = false;

    for (size_t s = 0; s < good->count; s++)
        for (size_t i = 0; i < good->sets[s].count; i++) {
            const struct observation *g = &good->sets[s].items[i];
            same |= good->sets[s].subject == set->subject &&
                    good->sets[s].number == set->number && g->code == o->code &&
                    g->kind == OBSERVATION_NUMERIC && g->mantissa == o->mantissa &&
                    g->exponent == o->exponent;
        }
    return same;
}

/* Numbers given without doubt that are not those of `good`, by what and whose they are.
 */
static size_t wrong_values(const struct rig *rig, const struct good *good)
{
    size_t wrong = 0;

    for (size_t s = 0; s < rig->kept.sets && s < KEPT_MAX; s++)
        for (size_t i = 0; i < rig->kept.set[s].count; i++) {
            const struct observation *o = &rig->kept.set[s].items[i];
            bool same = is_good(good, &rig->kept.set[s], o);
            wrong += o->kind == OBSERVATION_NUMERIC && !same &&
                     !(o->quality & (QUALITY_QUESTIONABLE | QUALITY_INVALID));
        }
    return wrong;
}

/* Calls `trial` for each frame of each driver; rig is fresh. */
static void each(void (*trial)(struct rig *, const struct conformance_frame *,
                               const uint8_t *, size_t))
{
    uint8_t frame[CONFORMANCE_FRAME_MAX];
    struct rig rig;

    for (size_t d = 0; d < conformance_count; d++) {
        now = &conformances[d];
        rig_start(&rig, now->driver);
        for (const struct conformance_frame *f = now->frames; f->name != NULL; f++) {
            size_t size = build(f, frame);
            rig_reset(&rig);
            trial(&rig, f, frame, size);
        }
        rig_end(&rig);
    }
}

/* One frame alone gives no number; enough of them give the document's set. */
static void trial_examples(struct rig *rig, const struct conformance_frame *f,
                           const uint8_t *frame, size_t size)
{
    static const struct good nothing;

    rig_feed(rig, frame, size);
    assert_int_equal(rig->kept.sets, now->checked || now->first_says ? sets_of(f) : 0);
    if (!now->checked)
        assert_int_equal(wrong_values(rig, &nothing), 0);
    feed_times(rig, frame, size, now->repeat);
    assert_last(rig, f);
    assert_int_equal(rig->kept.bytes, 0);
}

static void test_examples(void **state)
{
    (void)state;
    each(trial_examples);
}

static void trial_splits(struct rig *rig, const struct conformance_frame *f,
                         const uint8_t *frame, size_t size)
{
    static uint8_t stream[STREAM_MAX];
    size_t times = now->repeat + 1, total = times * size, sets;

    assert_true(total <= sizeof(stream));
    for (size_t i = 0; i < times; i++)
        memcpy(stream + i * size, frame, size);
    rig_feed(rig, stream, total);
    assert_last(rig, f);
    sets = rig->kept.sets;
    for (size_t at = 0; at <= total; at++) {
        rig_reset(rig);
        rig_feed(rig, stream, at);
        rig_feed(rig, stream + at, total - at);
        assert_int_equal(rig->kept.sets, sets);
        assert_last(rig, f);
        assert_int_equal(rig->kept.bytes, 0);
    }
    rig_reset(rig);
    for (size_t at = 0; at < total; at++)
        rig_feed(rig, stream + at, 1);
    assert_int_equal(rig->kept.sets, sets);
}

static void test_splits(void **state)
{
    (void)state;
    each(trial_splits);
}

/* Noise before and between, then good frames: the document's set, and nothing else on the
 * way. */
static void trial_garbage(struct rig *rig, const struct conformance_frame *f,
                          const uint8_t *frame, size_t size)
{
    uint64_t seed = SEED;
    struct good good;

    feed_times(rig, frame, size, now->repeat + 1);
    assert_last(rig, f);
    keep_good(rig, f, &good);
    for (size_t round = 0; round < 64; round++) {
        uint8_t noise[64];
        for (size_t i = 0; i < sizeof(noise); i++)
            noise[i] = (uint8_t)draw(&seed);
        rig_reset(rig);
        rig_feed(rig, noise, round);
        feed_times(rig, frame, size, now->repeat + 2);
        rig_feed(rig, noise, sizeof(noise));
        feed_times(rig, frame, size, 2 * now->repeat + 4);
        assert_last(rig, f);
        assert_int_equal(wrong_values(rig, &good), 0);
    }
    for (size_t at = 0; at <= size; at++) { /* inside: a foreign byte at every place */
        static const uint8_t foreign[] = {0x00, '5', 0x80, 0xFF, '\r', '\n'};
        const uint8_t byte = foreign[at % COUNT(foreign)];
        rig_reset(rig);
        feed_times(rig, frame, size, now->repeat);
        rig_feed(rig, frame, at);
        rig_feed(rig, &byte, 1);
        rig_feed(rig, frame + at, size - at);
        feed_times(rig, frame, size, 2 * now->repeat + 4);
        assert_last(rig, f);
        assert_int_equal(wrong_values(rig, &good), 0);
    }
}

static void test_garbage(void **state)
{
    (void)state;
    each(trial_garbage);
}

/* Of very long frames every seventh bit, all of them at the long size. */
static size_t stride(size_t size)
{
    const char *wanted = getenv("WARDGATE_SIZE");

    return size > LONG_FRAME && (wanted == NULL || strcmp(wanted, "long") != 0) ? 7 : 1;
}

/* Every bit of a frame, in the frames on which the set hangs. */
static size_t flips(struct rig *rig, const struct conformance_frame *f,
                    const uint8_t *frame, size_t size, size_t *tried)
{
    uint8_t flipped[CONFORMANCE_FRAME_MAX];
    struct good good;
    size_t unseen = 0;

    feed_times(rig, frame, size, now->repeat + 1);
    keep_good(rig, f, &good);
    for (size_t bit = 0; bit < size * 8; bit += stride(size)) {
        bool wrong = false;
        memcpy(flipped, frame, size);
        flipped[bit / 8] ^= (uint8_t)(1u << bit % 8);
        for (size_t before = now->repeat - 2 - (now->repeat > 3); before <= now->repeat;
             before++) {
            rig_reset(rig);
            feed_times(rig, frame, size, before);
            rig_feed(rig, flipped, size);
            feed_times(rig, frame, size, now->repeat + 2);
            wrong |= wrong_values(rig, &good) > 0;
        }
        unseen += wrong;
        (*tried)++;
    }
    return unseen;
}

/* With a check: none. Without: as many as the table says, so that it is known. */
static void test_flips(void **state)
{
    uint8_t frame[CONFORMANCE_FRAME_MAX];
    struct rig rig;
    bool as_known = true;

    (void)state;
    for (size_t d = 0; d < conformance_count; d++) {
        size_t unseen = 0, tried = 0;
        now = &conformances[d];
        rig_start(&rig, now->driver);
        for (const struct conformance_frame *f = now->frames; f->name != NULL; f++) {
            size_t size = build(f, frame);
            rig_reset(&rig);
            unseen += flips(&rig, f, frame, size, &tried);
        }
        rig_end(&rig);
        printf("%s: %zu of %zu single flips unseen\n", now->driver, unseen, tried);
        assert_true(!now->checked || now->unseen == 0);
        as_known &= unseen == now->unseen;
    }
    assert_true(as_known);
}

/* What the table allows, and nothing that differs from it in a byte or a length. */
static void test_allow_list(void **state)
{
    (void)state;
    for (size_t d = 0; d < conformance_count; d++) {
        const struct conformance *c = &conformances[d];
        const struct driver *driver = driver_by_name(c->driver);
        assert_non_null(driver);
        if (c->allowed_count == 0) {
            assert_null(driver->poll);
            assert_null(driver->may_send);
            continue;
        }
        for (size_t i = 0; i < c->allowed_count; i++) {
            uint8_t b[DRIVER_SEND_MAX];
            size_t n = c->allowed[i].size;
            memcpy(b, c->allowed[i].bytes, n);
            assert_true(driver->may_send(b, n));
            assert_false(driver->may_send(b, n - 1));
            assert_false(driver->may_send(b, 0));
            for (size_t at = 0; at < n; at++)
                for (unsigned value = 0; value < 256; value++) {
                    bool listed = false;
                    b[at] = (uint8_t)value;
                    for (size_t k = 0; k < c->allowed_count; k++)
                        listed |= c->allowed[k].size == n &&
                                  memcmp(c->allowed[k].bytes, b, n) == 0;
                    assert_int_equal(driver->may_send(b, n), listed);
                    b[at] = (uint8_t)c->allowed[i].bytes[at];
                }
        }
    }
}

/* The real recording: 27 messages; the torn first one and the one cut off say nothing. */
static void test_ivy_recording(void **state)
{
    const char *recordings = getenv("WARDGATE_RECORDINGS");
    char path[512];
    static uint8_t bytes[65536];
    struct rig rig;

    (void)state;
    snprintf(path, sizeof(path), "%s/serial/ivy450c.bin", recordings ? recordings : "");
    FILE *file = recordings ? fopen(path, "rb") : NULL;
    if (file == NULL) {
        printf("skip: ivy recording: WARDGATE_RECORDINGS has no serial/ivy450c.bin\n");
        skip();
        return;
    }
    size_t n = fread(bytes, 1, sizeof(bytes), file);
    fclose(file);
    rig_start(&rig, "ivy-ansar-b");
    rig_feed(&rig, bytes, n);
    assert_int_equal(rig.kept.sets, 27);
    for (size_t s = 1; s < rig.kept.sets; s++) {
        char text[TEXT_MAX];
        render(&rig.kept.set[s], text, sizeof(text));
        assert_memory_equal(text, "147842=80 151562=35 150456=100 149530=80 150021=121 ",
                            52);
    }
    rig_end(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_examples),   cmocka_unit_test(test_splits),
        cmocka_unit_test(test_garbage),    cmocka_unit_test(test_flips),
        cmocka_unit_test(test_allow_list), cmocka_unit_test(test_ivy_recording),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
